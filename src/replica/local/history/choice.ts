/** Which versions a restore is of: pure, over what history has. */
import path from 'node:path';
import { LockstepError, UsageError } from '../../../base/errors.ts';
import { isSafePath, ownDirectory, type RelPath } from '../../../tree/path.ts';
import { compareAge, type Version } from './read.ts';
import { newestState, stateAt, stateOfVersion } from './select.ts';

export interface RestoreChoice {
  /** Absolute path of the root. */
  root: string;
  /** Path in the root: a file, a symlink, or a directory with everything that history has below it; `''` for all. */
  path: RelPath;
  /**
   * Bring back what was there at this time: of each path the oldest version kept at or after it, because what was replaced
   * or deleted later is what stood there then. What was never replaced or deleted since is still in the root and left alone.
   * Without it and without `version`: the newest version of each path.
   */
  at?: Date | undefined;
  /** The n-th newest version of `path` itself, from 1. */
  version?: number | undefined;
  /** Put it below this directory, under its own name, instead of into its place. Made if missing; replaces nothing. */
  to?: string | undefined;
}

/** @throws UsageError */
export function checkChoice({ path: asked, at, version, to }: RestoreChoice): void {
  if (asked !== '' && !isSafePath(asked)) throw new UsageError(`not a path inside the root: ${asked}`, { path: asked });
  if (at !== undefined && version !== undefined) throw new UsageError('a time and a version cannot both be asked for');
  if (at !== undefined && Number.isNaN(at.getTime())) throw new UsageError('not a time');
  if (version !== undefined && (!Number.isSafeInteger(version) || version < 1)) {
    throw new UsageError('versions are numbered from 1, the newest');
  }
  if (to !== undefined && path.resolve(to).split(path.sep).includes(ownDirectory)) {
    throw new UsageError(`nothing can be restored into ${ownDirectory}, which is Lockstep's own`, { path: to });
  }
}

/**
 * @param versions all that history has of the path and below it
 * @throws LockstepError `not-found`
 */
export function chooseVersions(
  versions: readonly Version[],
  { root, path: asked, at, version }: RestoreChoice,
): Version[] {
  const shown = asked === '' ? root : asked;
  if (versions.length === 0) {
    throw new LockstepError('not-found', `history has no version of ${shown}`, {
      path: asked,
      hint: `See what it has with: lockstep history ${root}`,
    });
  }
  if (version !== undefined) {
    const own = versions.filter((candidate) => candidate.path === asked).sort((a, b) => compareAge(b, a));
    const chosen = own[version - 1];
    if (chosen !== undefined) return stateOfVersion(versions, chosen);
    const count =
      own.length === 0
        ? 'no version of its own'
        : `only ${own.length === 1 ? 'one version' : `${own.length} versions`}`;
    throw new LockstepError('not-found', `${shown} has ${count} in history`, {
      path: asked,
      hint: own.length === 0 ? 'Give a time with --at, or one of the paths below it.' : 'Version 1 is the newest.',
    });
  }
  if (at === undefined) return newestState(versions);
  const state = stateAt(versions, at.getTime());
  if (state.length > 0) return state;
  throw new LockstepError('not-found', `no version of ${shown} was kept since ${at.toISOString()}`, {
    path: asked,
    hint: 'What was there then was neither replaced nor deleted since, unless history is no longer kept that long.',
  });
}
