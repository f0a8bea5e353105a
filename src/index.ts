/** The public library: what the command line does, for programs. See docs/library.md. */
export { exitCodes, GuardError, InterruptedError, LockstepError, UsageError, type ErrorCode } from './base/errors.ts';
export type { Action } from './link/actions.ts';
export type { LinkEvent, Listener, RunProgress, Summary } from './link/events.ts';
export type { Conflict, Reason, Skip, SkipReason } from './reconcile/plan.ts';
export {
  listHistory,
  restoreHistory,
  type HistoryVersion,
  type RestoreOptions,
  type RestoreSummary,
} from './workspace/history.ts';
export type { PassSummary } from './link/events.ts';
export type { CheckReason, LiveState } from './link/live/state.ts';
export type { LiveSummary } from './link/live/totals.ts';
export { star, type StarRequest, type StarResult } from './workspace/star.ts';
export { pull, push, sync, type SyncRequest } from './workspace/sync.ts';
export { watch, type Watch, type WatchRequest } from './workspace/watch.ts';
export type { Direction } from './workspace/direction.ts';
export type { SyncOptions } from './workspace/options.ts';
