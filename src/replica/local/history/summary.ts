/**
 * What pruning remembers of a large history, so that it need not be read as a whole after every run.
 *
 *     .lockstep/history/summary.json
 *
 * It is only ever a shortcut: missing, damaged, of another shape or made under other limits, everything is read once and
 * it is written anew. It is removed before the first version is, so a crash while pruning leaves none that is wrong.
 */
import fs from 'node:fs';
import type { Retention } from '../../replica.ts';
import { readFileIfPresent } from '../read.ts';
import { lstatIfPresent } from '../stat.ts';
import { historyDirectory } from './layout.ts';

/** Below so many versions reading all of them takes a few milliseconds, and no summary is kept. */
const minVersions = 1000;
/** What changed behind our back (runs deleted by hand, a crash) is noticed after this long at the latest. */
const maxAgeMs = 7 * 24 * 3_600_000;

/** What is known of one run. */
export interface RunStats {
  /** Bytes of its index when it was read. */
  index: number;
  versions: number;
  bytes: number;
  /** Highest n of its `files-n`. */
  files: number;
  /** No version was kept before this; only a bound. */
  oldestMs: number;
  /** It was still going on: what a crash left without a line in its index is not counted. */
  open: boolean;
}

export interface Summary {
  /** When everything was last read. */
  countedMs: number;
  runs: Map<string, RunStats>;
}

interface Stored {
  v: 1;
  retention: Retention;
  countedMs: number;
  runs: Record<string, RunStats>;
}

/** @returns undefined when everything must be read */
export function loadSummary(ownPath: string, retention: Retention, nowMs: number): Summary | undefined {
  const text = isFile(pathOf(ownPath)) ? readFileIfPresent(pathOf(ownPath)) : undefined;
  if (text === undefined) return undefined;
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    // Torn: as good as missing.
    return undefined;
  }
  if (!isStored(stored) || JSON.stringify(stored.retention) !== JSON.stringify(retentionOf(retention)))
    return undefined;
  if (stored.countedMs > nowMs || stored.countedMs < nowMs - maxAgeMs) return undefined;
  return { countedMs: stored.countedMs, runs: new Map(Object.entries(stored.runs)) };
}

/** Writes it if the history is large enough to need one, atomically. */
export function saveSummary(ownPath: string, retention: Retention, summary: Summary): void {
  let versions = 0;
  for (const run of summary.runs.values()) versions += run.versions;
  if (versions < minVersions) {
    removeSummary(ownPath);
    return;
  }
  const stored: Stored = {
    v: 1,
    retention: retentionOf(retention),
    countedMs: summary.countedMs,
    runs: Object.fromEntries(summary.runs),
  };
  // Only the holder of the root's lock prunes, so one name is enough, and a crash leaves no more than that one.
  const temporary = `${pathOf(ownPath)}.new`;
  fs.rmSync(temporary, { force: true });
  fs.writeFileSync(temporary, JSON.stringify(stored), { mode: 0o600, flag: 'wx' });
  fs.renameSync(temporary, pathOf(ownPath));
}

export function removeSummary(ownPath: string): void {
  if (isFile(pathOf(ownPath))) fs.rmSync(pathOf(ownPath), { force: true });
}

function isFile(path: string): boolean {
  return lstatIfPresent(path)?.isFile() === true;
}

function pathOf(ownPath: string): string {
  return `${ownPath}/${historyDirectory}/summary.json`;
}

function retentionOf({ days, versions, bytes }: Retention): Retention {
  return { days, versions, bytes };
}

function isStored(value: unknown): value is Stored {
  if (typeof value !== 'object' || value === null) return false;
  const { v, countedMs, runs } = value as Partial<Record<string, unknown>>;
  return (
    v === 1 && isCount(countedMs) && typeof runs === 'object' && runs !== null && Object.values(runs).every(isRunStats)
  );
}

function isRunStats(value: unknown): value is RunStats {
  if (typeof value !== 'object' || value === null) return false;
  const { index, versions, bytes, files, oldestMs, open } = value as Partial<Record<string, unknown>>;
  return [index, versions, bytes, files, oldestMs].every(isCount) && typeof open === 'boolean';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
