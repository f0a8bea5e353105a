import { blockSizeFor, maxDeltaSize, strongLengthFor, weakLength } from './sizes.ts';
import { Sums } from './sums.ts';

/** What the side with the new file must know of the base: the sums of its blocks, in order. */
export interface Signature {
  /** Bytes of the base. All its blocks have `blockSize` bytes but the last, which has what is left. */
  readonly size: number;
  readonly blockSize: number;
  /** Bytes of each strong sum that are kept. */
  readonly strongLength: number;
  /** What the sums are keyed with, 16 bytes. */
  readonly salt: Uint8Array;
  /** For each block 4 bytes of weak sum, little-endian, and `strongLength` bytes of strong sum. */
  readonly blocks: Uint8Array;
}

/** How many blocks a base of `size` bytes has. */
export function blockCount({ size, blockSize }: Pick<Signature, 'size' | 'blockSize'>): number {
  return Math.ceil(size / blockSize);
}

/** Makes the signature of a base from its bytes, in chunks of any size. */
export class SignatureBuilder {
  readonly #sums: Sums;
  readonly #salt: Uint8Array;
  readonly #blockSize: number;
  readonly #strongLength: number;
  /** The beginning of a block that was not complete in the chunks so far. */
  readonly #partial: Uint8Array;
  #partialLength = 0;
  #blocks: Uint8Array;
  #blocksLength = 0;
  #size = 0;

  /**
   * @param size how large the base will be, in bytes. It is what block size and sums are chosen by; should the base turn out
   *   to be larger or smaller, its signature is right nevertheless.
   * @param salt 16 random bytes, new for each transfer; not to be changed afterwards
   * @throws RangeError when the size is above `maxDeltaSize`, or the salt of another length
   */
  constructor(size: number, salt: Uint8Array) {
    if (size > maxDeltaSize) throw new RangeError(`a file of ${size} bytes is too large for a signature`);
    this.#sums = new Sums(salt);
    this.#salt = salt;
    this.#blockSize = blockSizeFor(size);
    this.#strongLength = strongLengthFor(size, this.#blockSize);
    this.#partial = new Uint8Array(this.#blockSize);
    const expected = blockCount({ size, blockSize: this.#blockSize });
    this.#blocks = new Uint8Array(expected * (weakLength + this.#strongLength));
  }

  /** Takes the next bytes of the base; nothing of `chunk` is kept. */
  push(chunk: Uint8Array): void {
    this.#size += chunk.length;
    const block = this.#blockSize;
    let at = 0;
    if (this.#partialLength > 0) {
      at = Math.min(block - this.#partialLength, chunk.length);
      this.#partial.set(chunk.subarray(0, at), this.#partialLength);
      this.#partialLength += at;
      if (this.#partialLength < block) return;
      this.#add(this.#partial, 0, block);
    }
    for (; at + block <= chunk.length; at += block) this.#add(chunk, at, at + block);
    this.#partial.set(chunk.subarray(at));
    this.#partialLength = chunk.length - at;
  }

  /** The signature of all that was pushed. The builder is used up. */
  finish(): Signature {
    if (this.#partialLength > 0) this.#add(this.#partial, 0, this.#partialLength);
    return {
      size: this.#size,
      blockSize: this.#blockSize,
      strongLength: this.#strongLength,
      salt: this.#salt,
      blocks: this.#blocks.subarray(0, this.#blocksLength),
    };
  }

  #add(bytes: Uint8Array, from: number, to: number): void {
    const at = this.#blocksLength;
    this.#blocksLength += weakLength + this.#strongLength;
    if (this.#blocksLength > this.#blocks.length) this.#grow();
    const weak = this.#sums.weak(bytes, from, to);
    for (let i = 0; i < weakLength; i += 1) this.#blocks[at + i] = weak >>> (8 * i);
    this.#blocks.set(this.#sums.strong(bytes, from, to).subarray(0, this.#strongLength), at + weakLength);
  }

  /** The base was larger than announced. */
  #grow(): void {
    const blocks = new Uint8Array(this.#blocksLength * 2);
    blocks.set(this.#blocks);
    this.#blocks = blocks;
  }
}
