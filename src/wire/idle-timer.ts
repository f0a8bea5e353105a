/** Tells when nothing has happened for a while. Being told of what happens costs next to nothing. */
import { monotonicMs } from '../base/clock.ts';

/** Timers take no more; longer ones fire at once. */
const longestMs = 2 ** 31 - 1;

export class IdleTimer {
  readonly #ms: number;
  readonly #onIdle: () => void;
  readonly #keepsProcess: boolean;
  #timer: NodeJS.Timeout | undefined;
  #last = 0;

  /**
   * @param onIdle called after `ms` without `touch`, and again after as long, until `stop`
   * @param keepsProcess whether the process must go on for this
   */
  constructor(ms: number, keepsProcess: boolean, onIdle: () => void) {
    this.#ms = Math.min(Math.max(ms, 1), longestMs);
    this.#onIdle = onIdle;
    this.#keepsProcess = keepsProcess;
  }

  /** Starts, if it is not running. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#last = monotonicMs();
    this.#arm(this.#ms);
  }

  touch(): void {
    this.#last = monotonicMs();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#check(), Math.ceil(ms));
    if (!this.#keepsProcess) this.#timer.unref();
  }

  #check(): void {
    const left = this.#last + this.#ms - monotonicMs();
    if (left > 0) {
      this.#arm(left);
      return;
    }
    this.#last = monotonicMs();
    this.#arm(this.#ms);
    this.#onIdle();
  }
}
