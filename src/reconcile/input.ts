/** What reconcile is given: what was agreed, and what each side looks like now. */
import type { Entry } from '../tree/entry.ts';
import { Listing } from '../tree/listing.ts';
import { ancestorsOf, baseName, joinPath, parentPath, type RelPath } from '../tree/path.ts';
import { preorder } from '../tree/preorder.ts';
import type { Tree } from '../tree/tree.ts';
import type { ReconcileOptions, Side } from './options.ts';

/**
 * The state that both sides agreed on when they last met, as each side recorded it.
 *
 * A path recorded on both sides was equal there. A path recorded on one side only was agreed to exist there alone (a
 * deletion that is not carried over, a directory kept for ignored children): it stays so until that side changes it.
 */
export interface AgreedState {
  a: Tree;
  b: Tree;
  /** SHA-256 of contents, known for few paths: those whose records are racy. */
  digests: ReadonlyMap<RelPath, Uint8Array>;
}

/** Answer to a digest request: the SHA-256, or why there is none. */
export type DigestAnswer = Uint8Array | 'unreadable' | 'changed';

/** One side now, as differences from what it recorded at the baseline. */
export interface SideState {
  /** Complete listings of the directories that differ from the record; no listing means "as recorded". */
  changed: Tree;
  /** Directories whose listing could not be read: what is in them is unknown. */
  unreadable: ReadonlySet<RelPath>;
  /** Directories that hold something ignored. */
  ignoredIn: ReadonlySet<RelPath>;
  /** Names that differ only in case or Unicode form are the same file here. */
  foldsNames: boolean;
  /** Content hashes obtained for `DigestNeed`s of earlier passes. */
  digests: ReadonlyMap<RelPath, DigestAnswer>;
  /** The root did not exist and was (or is to be) made by this run. */
  fresh: boolean;
}

export interface ReconcileInput {
  base: AgreedState;
  a: SideState;
  b: SideState;
  options: ReconcileOptions;
}

/** The entries of a directory on a side now; undefined when they cannot be known. */
export function listingNow(input: ReconcileInput, side: Side, dir: RelPath): Listing | undefined {
  const state = input[side];
  if (state.unreadable.has(dir)) return undefined;
  return state.changed.listing(dir) ?? input.base[side].listing(dir) ?? Listing.empty;
}

/** The entry of a path on a side now; undefined when there is none, or it cannot be known. */
export function entryNow(input: ReconcileInput, side: Side, path: RelPath): Entry | undefined {
  let entry = input[side].changed.root ?? input.base[side].root;
  if (path === '') return entry;
  // Below what is no directory any more there is nothing, whatever was recorded: every name on the way is looked at.
  for (const at of [...ancestorsOf(path).slice(1), path]) {
    entry = listingNow(input, side, parentPath(at))?.get(baseName(at));
    if (at !== path && entry?.kind !== 'dir') return undefined;
  }
  return entry;
}

/** A directory and all below it, as they are on a side now, parents first. */
export function subtreeNow(input: ReconcileInput, side: Side, dir: RelPath): Generator<RelPath> {
  return preorder(dir, (at) => {
    const listing = listingNow(input, side, at);
    return listing === undefined ? [] : Array.from(listing.directories(), (name) => joinPath(at, name));
  });
}

/** One path's recorded and present entries on both sides. */
export interface Quad {
  path: RelPath;
  base: { a: Entry | undefined; b: Entry | undefined };
  now: { a: Entry | undefined; b: Entry | undefined };
}
