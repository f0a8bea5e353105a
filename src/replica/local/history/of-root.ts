/** History of a root that nobody has opened, as plain data. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { errnoCode, LockstepError, reasonOf, UsageError } from '../../../base/errors.ts';
import { compactStamp } from '../../../base/format.ts';
import { isSafePath, ownDirectory, type RelPath } from '../../../tree/path.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../../history.ts';
import { describeVersions } from './describe.ts';
import { listVersions } from './read.ts';
import { summaryOf } from './restore-items.ts';
import { restoreFromHistory } from './restore.ts';

/**
 * All versions that a root's history has, by path, newest first.
 *
 * @param root the root; must exist
 * @param under only this path in the root and what is below it
 * @throws UsageError for a path outside the root; LockstepError when the root or its history cannot be read
 */
export function historyOf(root: string, under: string): HistoryVersion[] {
  const real = openRoot(root);
  const asked = pathInRoot(root, under);
  const versions = readable(real, () => listVersions(`${real}/${ownDirectory}`, asked));
  return describeVersions(versions);
}

/**
 * Brings back a file, a symlink, or a directory with everything that history has below it. What stands in its place goes to
 * history first, so a restore can be undone by another one.
 *
 * @param root the root; must exist
 * @param asked path in the root; `.` for everything
 * @throws UsageError; LockstepError `not-found` when history has no such version; GuardError when the root is in use
 */
export async function restoreInRoot(
  root: string,
  asked: string,
  options: RestoreOptions,
  signal: AbortSignal,
): Promise<RestoreSummary> {
  const real = openRoot(root);
  const now = Date.now();
  const result = await restoreFromHistory({
    ...options,
    signal,
    root: real,
    path: pathInRoot(root, asked),
    runId: `${compactStamp(now)}-${randomBytes(4).toString('hex')}`,
  });
  return summaryOf(result, options.dryRun ?? false);
}

/**
 * A path in a root in its own form: without `./`, doubled or trailing slashes; an absolute one is taken relative to the root.
 *
 * @throws UsageError when it lies outside, or in Lockstep's own directory
 */
function pathInRoot(root: string, given: string): RelPath {
  const candidates = path.isAbsolute(given)
    ? [path.resolve(root), openRoot(root)].map((base) => path.relative(base, given))
    : [path.normalize(given).replace(/\/+$/, '')];
  for (const asked of candidates) {
    if (asked === '' || asked === '.') return '';
    if (isSafePath(asked)) return asked;
  }
  throw new UsageError(`not a path inside ${root}: ${given}`, {
    path: given,
    hint: 'Paths are given relative to the root, as lockstep history shows them.',
  });
}

function openRoot(root: string): string {
  if (root.trim() === '') throw new UsageError('a root is empty');
  const absolute = path.resolve(root);
  return readable(absolute, () => {
    const stats = fs.statSync(absolute, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) return fs.realpathSync(absolute);
    const [code, what] =
      stats === undefined
        ? (['root-missing', 'does not exist'] as const)
        : (['root-not-directory', 'is not a directory'] as const);
    throw new LockstepError(code, `${root} ${what}`, { path: root, hint: 'Give the root that is kept in step.' });
  });
}

function readable<T>(root: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof LockstepError || errnoCode(error) === undefined) throw error;
    throw new LockstepError('root-unreadable', `the history of ${root} cannot be read: ${reasonOf(error)}`, {
      path: root,
      hint: 'Check its permissions, or run as the user who may read it.',
      cause: error,
    });
  }
}
