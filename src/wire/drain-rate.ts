/**
 * How fast a pipe takes what it is given, measured only while it is the pipe that is waited for: while there is little to
 * send, nothing can be said about it.
 */

/** Older measurements count less and less beyond this much waiting. */
const memoryMs = 1000;

/**
 * After so long without waiting nothing is known any more: a peer that was busy for a moment must not be taken for a slow
 * pipe as long as compression keeps the pipe from ever being full again.
 */
const staleMs = 2000;

/** Before so much waiting nothing is said: a peer that gets no processor for a moment is not a slow pipe. */
const leastMs = 250;

export class DrainRate {
  readonly #now: () => number;
  #bytes = 0;
  #ms = 0;
  #waitingSince: number | undefined;
  #waitedLast = 0;

  /** @param now a steady clock, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The pipe takes nothing more for now. */
  wait(): void {
    if (this.#isStale) {
      this.#bytes = 0;
      this.#ms = 0;
    }
    this.#waitingSince ??= this.#now();
  }

  /** The pipe took so many bytes. */
  took(bytes: number): void {
    if (this.#waitingSince !== undefined) this.#bytes += bytes;
  }

  /** The pipe can be given more. */
  free(): void {
    if (this.#waitingSince === undefined) return;
    this.#ms += this.#waited();
    this.#waitedLast = this.#now();
    this.#waitingSince = undefined;
    if (this.#ms <= memoryMs) return;
    this.#bytes *= memoryMs / this.#ms / 2;
    this.#ms = memoryMs / 2;
  }

  /** Or undefined while too little is known. */
  get bytesPerSecond(): number | undefined {
    if (this.#isStale) return undefined;
    const ms = this.#ms + this.#waited();
    return ms < leastMs ? undefined : (this.#bytes / ms) * 1000;
  }

  get #isStale(): boolean {
    return this.#waitingSince === undefined && this.#now() - this.#waitedLast > staleMs;
  }

  #waited(): number {
    return this.#waitingSince === undefined ? 0 : this.#now() - this.#waitingSince;
  }
}
