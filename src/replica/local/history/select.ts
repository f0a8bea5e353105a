/** Which versions make up what a path was: pure, over what `listVersions` found. */
import { ancestorsOf, type RelPath } from '../../../tree/path.ts';
import { compareAge, type Version } from './read.ts';

/**
 * What is in history of a path and everything below it, as it was last: the newest version of each path.
 *
 * Where a path was a file once and a directory at another time, the newer of the two is taken and the other left out, so
 * what is chosen can always stand side by side.
 */
export function newestState(versions: readonly Version[]): Version[] {
  return compatible([...onePerPath(versions, 'newest')].sort((a, b) => compareAge(b, a)));
}

/**
 * What was at a time: the oldest version of each path that was kept at or after it, because what was replaced or deleted
 * later than that is what stood there then. A path without such a version has been as it is now ever since.
 *
 * As far as can be known: that a file was made only after that time shows nowhere. A late mtime or birth time does not tell,
 * because a file that was there already, and was replaced meanwhile by what the other side had, has them as well; and who asks
 * for it then would rather have that than nothing.
 */
export function stateAt(versions: readonly Version[], atMs: number): Version[] {
  const since = versions.filter((version) => version.timeMs >= atMs);
  return compatible([...onePerPath(since, 'oldest')].sort(compareAge));
}

/** One version of one path; of a directory, with what its run had kept below it by then. */
export function stateOfVersion(versions: readonly Version[], chosen: Version): Version[] {
  if (chosen.kind !== 'dir') return [chosen];
  return newestState(
    versions.filter((version) => {
      if (version.runId !== chosen.runId) return false;
      return version.path === chosen.path ? version === chosen : compareAge(version, chosen) <= 0;
    }),
  );
}

function onePerPath(versions: readonly Version[], which: 'newest' | 'oldest'): Iterable<Version> {
  const found = new Map<RelPath, Version>();
  for (const version of versions) {
    const other = found.get(version.path);
    const age = other === undefined ? 0 : compareAge(version, other);
    if (other === undefined || (which === 'newest' ? age > 0 : age < 0)) found.set(version.path, version);
  }
  return found.values();
}

/** Takes versions in the order given, leaving out those that could not be there together with one taken before. */
function compatible(versions: readonly Version[]): Version[] {
  const leaves = new Set<RelPath>();
  const parents = new Set<RelPath>();
  const taken: Version[] = [];
  for (const version of versions) {
    const above = ancestorsOf(version.path);
    if (above.some((path) => leaves.has(path))) continue;
    if (version.kind !== 'dir') {
      if (parents.has(version.path)) continue;
      leaves.add(version.path);
    }
    for (const path of above) parents.add(path);
    taken.push(version);
  }
  return taken.sort((a, b) => (a.path < b.path ? -1 : 1));
}
