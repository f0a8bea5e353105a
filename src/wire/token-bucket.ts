/** A limit to bytes per second; after a pause, no more than a tenth of a second's worth goes out at once. */

const burstMs = 100;

/** What is waited for at least, so that a limit is not thousands of tiny writes per second. */
const stepMs = 20;

export class TokenBucket {
  readonly #perMs: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /** @param now a steady clock, in milliseconds */
  constructor(bytesPerSecond: number, now: () => number) {
    if (!(bytesPerSecond > 0)) throw new RangeError(`a limit of ${bytesPerSecond} bytes per second`);
    this.#perMs = bytesPerSecond / 1000;
    this.#now = now;
    this.#tokens = 0;
    this.#filledAt = now();
  }

  /** @returns how many of `wanted` bytes may be sent now, perhaps none; they count as sent */
  take(wanted: number): number {
    this.#fill();
    const granted = Math.min(wanted, Math.floor(this.#tokens));
    this.#tokens -= granted;
    return granted;
  }

  /** In how many milliseconds asking again is worth it, when `wanted` bytes are waiting. */
  waitMs(wanted: number): number {
    this.#fill();
    const least = Math.min(wanted, Math.max(1, this.#perMs * stepMs));
    return Math.max(1, Math.ceil((least - this.#tokens) / this.#perMs));
  }

  #fill(): void {
    const now = this.#now();
    const most = Math.max(1, this.#perMs * burstMs);
    this.#tokens = Math.min(most, this.#tokens + (now - this.#filledAt) * this.#perMs);
    this.#filledAt = now;
  }
}
