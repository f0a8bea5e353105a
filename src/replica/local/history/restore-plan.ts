/** What a restore comes to in a directory here: looked at before anything is written, and shown by a dry run. */
import fs from 'node:fs';
import { mtimeUs, type Entry } from '../../../tree/entry.ts';
import { rebasePath, type RelPath } from '../../../tree/path.ts';
import { openRegular } from '../copy.ts';
import type { DirHandles } from '../dir-handles.ts';
import { failureOf } from '../failure.ts';
import type { Work } from '../slices.ts';
import { observe } from '../stat.ts';
import { isGone, type Version } from './read.ts';
import { withDirectories, type RestorePlan } from './restore-items.ts';

const chunk = 1 << 20;

/**
 * @param handles of the directory that is restored into
 * @param base the path that was asked for
 * @param to where `base` goes
 */
export function* planRestore(
  handles: DirHandles,
  versions: readonly Version[],
  base: RelPath,
  to: RelPath,
): Work<RestorePlan> {
  const plan: RestorePlan = { items: [], failures: [] };
  for (const item of withDirectories(versions, base, defaultDirectoryMode(handles))) {
    const path = rebasePath(item.path, base, to);
    yield { entries: plan.items.length, bytes: 0, path };
    try {
      const standing = standingAt(handles, path);
      const unchanged = standing !== undefined && (yield* isUnchanged(handles.locate(path), standing, item.version));
      plan.items.push({ to: path, version: item.version, mode: item.mode, standing, unchanged });
    } catch (error) {
      plan.failures.push(failureOf(path, error));
    }
    const problem = item.version?.problem;
    if (problem !== undefined) plan.failures.push({ path, why: 'unreadable', detail: `what it held: ${problem}` });
  }
  return plan;
}

/** For directories that history says nothing of: no more open than the directory that is restored into. */
export function defaultDirectoryMode(handles: DirHandles): number {
  return fs.statSync(`${handles.rootPrefix}/.`).mode & 0o755;
}

/** What stands at a path, or nothing when the way there is not made of directories. */
export function standingAt(handles: DirHandles, path: RelPath): Entry | undefined {
  try {
    return observe(handles.locate(path), 0n);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function* isUnchanged(target: string, standing: Entry, version: Version | undefined): Work<boolean> {
  if (version === undefined || version.kind === 'dir') return standing.kind === 'dir';
  if (standing.kind !== version.kind) return false;
  if (version.kind === 'symlink') return standing.target === version.target;
  if (standing.size !== version.size || standing.mode !== version.mode) return false;
  return mtimeUs(standing) === version.mtimeUs && (yield* sameContent(target, version.fullPath, version.path));
}

function* sameContent(a: string, b: string, path: RelPath): Work<boolean> {
  const [one, other] = [openRegular(a), openRegular(b)];
  try {
    const [left, right] = [Buffer.allocUnsafe(chunk), Buffer.allocUnsafe(chunk)];
    for (let at = 0; ;) {
      const count = fs.readSync(one, left, 0, chunk, at);
      if (count !== fs.readSync(other, right, 0, chunk, at)) return false;
      if (count === 0) return true;
      if (!left.subarray(0, count).equals(right.subarray(0, count))) return false;
      at += count;
      yield { entries: 0, bytes: at, path };
    }
  } finally {
    fs.closeSync(one);
    fs.closeSync(other);
  }
}
