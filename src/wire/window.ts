/**
 * How much may lie in the pipe unread. A peer that waits for something to come may have as much as the pipe takes; to one that
 * is busy no more is given than keeps it busy, because what it does not read costs some pipes dearly: OpenSSH's sshd copies
 * all that waits for each 32 KiB more.
 *
 * Invariant: it holds nothing up for long. A peer that is busy tells of its reading many times a second; where nothing is
 * heard, the way takes long, or its reports wait behind other things, and there is no limit until it is heard again.
 */
import type { IntakeReport } from './intake.ts';

/** What a busy peer may have lying in the pipe. */
export const busyWindow = 512 * 1024;
/** Waiting for less of its time than this, in percent, a peer is busy. */
const busyPercent = 25;
/** So long sending is held up at most, until something is heard. */
export const patienceMs = 200;
/** After so long with nothing to send, nothing is known. */
const restMs = 1000;

export class SendWindow {
  readonly #now: () => number;
  #unread = 0;
  #isLimited = true;
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
    return this.#isLimited && this.#unread >= busyWindow;
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
    const isOld = this.#rested;
    this.#rested = false;
    if (isOld) return undefined;
    this.#isLimited = waitedPercent < busyPercent && !this.#isOpen;
    return waitedPercent;
  }

  /** It has been full for as long as it may be. */
  lift(): void {
    this.#isLimited = false;
  }

  /** The peer will not tell of its reading any more. */
  open(): void {
    this.#isOpen = true;
    this.#isLimited = false;
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
    this.#isLimited = !this.#isOpen;
  }
}
