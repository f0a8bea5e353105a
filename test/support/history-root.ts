/** For the tests of history: a root in a temporary directory, and runs that keep versions in it as apply.ts does. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { compactStamp } from '../../src/base/format.ts';
import { encodeName, ownDirectory, parentPath, type RelPath } from '../../src/tree/path.ts';
import { DirHandles } from '../../src/replica/local/dir-handles.ts';
import { toFs } from '../../src/replica/local/fs-path.ts';
import { OwnDirectory } from '../../src/replica/local/own-directory.ts';
import { observe } from '../../src/replica/local/stat.ts';
import { HistoryWriter } from '../../src/replica/local/history/keep.ts';
import type { HistoryRecord } from '../../src/replica/local/history/layout.ts';

export const dayMs = 24 * 3_600_000;

let runs = 0;

/** A run id of a time; later calls sort after earlier ones of the same time. */
export function runAt(timeMs: number): string {
  runs += 1;
  return `${compactStamp(timeMs)}-${runs.toString(16).padStart(8, '0')}`;
}

export class TestRoot {
  readonly root: string;
  readonly own: string;

  constructor() {
    this.root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-history-'));
    this.own = `${this.root}/${ownDirectory}`;
    onTestFinished(() => fs.rmSync(this.root, { recursive: true, force: true }));
  }

  /** Full path in the form of a name (tree/path.ts). */
  at(relative: RelPath): string {
    return relative === '' ? this.root : `${this.root}/${relative}`;
  }

  write(relative: RelPath, text: string, mode = 0o644): void {
    fs.mkdirSync(toFs(this.at(parentPath(relative))), { recursive: true });
    fs.writeFileSync(toFs(this.at(relative)), text);
    fs.chmodSync(toFs(this.at(relative)), mode);
  }

  /** A file's text, `-> target` of a symlink, `dir`, or undefined. */
  read(relative: RelPath): string | undefined {
    const entry = observe(this.at(relative), 0n);
    if (entry === undefined) return undefined;
    if (entry.kind === 'symlink') return `-> ${entry.target ?? ''}`;
    return entry.kind === 'dir' ? 'dir' : fs.readFileSync(toFs(this.at(relative)), 'utf8');
  }

  /** One run that keeps versions; what it keeps is gone from the root. */
  run(runId: string, act: (keep: Keeper) => void): string {
    const handles = new DirHandles(this.root);
    const history = new HistoryWriter(new OwnDirectory(handles.rootPrefix, this.root), runId);
    try {
      act(new Keeper(this, history));
    } finally {
      history.close();
      handles.close();
    }
    return runId;
  }

  /** A run that kept texts as deleted files, whose records say that they were kept at a time. */
  keptAt(timeMs: number, files: Record<RelPath, string>): string {
    const run = this.run(runAt(timeMs), (keep) => {
      for (const [name, text] of Object.entries(files)) {
        this.write(name, text);
        keep.file(name);
      }
    });
    const index = this.index(run);
    const lines = fs.readFileSync(index, 'utf8').trim().split('\n');
    const time = new Date(timeMs).toISOString();
    const dated = lines.map((line) => `${JSON.stringify({ ...(JSON.parse(line) as HistoryRecord), time })}\n`);
    fs.writeFileSync(index, dated.join(''));
    return run;
  }

  index(run: string): string {
    return `${this.own}/history/${run}/index.jsonl`;
  }

  /** Runs that are still there. */
  runs(): string[] {
    return fs.readdirSync(`${this.own}/history`).filter((name) => !name.startsWith('summary'));
  }
}

export class Keeper {
  constructor(
    readonly on: TestRoot,
    readonly history: HistoryWriter,
  ) {}

  /** Keeps a file or symlink, or a whole directory with `clean-out`. */
  file(relative: RelPath, reason: HistoryRecord['reason'] = 'deleted'): void {
    const from = this.on.at(relative);
    const entry = observe(from, 0n);
    if (entry === undefined) throw new Error(`nothing at ${relative}`);
    const { to, record } = this.history.place(relative);
    fs.renameSync(toFs(from), toFs(to));
    record(entry, reason);
  }

  /** Writes a file and keeps it at once. */
  text(relative: RelPath, text: string): void {
    this.on.write(relative, text);
    this.file(relative);
  }

  /** Removes an empty directory and notes it. */
  directory(relative: RelPath): void {
    const from = this.on.at(relative);
    const entry = observe(from, 0n);
    if (entry === undefined) throw new Error(`nothing at ${relative}`);
    fs.rmdirSync(encodeName(from));
    this.history.keepDirectory(relative, entry, 'deleted');
  }
}
