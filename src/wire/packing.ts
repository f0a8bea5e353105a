/** Compressing frames' payloads, and getting them back from a peer that may not mean well. */
import zlib from 'node:zlib';
import { protocolError } from './errors.ts';
import { maxPayload, type Packing } from './frames.ts';

/** The parts of zlib that Node has since 22.15; the types here are older. */
interface Zstd {
  zstdCompress(
    bytes: Uint8Array,
    options: { params: Record<number, number> },
    done: (error: Error | null, packed: Buffer) => void,
  ): void;
  zstdDecompressSync(
    bytes: Uint8Array,
    options: { params: Record<number, number>; maxOutputLength: number; chunkSize: number },
  ): Buffer;
}

function findZstd(): Zstd | undefined {
  const found = zlib as unknown as Partial<Zstd>;
  const { zstdCompress, zstdDecompressSync } = found;
  return zstdCompress && zstdDecompressSync ? { zstdCompress, zstdDecompressSync } : undefined;
}

const zstd = findZstd();

/** Whether this process can compress and decompress by zstd: for the hello. */
export const zstdAvailable = zstd !== undefined;

/** Numbers of zstd's own interface, in case the constants' names change before this does. */
const zstdParameter = { level: 100, window: 101, maxWindow: 100 } as const;
const zstdLevel = 1;
/** A frame fits in it, and the other end need not set aside more. */
const zstdWindow = 18;

/** Compresses in another thread. @param done gets undefined when it could not be done */
export function pack(
  packing: 'deflate' | 'zstd',
  raw: Uint8Array,
  done: (packed: Uint8Array | undefined) => void,
): void {
  const finish = (error: Error | null, packed: Buffer): void => done(error ? undefined : packed);
  if (packing === 'zstd' && zstd !== undefined) {
    const params = { [zstdParameter.level]: zstdLevel, [zstdParameter.window]: zstdWindow };
    zstd.zstdCompress(raw, { params }, finish);
  } else {
    zlib.deflateRaw(raw, { level: 1 }, finish);
  }
}

/** Compresses right here, by deflate: for so few bytes that another thread is not worth it. */
export function packNow(raw: Uint8Array): Uint8Array {
  return zlib.deflateRawSync(raw, { level: 1 });
}

/** @throws LockstepError with code 'protocol', also when it would be more than a frame may hold */
export function unpack(packing: Packing, packed: Uint8Array): Uint8Array {
  if (packing === 'none') return packed;
  if (packing === 'zstd' && zstd === undefined) {
    throw protocolError('a frame compressed by zstd, which this end has not got');
  }
  try {
    // A chunk stays in memory as long as what was put into it.
    const chunkSize = Math.min(Math.max(packed.length * 4, 1024), maxPayload);
    const limits = { maxOutputLength: maxPayload, chunkSize };
    if (packing === 'deflate') return zlib.inflateRawSync(packed, limits);
    const params = { [zstdParameter.maxWindow]: zstdWindow };
    return zstd?.zstdDecompressSync(packed, { ...limits, params }) ?? packed;
  } catch (error) {
    const tooLarge = error instanceof RangeError;
    throw protocolError(
      tooLarge ? 'a frame that is too large when decompressed' : 'a frame that cannot be decompressed',
      { cause: error },
    );
  }
}
