/**
 * Watching a root, and looking again at what may have changed in it: what live mode needs of a replica.
 *
 * An event is only a hint that something may have changed (DESIGN §3.2): nothing is concluded from it. Whoever is told looks
 * again, and what a look reports has been read after it was asked for.
 */
import { LockstepError } from '../base/errors.ts';
import type { Entry } from '../tree/entry.ts';
import type { RelPath } from '../tree/path.ts';
import type { Tree } from '../tree/tree.ts';
import type { Replica } from './replica.ts';

/** Something may have changed under these names of a directory. */
export interface DirtyDirectory {
  dir: RelPath;
  /** Undefined: anything in it. */
  names: readonly string[] | undefined;
}

export type WatchEvent =
  | { type: 'dirty'; directories: DirtyDirectory[] }
  /** What changed is not known any more (the system's queue ran over): everything must be looked at again. */
  | { type: 'lost'; reason: string }
  /** So many directories cannot be watched and are looked at every few seconds instead; 0: none any more. */
  | { type: 'polled'; directories: number; reason: string };

export interface WatchOptions {
  /** How often directories that cannot be watched are looked at, ms. */
  pollMs: number;
}

export interface LookRequest {
  directories: readonly DirtyDirectory[];
}

/** What stands under some names of a directory now; a name that was asked for and is not in the listing is not there. */
export interface LookPatch {
  dir: RelPath;
  /** The names that were looked at; undefined: the listing is complete. */
  names: readonly string[] | undefined;
  /** Packed listing of what was found. */
  listing: Uint8Array;
}

export interface LookResult {
  /** The root's own entry. */
  root: Entry | undefined;
  /** What was asked for, and the entries of the directories that it is in. Each directory once. */
  patches: LookPatch[];
  /** Complete listings of the directories that are new, or may be others than before, with all below them. */
  below: Tree;
  /** Directories that could not be listed. */
  unreadable: { path: RelPath; reason: string }[];
  /** Directories, of those that were looked at, that hold something ignored. */
  ignoredIn: RelPath[];
  /** An ignore file was among it: which paths are in scope only a full scan can tell. */
  rulesChanged: boolean;
  /** How many paths were asked for their metadata: for whoever wants to know what it cost. */
  looked: number;
}

/** A replica's watching half. @throws LockstepError when it has none */
export function watching(replica: Replica): Required<Pick<Replica, 'watch' | 'look'>> {
  if (!canWatch(replica)) throw new LockstepError('protocol', 'this root cannot be watched');
  return replica;
}

export function canWatch(replica: Replica): replica is Replica & Required<Pick<Replica, 'watch' | 'look'>> {
  return 'watch' in replica && 'look' in replica;
}
