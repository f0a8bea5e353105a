/**
 * Bringing versions back.
 *
 * What is restored is a copy: the version itself stays in history. In place, whatever stands where a version goes is kept in
 * history first (reason `restored`), so a restore can always be undone by another one; the changes themselves are made by
 * apply.ts, under the same rules and the same lock as a sync.
 */
import fs from 'node:fs';
import path from 'node:path';
import { makeDirectories } from '../../../base/directories.ts';
import { LockstepError, reasonOf } from '../../../base/errors.ts';
import { ownDirectory, type RelPath } from '../../../tree/path.ts';
import type { Control } from '../../replica.ts';
import { DirHandles } from '../dir-handles.ts';
import { drive } from '../slices.ts';
import { lstatIfPresent } from '../stat.ts';
import { carryOut } from './carry-out.ts';
import { checkChoice, chooseVersions, type RestoreChoice } from './choice.ts';
import { historyDirectory } from './layout.ts';
import { listVersions, type Version } from './read.ts';
import {
  describeNew,
  describePlan,
  missingParents,
  ownName,
  parentItem,
  refuseTaken,
  type RestorePlan,
  type RestoreResult,
} from './restore-items.ts';
import { defaultDirectoryMode, planRestore, standingAt } from './restore-plan.ts';
import { RestoreTarget } from './restore-target.ts';

export interface RestoreRequest extends RestoreChoice {
  runId: string;
  /** Only find out what would be done. */
  dryRun?: boolean | undefined;
  /** Named to others whom the lock refuses. */
  command?: string | undefined;
  /** Take the lock even from a run that seems to be alive. */
  forceUnlock?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Restores a path from a root's history.
 *
 * In place, existing directories are filled and keep their own mode; files that history knows nothing of stay. A file that
 * stands where a directory was, or the reverse, goes to history like everything else that is replaced. Above the path
 * nothing is replaced: a file or symlink where one of its parents was is an error.
 *
 * @throws LockstepError `not-found` when history has no such version; GuardError `locked`; InterruptedError
 */
export async function restoreFromHistory(request: RestoreRequest): Promise<RestoreResult> {
  checkChoice(request);
  // Before anything is locked or made: what is not there cannot be restored.
  const versions = choose(request);
  const control: Control = { signal: request.signal ?? new AbortController().signal };
  if (request.to === undefined) return restoreInPlace(request, versions, control);
  return restoreAside(request, path.resolve(request.to), versions, control);
}

function choose(request: RestoreRequest): Version[] {
  return chooseVersions(listVersions(ownPathOf(request.root), request.path), request);
}

// --- into its place ------------------------------------------------------------------------------------------------

async function restoreInPlace(request: RestoreRequest, found: Version[], control: Control): Promise<RestoreResult> {
  const { root, path: base, dryRun } = request;
  if (dryRun === true) {
    const handles = new DirHandles(root);
    try {
      missingParents(base, (parent) => standingAt(handles, parent));
      return describePlan(root, await drive(planRestore(handles, found, base, base), control));
    } finally {
      handles.close();
    }
  }
  const target = openTarget(root, request);
  try {
    const recovered = target.recover();
    const { handles } = target;
    // Another run may have pruned since; from here on nobody does.
    const versions = choose(request);
    const parents = missingParents(base, (parent) => standingAt(handles, parent)).map((parent) =>
      parentItem(parent, listVersions(ownPathOf(root), parent), defaultDirectoryMode(handles)),
    );
    const plan = await drive(planRestore(handles, versions, base, base), control);
    return { ...(await carryOut(target, plan, parents, control)), recovered };
  } finally {
    target.close();
  }
}

// --- elsewhere -----------------------------------------------------------------------------------------------------

async function restoreAside(
  request: RestoreRequest,
  to: string,
  versions: Version[],
  control: Control,
): Promise<RestoreResult> {
  const { path: base, dryRun } = request;
  const exists = lstatIfPresent(to) !== undefined;
  if (dryRun === true && !exists) return describeNew(to, versions, base);
  if (!exists) makeDirectory(to);
  const plan = await planAside(to, versions, base, control);
  if (dryRun === true) return describePlan(to, plan);
  // Its lock too: should it be a root, its staging must not be taken for a dead run's.
  const target = openTarget(to, request);
  try {
    return await carryOut(target, plan, [], control);
  } finally {
    target.close();
  }
}

async function planAside(to: string, versions: Version[], base: RelPath, control: Control): Promise<RestorePlan> {
  checkDirectory(to);
  const handles = new DirHandles(to);
  try {
    const plan = await drive(planRestore(handles, versions, base, ownName(base)), control);
    refuseTaken(to, plan);
    return plan;
  } finally {
    handles.close();
  }
}

function makeDirectory(dir: string): void {
  try {
    makeDirectories(dir);
  } catch (error) {
    throw new LockstepError('io', `cannot make ${dir}: ${reasonOf(error)}`, { path: dir, cause: error });
  }
}

/** @param root the directory that is restored into */
function openTarget(root: string, request: RestoreRequest): RestoreTarget {
  checkDirectory(root);
  const { runId, command = 'lockstep restore', forceUnlock = false } = request;
  const historyPath = `${ownPathOf(request.root)}/${historyDirectory}`;
  return new RestoreTarget({ root, historyPath, runId, command, forceUnlock });
}

function checkDirectory(dir: string): void {
  const stats = fs.statSync(dir, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) return;
  const code = stats === undefined ? 'root-missing' : 'root-not-directory';
  throw new LockstepError(code, `${dir} is ${stats === undefined ? 'not there' : 'not a directory'}`, { path: dir });
}

function ownPathOf(root: string): string {
  return `${root}/${ownDirectory}`;
}
