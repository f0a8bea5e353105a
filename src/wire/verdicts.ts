/** Whether compressing is worth it: what a sample of the bytes says, and what earlier ones of their kind said. */
import { packNow } from './packing.ts';

const sampleBytes = 4096;

/** What compression must save to be worth the other end's time. */
const worthwhile = 0.9;

/** After so many misses in a row, so many frames go without a look: 1, 2, 4, … up to this. */
const mostSkipped = 32;

interface Verdict {
  misses: number;
  /** How many more go without a look. */
  skip: number;
}

/**
 * Remembers, for each type of message, how compressing went lately, so that a stream of pictures costs a sample of 4 KiB
 * every few megabytes.
 */
export class Verdicts {
  readonly #byType = new Map<number, Verdict>();

  /**
   * Looks at a payload that might be compressed.
   *
   * @returns 'no', 'try' for a large one whose beginning can be compressed, or a small one compressed
   */
  judge(type: number, raw: Uint8Array): 'no' | 'try' | Uint8Array {
    const verdict = this.#byType.get(type);
    if (verdict !== undefined && verdict.skip > 0) {
      verdict.skip -= 1;
      return 'no';
    }
    const sample = raw.subarray(0, sampleBytes);
    const packed = packNow(sample);
    if (!this.tell(type, sample.length, packed.length)) return 'no';
    return sample.length === raw.length ? packed : 'try';
  }

  /** Remembers what became of compressing. @returns whether it was worth it */
  tell(type: number, rawBytes: number, packedBytes: number): boolean {
    if (packedBytes <= rawBytes * worthwhile) {
      this.#byType.delete(type);
      return true;
    }
    const misses = (this.#byType.get(type)?.misses ?? 0) + 1;
    this.#byType.set(type, { misses, skip: Math.min(2 ** (misses - 1), mostSkipped) });
    return false;
  }
}
