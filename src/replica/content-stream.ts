/**
 * Content on its way from one replica to another: one byte string, cut into chunks anywhere. A record per wanted file
 * (wanted-content.ts), in order; all integers little-endian:
 *
 *     u8 kind · u8 bits · u16 zero · u32 index of the file among the wanted · u64 size
 *     whole    size bytes of content · u8 end: 1 intact, 0 the file changed meanwhile, 2 it could not be read to its end
 *     delta    key, 16 bytes · pieces of an instruction stream (delta/), each u32 length · bytes, ended by a length of 0;
 *              u8 end as above · sum of the whole content under the key (`WholeSum` in delta/sums.ts); `size` is that of
 *              the new content
 *     failed   size bytes of UTF-8: why the file could not be read; `bits` says which sort of failure
 *     blocks   as delta, from a side that held blocks against their sums (delta/block-sums.ts): u32 bytes of a block
 *              instead of the key, and in the end the `BlockwiseSum`
 *
 * That the bytes arrive as they were sent is the transport's affair (wire/ checks every frame). That they are what the
 * file held at one moment is the sender's: only an end of 1 makes it whole.
 */
import type { RelPath } from '../tree/path.ts';
import type { Entry } from '../tree/entry.ts';

export const recordKinds = { whole: 0, delta: 1, failed: 2, blocks: 3 } as const;
/** How the content of a file ended; anything but `intact` makes it worthless. */
export const recordEnds = { changed: 0, intact: 1, unreadable: 2 } as const;
export type RecordEnd = (typeof recordEnds)[keyof typeof recordEnds];
/** Bits of a whole file's record. */
export const sparseBit = 1;
export const recordHeaderBytes = 16;
/** Content is cut into chunks of this size, the last one apart: with its head (agent/protocol.ts) one frame of wire/. */
export const contentChunkBytes = (1 << 17) - 16;
/** How many bytes of a stream may be on their way, not taken yet: enough for a fast link with a long delay. */
export const contentWindow = 8 << 20;
/** Files from this size on are not begun anew when their transfer broke off. */
export const resumableSize = 8 << 20;
/** The longest text of a failure. */
export const maxFailureBytes = 4096;

/** Why a file could not be sent; the position is its code on the wire. */
export const sendFailures = ['source-changed', 'unreadable', 'failed'] as const;
export type SendFailure = (typeof sendFailures)[number];

/** A file that is to be sent. */
export interface ReadRequest {
  path: RelPath;
  /** The file as it must be; another one is answered with a failure. */
  expect: Entry;
  /** What the other side has already (delta/): only what differs is sent. Sums of blocks for a side that compares those. */
  signature?: Uint8Array;
}

export interface RecordHeader {
  kind: number;
  bits: number;
  index: number;
  size: number;
}

export function putRecordHeader(bytes: Uint8Array, at: number, { kind, bits, index, size }: RecordHeader): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, recordHeaderBytes);
  view.setUint8(0, kind);
  view.setUint8(1, bits);
  view.setUint16(2, 0);
  view.setUint32(4, index, true);
  view.setBigUint64(8, BigInt(size), true);
}

/** @returns undefined for a header that no sender writes */
export function recordHeader(bytes: Uint8Array): RecordHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, recordHeaderBytes);
  const size = view.getBigUint64(8, true);
  const kind = view.getUint8(0);
  if (kind > recordKinds.blocks || view.getUint16(2) !== 0 || size > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { kind, bits: view.getUint8(1), index: view.getUint32(4, true), size: Number(size) };
}
