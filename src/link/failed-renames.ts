/**
 * Renames that could not be carried out. The plan takes them as done: what it means by the old name is what came in its place,
 * and by the new name what was renamed. While the old directory still has its name, a step for something new below it would
 * put that into the old one. So nothing is done below either name in this run; the next one plans anew.
 */
import { ancestorsOf, rebasePath, isWithin, type RelPath } from '../tree/path.ts';
import type { Side } from '../reconcile/options.ts';
import type { SkipReason } from '../reconcile/plan.ts';

/** Why something is left undone. */
export interface Unmet {
  why: SkipReason;
  detail: string;
}

export class FailedRenames {
  readonly #names: Record<Side, Map<RelPath, Unmet>> = { a: new Map(), b: new Map() };

  /** @param why what became of it */
  add(side: Side, from: RelPath, to: RelPath, why: SkipReason): void {
    const unmet = { why, detail: `${from} could not be renamed to ${to}` };
    for (const name of [from, to]) if (!this.#names[side].has(name)) this.#names[side].set(name, unmet);
  }

  /** A directory was renamed after all these: what is in it has other names from now on, in the plan as on the disk. */
  renamed(side: Side, from: RelPath, to: RelPath): void {
    const names = this.#names[side];
    for (const [name, unmet] of [...names]) {
      if (!isWithin(name, from)) continue;
      names.delete(name);
      names.set(rebasePath(name, from, to), unmet);
    }
  }

  /** What keeps a path of a side from being what the plan takes it for. */
  on(side: Side, path: RelPath): Unmet | undefined {
    const names = this.#names[side];
    if (names.size === 0) return undefined;
    for (const name of [...ancestorsOf(path), path]) {
      const unmet = names.get(name);
      if (unmet !== undefined) return unmet;
    }
    return undefined;
  }

  /** The same for whatever takes the path to be alike on both sides. */
  onEither(path: RelPath): Unmet | undefined {
    return this.on('a', path) ?? this.on('b', path);
  }
}
