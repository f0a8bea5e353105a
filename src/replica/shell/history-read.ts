/** What is kept in a root's history over there: as replica/local/history reads it, from one walk and the runs' indexes. */
import { LockstepError } from '../../base/errors.ts';
import { mtimeUs } from '../../tree/entry.ts';
import { compareNames, isSafePath, isWithin, type RelPath } from '../../tree/path.ts';
import type { HistoryVersion } from '../history.ts';
import type { Retention } from '../replica.ts';
import { describeVersions } from '../local/history/describe.ts';
import { linesByPlace, parseIndex, type IndexLine } from '../local/history/index-file.ts';
import { filesNumber, historyDirectory, indexName, timeOfRun } from '../local/history/layout.ts';
import { compareAge, type StoredVersion, type Version } from '../local/history/read.ts';
import { firstToGo, outsized } from '../local/history/retention.ts';
import { readRecords, type FarRoot } from './far-root.ts';
import { lineInput } from './open.ts';
import { readOwn } from './read-own.ts';
import type { Found } from './records.ts';

const dayMs = 24 * 3_600_000;
const hourMs = 3_600_000;
/** An index larger than this is none. */
const maxIndexBytes = 256 << 20;

type Where = Pick<FarRoot, 'session' | 'path'>;

interface Run {
  id: string;
  /** By place, relative to the run's directory. */
  found: Map<string, Found>;
  lines: ReadonlyMap<string, IndexLine>;
}

/** Every version that there is, restorable or not; runs oldest first. @param onErrors told what kept some from being seen */
export async function storedVersions(root: Where, onErrors?: (said: string) => void): Promise<StoredVersion[]> {
  const runs = new Map<string, Map<string, Found>>();
  const errors = await readRecords(root, { code: 'historywalk' }, (one) => {
    const slash = one.path.indexOf('/');
    const id = slash < 0 ? one.path : one.path.slice(0, slash);
    if (timeOfRun(id) === undefined) return;
    const found: Map<string, Found> = runs.get(id) ?? new Map<string, Found>();
    runs.set(id, found);
    if (slash > 0) found.set(one.path.slice(slash + 1), one);
  });
  // What another run lets go of meanwhile is none.
  const told = errors.split('\n').filter((line) => line !== '' && !/No such file/.test(line));
  if (told[0] !== undefined) onErrors?.(told[0]);
  const ids = [...runs.keys()].sort(compareNames);
  const read = await Promise.all(
    ids.map(async (id): Promise<Run> => {
      const index = await readOwn(root.session, `${historyDirectory}/${id}/${indexName}`, maxIndexBytes);
      return {
        id,
        found: runs.get(id) ?? new Map<string, Found>(),
        lines: linesByPlace(parseIndex(index?.toString('utf8') ?? '')),
      };
    }),
  );
  return read.flatMap((run) => [...versionsOf(root, run)]);
}

function* versionsOf(root: Where, { id, found, lines }: Run): Generator<StoredVersion> {
  for (const [at, { entry }] of found) {
    if (filesNumber(at) === 0 || !at.includes('/')) continue;
    const line = lines.get(at);
    const whole = wholeAbove(at, lines);
    // A directory that nothing was said of is only there to hold versions.
    if (entry.kind === 'dir' && line?.record.kind !== 'dir' && whole === undefined) continue;
    const known = line?.record.kind === entry.kind ? line : undefined;
    const told = known ?? whole;
    const isDir = entry.kind === 'dir' && known !== undefined;
    yield {
      path: at.slice(at.indexOf('/') + 1),
      runId: id,
      timeMs: told?.timeMs ?? timeOfRun(id) ?? 0,
      reason: told?.record.reason ?? 'unknown',
      sequence: told?.number ?? -1,
      kind: entry.kind,
      mode: isDir ? known.record.mode & 0o7777 : entry.mode,
      size: entry.size,
      mtimeUs: isDir ? BigInt(known.record.mtimeUs) : mtimeUs(entry),
      fullPath: `${root.path}/.lockstep/${historyDirectory}/${id}/${at}`,
      at,
      ...(entry.target === undefined ? {} : { target: entry.target }),
    };
  }
}

/** The line of a directory that went into history in one rename, and this with it. */
function wholeAbove(at: string, lines: ReadonlyMap<string, IndexLine>): IndexLine | undefined {
  for (let dir = at; dir.includes('/'); dir = dir.slice(0, dir.lastIndexOf('/'))) {
    const line = lines.get(dir);
    const reason = line?.record.reason;
    if (line?.record.kind === 'dir' && (reason === 'clean-out' || reason === 'restored')) return line;
  }
  return undefined;
}

export async function listFarVersions(root: Where, under: RelPath): Promise<Version[]> {
  const all = await storedVersions(root, (line) => {
    throw new LockstepError('root-unreadable', `the history of ${root.path} cannot be read: ${line}`, {
      path: root.path,
      hint: 'Check its permissions, or run as the user who may read it.',
    });
  });
  return all
    .filter((version): version is StoredVersion & Version => {
      const isRestorable = ['file', 'dir', 'symlink'].includes(version.kind) && isSafePath(version.path);
      return isRestorable && isWithin(version.path, under);
    })
    .sort((a, b) => compareNames(a.path, b.path) || compareAge(a, b));
}

/** As `Replica.history`. */
export async function farHistory(root: Where, under: RelPath): Promise<HistoryVersion[]> {
  return describeVersions(await listFarVersions(root, under));
}

/** Removes versions that the limits no longer cover: which, as replica/local/history/prune.ts says. */
export async function pruneFar(
  root: FarRoot,
  retention: Retention,
  nowMs: number,
): Promise<{ removed: number; bytes: number }> {
  const versions = await storedVersions(root);
  const active = root.request.runId;
  const doomed = new Set<StoredVersion>();
  if (retention.days > 0) {
    for (const version of versions) if (version.timeMs < nowMs - retention.days * dayMs) doomed.add(version);
  }
  if (retention.versions > 0) {
    const byPath = groupByPath(versions);
    for (const group of byPath.values()) {
      const surplus = group.length - retention.versions;
      if (surplus <= 0) continue;
      group.sort(firstToGo((run) => run === active, nowMs));
      for (const version of group.slice(0, surplus)) doomed.add(version);
    }
  }
  if (retention.bytes > 0) {
    for (const version of versions) if (outsized(version, retention, nowMs) === 'goes') doomed.add(version);
    const counted = versions.filter((version) => {
      return !doomed.has(version) && outsized(version, retention, nowMs) === undefined;
    });
    let total = counted.reduce((sum, { size }) => sum + size, 0);
    for (const version of counted.sort(compareAge)) {
      if (total <= retention.bytes) break;
      if (version.runId === active && version.timeMs > nowMs - hourMs) continue;
      total -= version.size;
      doomed.add(version);
    }
  }
  if (doomed.size === 0) return { removed: 0, bytes: 0 };
  // A directory is removed only empty, deepest first; in the run that goes on none is, for it may be filled again.
  const going = [...doomed].filter(({ kind, runId }) => kind !== 'dir' || runId !== active);
  const places = going.sort((a, b) => b.at.split('/').length - a.at.split('/').length);
  const { session } = root;
  const input = Buffer.concat(
    places.map(({ kind, runId, at }) =>
      Buffer.concat([Buffer.from(kind === 'dir' ? 'd\n' : 'f\n'), lineInput(`${historyDirectory}/${runId}/${at}`)]),
    ),
  );
  await session.run({ code: `forgetversions ${places.length}`, input, limit: 1 << 20 });
  const runs = [...new Set(places.map(({ runId }) => runId))].filter((run) => run !== active);
  await session.run({ code: `tidyruns ${runs.length}`, input: lineInput(...runs), limit: 1 << 20 });
  return { removed: places.length, bytes: places.reduce((sum, { size }) => sum + size, 0) };
}

function groupByPath(versions: readonly StoredVersion[]): Map<string, StoredVersion[]> {
  const groups = new Map<string, StoredVersion[]>();
  for (const version of versions) {
    const group = groups.get(version.path) ?? [];
    groups.set(version.path, group);
    group.push(version);
  }
  return groups;
}
