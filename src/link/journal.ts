/**
 * What a run is about to disturb, written down before it begins and removed when it is done.
 *
 * Files need no journal: a staged file is named whole or not at all, and an unrecorded one is met again as equal. What a
 * kill would leave behind is directories with the mtime of our own comings and goings; the next run puts them right.
 */
import fs from 'node:fs';
import path from 'node:path';
import { errnoCode } from '../base/errors.ts';
import type { Side } from '../reconcile/options.ts';
import type { RelPath } from '../tree/path.ts';
import { onState } from './state-errors.ts';

export interface JournalEntry {
  side: Side;
  path: RelPath;
  /** Microseconds since 1970, as decimal text. */
  mtimeUs: string;
  /** Permission bits, where the directory had to be made more open while it was filled. */
  mode?: number;
}

export class Journal {
  readonly #stateDir: string;
  readonly #file: string;

  constructor(stateDir: string, linkId: string) {
    this.#stateDir = stateDir;
    this.#file = path.join(stateDir, 'links', `${linkId}.journal`);
  }

  /** What a run that died was doing; empty after a clean one. A torn last line is left out. */
  read(): JournalEntry[] {
    return onState('read', this.#stateDir, () => {
      let text: string;
      try {
        text = fs.readFileSync(this.#file, 'utf8');
      } catch (error) {
        if (errnoCode(error) === 'ENOENT') return [];
        throw error;
      }
      return text.split('\n').flatMap(parseLine);
    });
  }

  write(entries: readonly JournalEntry[]): void {
    if (entries.length === 0) return;
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    onState('write', this.#stateDir, () => fs.writeFileSync(this.#file, text, { mode: 0o600 }));
  }

  clear(): void {
    onState('write', this.#stateDir, () => fs.rmSync(this.#file, { force: true }));
  }
}

/** A line that was not written to its end, or not at all (zeros, after a power cut), says nothing. */
function parseLine(line: string): JournalEntry[] {
  try {
    const entry: unknown = JSON.parse(line);
    return isEntry(entry) ? [entry] : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is JournalEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { side, path: at, mtimeUs, mode } = value as Partial<Record<keyof JournalEntry, unknown>>;
  if ((side !== 'a' && side !== 'b') || typeof at !== 'string') return false;
  return /^-?\d{1,18}$/.test(String(mtimeUs)) && (mode === undefined || typeof mode === 'number');
}
