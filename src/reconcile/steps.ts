/** The steps of a plan: making one side like the other, once it is decided which (reconcile.ts). */
import { append } from '../base/append.ts';
import { mtimeUs, isUnknown, type Entry } from '../tree/entry.ts';
import { baseName, joinPath, parentPath, type RelPath } from '../tree/path.ts';
import { listingNow, subtreeNow, type Quad, type ReconcileInput } from './input.ts';
import { mergeMetadata } from './metadata.ts';
import { otherSide, sourceOf, type ReconcileOptions, type Side } from './options.ts';
import type { Plan, Reason, RemoveStep } from './plan.ts';

/**
 * What becomes of a path, for the directory that holds it: `gone` from both sides, `kept` on both, or it `stays` where it
 * is although the other side does not have it (unknown, ignored, one-sided, skipped).
 */
export type Fate = 'gone' | 'kept' | 'stays';

/** Adds to a plan. */
export class Steps {
  readonly #plan: Plan;
  readonly #input: ReconcileInput;
  readonly #options: ReconcileOptions;
  readonly #source: Side | undefined;
  /** Directories whose own listing a step changes, by side: their mtime must be put right afterwards. */
  readonly touched = { a: new Set<RelPath>(), b: new Set<RelPath>() };

  /** @param input as it will be once the planned renames are done */
  constructor(plan: Plan, input: ReconcileInput) {
    this.#plan = plan;
    this.#input = input;
    this.#options = input.options;
    this.#source = sourceOf(input.options.mode);
  }

  /**
   * Makes the other side of `winner` have what `winner` has: a file, a link, a directory, or nothing.
   *
   * @param keep the version that goes away exists nowhere else, so it belongs in history
   */
  propagate(quad: Quad, winner: Side, reason: Reason, keep: boolean): Fate {
    const side = otherSide(winner);
    const { path } = quad;
    const [want, have] = [quad.now[winner], quad.now[side]];
    const keepIt = this.#options.backup === 'all' || (keep && this.#options.backup !== 'off');

    if (want === undefined) {
      if (have !== undefined) this.remove(side, path, have, reason, this.#plan.removals);
      this.agree(quad, undefined, undefined);
      return 'gone';
    }
    // A new directory that cannot be read: reported by the scan, and nothing is made (or makes room) for it.
    if (want.kind === 'dir' && this.#input[winner].unreadable.has(path)) return 'stays';
    if (have?.kind === 'dir' && want.kind !== 'dir' && !this.clearSubtree(side, path, have, reason)) return 'stays';
    this.touch(side, path);
    if (want.kind === 'dir') {
      if (have !== undefined) this.remove(side, path, have, reason, this.#plan.clear);
      this.#plan.content.push({ op: 'tree', side, path, source: want, reason });
    } else {
      const expect = have?.kind === 'dir' ? undefined : have;
      const common = { side, path, from: path, source: want, expect, keep: keepIt, reason } as const;
      if (want.kind === 'symlink') this.#plan.content.push({ op: 'link', ...common });
      else {
        const merged = mergeMetadata(quad, this.#input, this.#source, winner);
        if (merged.conflict !== undefined) this.#plan.conflicts.push(merged.conflict);
        append(
          this.#plan.metadata,
          merged.steps.filter((step) => step.side === winner),
        );
        this.#plan.content.push({ op: 'put', ...common, mode: merged.mode });
        // The bits are still in dispute, so nothing is agreed: the next run finds the contents equal and asks again.
        if (merged.conflict?.winner === 'open') return 'kept';
      }
    }
    this.agree(quad, quad.now.a ?? want, quad.now.b ?? want);
    return 'kept';
  }

  /** Removes a whole directory to make room; refuses (and says so) when something in it may not be removed. */
  clearSubtree(side: Side, dir: RelPath, entry: Entry, reason: Reason): boolean {
    const steps: RemoveStep[] = [];
    const blocker = this.#collectRemovals(side, dir, reason, steps);
    if (blocker !== undefined) {
      const detail = `cannot make room: ${blocker} would have to go`;
      this.#plan.skips.push({ path: dir, side, why: 'kept-ignored', detail });
      return false;
    }
    append(this.#plan.clear, steps);
    this.remove(side, dir, entry, reason, this.#plan.clear);
    return true;
  }

  /**
   * Adds the removals of everything in a directory, children first.
   *
   * @returns a path that may not be removed, or undefined when all of it may
   */
  #collectRemovals(side: Side, top: RelPath, reason: Reason, steps: RemoveStep[]): RelPath | undefined {
    const dirs = [...subtreeNow(this.#input, side, top)];
    // Parents come first in the walk, so backwards they come last.
    for (const dir of dirs.reverse()) {
      const listing = listingNow(this.#input, side, dir);
      if (listing === undefined || this.#input[side].ignoredIn.has(dir)) return dir;
      for (const [name, entry] of listing.entries()) {
        const path = joinPath(dir, name);
        if (isUnknown(entry.kind)) return path;
        if (entry.kind !== 'dir') this.remove(side, path, entry, reason, steps);
      }
      const entry = dir === top ? undefined : listingNow(this.#input, side, parentPath(dir))?.get(baseName(dir));
      if (entry !== undefined) this.remove(side, dir, entry, reason, steps);
    }
    return undefined;
  }

  remove(side: Side, path: RelPath, expect: Entry, reason: Reason, into: RemoveStep[]): void {
    into.push({ op: 'remove', side, path, expect, keep: this.#options.backup !== 'off', reason });
    this.touch(side, path);
  }

  /** Notes that a step changes the listing of a path's parent on a side. */
  touch(side: Side, path: RelPath): void {
    this.touched[side].add(parentPath(path));
  }

  agree(quad: Quad, a: Entry | undefined, b: Entry | undefined): void {
    this.#plan.agreements.push({ path: quad.path, a, b });
  }

  restoreTime(side: Side, path: RelPath, entry: Entry): void {
    this.#plan.directoryTimes.push({ side, path, mtimeUs: mtimeUs(entry), restores: true });
  }
}
