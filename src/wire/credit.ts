/**
 * Flow control for one stream of data within a connection. The sender starts with a window of credit, in bytes, and spends
 * it; the receiver gives it back as it uses up what came. So a slow receiver holds at most a window of a stream, and other
 * streams are not held up.
 */
import { protocolError } from './errors.ts';

/** What the receiver may hold back at most before it gives credit back. */
function quarter(window: number): number {
  return Math.ceil(window / 4);
}

interface Waiter {
  bytes: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** The sender's side. */
export class Credits {
  readonly #window: number;
  #left: number;
  #waiting: Waiter[] = [];
  #aborted: Error | undefined;

  /** @param window the credit at the start, in bytes; as the receiver's CreditMeter has it */
  constructor(window: number) {
    this.#window = window;
    this.#left = window;
  }

  /**
   * Spends credit, first come, first served.
   *
   * @param bytes at most three quarters of the window: the receiver may hold back the rest
   * @returns undefined when there was enough, or a promise that resolves when there is; it rejects on `abort`
   */
  take(bytes: number): Promise<void> | undefined {
    if (bytes > this.#window - quarter(this.#window) + 1) {
      throw new RangeError(`${bytes} bytes at a time, by a window of ${this.#window}`);
    }
    if (this.#aborted !== undefined) return Promise.reject(this.#aborted);
    if (this.#waiting.length === 0 && bytes <= this.#left) {
      this.#left -= bytes;
      return undefined;
    }
    return new Promise((resolve, reject) => this.#waiting.push({ bytes, resolve, reject }));
  }

  /** The peer gave credit back. @throws LockstepError with code 'protocol' when it was not its to give */
  give(bytes: number): void {
    if (this.#left + bytes > this.#window) throw protocolError(`credit for ${bytes} bytes that were never sent`);
    this.#left += bytes;
    for (let next = this.#waiting[0]; next !== undefined && next.bytes <= this.#left; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#left -= next.bytes;
      next.resolve();
    }
  }

  /** The stream is over: who waits, now or later, gets the error. */
  abort(error: Error): void {
    this.#aborted ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#aborted);
  }
}

/** The receiver's side. */
export class CreditMeter {
  readonly #window: number;
  /** What the peer may still send. */
  #left: number;
  /** Used up and not given back yet. */
  #owed = 0;

  /** @param window as the sender's Credits have it */
  constructor(window: number) {
    this.#window = window;
    this.#left = window;
  }

  /** Bytes came. @throws LockstepError with code 'protocol' when the peer had no credit for them */
  arrived(bytes: number): void {
    if (bytes > this.#left) throw protocolError(`${bytes} bytes of a stream, with credit for ${this.#left}`);
    this.#left -= bytes;
  }

  /** Bytes that had come were used up. @returns how much credit to give the peer now, often 0 */
  consumed(bytes: number): number {
    this.#owed += bytes;
    if (this.#owed < quarter(this.#window)) return 0;
    const given = this.#owed;
    this.#owed = 0;
    this.#left += given;
    return given;
  }
}
