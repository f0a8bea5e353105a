/** What a live link has done since it began. */
import { monotonicMs } from '../../base/clock.ts';
import type { Summary } from '../events.ts';

export interface LiveSummary {
  /** Actions done. */
  total: number;
  /** Content bytes written. */
  bytes: number;
  /** Passes that did something. */
  passes: number;
  conflicts: { settled: number; open: number };
  /** Paths at which the sides may differ now. */
  skipped: number;
  /** Versions kept in history. */
  kept: number;
  durationMs: number;
}

export class Totals {
  readonly #startedAt = monotonicMs();
  readonly #summary: LiveSummary = {
    total: 0,
    bytes: 0,
    passes: 0,
    conflicts: { settled: 0, open: 0 },
    skipped: 0,
    kept: 0,
    durationMs: 0,
  };

  add({ total, bytes, conflicts, kept }: Summary): void {
    this.#summary.total += total;
    this.#summary.bytes += bytes;
    this.#summary.passes += total > 0 ? 1 : 0;
    this.#summary.conflicts.settled += conflicts.settled;
    this.#summary.kept += kept;
  }

  end({ conflicts, skipped }: { conflicts: number; skipped: number }): LiveSummary {
    this.#summary.conflicts.open = conflicts;
    this.#summary.skipped = skipped;
    return { ...this.#summary, durationMs: monotonicMs() - this.#startedAt };
  }
}
