/** Counts what happens and passes it on to the listener. */
import { monotonicMs } from '../base/clock.ts';
import type { Conflict, Skip, SkipReason } from '../reconcile/plan.ts';
import type { RelPath } from '../tree/path.ts';
import type { Action } from './actions.ts';
import { emptySummary, type Listener, type Phase, type Summary } from './events.ts';

/** Something at which the sides may still differ. */
export interface Left {
  path: RelPath;
  why: SkipReason | 'conflict';
  /** Something else that is told stands for it. */
  isUntold?: true;
}

export class Report {
  readonly summary: Summary;
  readonly #listener: Listener;
  readonly #startedAt = monotonicMs();
  readonly #skips = new Set<string>();
  /** Paths at which the sides may still differ: open conflicts and skips. */
  readonly unsettled: Left[] = [];
  #total: { entries: number; bytes: number } | undefined;

  constructor(listener: Listener, dryRun: boolean) {
    this.#listener = listener;
    this.summary = emptySummary(dryRun);
  }

  notice(message: string): void {
    this.#listener({ type: 'notice', message });
  }

  warning(message: string): void {
    this.#listener({ type: 'warning', message });
  }

  action(action: Action): void {
    this.summary.actions[action.side][action.op] += 1;
    this.summary.total += 1;
    if (this.summary.dryRun) this.summary.bytes += action.bytes;
    this.#listener({ type: 'action', action });
  }

  conflict(conflict: Conflict): void {
    this.summary.conflicts[conflict.winner === 'open' ? 'open' : 'settled'] += 1;
    if (conflict.winner === 'open') this.unsettled.push({ path: conflict.path, why: 'conflict' });
    this.#listener({ type: 'conflict', conflict });
  }

  /** A path is told once, whatever number of steps failed at it. */
  skip(skip: Skip): void {
    const key = `${skip.side}${skip.path}`;
    if (this.#skips.has(key)) return;
    this.#skips.add(key);
    this.unsettled.push({ path: skip.path, why: skip.why });
    this.summary.skipped += 1;
    if (skip.why === 'no-space') this.summary.outOfSpace += 1;
    this.#listener({ type: 'skip', skip });
  }

  /** Was not done because of something that is told: the sides may differ there as well. */
  left(path: RelPath, why: SkipReason): void {
    this.unsettled.push({ path, why, isUntold: true });
  }

  /** What the applying phase will come to. */
  expectTotal(entries: number, bytes: number): void {
    this.#total = { entries, bytes };
  }

  progress(phase: Phase, entries: number, bytes: number): void {
    const known = phase === 'applying' ? this.#total : undefined;
    const progress = { phase, entries, bytes, totalEntries: known?.entries, totalBytes: known?.bytes };
    this.#listener({ type: 'progress', progress });
  }

  end(): Summary {
    this.summary.durationMs = monotonicMs() - this.#startedAt;
    return this.summary;
  }
}
