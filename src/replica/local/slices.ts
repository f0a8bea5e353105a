/**
 * Synchronous work in slices (DESIGN §3.1): a generator does blocking file calls and yields often; the driver hands the
 * thread back to the event loop every few milliseconds, so that cancelling and progress get through.
 */
import { monotonicMs } from '../../base/clock.ts';
import { InterruptedError } from '../../base/errors.ts';
import type { Control, Progress } from '../replica.ts';

/** How long an agent works until it looks what else there is. */
export const sliceMs = 8;
const progressEveryMs = 100;

/** Nothing can be done until this settles: content that is still on its way. */
export interface Wait {
  until: Promise<void>;
}

/** Work that yields its progress now and then, or what it must wait for, and returns its result. */
export type Work<T> = Generator<Progress | Wait, T, undefined>;

/** For long work that has no progress to tell of. */
export const pause: Progress = { entries: 0, bytes: 0, path: '' };

/** Runs work that waits for nothing to its end at once. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if ('until' in step.value) throw new Error('work that waits cannot be done at once');
  }
}

/** Runs work to its end. @throws InterruptedError when the signal is aborted; the work's `finally` blocks have run. */
export async function drive<T>(work: Work<T>, control: Control): Promise<T> {
  let sliceEnd = monotonicMs() + sliceMs;
  let nextProgress = 0;
  try {
    for (;;) {
      if (control.signal.aborted) throw new InterruptedError();
      const step = work.next();
      if (step.done === true) return step.value;
      if ('until' in step.value) {
        await orAborted(step.value.until, control.signal);
        sliceEnd = monotonicMs() + sliceMs;
        continue;
      }
      const now = monotonicMs();
      if (control.onProgress !== undefined && now >= nextProgress) {
        nextProgress = now + progressEveryMs;
        control.onProgress(step.value);
      }
      if (now < sliceEnd) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = monotonicMs() + sliceMs;
    }
  } finally {
    work.return(undefined as never);
  }
}

/** Waits for a promise, but no longer than until the signal is aborted. */
async function orAborted(until: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([until, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
