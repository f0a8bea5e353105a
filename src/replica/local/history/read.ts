/**
 * Reading history: all versions that are really there, described by the index where it can be, by what lies on disk where
 * not.
 *
 * Versions are found by walking the runs' directories, never by following what an index says, and the walk goes through
 * handles that do not follow symlinks: nothing that is written in history can lead out of it.
 */
import fs, { type BigIntStats } from 'node:fs';
import { errnoCode, LockstepError, reasonOf } from '../../../base/errors.ts';
import { mtimeUs, type Kind } from '../../../tree/entry.ts';
import { ancestorsOf, compareNames, isSafePath, joinPath, type RelPath } from '../../../tree/path.ts';
import { DirHandles } from '../dir-handles.ts';
import { readNames } from '../names.ts';
import { finish, pause, type Work } from '../slices.ts';
import { entryOf, lstatIfPresent, noGrain, readTarget } from '../stat.ts';
import { linesByPlace, parseIndex, type IndexLine } from './index-file.ts';
import { historyDirectory, indexName, timeOfRun } from './layout.ts';

/** One version that can be looked at and restored. */
export interface Version {
  /** Path in the root. */
  path: RelPath;
  runId: string;
  /** When it was kept, ms since 1970. */
  timeMs: number;
  kind: 'file' | 'dir' | 'symlink';
  mode: number;
  /** Bytes; 0 for everything but files. */
  size: number;
  /** Microseconds since 1970. */
  mtimeUs: bigint;
  /** Why it was kept; `unknown` when a crash came between the version and its line in the index. */
  reason: string;
  /** Where it lies, absolute when the path of `.lockstep` was; in the form of a name (tree/path.ts). */
  fullPath: string;
  /** Where it lies within its run: `files/…`. */
  at: string;
  /** Order of keeping within one run and one millisecond. */
  sequence: number;
  /** Symlinks only. */
  target?: string;
  /** Directories that were kept whole and cannot be looked into: why. */
  problem?: string;
}

/** Also what cannot be restored, but takes room: FIFOs and the like in directories that were kept whole. */
export interface StoredVersion extends Omit<Version, 'kind'> {
  kind: Kind;
}

/**
 * All versions in a root's history, by path, then oldest first.
 *
 * A directory that was kept whole (`--clean-out-first`) is listed with everything in it. Without a line in an index, a
 * version counts as kept when its run began.
 *
 * @param ownPath path of the root's `.lockstep`
 * @param under only this path and what is below it
 * @throws LockstepError when history is there but cannot be read
 */
export function listVersions(ownPath: string, under: RelPath = ''): Version[] {
  const reader = HistoryReader.open(ownPath);
  if (reader === undefined) return [];
  try {
    return reader
      .runs()
      .flatMap((run) => finish(reader.versionsOf(run, under)))
      .filter(isRestorable)
      .sort((a, b) => compareNames(a.path, b.path) || compareAge(a, b));
  } finally {
    reader.close();
  }
}

/** Not a FIFO, and not in a nested root's own `.lockstep`, which belongs to that root alone. */
function isRestorable(version: StoredVersion): version is StoredVersion & Version {
  return ['file', 'dir', 'symlink'].includes(version.kind) && isSafePath(version.path);
}

/** Oldest first. */
export function compareAge(a: StoredVersion, b: StoredVersion): number {
  return a.timeMs - b.timeMs || compareNames(a.runId, b.runId) || a.sequence - b.sequence;
}

/** What a version without a line in the index has from the directory that it was kept with. */
type Whole = Pick<StoredVersion, 'timeMs' | 'reason' | 'sequence'>;

/** Directories that went into history in one rename: their content has no lines of its own. */
function isWhole(line: IndexLine | undefined): line is IndexLine {
  const reason = line?.record.reason;
  return line?.record.kind === 'dir' && (reason === 'clean-out' || reason === 'restored');
}

interface Walk {
  run: string;
  lines: ReadonlyMap<string, IndexLine>;
  found: StoredVersion[];
}

const filesPattern = /^files(-\d+)?$/;

/** Access to one root's history for as long as it is open. */
export class HistoryReader {
  readonly #ownPath: string;
  readonly #handles: DirHandles;

  private constructor(ownPath: string) {
    this.#ownPath = ownPath;
    this.#handles = new DirHandles(ownPath);
  }

  /** @returns undefined when there is no history. @throws LockstepError when what is there is not one */
  static open(ownPath: string): HistoryReader | undefined {
    for (const path of [ownPath, `${ownPath}/${historyDirectory}`]) {
      const stats = lstatIfPresent(path);
      if (stats === undefined) return undefined;
      if (stats.isDirectory()) continue;
      throw new LockstepError('state', `${path} is not a directory`, {
        path,
        hint: 'Lockstep keeps its history there and follows no symbolic link to it: rename or remove it.',
      });
    }
    return new HistoryReader(ownPath);
  }

  close(): void {
    this.#handles.close();
  }

  /**
   * Runs that kept something, oldest first; whatever else lies in history is none of ours.
   *
   * @param known runs that were looked at before: not again, because there may be very many
   */
  runs(known: ReadonlyMap<string, unknown> = new Map()): string[] {
    const prefix = this.#handles.enter(historyDirectory);
    return readNames(prefix).filter((name) => {
      if (known.has(name)) return true;
      return timeOfRun(name) !== undefined && lstatIfPresent(`${prefix}/${name}`)?.isDirectory() === true;
    });
  }

  /** Full path of something in a run, through handles: for one call, right away. @throws when it is not reachable */
  locate(run: string, at: string): string {
    return this.#handles.locate(inHistory(run, at));
  }

  /** Closes directories that are not needed any more; paths that were located before are not to be used. */
  settle(): void {
    this.#handles.settle();
  }

  /** Lets go of a directory that is about to be removed. */
  forget(run: string, at: string): void {
    this.#handles.forget(inHistory(run, at));
  }

  /** The directories of a run that hold versions: `files`, `files-2`, … */
  filesDirectories(run: string): string[] {
    return this.#namesIn(run, '').filter(
      (name) => filesPattern.test(name) && this.#lstat(run, name)?.isDirectory() === true,
    );
  }

  /** Bytes of a run's index; 0 when it has none. */
  indexSize(run: string): number {
    const stats = this.#lstat(run, indexName);
    return stats?.isFile() === true ? Number(stats.size) : 0;
  }

  /** @param from leave out this many bytes at the start */
  indexLines(run: string, from = 0): IndexLine[] {
    const size = this.indexSize(run);
    if (size <= from) return [];
    const fd = fs.openSync(this.locate(run, indexName), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    try {
      const bytes = Buffer.allocUnsafe(size - from);
      let read = 0;
      for (let count = -1; count !== 0 && read < bytes.length; read += count) {
        count = fs.readSync(fd, bytes, read, bytes.length - read, from + read);
      }
      // Offsets number the lines of an end as well as line numbers would: later ones are higher.
      return parseIndex(bytes.toString('utf8', 0, read), from);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Every version that a run kept at a path or below it. */
  *versionsOf(run: string, under: RelPath = ''): Work<StoredVersion[]> {
    const places = this.filesDirectories(run).filter(
      (files) => under === '' || this.holds(run, joinPath(files, under)),
    );
    if (places.length === 0) return [];
    const walk: Walk = { run, lines: linesByPlace(this.indexLines(run)), found: [] };
    for (const files of places) {
      if (under === '') yield* this.#walk(walk, files, undefined);
      else yield* this.#visit(walk, joinPath(files, under), this.#wholeAbove(walk, files, under));
    }
    return walk.found;
  }

  /** Versions that the end of an index tells of, with all that is in directories kept whole. */
  *versionsAppended(run: string, from: number): Work<StoredVersion[]> {
    const lines = linesByPlace(this.indexLines(run, from));
    const walk: Walk = { run, lines, found: [] };
    for (const [at, line] of lines) {
      yield pause;
      this.#handles.settle();
      const stats = this.#lstat(run, at);
      if (stats === undefined) continue;
      if (isWhole(line) || !stats.isDirectory()) yield* this.#visit(walk, at, undefined);
      else walk.found.push(this.#describe(walk, at, stats, undefined));
    }
    return walk.found;
  }

  /** Does something lie here, reached without a symlink on the way? */
  holds(run: string, at: string): boolean {
    // Asked first by path, which is cheap and mostly says no; only a yes needs the careful way.
    if (lstatIfPresent(this.#plainPath(run, at)) === undefined) return false;
    this.#handles.settle();
    return this.#lstat(run, at) !== undefined;
  }

  #wholeAbove(walk: Walk, files: string, path: RelPath): Whole | undefined {
    let whole: Whole | undefined;
    for (const ancestor of ancestorsOf(path).slice(1)) {
      const line = walk.lines.get(joinPath(files, ancestor));
      if (isWhole(line)) whole = wholeOf(line);
    }
    return whole;
  }

  /** Everything in a directory, which is read completely before it is gone into: its handle may be let go meanwhile. */
  *#walk(walk: Walk, dir: string, whole: Whole | undefined): Work<void> {
    yield* this.#visitAll(
      walk,
      this.#namesIn(walk.run, dir).map((name) => ({ at: joinPath(dir, name), whole })),
    );
  }

  *#visit(walk: Walk, at: string, whole: Whole | undefined): Work<void> {
    yield* this.#visitAll(walk, [{ at, whole }]);
  }

  /** Notes what lies at these places and below them, in order; without recursion, as trees may be deeper than the stack. */
  *#visitAll(walk: Walk, places: { at: string; whole: Whole | undefined }[]): Work<void> {
    const open = places.reverse();
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      yield pause;
      const { at, whole } = place;
      // Whoever drives this may leave nobody a word in before all is read, and what is not closed meanwhile adds up.
      this.#handles.settle();
      const stats = this.#lstat(walk.run, at);
      if (stats === undefined) continue;
      if (!stats.isDirectory()) {
        walk.found.push(this.#describe(walk, at, stats, whole));
        continue;
      }
      const line = walk.lines.get(at);
      const within = isWhole(line) ? wholeOf(line) : whole;
      // A directory that nothing was said of is only there to hold versions.
      const isVersion = line?.record.kind === 'dir' || within !== undefined;
      const version = isVersion ? this.#describe(walk, at, stats, within) : undefined;
      if (version !== undefined) walk.found.push(version);
      try {
        const names = this.#namesIn(walk.run, at);
        for (const name of names.reverse()) open.push({ at: joinPath(at, name), whole: within });
      } catch (error) {
        if (version === undefined || errnoCode(error) !== 'EACCES') throw error;
        version.problem = reasonOf(error);
      }
    }
  }

  #describe(walk: Walk, at: string, stats: BigIntStats, whole: Whole | undefined): StoredVersion {
    const { run } = walk;
    const entry = entryOf(stats, noGrain);
    const line = walk.lines.get(at);
    const known = line?.record.kind === entry.kind ? line : undefined;
    const kept: Whole = (known === undefined ? whole : wholeOf(known)) ?? {
      timeMs: timeOfRun(run) ?? 0,
      reason: 'unknown',
      sequence: -1,
    };
    const version: StoredVersion = {
      path: at.slice(at.indexOf('/') + 1),
      runId: run,
      ...kept,
      kind: entry.kind,
      mode: entry.mode,
      size: entry.size,
      mtimeUs: mtimeUs(entry),
      fullPath: this.#plainPath(run, at),
      at,
    };
    if (entry.kind === 'dir' && known !== undefined) {
      // What lies here may be a directory of ours that stands for one that was removed.
      version.mode = known.record.mode & 0o7777;
      version.mtimeUs = BigInt(known.record.mtimeUs);
    }
    if (entry.kind === 'symlink') version.target = readTarget(this.locate(run, at));
    return version;
  }

  /** Names in a directory; none when it is gone by now. */
  #namesIn(run: string, at: string): string[] {
    try {
      return readNames(this.#handles.enter(inHistory(run, at)));
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
  }

  #lstat(run: string, at: string): BigIntStats | undefined {
    try {
      return lstatIfPresent(this.locate(run, at));
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  #plainPath(run: string, at: string): string {
    return `${this.#ownPath}/${inHistory(run, at)}`;
  }
}

/** @param at empty for the run's own directory */
function inHistory(run: string, at: string): string {
  return at === '' ? `${historyDirectory}/${run}` : `${historyDirectory}/${run}/${at}`;
}

function wholeOf(line: IndexLine): Whole {
  return { timeMs: line.timeMs, reason: line.record.reason, sequence: line.number };
}

/** Nothing is there, or no directory all the way down (without handles, DirHandles says so in its own words). */
export function isGone(error: unknown): boolean {
  const code = errnoCode(error);
  return (
    code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || (error instanceof LockstepError && code === 'io')
  );
}
