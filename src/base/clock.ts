/**
 * A clock that never jumps, for how long something took. Not `performance.now()`: asking for that loads a part of Node that is
 * not used otherwise, 3 ms of every start and of every thread.
 */

/** Milliseconds, with fractions, since some moment in the past. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
