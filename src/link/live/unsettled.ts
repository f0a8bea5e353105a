/**
 * Paths at which the sides may differ although everything that was told of has been looked at: open conflicts, and what
 * could not be done. A look at one of them is a look at both sides: "as recorded" says nothing of them.
 */
import type { SkipReason } from '../../reconcile/plan.ts';
import { DirtySet } from '../../replica/dirty-set.ts';
import type { Left } from '../report.ts';
import type { DirtyDirectory } from '../../replica/watching.ts';
import { ancestorsOf, baseName, parentPath, type RelPath } from '../../tree/path.ts';

export type UnsettledReason = SkipReason | 'conflict';

/**
 * What usually is over in a moment, and is tried again by itself, so often; then it waits for a change, or for the next look
 * at everything.
 */
const passing: Partial<Record<UnsettledReason, number>> = {
  'changed-meanwhile': 9,
  'source-changed': 9,
  // What has vanished since it was seen cannot be read either.
  unreadable: 3,
};
const firstRetryMs = 20;
const noSpaceRetryMs = 30_000;

interface Unsettled {
  why: UnsettledReason;
  attempts: number;
  isTold: boolean;
}

export class UnsettledPaths {
  readonly #paths = new Map<RelPath, Unsettled>();

  get counts(): { conflicts: number; skipped: number } {
    let [conflicts, skipped] = [0, 0];
    for (const { why, isTold } of this.#paths.values()) {
      if (why === 'conflict') conflicts += 1;
      else if (isTold) skipped += 1;
    }
    return { conflicts, skipped };
  }

  all(): RelPath[] {
    return [...this.#paths.keys()];
  }

  has(path: RelPath): boolean {
    return this.#paths.has(path);
  }

  /** It has just happened, and may well be over at the next attempt: nothing to bother anybody with. */
  isPassing(path: RelPath, why: UnsettledReason): boolean {
    return (this.#paths.get(path)?.attempts ?? 0) < (passing[why] ?? 0) / 2;
  }

  /**
   * Takes in what a pass left.
   *
   * @param looked what it looked at; undefined: everything
   * @returns what is to be tried again, and after how long
   */
  update(left: readonly Left[], looked: DirtySet | undefined): { path: RelPath; afterMs: number }[] {
    const before = new Map(this.#paths);
    for (const path of before.keys()) if (looked === undefined || isAmong(path, looked)) this.#paths.delete(path);
    const again: { path: RelPath; afterMs: number }[] = [];
    for (const { path, why, isUntold } of left) {
      const attempts = (before.get(path)?.attempts ?? 0) + 1;
      // What is told as well, of another step, is told.
      const isTold = isUntold !== true || (this.#paths.get(path)?.isTold ?? false);
      this.#paths.set(path, { why, attempts, isTold });
      if (why === 'no-space') again.push({ path, afterMs: noSpaceRetryMs });
      // What a look at everything found so has been so for a while.
      else if ((looked !== undefined || why !== 'unreadable') && attempts <= (passing[why] ?? 0)) {
        again.push({ path, afterMs: firstRetryMs * 2 ** (attempts - 1) });
      }
    }
    return again;
  }

  /** Those that must be looked at on both sides when these are looked at on one: they, something above, or in them, is dirty. */
  *concernedBy(directories: readonly DirtyDirectory[]): Generator<RelPath> {
    if (this.#paths.size === 0 || directories.length === 0) return;
    const dirty = new DirtySet();
    dirty.addAll(directories);
    const above = new Set(directories.flatMap(({ dir }) => [dir, ...ancestorsOf(dir)]));
    above.delete('');
    for (const path of this.#paths.keys()) if (above.has(path) || isAmong(path, dirty)) yield path;
  }
}

/** The path, or a directory above it, is among what is dirty. */
function isAmong(path: RelPath, dirty: DirtySet): boolean {
  return [...ancestorsOf(path).slice(1), path].some((at) => dirty.has(parentPath(at), baseName(at)));
}
