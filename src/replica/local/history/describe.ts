/** Versions as plain data for who asked: by path, newest first, numbered. */
import type { RelPath } from '../../../tree/path.ts';
import type { HistoryVersion } from '../../history.ts';
import { compareAge, type Version } from './read.ts';

/** @param versions of one root, paths in the order in which they are to be told */
export function describeVersions(versions: readonly Version[]): HistoryVersion[] {
  const byPath = new Map<RelPath, Version[]>();
  for (const version of versions) {
    const group = byPath.get(version.path);
    if (group === undefined) byPath.set(version.path, [version]);
    else group.push(version);
  }
  return [...byPath.values()].flatMap((group) =>
    group.sort((a, b) => compareAge(b, a)).map((version, index) => describe(version, index + 1)),
  );
}

function describe(version: Version, number: number): HistoryVersion {
  const { kind, size, mode, timeMs, mtimeUs, reason, runId, fullPath, target, problem } = version;
  return {
    path: version.path,
    version: number,
    kind,
    size,
    mode,
    kept: isoTime(timeMs),
    modified: isoTime(Number(mtimeUs / 1000n)),
    reason,
    run: runId,
    file: fullPath,
    ...(target === undefined ? {} : { target }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Some file systems hold times that no calendar has; they are shown as the last one that it has. */
export function isoTime(ms: number): string {
  const limit = 8.64e15;
  return new Date(Math.max(-limit, Math.min(limit, ms))).toISOString();
}
