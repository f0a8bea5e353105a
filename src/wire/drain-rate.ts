/**
 * How fast a pipe takes what it is given, measured only while it is the pipe that is waited for: while there is little to
 * send, nothing can be said about it.
 */

/** Older measurements count less and less beyond this much waiting. */
const memoryMs = 1000;

/** Before so much waiting nothing is said. */
const leastMs = 50;

export class DrainRate {
  readonly #now: () => number;
  #bytes = 0;
  #ms = 0;
  #waitingSince: number | undefined;

  /** @param now a steady clock, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The pipe takes nothing more for now. */
  wait(): void {
    this.#waitingSince ??= this.#now();
  }

  /** The pipe took so many bytes. */
  took(bytes: number): void {
    if (this.#waitingSince !== undefined) this.#bytes += bytes;
  }

  /** The pipe can be given more. */
  free(): void {
    this.#ms += this.#waited();
    this.#waitingSince = undefined;
    if (this.#ms <= memoryMs) return;
    this.#bytes *= memoryMs / this.#ms / 2;
    this.#ms = memoryMs / 2;
  }

  /** Or undefined while too little is known. */
  get bytesPerSecond(): number | undefined {
    const ms = this.#ms + this.#waited();
    return ms < leastMs ? undefined : (this.#bytes / ms) * 1000;
  }

  #waited(): number {
    return this.#waitingSince === undefined ? 0 : this.#now() - this.#waitingSince;
  }
}
