/**
 * How much may lie in the pipe unread. To a peer that is busy no more is given than keeps it busy, because what it does not
 * read costs some pipes dearly: OpenSSH's sshd copies all that waits for each 32 KiB more. One that waits although the
 * window was full is far away, and gets more.
 *
 * Invariant: it holds nothing up for long. A peer that is busy tells of its reading many times a second; where nothing is
 * heard, the way takes long, or its reports wait behind other things, and the window grows until it is of no matter.
 */
import type { IntakeReport } from './intake.ts';

/** What a busy peer may have lying in the pipe. */
export const busyWindow = 512 * 1024;
/** Beyond this there is no limit. */
const largestWindow = 8 * 1024 * 1024;
/** Waiting for less of its time than this, in percent, a peer is busy. */
const busyPercent = 25;
/** Waiting for more than this, it has next to nothing to do. */
const idlePercent = 90;
/** So long sending is held up by one window at most, if nothing is heard. */
export const patienceMs = 200;
/** After so long with nothing to send, nothing is known. */
const restMs = 1000;

export class SendWindow {
  readonly #now: () => number;
  #unread = 0;
  #limit = busyWindow;
  /** It has held something up since the peer last said whether it waits. */
  #hasHeld = false;
  #isOpen = false;
  /** Since when there has been nothing to send. */
  #restingSince: number | undefined;
  /** The peer's next word on its waiting is of a time in which nothing was sent. */
  #rested = false;

  /** @param now a steady clock, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get isFull(): boolean {
    return !this.#isOpen && this.#unread >= this.#limit;
  }

  sent(bytes: number): void {
    this.#unread += bytes;
  }

  /**
   * The peer told of its reading. Where that is not true, it only gets more, or less, than it can read.
   *
   * @returns the share of its time in which it waited, where that says something of the pipe
   */
  read({ bytes, waitedPercent }: IntakeReport): number | undefined {
    this.#unread = Math.max(0, this.#unread - bytes);
    if (waitedPercent === undefined) return undefined;
    const [isOld, hasHeld] = [this.#rested, this.#hasHeld];
    this.#rested = false;
    this.#hasHeld = false;
    if (isOld) return undefined;
    if (waitedPercent < busyPercent) this.#limit = busyWindow;
    else if (hasHeld) this.#grow(waitedPercent > idlePercent ? 4 : 2);
    return waitedPercent;
  }

  /** It is full, and there is something to send. */
  hold(): void {
    this.#hasHeld = true;
  }

  /** It has been full for as long as it may be. */
  lift(): void {
    this.#grow(2);
  }

  #grow(by: number): void {
    this.#limit *= by;
    if (this.#limit > largestWindow) this.#limit = Infinity;
  }

  /** The peer will not tell of its reading any more. */
  open(): void {
    this.#isOpen = true;
  }

  /** There is nothing to send. */
  rest(): void {
    this.#restingSince ??= this.#now();
  }

  /** There is something to send. */
  work(): void {
    if (this.#restingSince === undefined) return;
    const isNew = this.#now() - this.#restingSince >= restMs;
    this.#restingSince = undefined;
    if (!isNew) return;
    this.#rested = true;
    this.#limit = busyWindow;
  }
}
