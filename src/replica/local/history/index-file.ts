/**
 * Reading a run's index: whatever a crash, a full disk or another version of Lockstep left of it. What cannot be used is
 * passed over, because the versions themselves are what counts and the index only describes them.
 */
import { isValidName } from '../../../tree/path.ts';
import type { HistoryRecord } from './layout.ts';

/** A line that could be used. */
export interface IndexLine {
  record: HistoryRecord;
  /** When the version was kept, ms since 1970. */
  timeMs: number;
  /** Where it stands in the index: the order in which versions were kept. */
  number: number;
  /** The line as it stands in the file. */
  text: string;
}

/**
 * @param firstNumber number of the first line, when only the end of an index is parsed
 * @returns the usable lines, in the order of the file
 */
export function parseIndex(text: string, firstNumber = 0): IndexLine[] {
  const found: IndexLine[] = [];
  for (const [offset, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const record = parseRecord(line);
    if (record === undefined) continue;
    found.push({ record, timeMs: Date.parse(record.time), number: firstNumber + offset, text: line });
  }
  return found;
}

/** By `at`; of several lines for one place (a directory removed twice in a run) the last. */
export function linesByPlace(lines: readonly IndexLine[]): Map<string, IndexLine> {
  return new Map(lines.map((line) => [line.record.at, line]));
}

function parseRecord(line: string): HistoryRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Torn by a crash, or two halves run together after one: its version is found by walking.
    return undefined;
  }
  return isRecord(value) ? value : undefined;
}

function isRecord(value: unknown): value is HistoryRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { path, at, kind, mode, size, mtimeUs, time, reason } = value as Partial<Record<string, unknown>>;
  return (
    typeof path === 'string' &&
    typeof at === 'string' &&
    isPlaceOf(at, path) &&
    (kind === 'file' || kind === 'dir' || kind === 'symlink') &&
    Number.isSafeInteger(mode) &&
    Number.isSafeInteger(size) &&
    typeof mtimeUs === 'string' &&
    /^-?\d{1,20}$/.test(mtimeUs) &&
    typeof time === 'string' &&
    Number.isFinite(Date.parse(time)) &&
    typeof reason === 'string'
  );
}

/** The place names the path once more; a line in which they differ, or that leads elsewhere, is none that we wrote. */
function isPlaceOf(at: string, path: string): boolean {
  return at.replace(/^files(-\d+)?\//, '/') === `/${path}` && path.split('/').every(isValidName);
}
