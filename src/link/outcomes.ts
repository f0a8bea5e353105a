/**
 * From what was done to what is recorded. A path is recorded once all its steps on both sides are done; if one failed, its
 * old record stays, and the next run sees what is left to do (DESIGN §6.8).
 */
import type { Entry } from '../tree/entry.ts';
import { isWithin, type RelPath } from '../tree/path.ts';
import type { Agreement } from '../reconcile/plan.ts';
import type { Side } from '../reconcile/options.ts';
import type { Baseline } from './baseline/baseline.ts';

interface Outcome {
  a: Entry | undefined;
  b: Entry | undefined;
  /** Steps that are still to be done. */
  waiting: number;
  failed: boolean;
  digest: Uint8Array | undefined;
}

export class Outcomes {
  readonly #baseline: Baseline;
  readonly #outcomes = new Map<RelPath, Outcome>();
  /** New names of renames that failed: nothing below them is as the plan assumed. */
  readonly #failedMoves: RelPath[] = [];

  constructor(baseline: Baseline, agreements: readonly Agreement[]) {
    this.#baseline = baseline;
    for (const { path, a, b } of agreements) {
      this.#outcomes.set(path, { a, b, waiting: 0, failed: false, digest: undefined });
    }
  }

  /** A step will be done at this path. */
  expect(path: RelPath): void {
    const outcome = this.#outcomes.get(path);
    if (outcome !== undefined) outcome.waiting += 1;
  }

  /** Records everything that needs no step. @param digestOf what is known of a path's content */
  settled(digestOf: (path: RelPath) => Uint8Array | undefined): void {
    for (const [path, outcome] of this.#outcomes) {
      outcome.digest ??= digestOf(path);
      if (outcome.waiting === 0) this.#record(path, outcome);
    }
  }

  done(path: RelPath, side: Side, observed: Entry | undefined, digest?: Uint8Array): void {
    const outcome = this.#outcomes.get(path);
    if (outcome === undefined) return;
    outcome[side] = observed;
    outcome.digest = digest ?? outcome.digest;
    outcome.waiting -= 1;
    if (outcome.waiting === 0 && !outcome.failed) this.#record(path, outcome);
  }

  failed(path: RelPath): void {
    const outcome = this.#outcomes.get(path);
    if (outcome !== undefined) outcome.failed = true;
  }

  moveFailed(to: RelPath): void {
    this.#failedMoves.push(to);
  }

  has(path: RelPath): boolean {
    return this.#outcomes.has(path);
  }

  #record(path: RelPath, outcome: Outcome): void {
    this.#outcomes.delete(path);
    if (outcome.failed || this.#failedMoves.some((to) => isWithin(path, to))) return;
    this.#baseline.record(path, outcome.a, outcome.b, outcome.digest);
  }
}
