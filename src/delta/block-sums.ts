/**
 * Sums for a side that cannot search, because nothing but a shell runs there: SHA-256 of each block of the base, which is held
 * against the block at the same place of the new file. What was appended or changed in place is found, what was inserted is not.
 *
 *     varint size of the base · varint bytes of a block · 32 bytes for each block
 *
 * A block is taken for the same when its SHA-256 is; so nothing here is keyed, and the result's own sum only shows that
 * it was put together as it was meant.
 */
import { crypto } from '../base/builtins.ts';
import { LockstepError } from '../base/errors.ts';
import { maxDeltaSize } from './sizes.ts';
import { maxVarintLength, putVarint, varintAt } from './varint.ts';

/** Below this size, in bytes, a file is better sent whole: each block costs two processes over there. */
export const minBlockSumsSize = 4 << 20;
/** Bytes of a block's sum, and of the whole's. */
export const blockSumLength = 32;
/** Blocks are no smaller, in bytes. */
export const minSummedBlock = 1 << 18;
/** Nor larger: whoever compares one has it in memory. */
const maxSummedBlock = 1 << 26;
/** Up to 64 GiB, that is. */
const mostBlocks = 1024;

export interface BlockSums {
  /** Bytes of the base. All its blocks have `blockBytes` but the last, which has what is left. */
  readonly size: number;
  readonly blockBytes: number;
  /** `blockSumLength` bytes for each block. */
  readonly sums: Uint8Array;
}

/** @returns the block size, in bytes, for a base of `size` bytes: so that there are not too many */
export function summedBlockBytes(size: number): number {
  let bytes = minSummedBlock;
  while (Math.ceil(size / bytes) > mostBlocks && bytes < maxSummedBlock) bytes *= 2;
  return bytes;
}

/** Takes bytes in chunks of any size. @returns the sum of each block, as soon as it is complete */
class BlockDigests {
  readonly #blockBytes: number;
  #hash = crypto().createHash('sha256');
  #inBlock = 0;

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes;
  }

  *update(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + this.#blockBytes - this.#inBlock);
      this.#hash.update(piece);
      this.#inBlock += piece.length;
      at += piece.length;
      if (this.#inBlock === this.#blockBytes) yield this.#take();
    }
  }

  *finish(): Generator<Uint8Array> {
    if (this.#inBlock > 0) yield this.#take();
  }

  #take(): Uint8Array {
    const digest = this.#hash.digest();
    this.#hash = crypto().createHash('sha256');
    this.#inBlock = 0;
    return digest;
  }
}

/** Makes the sums of a base from its bytes, in chunks of any size. */
export class BlockSumsBuilder {
  readonly #blockBytes: number;
  readonly #digests: BlockDigests;
  readonly #sums: Uint8Array[] = [];
  #size = 0;

  /** @param size how large the base will be, in bytes: the block size is chosen by it */
  constructor(size: number) {
    this.#blockBytes = summedBlockBytes(size);
    this.#digests = new BlockDigests(this.#blockBytes);
  }

  /** Takes the next bytes of the base; nothing of `chunk` is kept. */
  push(chunk: Uint8Array): void {
    this.#size += chunk.length;
    this.#sums.push(...this.#digests.update(chunk));
  }

  /** The byte form of the sums of all that was pushed. The builder is used up. */
  finish(): Uint8Array {
    this.#sums.push(...this.#digests.finish());
    const head = new Uint8Array(2 * maxVarintLength);
    const end = putVarint(head, putVarint(head, 0, this.#size), this.#blockBytes);
    return Buffer.concat([head.subarray(0, end), ...this.#sums]);
  }
}

/** The sum of a whole file that was put together of blocks: SHA-256 of the SHA-256 of its blocks. */
export class BlockwiseSum {
  readonly #digests: BlockDigests;
  readonly #hash = crypto().createHash('sha256');

  /** @param blockBytes bytes of a block. @throws LockstepError `protocol` for a size that no honest peer has */
  constructor(blockBytes: number) {
    if (!isBlockSize(blockBytes)) throw broken(`its blocks have ${blockBytes} bytes`);
    this.#digests = new BlockDigests(blockBytes);
  }

  /** Takes the next bytes of the file. */
  update(bytes: Uint8Array): void {
    for (const digest of this.#digests.update(bytes)) this.#hash.update(digest);
  }

  /** Takes a whole block by its sum; what came before must have ended with a block. */
  takeBlock(sum: Uint8Array): void {
    this.#hash.update(sum);
  }

  /** The sum, `blockSumLength` bytes. Nothing can be added any more. */
  digest(): Buffer {
    for (const digest of this.#digests.finish()) this.#hash.update(digest);
    return this.#hash.digest();
  }
}

/**
 * Reads what a peer sent. Nothing is copied: `sums` is a view of `bytes`.
 *
 * @throws LockstepError `protocol` when that is not what a builder makes
 */
export function decodeBlockSums(bytes: Uint8Array): BlockSums {
  const { value: size, end: sizeEnd } = varintAt(bytes, 0, broken);
  if (size > maxDeltaSize) throw broken(`a file of ${size} bytes has none`);
  const { value: blockBytes, end } = varintAt(bytes, sizeEnd, broken);
  if (!isBlockSize(blockBytes)) throw broken(`its blocks have ${blockBytes} bytes`);
  const expected = Math.ceil(size / blockBytes) * blockSumLength;
  const sums = bytes.subarray(end);
  if (sums.length !== expected) throw broken(`${size} bytes have ${expected} bytes of sums, not ${sums.length}`);
  return { size, blockBytes, sums };
}

/** Smaller ones would be a way to keep somebody busy. */
function isBlockSize(blockBytes: number): boolean {
  return blockBytes >= minSummedBlock && blockBytes % minSummedBlock === 0 && blockBytes <= maxSummedBlock;
}

function broken(what: string): LockstepError {
  return new LockstepError('protocol', `the other side sent sums of blocks that are none: ${what}`);
}
