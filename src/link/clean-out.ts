/**
 * `--clean-out-first` takes everything away, whatever the plan says: the plan is made as if the destination were empty
 * already. So what will be taken away is looked at here: to be told, and for the guards.
 */
import { listingNow, type ReconcileInput } from '../reconcile/input.ts';
import { otherSide, type Side } from '../reconcile/options.ts';
import type { DigestNeed } from '../reconcile/plan.ts';
import { isUnknown, type Entry } from '../tree/entry.ts';
import { ancestorsOf, baseName, joinPath, parentPath, type RelPath } from '../tree/path.ts';
import { preorder } from '../tree/preorder.ts';
import type { Tree } from '../tree/tree.ts';
import type { Action } from './actions.ts';

/** A side that will be emptied. */
export interface CleanOut {
  side: Side;
  /** What stands there, ignored things too. */
  standing: Tree;
}

/** Everything that will be taken away, parents first. */
function* standingIn({ standing }: CleanOut): Generator<[RelPath, Entry]> {
  const root: [RelPath, Entry | undefined] = ['', undefined];
  const walk = preorder<[RelPath, Entry | undefined]>(root, ([dir]) => {
    const listing = standing.listing(dir);
    if (listing === undefined) return [];
    return Array.from(listing.entries(), ([name, entry]) => [joinPath(dir, name), entry]);
  });
  for (const [path, entry] of walk) if (entry !== undefined) yield [path, entry];
}

/** @param left names at the top that could not be taken away */
export function* cleanOutActions(cleanOut: CleanOut, left: ReadonlySet<string>): Generator<Action> {
  for (const [path, { kind }] of standingIn(cleanOut)) {
    if (left.has(path.split('/', 1)[0] ?? '')) continue;
    yield { op: 'delete', side: cleanOut.side, path, kind, bytes: 0, reason: 'clean-out' };
  }
}

/** What will be taken away and does not come back from the source: as good as deleted. */
export function* lostByCleanOut(cleanOut: CleanOut, view: ReconcileInput): Generator<{ path: RelPath }> {
  for (const [path] of standingIn(cleanOut)) {
    const source = inSource(path, cleanOut, view);
    if (source === undefined || isUnknown(source.kind)) yield { path };
  }
}

/** A path of the source that will be missed over there and of which nobody knows what it is. */
export function unknownInSource(cleanOut: CleanOut, view: ReconcileInput): RelPath | undefined {
  const { unreadable } = view[otherSide(cleanOut.side)];
  for (const [path] of standingIn(cleanOut)) {
    const unread = unreadable.size === 0 ? undefined : [...ancestorsOf(path), path].find((at) => unreadable.has(at));
    if (unread !== undefined) return unread;
    if (inSource(path, cleanOut, view)?.kind === 'unreadable') return path;
  }
  return undefined;
}

/** Files of the source that will be missed over there and that not everybody may read: whether we may must be tried. */
export function* doubtfulInSource(cleanOut: CleanOut, view: ReconcileInput): Generator<DigestNeed> {
  const side = otherSide(cleanOut.side);
  for (const [path] of standingIn(cleanOut)) {
    const expect = inSource(path, cleanOut, view);
    if (expect?.kind === 'file' && (expect.mode & 0o444) !== 0o444) yield { side, path, at: path, expect };
  }
}

function inSource(path: RelPath, { side }: CleanOut, view: ReconcileInput): Entry | undefined {
  return listingNow(view, otherSide(side), parentPath(path))?.get(baseName(path));
}
