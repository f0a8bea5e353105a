/**
 * Putting versions into history while changes are applied.
 *
 * Invariant: a version is in history (linked or renamed there, on the same file system) before its name is given to
 * something else, and it is only taken for kept once what lies there has been seen to be what was planned.
 */
import fs from 'node:fs';
import { errnoCode } from '../../../base/errors.ts';
import { mtimeUs, type Entry } from '../../../tree/entry.ts';
import { ownDirectory, parentPath, baseName, isValidName, type RelPath } from '../../../tree/path.ts';
import { DirHandles } from '../dir-handles.ts';
import { toFs } from '../fs-path.ts';
import { makeDirectory, type OwnDirectory } from '../own-directory.ts';
import { filesDirectory, historyDirectory, indexName, type HistoryRecord } from './layout.ts';

export class HistoryWriter {
  readonly #own: OwnDirectory;
  readonly #runId: string;
  #run: { handles: DirHandles; path: string; index: number } | undefined;
  readonly #made = new Set<RelPath>();

  constructor(own: OwnDirectory, runId: string) {
    this.#own = own;
    this.#runId = runId;
  }

  /** Something was kept in this run. */
  get used(): boolean {
    return this.#run !== undefined;
  }

  /**
   * A free place for a version of `path`: full path of a name that does not exist, its parents made.
   *
   * @returns the place, good until `settle` or the event loop's turn; and `record` to be called once the version lies there
   */
  place(path: RelPath): {
    to: string;
    record: (entry: Entry, reason: HistoryRecord['reason']) => void;
  } {
    mustBePath(path);
    const run = this.#open();
    for (let n = 1; ; n += 1) {
      const files = filesDirectory(n);
      const to = this.#freeName(run.handles, files, path);
      if (to === undefined) continue;
      const record = (entry: Entry, reason: HistoryRecord['reason']): void => {
        this.#append({ path, at: `${files}/${path}`, entry, reason });
      };
      return { to, record };
    }
  }

  /** Closes directories that are not needed any more, within long work; see DirHandles. */
  settle(): void {
    this.#run?.handles.settle();
  }

  /** Notes a removed directory, so that its permission bits come back with it. */
  keepDirectory(path: RelPath, entry: Entry, reason: HistoryRecord['reason']): void {
    mustBePath(path);
    const run = this.#open();
    for (let n = 1; ; n += 1) {
      const at = `${filesDirectory(n)}/${path}`;
      // Where a file of that name was kept earlier in the run, there can be no directory.
      if (!this.#makeRoom(run.handles, `${at}/x`)) continue;
      this.#append({ path, at, entry, reason });
      return;
    }
  }

  close(): void {
    if (this.#run === undefined) return;
    fs.closeSync(this.#run.index);
    this.#run.handles.close();
    this.#run = undefined;
  }

  #open(): { handles: DirHandles; path: string; index: number } {
    if (this.#run !== undefined) return this.#run;
    const path = this.#own.ensure(historyDirectory, this.#runId);
    const index = fs.openSync(`${path}/${indexName}`, 'a', 0o600);
    this.#run = { handles: new DirHandles(path), path, index };
    return this.#run;
  }

  /** undefined when this `files-n` already has something under the path, or a file where the path needs a directory. */
  #freeName(handles: DirHandles, files: string, path: RelPath): string | undefined {
    const full = `${files}/${path}`;
    if (!this.#makeRoom(handles, full)) return undefined;
    const to = `${handles.enter(parentPath(full))}/${baseName(full)}`;
    return fs.lstatSync(toFs(to), { throwIfNoEntry: false }) === undefined ? to : undefined;
  }

  /** @returns false where a file stands in place of a parent */
  #makeRoom(handles: DirHandles, path: RelPath): boolean {
    try {
      this.#makeParents(handles, path);
      return true;
    } catch (error) {
      // Where DirHandles has no handles, it says `io` (dir-handles.ts).
      if (['ENOTDIR', 'EEXIST', 'io'].includes(errnoCode(error) ?? '')) return false;
      throw error;
    }
  }

  #makeParents(handles: DirHandles, path: RelPath): void {
    const parent = parentPath(path);
    if (parent === '' || this.#made.has(parent)) return;
    this.#makeParents(handles, parent);
    makeDirectory(`${handles.enter(parentPath(parent))}/${baseName(parent)}`);
    // A file of that name from an earlier step: `enter` fails with ENOTDIR.
    handles.enter(parent);
    this.#made.add(parent);
  }

  #append(version: { path: RelPath; at: string; entry: Entry; reason: HistoryRecord['reason'] }): void {
    const { entry } = version;
    const record: HistoryRecord = {
      path: version.path,
      at: version.at,
      kind: entry.kind === 'dir' || entry.kind === 'symlink' ? entry.kind : 'file',
      mode: entry.mode,
      size: entry.size,
      mtimeUs: mtimeUs(entry).toString(),
      time: new Date().toISOString(),
      reason: version.reason,
    };
    fs.writeSync(this.#open().index, `${JSON.stringify(record)}\n`);
  }
}

/** Anything else would lead out of history, or to a place that is never free. */
function mustBePath(path: RelPath): void {
  if (!path.split('/').every(isValidName)) throw new Error(`no path that could be kept: ${JSON.stringify(path)}`);
}

/** Where history is below a root, for messages. */
export const historyPath = `${ownDirectory}/${historyDirectory}`;
