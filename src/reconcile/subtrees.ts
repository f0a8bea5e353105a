/** Looking at whole directories of both sides: what is new in one, whether they differ, what one has more. */
import { sameFingerprint } from '../tree/entry.ts';
import { Listing } from '../tree/listing.ts';
import { baseName, joinPath, type RelPath } from '../tree/path.ts';
import type { ContentQuestions } from './content.ts';
import { listingNow, subtreeNow, type ReconcileInput } from './input.ts';
import { otherSide, sides, type Side } from './options.ts';

/** mtime of the newest thing below a directory that is not as recorded (`except` apart); undefined when all of it is. */
export function newestChange(input: ReconcileInput, side: Side, dir: RelPath, except?: RelPath): bigint | undefined {
  const state = input[side];
  let newest: bigint | undefined;
  const note = (time: bigint): void => {
    if (newest === undefined || time > newest) newest = time;
  };
  for (const path of subtreeNow(input, side, dir)) {
    if (state.unreadable.has(path)) note(0n);
    const changed = state.changed.listing(path);
    if (changed === undefined) continue;
    const base = input.base[side].listing(path) ?? Listing.empty;
    for (const [name, entry] of changed.entries()) {
      const recorded = base.get(name);
      if (entry.kind === 'ignored' || joinPath(path, name) === except) continue;
      if (recorded === undefined || !sameFingerprint(recorded, entry)) note(entry.mtimeNs);
    }
    if (base.names.some((name) => changed.indexOf(name) < 0)) note(0n);
  }
  return newest;
}

/**
 * A mere `git status` writes the index anew when it finds times that it does not know, as it does after a sync. That must
 * not win over a commit: of two repositories of which one differs in nothing but its index, the other is the changed one.
 */
export function beyondIndex(input: ReconcileInput, dir: RelPath): Side | undefined {
  if (baseName(dir) !== '.git') return undefined;
  const index = joinPath(dir, 'index');
  const changed = sides.filter((side) => newestChange(input, side, dir, index) !== undefined);
  return changed.length === 1 ? changed[0] : undefined;
}

/** Does a directory on a side hold anything that the other side does not have? Replacing it would delete that. */
export function hasMore(input: ReconcileInput, side: Side, top: RelPath): boolean {
  const open = [top];
  for (let dir = open.pop(); dir !== undefined; dir = open.pop()) {
    const [mine, theirs] = [listingNow(input, side, dir), listingNow(input, otherSide(side), dir)];
    if (mine === undefined || theirs === undefined) return true;
    for (const [index, name] of mine.names.entries()) {
      const there = theirs.indexOf(name);
      if (there < 0 || mine.kind(index) !== theirs.kind(there)) return true;
      if (mine.kind(index) === 'dir') open.push(joinPath(dir, name));
    }
  }
  return false;
}

/** Do the two sides' directories differ in anything that is synced? Questions that are still open count as no. */
export function subtreesDiffer(input: ReconcileInput, questions: ContentQuestions, top: RelPath): boolean {
  const open = [top];
  for (let dir = open.pop(); dir !== undefined; dir = open.pop()) {
    const [a, b] = [listingNow(input, 'a', dir), listingNow(input, 'b', dir)];
    if (a === undefined || b === undefined) return true;
    for (const name of unionOfNames(a, b, Listing.empty, Listing.empty)) {
      const path = joinPath(dir, name);
      const now = { a: a.get(name), b: b.get(name) };
      if (now.a?.kind === 'ignored' || now.b?.kind === 'ignored') continue;
      if (now.a?.kind !== now.b?.kind) return true;
      if (now.a?.kind === 'dir') {
        open.push(path);
        continue;
      }
      const base = { a: input.base.a.get(path), b: input.base.b.get(path) };
      if (questions.acrossSides({ path, base, now }) === 'different') return true;
    }
  }
  return false;
}

/** Every name that is in any of the listings, in order. */
export function unionOfNames(...listings: readonly Listing[]): readonly string[] {
  const filled = listings.filter((listing) => listing.size > 0);
  const [first] = filled;
  if (first === undefined) return [];
  for (const listing of filled) listing.shareNames(first);
  // Mostly nothing came or went: the directory was only seen at different times, and on two sides.
  const others = filled.filter((listing) => listing.names !== first.names);
  if (others.length === 0) return first.names;
  const union = new Set<string>(first.names);
  for (const listing of others) for (const name of listing.names) union.add(name);
  return [...union].sort();
}
