/**
 * The baseline's snapshot file (docs/formats.md).
 *
 *     "LOCKSTEP BASELINE 1\n" · u32 CRC-32 of the rest · u32 bytes of header · header (JSON)
 *     u32 bytes of tree a · tree a · u32 bytes of tree b · tree b
 *
 * Written aside, synced and renamed: there is always one whole snapshot or none.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { decodeTreeLazily, encodedTreeLength, encodeTreePieces } from '../../tree/codec.ts';
import type { Tree } from '../../tree/tree.ts';

const magic = Buffer.from('LOCKSTEP BASELINE 1\n');

export interface SnapshotHeader {
  /** Ties the log to its snapshot: a log of another snapshot is not read. */
  id: string;
  identity: { a: string; b: string };
  mode: string;
  /** Token of the last intent. */
  token: string;
  /** Sessions under which it was written, and whether everything in it is durable. */
  session: { a: string; b: string };
  durable: boolean;
  /** SHA-256 by path, hexadecimal. */
  digests: Record<string, string>;
  /** Fingerprint of the ignore rules. */
  rules: string;
}

export interface Snapshot {
  header: SnapshotHeader;
  a: Tree;
  b: Tree;
  /** The packed trees as they lie in memory that worker threads share. */
  packed: { a: Uint8Array; b: Uint8Array };
}

/** Reads a snapshot. @returns undefined when there is none; a reason when it is damaged */
export function readSnapshot(path: string): Snapshot | { damaged: string } | undefined {
  let file: number;
  try {
    file = fs.openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    // Into shared memory: the agents compare against it without a copy.
    const { size } = fs.fstatSync(file);
    const bytes = new Uint8Array(new SharedArrayBuffer(size));
    for (let at = 0; at < size;) {
      const count = fs.readSync(file, bytes, at, size - at, at);
      if (count === 0) return { damaged: 'cut short' };
      at += count;
    }
    return decodeSnapshot(bytes);
  } finally {
    fs.closeSync(file);
  }
}

function decodeSnapshot(bytes: Uint8Array): Snapshot | { damaged: string } {
  const start = magic.length;
  if (bytes.length < start + 8) return { damaged: 'cut short' };
  if (Buffer.compare(bytes.subarray(0, start), magic) !== 0) return { damaged: 'not a baseline of this version' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (crc32(bytes.subarray(start + 4)) !== view.getUint32(start, true))
    return { damaged: 'its checksum does not match' };
  let at = start + 4;
  const take = (): Uint8Array => {
    const length = view.getUint32(at, true);
    const part = bytes.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    return part;
  };
  const header = JSON.parse(Buffer.from(take()).toString('utf8')) as SnapshotHeader;
  const packed = { a: take(), b: take() };
  // The checksum vouches for them.
  return { header, a: decodeTreeLazily(packed.a), b: decodeTreeLazily(packed.b), packed };
}

/** Replaces the snapshot atomically. Written piece by piece: a large tree is never in memory a second time. */
export function writeSnapshot(path: string, header: SnapshotHeader, a: Tree, b: Tree): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  const file = fs.openSync(temporary, 'wx', 0o600);
  try {
    const writer = new ChecksummedWriter(file, magic.length + 4);
    const json = Buffer.from(JSON.stringify(header));
    writer.write(lengthOf(json.length));
    writer.write(json);
    for (const tree of [a, b]) {
      writer.write(lengthOf(encodedTreeLength(tree)));
      for (const piece of encodeTreePieces(tree)) writer.write(piece);
    }
    const checksum = lengthOf(writer.end());
    fs.writeSync(file, Buffer.concat([magic, checksum]), 0, magic.length + 4, 0);
    fs.fsyncSync(file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  } finally {
    fs.closeSync(file);
  }
  fs.renameSync(temporary, path);
}

function lengthOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

/** Gathers small pieces into large writes, and their CRC-32 with them. */
class ChecksummedWriter {
  readonly #file: number;
  readonly #buffer = Buffer.allocUnsafe(1 << 18);
  #used = 0;
  #position: number;
  #crc = 0;

  constructor(file: number, position: number) {
    this.#file = file;
    this.#position = position;
  }

  write(piece: Uint8Array): void {
    if (this.#used + piece.length > this.#buffer.length) this.#flush();
    if (piece.length > this.#buffer.length) {
      this.#store(piece);
      return;
    }
    this.#buffer.set(piece, this.#used);
    this.#used += piece.length;
  }

  /** @returns the checksum of everything written */
  end(): number {
    this.#flush();
    return this.#crc;
  }

  #flush(): void {
    this.#store(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  #store(bytes: Uint8Array): void {
    this.#crc = crc32(bytes, this.#crc);
    for (let done = 0; done < bytes.length;) {
      const count = fs.writeSync(this.#file, bytes, done, bytes.length - done, this.#position);
      done += count;
      this.#position += count;
    }
  }
}
