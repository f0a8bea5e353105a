/** Places in history over there, in the layout of replica/local/history: either can bring back what the other has kept. */
import { mtimeUs, type Entry } from '../../tree/entry.ts';
import { parentPath, type RelPath } from '../../tree/path.ts';
import { filesDirectory, historyDirectory, indexName, type HistoryRecord } from '../local/history/layout.ts';
import type { FarRoot } from './far-root.ts';
import { lineInput } from './open.ts';

export interface Kept {
  path: RelPath;
  /** Where it lies, relative to the run's directory. */
  at: string;
  entry: Entry;
  reason: HistoryRecord['reason'];
}

export class FarHistory {
  readonly #root: FarRoot;
  /** What this run has put where: files, and directories that must stay such. */
  readonly #files = new Set<string>();
  readonly #dirs = new Set<string>();
  readonly #made = new Set<string>();

  constructor(root: FarRoot) {
    this.#root = root;
  }

  /** The `files…` directory in which a version of a path has room: nothing of this run is in its way. */
  filesFor(path: RelPath): string {
    for (let n = 1; ; n += 1) {
      const files = filesDirectory(n);
      const at = `${files}/${path}`;
      const parents = parentsOf(at);
      if (this.#files.has(at) || this.#dirs.has(at) || parents.some((parent) => this.#files.has(parent))) continue;
      return files;
    }
  }

  /** Reserves the place of a version; its directory is there afterwards. @returns where, relative to the run's directory */
  async reserve(path: RelPath): Promise<string> {
    const at = `${this.filesFor(path)}/${path}`;
    this.#files.add(at);
    for (const parent of parentsOf(at)) this.#dirs.add(parent);
    await this.#make(parentPath(at));
    return at;
  }

  /** Where something relative to the run's directory lies, relative to `.lockstep`. */
  path(at: string): string {
    return `${historyDirectory}/${this.#root.request.runId}/${at}`;
  }

  /** Notes a removed directory, so that its permission bits come back with it. */
  async keepDirectory(path: RelPath): Promise<string> {
    for (let n = 1; ; n += 1) {
      const at = `${filesDirectory(n)}/${path}`;
      if (this.#files.has(at) || parentsOf(at).some((parent) => this.#files.has(parent))) continue;
      this.#dirs.add(at);
      for (const parent of parentsOf(at)) this.#dirs.add(parent);
      await this.#make(at);
      return at;
    }
  }

  /** Adds lines to the run's index. */
  async record(kept: readonly Kept[]): Promise<void> {
    if (kept.length === 0) return;
    await this.#make('');
    const lines = kept.map(({ path, at, entry, reason }) => {
      const record: HistoryRecord = {
        path,
        at,
        kind: entry.kind === 'dir' || entry.kind === 'symlink' ? entry.kind : 'file',
        mode: entry.mode,
        size: entry.size,
        mtimeUs: mtimeUs(entry).toString(),
        time: new Date().toISOString(),
        reason,
      };
      return `${JSON.stringify(record)}\n`;
    });
    const bytes = Buffer.from(lines.join(''));
    const { session, request } = this.#root;
    await session.must(
      { code: `index ${request.runId} ${bytes.length}`, input: bytes },
      `write ${indexName} of history`,
    );
  }

  async #make(at: string): Promise<void> {
    if (this.#made.has(at)) return;
    this.#made.add(at);
    const place = at === '' ? `${historyDirectory}/${this.#root.request.runId}` : this.path(at);
    await this.#root.session.must({ code: 'place', input: lineInput(place) }, 'make room in history');
  }
}

function parentsOf(at: string): string[] {
  const parents: string[] = [];
  for (let dir = parentPath(at); dir !== ''; dir = parentPath(dir)) parents.push(dir);
  return parents;
}
