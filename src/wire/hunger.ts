/**
 * What the receiving end tells of itself, so that the sending one can tell a slow pipe from a busy peer: how much of its
 * time it waits for something to come. The pipe is full either way; but what a peer with no processor to spare gains by
 * compression is more work.
 */
import { perfHooks } from '../base/builtins.ts';
import { monotonicMs } from '../base/clock.ts';

/** Something is told every so often, while there is enough to tell of. */
const reportMs = 250;
const leastBytes = 16 * 1024;

/** Waiting for at least so much of its time, in percent, a peer can do more than the pipe brings. */
export const hungryPercent = 50;

interface Since {
  ms: number;
  /** What this thread's event loop had idled by then; asked for only once much has come: that loads a part of Node. */
  idleMs: number | undefined;
}

export class HungerMeter {
  readonly #now: () => number;
  readonly #idleMs: () => number;
  #since: Since | undefined;
  #bytes = 0;

  /**
   * @param now a steady clock, in milliseconds
   * @param idleMs for how long this thread has had nothing to do so far
   */
  constructor(now: () => number = monotonicMs, idleMs: () => number = loopIdleMs) {
    this.#now = now;
    this.#idleMs = idleMs;
  }

  /**
   * So many bytes came.
   *
   * @returns the share of its time, in percent, that this end has waited since it last said so; often undefined
   */
  fed(bytes: number): number | undefined {
    this.#bytes += bytes;
    const ms = this.#now();
    const since = (this.#since ??= { ms, idleMs: undefined });
    if (ms - since.ms < reportMs || this.#bytes < leastBytes) return undefined;
    const idleMs = this.#idleMs();
    this.#since = { ms, idleMs };
    this.#bytes = 0;
    if (since.idleMs === undefined) return undefined;
    return Math.min(100, Math.max(0, Math.round(((idleMs - since.idleMs) / (ms - since.ms)) * 100)));
  }

  /** Nothing is read for now, however much there is: what is waited for is not the pipe. */
  paused(): void {
    this.#since = undefined;
    this.#bytes = 0;
  }
}

function loopIdleMs(): number {
  return perfHooks().performance.eventLoopUtilization().idle;
}
