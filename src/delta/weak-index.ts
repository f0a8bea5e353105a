import { blockCount, type Signature } from './signature.ts';
import { weakLength } from './sizes.ts';
import type { Sums } from './sums.ts';

/**
 * How many slots are looked at for one weak sum. Honest sums are as good as random, and with at most a quarter of the slots taken
 * they never need so many; blocks of a peer that made its sums collide are not entered.
 */
const maxProbes = 32;

/** Spreads a weak sum over its upper bits (2^32 divided by the golden ratio). */
const spread = 0x9e3779b1;

/**
 * The whole blocks of a base by weak sum, and a window that moves over the new file until its sum is among them.
 *
 * Most windows are nowhere in the base. So a bit map is asked first, which is small enough for the processor's cache; only when it does
 * not say no is the hash table looked at.
 */
export class WeakIndex {
  readonly #signature: Signature;
  readonly #sums: Sums;
  readonly #blockSize: number;
  readonly #multiplier: number;
  /** The weight of the byte that leaves the window, after its move. */
  readonly #leaving: number;
  readonly #filter: Int32Array;
  readonly #filterShift: number;
  /** Block numbers, and -1 where there is none. Blocks with one weak sum lie within one run of taken slots. */
  readonly #slots: Int32Array;
  readonly #slotShift: number;
  /** The weak sums of all blocks. */
  readonly #weak: Int32Array;
  #current = 0;

  constructor(signature: Signature, sums: Sums) {
    const count = blockCount(signature);
    this.#signature = signature;
    this.#sums = sums;
    this.#blockSize = signature.blockSize;
    this.#multiplier = sums.multiplier;
    this.#leaving = sums.power(signature.blockSize);
    const bits = Math.ceil(Math.log2(Math.max(count, 16)));
    // 128 bits of the filter for a block, up to 2 MiB; 4 slots; both rounded up to a power of two.
    const filterBits = Math.min(bits + 7, 24);
    this.#filterShift = 32 - filterBits;
    this.#filter = new Int32Array(2 ** (filterBits - 5));
    this.#slotShift = 32 - (bits + 2);
    this.#slots = new Int32Array(2 ** (bits + 2)).fill(-1);
    this.#weak = new Int32Array(count);
    this.#enterAll(count);
  }

  /** Puts the window over the block of `bytes` at `at`. @returns whether some block of the base may be the same */
  place(bytes: Uint8Array, at: number): boolean {
    this.#current = this.#sums.weak(bytes, at, at + this.#blockSize);
    return this.#isKnown(this.#current);
  }

  /**
   * Moves the window, which is at `from`, by at least one byte and at most to `last`, where it must end within `bytes`.
   *
   * @returns where it stopped because some block may be the same; or -1 when it is at `last` and there is none
   */
  roll(bytes: Uint8Array, from: number, last: number): number {
    // This loop runs for every byte that the base does not have. So all is in locals that are known to be 32-bit
    // integers, and four positions are asked about at once: one branch that is rarely taken instead of four.
    const filter = this.#filter;
    const shift = this.#filterShift;
    const wordShift = shift + 5;
    const m = this.#multiplier | 0;
    const m2 = Math.imul(m, m);
    const leaving = this.#leaving | 0;
    const ahead = this.#blockSize;
    let sum = this.#current;
    let at = from;
    for (const end = last - 3; at < end; at += 4) {
      const a = (byteAt(bytes, at + ahead) - Math.imul(byteAt(bytes, at), leaving)) | 0;
      const b = (byteAt(bytes, at + ahead + 1) - Math.imul(byteAt(bytes, at + 1), leaving)) | 0;
      const c = (byteAt(bytes, at + ahead + 2) - Math.imul(byteAt(bytes, at + 2), leaving)) | 0;
      const d = (byteAt(bytes, at + ahead + 3) - Math.imul(byteAt(bytes, at + 3), leaving)) | 0;
      const first = (Math.imul(sum, m) + a) | 0;
      const second = (Math.imul(sum, m2) + ((Math.imul(a, m) + b) | 0)) | 0;
      const third = (Math.imul(second, m) + c) | 0;
      const fourth = (Math.imul(second, m2) + ((Math.imul(c, m) + d) | 0)) | 0;
      const possible =
        ((filter[first >>> wordShift] as number) >>> (first >>> shift)) |
        ((filter[second >>> wordShift] as number) >>> (second >>> shift)) |
        ((filter[third >>> wordShift] as number) >>> (third >>> shift)) |
        ((filter[fourth >>> wordShift] as number) >>> (fourth >>> shift));
      if ((possible & 1) !== 0) {
        if (this.#isKnown(first)) return this.#stop(first, at + 1);
        if (this.#isKnown(second)) return this.#stop(second, at + 2);
        if (this.#isKnown(third)) return this.#stop(third, at + 3);
        if (this.#isKnown(fourth)) return this.#stop(fourth, at + 4);
      }
      sum = fourth;
    }
    for (; at < last; at += 1) {
      sum = (Math.imul(sum, m) + byteAt(bytes, at + ahead) - Math.imul(byteAt(bytes, at), leaving)) | 0;
      if (this.#isKnown(sum)) return this.#stop(sum, at + 1);
    }
    return this.#stop(sum, -1);
  }

  /** @returns the first block with the window's weak sum and this strong sum, or -1 */
  find(strong: Uint8Array): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = Math.imul(this.#current, spread) >>> this.#slotShift;
    for (let probes = 0; probes < maxProbes; probes += 1) {
      const block = slots[slot] as number;
      if (block < 0) return -1;
      if (this.#weak[block] === this.#current && this.hasStrong(block, strong)) return block;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  /** Whether a block has this strong sum; the weak sums are not compared. */
  hasStrong(block: number, strong: Uint8Array): boolean {
    const { blocks, strongLength } = this.#signature;
    const at = block * (weakLength + strongLength) + weakLength;
    for (let i = 0; i < strongLength; i += 1) if (blocks[at + i] !== strong[i]) return false;
    return true;
  }

  #enterAll(count: number): void {
    const { blocks, strongLength, size, blockSize } = this.#signature;
    const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength);
    for (let block = 0; block < count; block += 1) {
      const at = block * (weakLength + strongLength);
      this.#weak[block] = view.getInt32(at, true);
      // The last block is looked for in its own way when it is shorter (search.ts).
      if ((block + 1) * blockSize <= size)
        this.#enter(block, blocks.subarray(at + weakLength, at + weakLength + strongLength));
    }
  }

  #enter(block: number, strong: Uint8Array): void {
    const weak = this.#weak[block] as number;
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = Math.imul(weak, spread) >>> this.#slotShift;
    for (let probes = 0; probes < maxProbes; probes += 1) {
      const other = slots[slot] as number;
      if (other < 0) {
        slots[slot] = block;
        const bit = weak >>> this.#filterShift;
        this.#filter[bit >>> 5] = (this.#filter[bit >>> 5] as number) | (1 << bit);
        return;
      }
      // Equal blocks, of which there may be very many (zeros), are entered once.
      if (this.#weak[other] === weak && this.hasStrong(other, strong)) return;
      slot = (slot + 1) & mask;
    }
  }

  #stop(sum: number, at: number): number {
    this.#current = sum;
    return at;
  }

  #isKnown(sum: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = Math.imul(sum, spread) >>> this.#slotShift;
    for (let probes = 0; probes < maxProbes; probes += 1) {
      const block = slots[slot] as number;
      if (block < 0) return false;
      if (this.#weak[block] === sum) return true;
      slot = (slot + 1) & mask;
    }
    return false;
  }
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}
