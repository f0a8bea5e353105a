/** Which versions the limits of history take first, wherever it is: pure. */
import type { Retention } from '../../replica.ts';
import { compareAge, type StoredVersion } from './read.ts';

/**
 * The order in which the versions of one path go when there are too many.
 *
 * What the run that goes on has kept is the newest there is, whatever the clock says: once that has been put back, older
 * versions are of a time to come, and what was kept a moment ago, which is the only copy, would have to go for them.
 *
 * @param isActive also true of runs that began later by the clock (prune.ts): what they kept is no newer for that
 */
export function firstToGo(
  isActive: (run: string) => boolean,
  nowMs: number,
): (a: StoredVersion, b: StoredVersion) => number {
  const isOfNow = ({ runId, timeMs }: StoredVersion): boolean => isActive(runId) && timeMs <= nowMs;
  return (a, b) => Number(isOfNow(a)) - Number(isOfNow(b)) || compareAge(a, b);
}

const hourMs = 3_600_000;

/**
 * A version that is larger than all of history may be fits whatever else goes. So nothing has to make room for it: it is there
 * for an hour, because even such a deletion can be a mistake, and then goes itself.
 *
 * @returns undefined for those that are not larger
 */
export function outsized(
  { size, timeMs }: StoredVersion,
  { bytes }: Retention,
  nowMs: number,
): 'stays' | 'goes' | undefined {
  if (bytes === 0 || size <= bytes) return undefined;
  // The clock may have been put back since.
  return Math.abs(nowMs - timeMs) < hourMs ? 'stays' : 'goes';
}
