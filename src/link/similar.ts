/**
 * A base for what is new: of tomorrow's dump, or the next version's archive, most is in the one that is there already.
 *
 * It is a guess by name and size, as in `rsync --fuzzy`. A wrong one costs a signature and a search; what arrives is checked
 * as always, and what does not fit is sent whole.
 */
import { minDeltaSize } from '../delta/sizes.ts';
import { listingNow, type ReconcileInput } from '../reconcile/input.ts';
import type { Side } from '../reconcile/options.ts';
import type { ApplyStep } from '../replica/replica.ts';
import type { Entry } from '../tree/entry.ts';
import type { Listing } from '../tree/listing.ts';
import { baseName, joinPath, parentPath } from '../tree/path.ts';

/** So much of the longer name must be the beginning and the end of both. */
const minShared = 0.6;
/** Files more different in size than this have little to do with each other. */
const maxSizeRatio = 2;
/** In a directory of more names, nobody looks at each of them for each new file. */
const maxNames = 2000;

/** The step, with the file beside its target that the new one is probably like, if it needs one. */
export function withLike(step: ApplyStep, side: Side, view: ReconcileInput): ApplyStep {
  if (step.op !== 'put' || step.expect !== undefined || step.source.size < minDeltaSize) return step;
  const dir = parentPath(step.path);
  const listing = listingNow(view, side, dir);
  const like = listing === undefined ? undefined : similarIn(listing, baseName(step.path), step.source.size);
  return like === undefined ? step : { ...step, like: { path: joinPath(dir, like.name), entry: like.entry } };
}

/** The file of a directory whose name is most like the one given, and whose size is not too different. */
export function similarIn(listing: Listing, name: string, size: number): { name: string; entry: Entry } | undefined {
  if (listing.size > maxNames) return undefined;
  let best: { name: string; entry: Entry; shared: number } | undefined;
  for (const other of listing.names) {
    const shared = other === name ? 0 : sharedPart(name, other);
    if (shared < minShared || shared < (best?.shared ?? 0)) continue;
    const entry = listing.get(other);
    if (entry?.kind !== 'file' || entry.size < minDeltaSize) continue;
    if (Math.max(entry.size, size) > Math.min(entry.size, size) * maxSizeRatio) continue;
    // Of equals the latest: names in a row are mostly dates or versions, and a listing has them in order.
    best = { name: other, entry, shared };
  }
  return best;
}

/** How much of the longer name is a common beginning and a common end, 0 to 1. */
function sharedPart(one: string, other: string): number {
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  return (start + end) / Math.max(one.length, other.length);
}
