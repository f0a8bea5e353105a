/**
 * A look that leaves nothing of a directory unseen.
 *
 * The replica walks directories that are new to it. But one that it has long known need not be on record: a conflict may
 * stand open about it, or it could not be made on the other side. "As recorded" says nothing of what is in it, and what is
 * taken to be empty would be made, and recorded, empty. Invariant: every directory in the result is on record as one, or told as
 * unreadable, or its listing is complete, and so for all below it.
 */
import { append } from '../../base/append.ts';
import { Listing } from '../../tree/listing.ts';
import { ancestorsOf, joinPath, type RelPath } from '../../tree/path.ts';
import type { Tree } from '../../tree/tree.ts';
import type { Replica } from '../../replica/replica.ts';
import type { DirtyDirectory, LookPatch, LookResult } from '../../replica/watching.ts';

/** More levels than this of directories that are new to the record, but not to the replica, are not there: somebody makes them up. */
const maxLevels = 100;

/** @param recorded the side's record */
export async function lookWhole(
  replica: Required<Pick<Replica, 'look'>>,
  asked: readonly DirtyDirectory[],
  recorded: Tree,
  signal: AbortSignal,
): Promise<LookResult> {
  const found = await replica.look({ directories: asked }, { signal });
  const done = new Set<RelPath>();
  // One level at a time: they are few, and mostly shallow.
  for (let level = 0; ; level += 1) {
    const unseen = unseenIn(found, recorded).filter((dir) => !done.has(dir));
    if (unseen.length === 0) return found;
    if (level === maxLevels) {
      const reason = `it is more than ${maxLevels} levels below what was agreed`;
      append(
        found.unreadable,
        unseen.map((path) => ({ path, reason })),
      );
      return found;
    }
    for (const dir of unseen) done.add(dir);
    const more = await replica.look({ directories: unseen.map((dir) => ({ dir, names: undefined })) }, { signal });
    merge(found, more);
  }
}

/** Directories of which neither the record nor the look tells what is in them. */
function unseenIn(found: LookResult, recorded: Tree): RelPath[] {
  const patches = new Map(found.patches.map((patch) => [patch.dir, patch]));
  const isSeen = (dir: RelPath): boolean => {
    if (dir === '' || recorded.get(dir)?.kind === 'dir') return true;
    const patch = patches.get(dir);
    return (patch !== undefined && patch.names === undefined) || found.below.listing(dir) !== undefined;
  };
  const unseen = new Set<RelPath>();
  for (const { dir, listing } of found.patches) {
    for (const above of [...ancestorsOf(dir), dir]) if (!isSeen(above)) unseen.add(above);
    for (const name of new Listing(listing).directories()) {
      const path = joinPath(dir, name);
      if (!isSeen(path)) unseen.add(path);
    }
  }
  return [...unseen];
}

/** Adds a later look to an earlier one: where both saw something, the later one is right. */
function merge(found: LookResult, more: LookResult): void {
  const patches = new Map(found.patches.map((patch) => [patch.dir, patch]));
  for (const patch of more.patches) {
    const before = patches.get(patch.dir);
    patches.set(patch.dir, before === undefined || patch.names === undefined ? patch : mergePatch(before, patch));
  }
  found.patches = [...patches.values()];
  for (const [dir, listing] of more.below.listings()) found.below.setListing(dir, listing);
  found.root = more.root;
  append(found.unreadable, more.unreadable);
  append(found.ignoredIn, more.ignoredIn);
  found.rulesChanged ||= more.rulesChanged;
  found.looked += more.looked;
}

/** @param later of some names only */
function mergePatch(before: LookPatch, later: LookPatch): LookPatch {
  const now = new Listing(later.listing);
  const names = later.names ?? [];
  const changes = new Map(names.map((name) => [name, now.get(name)]));
  const all = before.names === undefined ? undefined : [...new Set([...before.names, ...names])];
  return { dir: later.dir, names: all, listing: new Listing(before.listing).with(changes).bytes };
}
