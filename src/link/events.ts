/** What a run tells while it goes on, and at its end. The CLI renders it; library users may listen. */
import type { Side } from '../reconcile/options.ts';
import type { Conflict, Skip } from '../reconcile/plan.ts';
import type { Action } from './actions.ts';
import type { CheckReason, LiveState } from './live/state.ts';

export type LinkEvent =
  /** Something the user should know that is no error. */
  | { type: 'notice'; message: string }
  | { type: 'warning'; message: string }
  | { type: 'progress'; progress: RunProgress }
  /** An action that was done; in a dry run, one that would be. */
  | { type: 'action'; action: Action }
  | { type: 'conflict'; conflict: Conflict }
  | { type: 'skip'; skip: Skip }
  /** Live mode: what the link is doing from now on. Not told of each pass. */
  | { type: 'state'; state: LiveState }
  /** Live mode: a pass has ended. */
  | { type: 'pass'; pass: PassSummary };

/** A pass of live mode: one look at what may have changed, and what was done about it. */
export interface PassSummary {
  /** What made it look: changes that it was told of, or the reason for a look at everything. */
  cause: 'changes' | 'poll' | CheckReason;
  /** Paths that were asked for their metadata, by side; in a look at everything all of them. */
  looked: Record<Side, number>;
  summary: Summary;
}

export type Phase = 'opening' | 'scanning' | 'comparing' | 'applying' | 'finishing';

export interface RunProgress {
  phase: Phase;
  /** Entries scanned, or actions done. */
  entries: number;
  /** Of how many, when known. */
  totalEntries: number | undefined;
  bytes: number;
  totalBytes: number | undefined;
}

export type Listener = (event: LinkEvent) => void;

/** The end of a run. */
export interface Summary {
  /** Actions done, by side and kind; in a dry run those that would be. */
  actions: Record<Side, Record<Action['op'], number>>;
  /** All actions together. */
  total: number;
  /** Content bytes written. */
  bytes: number;
  conflicts: { settled: number; open: number };
  /** Paths left alone although the sides may differ. */
  skipped: number;
  /** Paths that went wrong for want of space: the run counts as failed. */
  outOfSpace: number;
  /** Versions kept in history. */
  kept: number;
  entries: Record<Side, number>;
  dryRun: boolean;
  /** Milliseconds from start to end. */
  durationMs: number;
}

export function emptySummary(dryRun: boolean): Summary {
  const none = { create: 0, replace: 0, delete: 0, rename: 0, metadata: 0 };
  return {
    actions: { a: { ...none }, b: { ...none } },
    total: 0,
    bytes: 0,
    conflicts: { settled: 0, open: 0 },
    skipped: 0,
    outOfSpace: 0,
    kept: 0,
    entries: { a: 0, b: 0 },
    dryRun,
    durationMs: 0,
  };
}
