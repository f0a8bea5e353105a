/**
 * Looking at what was just made once the clock that stamps it has moved on: every later change shows then, and no record is
 * born racy (DESIGN §3.5).
 */
import { isRacy } from '../../tree/entry.ts';
import type { Found } from './records.ts';

/** A coarser clock is not waited for: what is made under it is born racy (replica/local/content.ts). */
export const maxGrainToWaitNs = 100_000_000n;

/** Twice as long is waited before each: on a busy virtual machine the clock that stamps files lags behind for some ticks. */
const looks = 4;

/**
 * @param granularityNs tick of the clock over there
 * @returns what was found at last: racy still if somebody goes on changing it, or if its times are ahead of the clock
 */
export async function lookSettled<T extends ReadonlyMap<string, Found>>(
  granularityNs: bigint,
  look: () => Promise<T>,
): Promise<T> {
  if (granularityNs > maxGrainToWaitNs) return look();
  let waitMs = Number(granularityNs) / 1e6 + 2;
  for (let left = looks - 1; ; left -= 1) {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    const found = await look();
    if (left === 0 || ![...found.values()].some(({ entry }) => isRacy(entry))) return found;
    waitMs *= 2;
  }
}
