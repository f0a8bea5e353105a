/**
 * Runs work that Ctrl-C and SIGTERM stop: the first one gracefully (staging is cleaned up, locks are freed), a second one
 * at once. What a hard stop leaves behind, the next run puts right.
 */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = (): void => {
    if (abort.signal.aborted) return endAtOnce();
    abort.abort();
  };
  const endAtOnce = (): void => {
    // Not `process.exit`: that waits for every thread, and one may hang in the file system, which is why somebody insists.
    // To die of an interrupt is what a shell calls 130.
    stopListening();
    process.kill(process.pid, 'SIGINT');
  };
  const stopListening = (): void => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await work(abort.signal);
  } finally {
    stopListening();
  }
}
