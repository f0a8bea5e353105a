import type { Instruction } from './instructions.ts';
import { blockCount, type Signature } from './signature.ts';
import { Sums } from './sums.ts';
import { WeakIndex } from './weak-index.ts';

/** A literal is handed out when it has so many bytes, at the latest. */
export const maxLiteral = 65_536;

/** A copy is handed out when it has so many bytes, so that the other side has something to do meanwhile. */
export const maxCopy = 4 * 2 ** 20;

/** Strong sums that may come to nothing before any bytes have been passed. */
const freeMisses = 16;

const none = -1;

/**
 * Finds out how the new file is made from the base, whose signature it is given. The new file comes in chunks of any size;
 * the instructions for what is settled come back at once.
 *
 * Where a block was found, the next one is expected to follow, and a single strong sum per block says so: files that are
 * mostly the same are passed quickly, and in repetitive ones copies grow long. Elsewhere a window is moved on by one byte until
 * its weak sum is one of the base's, and the strong sum decides.
 *
 * Memory: the index of the signature and a window of `4 × (blockSize + maxLiteral)` bytes.
 *
 * Work: a strong sum is taken at most once per position; after a match, or because the weak sum is known. Those that come to
 * nothing are limited in proportion to the bytes passed, generously for what chance brings about; when the allowance is
 * used up, which takes a signature made for it, matches are overlooked until more bytes have been passed.
 */
export class DeltaSearch {
  readonly #signature: Signature;
  readonly #sums: Sums;
  readonly #index: WeakIndex;
  /** Blocks of the base, and the length of the last one if it is shorter than the others, else 0. */
  readonly #count: number;
  readonly #shortLength: number;
  readonly #missesPerBlock: number;

  /** The new file from the first byte that is not settled: a literal up to `#at`, then the window. */
  readonly #buffer: Uint8Array;
  #literalStart = 0;
  #at = 0;
  #end = 0;
  /** The offset of the buffer's beginning in the new file. */
  #bufferOffset = 0;

  /** The block that would follow the last match. */
  #expected = none;
  /** Whether the index's window is at `#at`. Then no block was found there. */
  #isPlaced = false;
  /** The last strong sum and the window it is of, by its offset in the new file and its length. */
  #strong: { offset: number; length: number; sum: Uint8Array } = { offset: none, length: 0, sum: new Uint8Array(0) };
  #copy = { offset: 0, length: 0 };
  #ready: Instruction[] = [];
  #misses = 0;
  #strongSums = 0;

  constructor(signature: Signature) {
    const { size, blockSize } = signature;
    this.#signature = signature;
    this.#sums = new Sums(signature.salt);
    this.#index = new WeakIndex(signature, this.#sums);
    this.#count = blockCount(signature);
    this.#shortLength = size % blockSize;
    // By chance a weak sum is known at (blocks / 2^32) of the positions. Four times that, and 2 for small files.
    this.#missesPerBlock = 2 + Math.ceil((4 * size) / 2 ** 32);
    this.#buffer = new Uint8Array(4 * (blockSize + maxLiteral));
  }

  /** How many strong sums were taken so far: the measure of the work beyond one look at each byte. */
  get strongSums(): number {
    return this.#strongSums;
  }

  /** Takes the next bytes of the new file; nothing of `chunk` is kept. @returns the instructions that are settled by them */
  push(chunk: Uint8Array): Instruction[] {
    for (let at = 0; at < chunk.length;) {
      if (this.#end === this.#buffer.length) this.#compact();
      const piece = chunk.subarray(at, at + this.#buffer.length - this.#end);
      this.#buffer.set(piece, this.#end);
      this.#end += piece.length;
      at += piece.length;
      this.#advance();
    }
    return this.#take();
  }

  /** @returns the instructions for the rest of the new file. The search is used up */
  finish(): Instruction[] {
    // What is left is shorter than a block; only the base's last block, if it is short, may be its end.
    const short = this.#shortLength;
    const start = this.#end - short;
    if (short > 0 && start >= this.#at && this.#index.hasStrong(this.#count - 1, this.#strongAt(start, short))) {
      this.#at = start;
      this.#match(this.#count - 1, short);
    }
    this.#at = this.#end;
    this.#settleLiteral();
    this.#settleCopy();
    return this.#take();
  }

  /** Goes as far as the buffer allows: less than a block and its literal are left. */
  #advance(): void {
    for (;;) {
      if (this.#expected !== none) {
        const length = this.#lengthOf(this.#expected);
        if (this.#end - this.#at < length) return;
        if (this.#index.hasStrong(this.#expected, this.#strongAt(this.#at, length))) {
          this.#match(this.#expected, length);
          continue;
        }
        this.#expected = none;
      }
      const last = Math.min(this.#end - this.#signature.blockSize, this.#literalStart + maxLiteral);
      if (last < this.#at || (last === this.#at && this.#isPlaced)) return;
      const isCandidate = this.#isPlaced ? this.#roll(last) : this.#index.place(this.#buffer, this.#at);
      this.#isPlaced = true;
      const block = isCandidate ? this.#findBlock() : none;
      if (block !== none) this.#match(block, this.#signature.blockSize);
      else if (this.#at - this.#literalStart === maxLiteral) this.#settleLiteral();
    }
  }

  /** @returns whether the window came to rest where its weak sum is known */
  #roll(last: number): boolean {
    const found = this.#index.roll(this.#buffer, this.#at, last);
    this.#at = found === none ? last : found;
    return found !== none;
  }

  /** The block that the window at `#at` is, given that its weak sum is known. */
  #findBlock(): number {
    const passed = (this.#bufferOffset + this.#at) / this.#signature.blockSize;
    if (this.#misses >= freeMisses + passed * this.#missesPerBlock) return none;
    const block = this.#index.find(this.#strongAt(this.#at, this.#signature.blockSize));
    if (block === none) this.#misses += 1;
    return block;
  }

  #lengthOf(block: number): number {
    const isShort = block === this.#count - 1 && this.#shortLength > 0;
    return isShort ? this.#shortLength : this.#signature.blockSize;
  }

  #strongAt(at: number, length: number): Uint8Array {
    const offset = this.#bufferOffset + at;
    if (this.#strong.offset !== offset || this.#strong.length !== length) {
      this.#strong = { offset, length, sum: this.#sums.strong(this.#buffer, at, at + length) };
      this.#strongSums += 1;
    }
    return this.#strong.sum;
  }

  /** The next `length` bytes are this block of the base. */
  #match(block: number, length: number): void {
    this.#settleLiteral();
    const offset = block * this.#signature.blockSize;
    if (this.#copy.offset + this.#copy.length !== offset) this.#settleCopy();
    if (this.#copy.length === 0) this.#copy.offset = offset;
    this.#copy.length += length;
    if (this.#copy.length >= maxCopy) this.#settleCopy();
    this.#at += length;
    this.#literalStart = this.#at;
    this.#expected = block + 1 < this.#count ? block + 1 : none;
    this.#isPlaced = false;
  }

  /** The bytes before `#at` that were not settled were not found. */
  #settleLiteral(): void {
    if (this.#at === this.#literalStart) return;
    this.#settleCopy();
    this.#ready.push({ kind: 'literal', bytes: this.#buffer.slice(this.#literalStart, this.#at) });
    this.#literalStart = this.#at;
  }

  #settleCopy(): void {
    if (this.#copy.length > 0) this.#ready.push({ kind: 'copy', ...this.#copy });
    this.#copy = { offset: 0, length: 0 };
  }

  #take(): Instruction[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }

  /** Makes room at the buffer's end: at least half of it, as what is unsettled is a literal and less than a block. */
  #compact(): void {
    const shift = this.#literalStart;
    this.#buffer.copyWithin(0, shift, this.#end);
    this.#literalStart = 0;
    this.#at -= shift;
    this.#end -= shift;
    this.#bufferOffset += shift;
  }
}
