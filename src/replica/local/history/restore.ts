/**
 * Bringing versions back.
 *
 * What is restored is a copy: the version itself stays in history. In place, whatever stands where a version goes is kept in
 * history first (reason `restored`), so a restore can always be undone by another one; the changes themselves are made by
 * apply.ts, under the same rules and the same lock as a sync.
 */
import { append } from '../../../base/append.ts';
import fs from 'node:fs';
import path from 'node:path';
import { LockstepError, reasonOf, UsageError } from '../../../base/errors.ts';
import type { Entry } from '../../../tree/entry.ts';
import { isSafePath, ownDirectory, rebasePath, type RelPath } from '../../../tree/path.ts';
import type { ApplyStep, Control, Failure, StepResult } from '../../replica.ts';
import { DirHandles } from '../dir-handles.ts';
import { failureOf } from '../failure.ts';
import { drive } from '../slices.ts';
import { lstatIfPresent, observe } from '../stat.ts';
import { historyDirectory } from './layout.ts';
import { compareAge, listVersions, type Version } from './read.ts';
import {
  defaultDirectoryMode,
  missingParents,
  ownName,
  planRestore,
  type RestoreItem,
  type RestorePlan,
} from './restore-plan.ts';
import { RestoreTarget } from './restore-target.ts';
import { newestState, stateAt, stateOfVersion } from './select.ts';

export interface RestoreRequest {
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
  runId: string;
  /** Only find out what would be done. */
  dryRun?: boolean | undefined;
  /** Named to others whom the lock refuses. */
  command?: string | undefined;
  /** Take the lock even from a run that seems to be alive. */
  forceUnlock?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface RestoredPath {
  /** Path in the root. */
  path: RelPath;
  /** Where it went, absolute. */
  target: string;
  version: Version;
  /** Something else stood there; it is in history now. */
  replaced: boolean;
}

export interface RestoreResult {
  /** What was brought back, or would be. */
  restored: RestoredPath[];
  /** Paths that were already as in history. */
  unchanged: number;
  /** Content bytes of what was restored. */
  bytes: number;
  /** Paths that could not be; the others were. */
  failures: Failure[];
  /** Files that a run which died had in hand; they are in history now. */
  recovered: string[];
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
  checkRequest(request);
  // Before anything is locked or made: what is not there cannot be restored.
  const versions = chooseVersions(request);
  const control: Control = { signal: request.signal ?? new AbortController().signal };
  if (request.to === undefined) return restoreInPlace(request, versions, control);
  return restoreAside(request, path.resolve(request.to), versions, control);
}

function checkRequest({ path: asked, at, version, to }: RestoreRequest): void {
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

function chooseVersions({ root, path: asked, at, version }: RestoreRequest): Version[] {
  const shown = asked === '' ? root : asked;
  const versions = listVersions(ownPathOf(root), asked);
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

// --- into its place ------------------------------------------------------------------------------------------------

async function restoreInPlace(request: RestoreRequest, found: Version[], control: Control): Promise<RestoreResult> {
  const { root, path: base, dryRun, runId, command, forceUnlock } = request;
  if (dryRun === true) {
    const handles = new DirHandles(root);
    try {
      missingParents(handles, base);
      return describePlan(root, await drive(planRestore(handles, found, base, base), control));
    } finally {
      handles.close();
    }
  }
  const target = openTarget({ root, runId, command: command ?? 'lockstep restore', forceUnlock: forceUnlock ?? false });
  try {
    const recovered = target.recover();
    // Another run may have pruned since; from here on nobody does.
    const versions = chooseVersions(request);
    const parents = missingParents(target.handles, base).map((parent) => parentItem(root, parent, target.handles));
    const plan = await drive(planRestore(target.handles, versions, base, base), control);
    return { ...(await carryOut(request, root, target, plan, parents, control)), recovered };
  } finally {
    target.close();
  }
}

/** A directory above what is restored: as private as it was, if history knows. */
function parentItem(root: string, parent: RelPath, handles: DirHandles): RestoreItem {
  const known = listVersions(ownPathOf(root), parent).filter(
    (version) => version.path === parent && version.kind === 'dir',
  );
  const mode = known.at(-1)?.mode ?? defaultDirectoryMode(handles);
  return { to: parent, version: undefined, mode, standing: undefined, unchanged: false };
}

// --- elsewhere -----------------------------------------------------------------------------------------------------

async function restoreAside(
  request: RestoreRequest,
  to: string,
  versions: Version[],
  control: Control,
): Promise<RestoreResult> {
  const { path: base, runId, command } = request;
  const exists = lstatIfPresent(to) !== undefined;
  if (request.dryRun === true && !exists) {
    const items = versions.map((version) => {
      const target = path.join(to, rebasePath(version.path, base, ownName(base)));
      return { path: version.path, target, version, replaced: false };
    });
    return { restored: items, unchanged: 0, bytes: sizeOf(items), failures: [], recovered: [] };
  }
  if (!exists) makeDirectory(to);
  const plan = await planAside(to, versions, base, control);
  if (request.dryRun === true) return describePlan(to, plan);
  // Its lock too: should it be a root, its staging must not be taken for a dead run's.
  const target = openTarget({ root: to, runId, command: command ?? 'lockstep restore', forceUnlock: false });
  try {
    return await carryOut(request, to, target, plan, [], control);
  } finally {
    target.close();
  }
}

async function planAside(to: string, versions: Version[], base: RelPath, control: Control): Promise<RestorePlan> {
  const handles = openDirectory(to);
  try {
    const plan = await drive(planRestore(handles, versions, base, ownName(base)), control);
    const taken = plan.items.filter(({ standing, version }) => {
      return standing !== undefined && !(standing.kind === 'dir' && (version?.kind ?? 'dir') === 'dir');
    });
    const [first] = taken;
    if (first === undefined) return plan;
    const more = taken.length > 1 ? ` and ${taken.length - 1} more` : '';
    throw new LockstepError('io', `nothing was restored: ${path.join(to, first.to)}${more} exists already`, {
      path: first.to,
      hint: 'Give another directory with --to.',
    });
  } finally {
    handles.close();
  }
}

function makeDirectory(dir: string): void {
  try {
    fs.mkdirSync(dir, { recursive: true });
  } catch (error) {
    throw new LockstepError('io', `cannot make ${dir}: ${reasonOf(error)}`, { path: dir, cause: error });
  }
}

// --- doing it ------------------------------------------------------------------------------------------------------

/** @param root the directory that is restored into */
async function carryOut(
  request: RestoreRequest,
  root: string,
  target: RestoreTarget,
  plan: RestorePlan,
  parents: readonly RestoreItem[],
  control: Control,
): Promise<RestoreResult> {
  const hostPath = `${ownPathOf(request.root)}/${historyDirectory}`;
  const failures = new Map(plan.failures.map((failure) => [failure.path, failure]));
  const collect = (results: readonly StepResult[]): void => {
    for (const failure of results.flatMap((result) => result.failures)) {
      if (!failures.has(failure.path)) failures.set(failure.path, failure);
    }
  };
  const wanted = [...parents, ...plan.items.filter((item) => !item.unchanged)];
  let steps: ApplyStep[] = [];
  const flush = async (): Promise<void> => {
    if (steps.length > 0) collect(await target.apply(steps, hostPath, control));
    steps = [];
  };
  for (const item of wanted) {
    if (item.standing?.kind !== 'dir') {
      append(steps, stepsFor(item, item.standing, failures));
      continue;
    }
    // A whole directory must make room: on its own, so that it can be put back should its successor fail.
    await flush();
    const putBack = displace(target, item.to, failures);
    if (putBack === undefined) continue;
    try {
      collect(await target.apply(stepsFor(item, undefined, failures), hostPath, control));
    } catch (error) {
      putBack();
      throw error;
    }
    if (failures.has(item.to)) putBack();
  }
  await flush();
  append(steps, directoryTimes(wanted.filter((item) => !failures.has(item.to))));
  await flush();
  const done = wanted.filter((item) => !failures.has(item.to));
  const result = describePlan(root, { items: done, failures: [...failures.values()] });
  return { ...result, unchanged: countUnchanged(plan.items) };
}

function displace(target: RestoreTarget, at: RelPath, failures: Map<RelPath, Failure>): (() => void) | undefined {
  try {
    return target.displaceDirectory(at);
  } catch (error) {
    failures.set(at, failureOf(at, error));
    return undefined;
  }
}

function stepsFor(item: RestoreItem, standing: Entry | undefined, failures: Map<RelPath, Failure>): ApplyStep[] {
  const { to, version } = item;
  const base = { path: to, reason: 'edited', keep: true } as const;
  if (version === undefined || version.kind === 'dir') {
    const source: Entry = { kind: 'dir', mode: item.mode, size: 0, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, flags: 0 };
    const made = { ...base, op: 'mkdir', source } as const;
    return standing === undefined ? [made] : [{ ...base, op: 'remove', expect: standing }, made];
  }
  const source = observe(version.fullPath, 0n);
  if (source === undefined) {
    failures.set(to, { path: to, why: 'failed', detail: 'it is not in history any more' });
    return [];
  }
  const from = `${version.runId}/${version.at}`;
  if (version.kind === 'symlink') return [{ ...base, op: 'link', from, source, expect: standing }];
  return [{ ...base, op: 'put', from, source, expect: standing, mode: modeFor(version) }];
}

/** Set-id bits only come back where the file belongs to the same user and group as before. */
function modeFor(version: Version): number {
  const stats = lstatIfPresent(version.fullPath);
  const own = Number(stats?.uid) === process.geteuid?.() && Number(stats?.gid) === process.getegid?.();
  return own ? version.mode : version.mode & 0o1777;
}

/** Modes and times of the directories that were made, once nothing changes in them any more. */
function directoryTimes(items: readonly RestoreItem[]): ApplyStep[] {
  return items
    .flatMap(({ to, version }): ApplyStep[] => {
      if (version?.kind !== 'dir') return [];
      return [{ op: 'directory-time', path: to, mtimeUs: version.mtimeUs, mode: version.mode }];
    })
    .reverse();
}

function describePlan(root: string, plan: RestorePlan): RestoreResult {
  const restored = plan.items.flatMap(({ to, version, standing, unchanged }): RestoredPath[] => {
    if (version === undefined || unchanged) return [];
    return [{ path: version.path, target: path.join(root, to), version, replaced: standing !== undefined }];
  });
  const { failures } = plan;
  return { restored, unchanged: countUnchanged(plan.items), bytes: sizeOf(restored), failures, recovered: [] };
}

/** Directories that are there are nothing to speak of. */
function countUnchanged(items: readonly RestoreItem[]): number {
  return items.filter(({ version, unchanged }) => unchanged && version !== undefined && version.kind !== 'dir').length;
}

function sizeOf(items: readonly RestoredPath[]): number {
  return items.reduce((sum, { version }) => sum + version.size, 0);
}

function openTarget(request: ConstructorParameters<typeof RestoreTarget>[0]): RestoreTarget {
  checkDirectory(request.root);
  return new RestoreTarget(request);
}

function openDirectory(dir: string): DirHandles {
  checkDirectory(dir);
  return new DirHandles(dir);
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
