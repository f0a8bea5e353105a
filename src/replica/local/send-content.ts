/**
 * Reading files for another replica (content-stream.ts): many small ones share a chunk, large ones take many.
 *
 * Invariant: a record that ends as intact holds, byte for byte, what the file held at one moment. It is opened without
 * following a symlink, seen to be where its path says, and checked on the descriptor before and after.
 */
import { randomBytes } from 'node:crypto';
import fs, { type BigIntStats } from 'node:fs';
import { errnoCode, LockstepError, reasonOf } from '../../base/errors.ts';
import { InstructionEncoder, type Instruction } from '../../delta/instructions.ts';
import { DeltaSearch } from '../../delta/search.ts';
import { decodeSignature } from '../../delta/signature-codec.ts';
import { WholeSum, wholeSumKeyLength } from '../../delta/sums.ts';
import type { Entry } from '../../tree/entry.ts';
import { isSafePath, type RelPath } from '../../tree/path.ts';
import {
  contentChunkBytes,
  contentWindow,
  maxFailureBytes,
  putRecordHeader,
  recordEnds,
  recordHeaderBytes,
  recordKinds,
  sendFailures,
  sparseBit,
  type ReadRequest,
  type RecordEnd,
  type SendFailure,
} from '../content-stream.ts';
import { changedBetween, isAt, openRegular, SourceChangedError } from './copy.ts';
import { entryOf, matches, noGrain } from './stat.ts';

const readBytes = 1 << 18;

/** Where a file is, for the file system. */
export interface Place {
  path: string;
  /** It goes through an open directory: there is no symlink on the way. */
  byHandle: boolean;
}

/**
 * An empty chunk now and then only gives the caller its turn: on a slow disk, a chunk of small files takes long to fill.
 *
 */
export function* sendContent(
  requests: readonly ReadRequest[],
  locate: (path: RelPath) => Place,
  ring: ChunkRing,
): Generator<Uint8Array> {
  const out = new ChunkBuffer(ring);
  for (const [index, request] of requests.entries()) {
    yield* sendOne(out, index, request, locate);
    yield* out.full();
    yield empty;
  }
  yield* out.rest();
}

function* sendOne(
  out: ChunkBuffer,
  index: number,
  request: ReadRequest,
  locate: (path: RelPath) => Place,
): Generator<Uint8Array> {
  let file: number | undefined;
  try {
    if (!isSafePath(request.path)) throw new LockstepError('protocol', 'not a path that may be read');
    const { path, byHandle } = locate(request.path);
    file = openRegular(path);
    const before = fs.fstatSync(file, { bigint: true });
    if (!before.isFile() || !matches(entryOf(before, noGrain), request.expect)) throw new SourceChangedError();
    if (!byHandle && !isAt(file, path)) throw new SourceChangedError();
    const { signature, expect } = request;
    const source = { file, before, expect };
    if (signature === undefined) yield* sendWhole(out, index, source);
    else yield* sendDelta(out, index, source, signature);
  } catch (error) {
    // Once a record is begun nothing throws: what cannot be read is filled up and ends in 0.
    sendFailure(out, index, error);
  } finally {
    if (file !== undefined) fs.closeSync(file);
  }
}

/** An open file that is being sent. */
interface Source {
  file: number;
  before: BigIntStats;
  expect: Entry;
}

function* sendWhole(out: ChunkBuffer, index: number, source: Source): Generator<Uint8Array> {
  const { file, before } = source;
  const size = Number(before.size);
  const bits = before.blocks * 512n < before.size && size > 65536 ? sparseBit : 0;
  out.header({ kind: recordKinds.whole, bits, index, size });
  let broken: RecordEnd | undefined;
  for (let left = size; left > 0;) {
    yield* out.full();
    const room = out.room(left);
    const count = broken === undefined ? readSome(file, room) : 0;
    if (count <= 0) broken ??= endOf(count);
    // A file that has become shorter, or cannot be read on: the announced length is kept, the content is worth nothing.
    const used = count <= 0 ? room.fill(0).length : count;
    out.used(used);
    left -= used;
  }
  out.byte(broken ?? endOfRead(source));
}

function* sendDelta(out: ChunkBuffer, index: number, source: Source, signature: Uint8Array): Generator<Uint8Array> {
  const { file, before } = source;
  const search = new DeltaSearch(decodeSignature(signature));
  const encoder = new InstructionEncoder();
  const key = randomBytes(wholeSumKeyLength);
  const sum = new WholeSum(key);
  const size = Number(before.size);
  out.header({ kind: recordKinds.delta, bits: 0, index, size });
  out.put(key);
  const buffer = Buffer.allocUnsafe(Math.min(readBytes, size));
  let left = size;
  let broken: RecordEnd | undefined;
  while (left > 0) {
    const count = readSome(file, buffer.subarray(0, Math.min(left, buffer.length)));
    if (count <= 0) {
      broken = endOf(count);
      break;
    }
    const piece = buffer.subarray(0, count);
    sum.update(piece);
    left -= count;
    yield* putInstructions(out, encoder, search.push(piece));
    // A few bytes may mean megabytes to be copied over there: they do not wait until a chunk is full of them.
    yield* out.rest();
    // Where everything matches nothing is sent; the caller gets its turn all the same.
    yield empty;
  }
  if (broken === undefined) yield* putInstructions(out, encoder, search.finish());
  out.number(0);
  out.byte(broken ?? endOfRead(source));
  out.put(sum.digest());
}

const empty = new Uint8Array(0);

function* putInstructions(
  out: ChunkBuffer,
  encoder: InstructionEncoder,
  instructions: readonly Instruction[],
): Generator<Uint8Array> {
  for (const instruction of instructions) {
    for (const bytes of encoder.encode(instruction)) {
      out.number(bytes.length);
      out.put(bytes);
    }
    yield* out.full();
  }
}

/** @returns how many bytes were read; 0 at the end of the file, -1 when it cannot be read */
function readSome(file: number, into: Uint8Array): number {
  try {
    return fs.readSync(file, into, 0, into.length, null);
  } catch {
    return -1;
  }
}

/** How a file ended that gave no more bytes although it should have. @param count as `readSome` returned it */
function endOf(count: number): RecordEnd {
  return count < 0 ? recordEnds.unreadable : recordEnds.changed;
}

/** How a file ended that was read to its end. */
function endOfRead({ file, before, expect }: Source): RecordEnd {
  try {
    const after = fs.fstatSync(file, { bigint: true });
    return changedBetween(before, after, expect) ? recordEnds.changed : recordEnds.intact;
  } catch {
    return recordEnds.unreadable;
  }
}

function sendFailure(out: ChunkBuffer, index: number, error: unknown): void {
  const failure: SendFailure =
    error instanceof SourceChangedError ? 'source-changed' : errnoCode(error) === undefined ? 'failed' : 'unreadable';
  const why = Buffer.from(failure === 'source-changed' ? '' : reasonOf(error)).subarray(0, maxFailureBytes);
  out.header({ kind: recordKinds.failed, bits: sendFailures.indexOf(failure), index, size: why.length });
  out.put(why);
}

/**
 * Memory for chunks, used over and over: making a buffer for each would keep the garbage collector busy for a fifth of the time.
 *
 * Invariant: a chunk is not written to again before its receiver has taken it. At most two streams are under way at a time
 * (the tail of one, the next), each with at most a window of bytes that were not taken; the ring holds more than both. A
 * stream that is given up may leave chunks behind that are still to be sent: its ring is not used again.
 */
export class ChunkRing {
  readonly #slots: number;
  readonly #memory: Uint8Array;
  #next = 0;

  constructor() {
    this.#slots = Math.ceil((2 * contentWindow) / contentChunkBytes) + 8;
    this.#memory = new Uint8Array(this.#slots * contentChunkBytes);
  }

  next(): Uint8Array {
    const start = this.#next * contentChunkBytes;
    this.#next = (this.#next + 1) % this.#slots;
    return this.#memory.subarray(start, start + contentChunkBytes);
  }
}

/** Bytes gathered into chunks. */
class ChunkBuffer {
  readonly #ring: ChunkRing;
  readonly #full: Uint8Array[] = [];
  #chunk: Uint8Array;
  #at = 0;

  constructor(ring: ChunkRing) {
    this.#ring = ring;
    this.#chunk = ring.next();
  }

  /** The chunks that are full. */
  *full(): Generator<Uint8Array> {
    for (let chunk = this.#full.shift(); chunk !== undefined; chunk = this.#full.shift()) yield chunk;
  }

  /** What is left. */
  *rest(): Generator<Uint8Array> {
    yield* this.full();
    if (this.#at > 0) yield this.#chunk.slice(0, this.#at);
    this.#at = 0;
  }

  /** Room for up to `wanted` bytes, at least one; `used` says how many were put there. */
  room(wanted: number): Uint8Array {
    return this.#chunk.subarray(this.#at, this.#at + wanted);
  }

  used(count: number): void {
    this.#at += count;
    if (this.#at < this.#chunk.length) return;
    this.#full.push(this.#chunk);
    this.#chunk = this.#ring.next();
    this.#at = 0;
  }

  put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const room = this.room(bytes.length - at);
      room.set(bytes.subarray(at, at + room.length));
      at += room.length;
      this.used(room.length);
    }
  }

  byte(value: number): void {
    this.put(Uint8Array.of(value));
  }

  /** A u32. */
  number(value: number): void {
    this.put(Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }

  header(header: Parameters<typeof putRecordHeader>[2]): void {
    const bytes = new Uint8Array(recordHeaderBytes);
    putRecordHeader(bytes, 0, header);
    this.put(bytes);
  }
}
