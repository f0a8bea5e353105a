/**
 * Taking out of history what its limits no longer cover.
 *
 * Runs after every run that kept something, so its cost must be that of what is new: a large history is described by a
 * summary (summary.ts), and only what was kept since is looked at, unless something is due.
 *
 * Invariants: only versions are removed, one by one, and directories only when they are empty, so a file that somebody put
 * there stays; every path goes through handles that follow no symlink; the run that is going on, which has its index and
 * directories open, loses nothing but files.
 */
import { append } from '../../../base/append.ts';
import { LockstepError } from '../../../base/errors.ts';
import type { Retention } from '../../replica.ts';
import { readFileIfPresent } from '../read.ts';
import { pause, type Work } from '../slices.ts';
import { filesDirectory, filesNumber } from './layout.ts';
import { compareAge, HistoryReader, type StoredVersion } from './read.ts';
import { Remover } from './remove.ts';
import { firstToGo, outsized } from './retention.ts';
import { loadSummary, removeSummary, saveSummary, type RunStats, type Summary } from './summary.ts';

interface Pruned {
  removed: number;
  bytes: number;
}

const dayMs = 24 * 3_600_000;
const hourMs = 3_600_000;

/** Counting on a summary was not good enough: everything must be read. */
const recount = Symbol('recount');

/**
 * Removes versions: those kept more than `days` ago, all but the newest `versions` of each path, and then the oldest until
 * all together have no more than `bytes`, but for those larger than that (retention.ts). 0 means no limit. What the present
 * run has kept within the last hour is not taken for the sake of bytes.
 *
 * To be done with the root's lock held. It may end at any step: the next time goes on from what is there.
 *
 * @param ownPath path of the root's `.lockstep`
 * @returns how many versions went, and their bytes
 * @throws LockstepError when some could not be removed; the others are gone
 */
export function* pruneHistory(ownPath: string, retention: Retention, nowMs: number): Work<Pruned> {
  const reader = HistoryReader.open(ownPath);
  if (reader === undefined) return { removed: 0, bytes: 0 };
  try {
    const context = { reader, ownPath, retention, nowMs, isActive: activeRuns(ownPath) };
    const summary = loadSummary(ownPath, retention, nowMs);
    const quick = yield* new Pruner(context, summary).run();
    if (quick !== recount) return quick;
    const full = yield* new Pruner(context, undefined).run();
    if (full === recount) throw new Error('a full count asked for a full count');
    return full;
  } finally {
    reader.close();
  }
}

/**
 * The run that holds the root's lock, and those that began after it: they can only be its guests, the links of a star. Their
 * indexes are being appended to, their directories are held open.
 */
function activeRuns(ownPath: string): (run: string) => boolean {
  const holder = lockHolder(ownPath);
  if (holder === undefined) return () => false;
  const began = stampOf(holder);
  return (run) => run === holder || stampOf(run) > began;
}

/** When a run began, as text that sorts. */
function stampOf(run: string): string {
  return run.slice(0, run.lastIndexOf('-'));
}

function lockHolder(ownPath: string): string | undefined {
  const text = readFileIfPresent(`${ownPath}/lock`);
  if (text === undefined) return undefined;
  try {
    const owner: unknown = JSON.parse(text);
    return typeof owner === 'object' && owner !== null && 'run' in owner ? String(owner.run) : undefined;
  } catch {
    // Not a lock that anybody holds (lock.ts).
    return undefined;
  }
}

interface Context {
  reader: HistoryReader;
  ownPath: string;
  retention: Retention;
  nowMs: number;
  isActive: (run: string) => boolean;
}

class Pruner {
  readonly #context: Context;
  readonly #summary: Summary | undefined;
  readonly #runs: string[];
  readonly #stats = new Map<string, RunStats>();
  /** Versions of runs that were read as a whole. */
  readonly #loaded = new Map<string, StoredVersion[]>();
  /** What is to go, by full path. */
  readonly #doomed = new Map<string, StoredVersion>();

  constructor(context: Context, summary: Summary | undefined) {
    this.#context = context;
    this.#summary = summary;
    this.#runs = context.reader.runs(summary?.runs);
  }

  *run(): Work<Pruned | typeof recount> {
    const fresh = yield* this.#takeStock();
    yield* this.#doomExpired();
    if ((yield* this.#doomSurplus(fresh)) === recount || (yield* this.#doomForSpace()) === recount) return recount;
    const { ownPath, retention, nowMs } = this.#context;
    if (this.#doomed.size > 0) removeSummary(ownPath);
    const remover = new Remover(this.#context.reader, this.#context.isActive);
    const doomed = groupBy([...this.#doomed.values()], (version) => version.runId);
    for (const run of this.#runs) yield* this.#removeFrom(run, doomed.get(run) ?? [], remover);
    saveSummary(ownPath, retention, { countedMs: this.#summary?.countedMs ?? nowMs, runs: this.#stats });
    const [first] = remover.problems;
    if (first !== undefined) {
      const more = remover.problems.length > 1 ? ` (and ${remover.problems.length - 1} more)` : '';
      throw new LockstepError('io', `an old version could not be removed from history: ${first}${more}`, {
        hint: 'Nothing else is affected; it is tried again after the next run.',
      });
    }
    return { removed: remover.removed, bytes: remover.bytes };
  }

  /** Counts every run, from the summary where it is as it was. @returns what was kept since the summary was made */
  *#takeStock(): Work<StoredVersion[]> {
    const { reader, isActive } = this.#context;
    const fresh: StoredVersion[] = [];
    for (const run of this.#runs) {
      const known = this.#summary?.runs.get(run);
      // Only of the run that was going on then can there be more now.
      const index = known?.open === false ? known.index : reader.indexSize(run);
      if (known === undefined || index < known.index || (known.open && !isActive(run))) {
        for (const version of yield* this.#load(run)) fresh.push(version);
      } else if (index === known.index) {
        this.#stats.set(run, known);
      } else {
        const added = yield* reader.versionsAppended(run, known.index);
        for (const version of added) fresh.push(version);
        const { versions, bytes, files, oldestMs } = this.#count(run, added);
        this.#stats.set(run, {
          ...known,
          index,
          versions: known.versions + versions,
          bytes: known.bytes + bytes,
          files: Math.max(known.files, files),
          oldestMs: Math.min(known.oldestMs, oldestMs),
        });
      }
    }
    return fresh;
  }

  /** Reads a whole run, once. */
  *#load(run: string): Work<StoredVersion[]> {
    const known = this.#loaded.get(run);
    if (known !== undefined) return known;
    const versions = (yield* this.#context.reader.versionsOf(run)).sort(compareAge);
    this.#loaded.set(run, versions);
    this.#stats.set(run, this.#count(run, versions));
    return versions;
  }

  #count(run: string, versions: readonly StoredVersion[]): RunStats {
    const { reader, isActive, nowMs } = this.#context;
    let bytes = 0;
    let files = 1;
    let oldestMs = nowMs;
    for (const version of versions) {
      bytes += version.size;
      files = Math.max(files, filesNumber(version.at));
      // Directories of the present run cannot be removed yet, so they make nothing due.
      if (version.kind !== 'dir' || !isActive(run)) oldestMs = Math.min(oldestMs, Math.max(0, version.timeMs));
    }
    return { index: reader.indexSize(run), versions: versions.length, bytes, files, oldestMs, open: isActive(run) };
  }

  #doom(version: StoredVersion): void {
    this.#doomed.set(version.fullPath, version);
  }

  *#doomExpired(): Work<void> {
    const { retention, nowMs } = this.#context;
    if (retention.days === 0) return;
    const cutoff = nowMs - retention.days * dayMs;
    for (const run of this.#runs) {
      if ((this.#stats.get(run)?.oldestMs ?? 0) >= cutoff) continue;
      for (const version of yield* this.#load(run)) if (version.timeMs < cutoff) this.#doom(version);
    }
  }

  /** Only a path that has a new version can have too many, when the limits are those of the last time. */
  *#doomSurplus(fresh: readonly StoredVersion[]): Work<typeof recount | undefined> {
    const { retention, isActive, nowMs } = this.#context;
    const limit = retention.versions;
    if (limit === 0) return undefined;
    const byPath =
      this.#summary === undefined ? groupBy(fresh, ({ path }) => path) : yield* this.#siblings(fresh, limit);
    if (byPath === recount) return recount;
    for (const versions of byPath.values()) {
      if (versions.length <= limit) continue;
      versions.sort(firstToGo(isActive, nowMs));
      for (const version of versions.slice(0, versions.length - limit)) this.#doom(version);
    }
    return undefined;
  }

  /**
   * All versions of the fresh paths that have more than the limit. Directories are left to full counts: what lies at a
   * directory's place mostly only holds other versions, and they take no room.
   */
  *#siblings(fresh: readonly StoredVersion[], limit: number): Work<Map<string, StoredVersion[]> | typeof recount> {
    const { reader } = this.#context;
    const paths = new Set(fresh.filter(({ kind }) => kind !== 'dir').map(({ path }) => path));
    // Asking every run for every path costs more than reading everything at some point.
    if (paths.size * this.#runs.length > 2 * this.#total('versions') + 1000) return recount;
    const found = new Map<string, StoredVersion[]>();
    for (const path of paths) {
      yield pause;
      let count = 0;
      const holders = this.#runs.filter((run) => {
        const before = count;
        const { files } = this.#stats.get(run) ?? { files: 0 };
        for (let n = 1; n <= files; n += 1) if (reader.holds(run, `${filesDirectory(n)}/${path}`)) count += 1;
        return count > before;
      });
      if (count <= limit) continue;
      const versions: StoredVersion[] = [];
      for (const run of holders) append(versions, yield* reader.versionsOf(run, path));
      found.set(
        path,
        versions.filter((version) => version.path === path && version.kind !== 'dir'),
      );
    }
    return found;
  }

  *#doomForSpace(): Work<typeof recount | undefined> {
    const { retention, nowMs, isActive } = this.#context;
    let total = this.#total('bytes');
    total -= sizeOf([...this.#doomed.values()]);
    if (retention.bytes === 0 || total <= retention.bytes) return undefined;
    total -= yield* this.#doomOutsized();
    // Somebody may have made room by hand: versions must not go for bytes that are not there.
    if (this.#summary !== undefined && nowMs - this.#summary.countedMs > hourMs) return recount;
    for (const run of this.#runs) {
      if (total <= retention.bytes) return undefined;
      const versions = yield* this.#load(run);
      for (const version of versions) {
        if (total <= retention.bytes) break;
        if (this.#doomed.has(version.fullPath) || outsized(version, retention, nowMs) !== undefined) continue;
        if (isActive(run) && version.timeMs > nowMs - hourMs) continue;
        total -= version.size;
        this.#doom(version);
      }
      // A directory without anything that was in it is not worth keeping the run for.
      if (versions.every((version) => version.kind === 'dir' || this.#doomed.has(version.fullPath))) {
        for (const version of versions) this.#doom(version);
      }
    }
    return undefined;
  }

  /** @returns the bytes of all that are larger than the limit: no others go for them */
  *#doomOutsized(): Work<number> {
    const { retention, nowMs } = this.#context;
    let total = 0;
    for (const run of this.#runs) {
      // No others can hold any.
      if ((this.#stats.get(run)?.bytes ?? 0) <= retention.bytes) continue;
      for (const version of yield* this.#load(run)) {
        const verdict = outsized(version, retention, nowMs);
        if (verdict === undefined || this.#doomed.has(version.fullPath)) continue;
        total += version.size;
        if (verdict === 'goes') this.#doom(version);
      }
    }
    return total;
  }

  #total(of: 'versions' | 'bytes'): number {
    let total = 0;
    for (const stats of this.#stats.values()) total += stats[of];
    return total;
  }

  *#removeFrom(run: string, doomed: readonly StoredVersion[], remover: Remover): Work<void> {
    const stats = this.#stats.get(run);
    if (stats === undefined || (doomed.length === 0 && stats.versions > 0)) return;
    const gone = yield* remover.remove(run, doomed);
    const versions = stats.versions - gone.length;
    if (versions <= 0) yield* this.#load(run);
    const loaded = this.#loaded.get(run);
    if (loaded === undefined) {
      this.#stats.set(run, { ...stats, versions, bytes: stats.bytes - sizeOf(gone) });
      return;
    }
    const places = new Set(gone.map((version) => version.at));
    const remaining = loaded.filter((version) => !places.has(version.at));
    if (!this.#context.isActive(run) && (yield* remover.tidy(run, remaining))) {
      this.#stats.delete(run);
      return;
    }
    // What was to go but could not makes nothing due: it goes with the rest of its run.
    const due = remaining.filter((version) => !this.#doomed.has(version.fullPath));
    this.#stats.set(run, { ...this.#count(run, remaining), oldestMs: this.#count(run, due).oldestMs });
  }
}

function sizeOf(versions: readonly StoredVersion[]): number {
  return versions.reduce((sum, { size }) => sum + size, 0);
}

function groupBy(
  versions: readonly StoredVersion[],
  keyOf: (version: StoredVersion) => string,
): Map<string, StoredVersion[]> {
  const groups = new Map<string, StoredVersion[]>();
  for (const version of versions) {
    const key = keyOf(version);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [version]);
    else group.push(version);
  }
  return groups;
}
