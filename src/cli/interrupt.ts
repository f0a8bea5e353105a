import { exitCodes } from '../base/errors.ts';

/**
 * Runs work that Ctrl-C and SIGTERM stop: the first one gracefully (staging is cleaned up, locks are freed), a second one
 * at once. What a hard stop leaves behind, the next run puts right.
 */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = (): void => {
    if (abort.signal.aborted) process.exit(exitCodes.interrupted);
    abort.abort();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await work(abort.signal);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
