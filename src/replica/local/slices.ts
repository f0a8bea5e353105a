/**
 * Synchronous work in slices (DESIGN §3.1): a generator does blocking file calls and yields often; the driver hands the
 * thread back to the event loop every few milliseconds, so that cancelling and progress get through.
 */
import { InterruptedError } from '../../base/errors.ts';
import type { Control, Progress } from '../replica.ts';

const sliceMs = 8;
const progressEveryMs = 100;

/** Work that yields its progress now and then and returns its result. */
export type Work<T> = Generator<Progress, T, undefined>;

/** Runs work to its end. @throws InterruptedError when the signal is aborted; the work's `finally` blocks have run. */
export async function drive<T>(work: Work<T>, control: Control): Promise<T> {
  let sliceEnd = performance.now() + sliceMs;
  let nextProgress = 0;
  try {
    for (;;) {
      if (control.signal.aborted) throw new InterruptedError();
      const step = work.next();
      if (step.done === true) return step.value;
      const now = performance.now();
      if (control.onProgress !== undefined && now >= nextProgress) {
        nextProgress = now + progressEveryMs;
        control.onProgress(step.value);
      }
      if (now < sliceEnd) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = performance.now() + sliceMs;
    }
  } finally {
    work.return(undefined as never);
  }
}
