/**
 * From what was done to what is recorded. A path is recorded once all its steps on both sides are done; if one failed, its
 * old record stays, and the next run sees what is left to do (DESIGN §6.8).
 */
import type { Entry } from '../tree/entry.ts';
import type { RelPath } from '../tree/path.ts';
import type { Agreement } from '../reconcile/plan.ts';
import type { Side } from '../reconcile/options.ts';
import type { Baseline } from './baseline/baseline.ts';
import type { FailedRenames } from './failed-renames.ts';

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
  readonly #failedRenames: FailedRenames;

  constructor(baseline: Baseline, agreements: readonly Agreement[], failedRenames: FailedRenames) {
    this.#baseline = baseline;
    this.#failedRenames = failedRenames;
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

  has(path: RelPath): boolean {
    return this.#outcomes.has(path);
  }

  #record(path: RelPath, outcome: Outcome): void {
    this.#outcomes.delete(path);
    // What both sides were to agree on under a name that one of them does not have is not agreed on.
    if (outcome.failed || this.#failedRenames.onEither(path) !== undefined) return;
    this.#baseline.record(path, outcome.a, outcome.b, outcome.digest);
  }
}
