/**
 * How history lies on disk.
 *
 *     .lockstep/history/<run>/index.jsonl   one line per kept version, see `HistoryRecord`
 *     .lockstep/history/<run>/files/<path>  the versions themselves, under their own paths and names
 *     .lockstep/history/summary.json        large histories only, and only a shortcut: see summary.ts
 *
 * `<run>` is a run id, which starts with the time (`20261121T031500.123Z-…`). A person can browse it without Lockstep. A
 * second version of a path within one run goes to `files-2/`, and so on. A version without a line in the index (a crash
 * came between) is still a version; a line without its file is not.
 */
import type { Reason } from '../../../reconcile/plan.ts';

export const historyDirectory = 'history';
export const indexName = 'index.jsonl';

/** One kept version. Names are escaped as in tree/path.ts, so JSON holds them. */
export interface HistoryRecord {
  /** Path in the root. */
  path: string;
  /** Where the version is, relative to the run's directory: `files/…` or `files-2/…`. */
  at: string;
  kind: 'file' | 'dir' | 'symlink';
  mode: number;
  /** Bytes. */
  size: number;
  /** Microseconds since 1970, as decimal text. */
  mtimeUs: string;
  /** When it was kept, ISO 8601. */
  time: string;
  reason: Reason | 'recovered' | 'restored';
}

/** The directory below a run's in which the n-th version of a path is kept, n ≥ 1. */
export function filesDirectory(n: number): string {
  return n === 1 ? 'files' : `files-${n}`;
}

/** The n of the directory that a version's place (`files-2/…`) begins with; 0 for anything else. */
export function filesNumber(at: string): number {
  const match = /^files(?:-(\d+))?(?=\/|$)/.exec(at);
  return match === null ? 0 : Number(match[1] ?? 1);
}

/** The time that a run id starts with, in ms since 1970; undefined when it is not one. */
export function timeOfRun(runId: string): number | undefined {
  const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})\.(\d{3})Z-/.exec(runId);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, ms] = match.map(Number);
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second, ms);
}
