/** What a restore comes to, path by path, wherever the root is: plain data. */
import path from 'node:path';
import { LockstepError } from '../../../base/errors.ts';
import type { Entry } from '../../../tree/entry.ts';
import { ancestorsOf, baseName, isWithin, rebasePath, type RelPath } from '../../../tree/path.ts';
import type { RestoreSummary } from '../../history.ts';
import type { Failure } from '../../replica.ts';
import { isoTime } from './describe.ts';
import type { Version } from './read.ts';

export interface RestoreItem {
  /** Where it goes, in the directory that is restored into. */
  to: RelPath;
  /** undefined: a directory of which history knows nothing but what is in it. */
  version: Version | undefined;
  /** A directory's mode; other things take that of the version. */
  mode: number;
  /** What stands there now. */
  standing: Entry | undefined;
  /** It is there already, the same in every way. */
  unchanged: boolean;
}

export interface RestorePlan {
  /** Parents first. */
  items: RestoreItem[];
  failures: Failure[];
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
 * The versions, and the directories between them and `base` that history has no version of. Parents first.
 *
 * @param mode of such directories
 */
export function withDirectories(
  versions: readonly Version[],
  base: RelPath,
  mode: number,
): { path: RelPath; version: Version | undefined; mode: number }[] {
  const found = new Map<RelPath, { path: RelPath; version: Version | undefined; mode: number }>();
  for (const version of versions) {
    for (const above of ancestorsOf(version.path)) {
      // The root itself is always there.
      if (above === '' || !isWithin(above, base) || found.has(above)) continue;
      found.set(above, { path: above, version: undefined, mode });
    }
    found.set(version.path, { path: version.path, version, mode: version.mode });
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The name of what was asked for, on its own. */
export function ownName(base: RelPath): RelPath {
  return base === '' ? '' : baseName(base);
}

/** The directory above what is restored: as private as it was, if history knows. @param known versions of that path */
export function parentItem(parent: RelPath, known: readonly Version[], defaultMode: number): RestoreItem {
  const dirs = known.filter((version) => version.path === parent && version.kind === 'dir');
  return {
    to: parent,
    version: undefined,
    mode: dirs.at(-1)?.mode ?? defaultMode,
    standing: undefined,
    unchanged: false,
  };
}

/**
 * Directories that must be there above `path`, top-most first.
 *
 * @param standingAt what is at a path; undefined when nothing is
 * @throws LockstepError when something else is there
 */
export function missingParents(path: RelPath, standingAt: (path: RelPath) => Entry | undefined): RelPath[] {
  const missing: RelPath[] = [];
  for (const parent of ancestorsOf(path).slice(1)) {
    const entry = missing.length > 0 ? undefined : standingAt(parent);
    if (entry === undefined) missing.push(parent);
    else if (entry.kind !== 'dir') {
      const what = entry.kind === 'symlink' ? 'a symbolic link' : 'no directory any more';
      throw new LockstepError('io', `${path} cannot be restored there: ${parent} is ${what}`, {
        path,
        hint: 'Move it out of the way, or restore elsewhere with --to DIR.',
      });
    }
  }
  return missing;
}

/** Elsewhere nothing is replaced. @param to the directory there. @throws LockstepError naming what is in the way */
export function refuseTaken(to: string, { items }: RestorePlan): void {
  const taken = items.filter(({ standing, version }) => {
    return standing !== undefined && !(standing.kind === 'dir' && (version?.kind ?? 'dir') === 'dir');
  });
  const [first] = taken;
  if (first === undefined) return;
  const more = taken.length > 1 ? ` and ${taken.length - 1} more` : '';
  throw new LockstepError('io', `nothing was restored: ${path.join(to, first.to)}${more} exists already`, {
    path: first.to,
    hint: 'Give another directory with --to.',
  });
}

/** What is to be done in a directory that does not exist yet. */
export function describeNew(to: string, versions: readonly Version[], base: RelPath): RestoreResult {
  const items = versions.map((version) => {
    const target = path.join(to, rebasePath(version.path, base, ownName(base)));
    return { path: version.path, target, version, replaced: false };
  });
  return { restored: items, unchanged: 0, bytes: sizeOf(items), failures: [], recovered: [] };
}

export function describePlan(root: string, plan: RestorePlan): RestoreResult {
  const restored = plan.items.flatMap(({ to, version, standing, unchanged }): RestoredPath[] => {
    if (version === undefined || unchanged) return [];
    return [{ path: version.path, target: path.join(root, to), version, replaced: standing !== undefined }];
  });
  const { failures } = plan;
  return { restored, unchanged: countUnchanged(plan.items), bytes: sizeOf(restored), failures, recovered: [] };
}

/** Directories that are there are nothing to speak of. */
export function countUnchanged(items: readonly RestoreItem[]): number {
  return items.filter(({ version, unchanged }) => unchanged && version !== undefined && version.kind !== 'dir').length;
}

function sizeOf(items: readonly RestoredPath[]): number {
  return items.reduce((sum, { version }) => sum + version.size, 0);
}

export function summaryOf(result: RestoreResult, dryRun: boolean): RestoreSummary {
  const restored = result.restored.map(({ path: restoredPath, target, version, replaced }) => {
    const { kind, size, timeMs } = version;
    return { path: restoredPath, target, kind, size, kept: isoTime(timeMs), replaced };
  });
  return { ...result, restored, dryRun };
}
