/** Times as Node's calls take them: doubles of seconds, which hold today's times to about a quarter of a microsecond. */
import fs from 'node:fs';
import { toFs } from './fs-path.ts';

/** What a double of seconds can be off by, and a little more: seconds. */
const step = 2.5e-7;

/**
 * The argument for `utimes` that sets an mtime exactly to the microsecond: the smallest double that is not below it. Up to
 * Node 22 the rest is cut off (NODE.md, trap 4); Node 24 stores it, and it is lost when the time is read as microseconds.
 */
export function timeArgument(mtimeUs: bigint): number | Date {
  // Negative numbers would mean "now" to Node; a Date takes them, to the millisecond.
  if (mtimeUs < 0n) return new Date(Math.floor(Number(mtimeUs) / 1000));
  const whole = Number(mtimeUs / 1_000_000n);
  const micros = Number(mtimeUs % 1_000_000n);
  let seconds = Number(mtimeUs) / 1e6;
  // Both the difference and the product are exact: the difference has 31 bits, a million 20.
  while ((seconds - whole) * 1e6 < micros) seconds += step;
  return seconds;
}

/** Sets the mtime of a file that is open, or at a path (following a link). */
export function setTimes(target: number | string, mtimeUs: bigint): void {
  const atime = Date.now() / 1000;
  if (typeof target === 'number') fs.futimesSync(target, atime, timeArgument(mtimeUs));
  else fs.utimesSync(toFs(target), atime, timeArgument(mtimeUs));
}

/** Sets the mtime of a symlink itself. */
export function setLinkTimes(path: string, mtimeUs: bigint): void {
  fs.lutimesSync(toFs(path), Date.now() / 1000, timeArgument(mtimeUs));
}
