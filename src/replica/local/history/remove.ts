/** Removing versions from disk, and what is left of a run when they are gone. */
import fs from 'node:fs';
import { errnoCode, reasonOf } from '../../../base/errors.ts';
import { parentPath } from '../../../tree/path.ts';
import { preorder } from '../../../tree/preorder.ts';
import { toFs } from '../fs-path.ts';
import { readNames } from '../names.ts';
import { pause, type Work } from '../slices.ts';
import { lstatIfPresent } from '../stat.ts';
import { linesByPlace } from './index-file.ts';
import { indexName } from './layout.ts';
import { isGone, type HistoryReader, type StoredVersion } from './read.ts';

export class Remover {
  removed = 0;
  bytes = 0;
  /** What could not be removed, and why. */
  readonly problems: string[] = [];
  readonly #reader: HistoryReader;
  readonly #isActive: (run: string) => boolean;

  /** @param isActive of runs that are going on: their directories and their indexes stay as they are */
  constructor(reader: HistoryReader, isActive: (run: string) => boolean) {
    this.#reader = reader;
    this.#isActive = isActive;
  }

  /** @returns the versions that are gone; a directory that something is left in is not */
  *remove(run: string, doomed: readonly StoredVersion[]): Work<StoredVersion[]> {
    const gone: StoredVersion[] = [];
    const directories = doomed.filter((version) => version.kind === 'dir');
    for (const version of doomed) {
      yield pause;
      if (version.kind !== 'dir' && this.#unlink(run, version)) this.#note(version, gone);
    }
    if (this.#isActive(run)) return gone;
    // Deeper ones first: what a directory holds is longer than its own place.
    for (const version of directories.sort((a, b) => b.at.length - a.at.length)) {
      yield pause;
      if (version.problem !== undefined) this.#emptyUnread(run, version);
      if (this.#removeDirectory(run, version.at)) this.#note(version, gone);
    }
    return gone;
  }

  /**
   * Removes the empty directories and the lines that what was removed has left behind.
   *
   * @param remaining all versions that the run still has
   * @returns whether the run itself is gone
   */
  *tidy(run: string, remaining: readonly StoredVersion[]): Work<boolean> {
    const kept = new Set(remaining.map((version) => version.at));
    for (const files of this.#reader.filesDirectories(run)) yield* this.#removeEmpty(run, files, kept);
    if (remaining.length > 0) {
      this.#rewriteIndex(run, kept);
      return false;
    }
    return this.#removeRun(run);
  }

  #note(version: StoredVersion, gone: StoredVersion[]): void {
    gone.push(version);
    this.removed += 1;
    this.bytes += version.size;
  }

  #unlink(run: string, version: StoredVersion): boolean {
    return this.#attempt(version.fullPath, () => {
      this.#withAccess(run, version.at, () => fs.unlinkSync(toFs(this.#reader.locate(run, version.at))));
    });
  }

  /** rmdir only: it fails where something is left. */
  #removeDirectory(run: string, at: string): boolean {
    this.#reader.forget(run, at);
    let removed = true;
    const done = this.#attempt(at, () => {
      try {
        this.#withAccess(run, at, () => fs.rmdirSync(toFs(this.#reader.locate(run, at))));
      } catch (error) {
        const code = errnoCode(error);
        if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
        removed = false;
      }
    });
    return done && removed;
  }

  /** A directory kept whole that nobody may look into: all in it was kept with it, and goes with it. */
  #emptyUnread(run: string, version: StoredVersion): void {
    this.#attempt(version.fullPath, () => {
      const path = this.#reader.locate(run, version.at);
      fs.chmodSync(toFs(path), 0o700);
      this.#reader.forget(run, version.at);
      for (const name of readNames(path)) fs.rmSync(toFs(`${path}/${name}`), { recursive: true, force: true });
    });
  }

  /** No path of an earlier one is used in it. */
  #attempt(what: string, act: () => void): boolean {
    this.#reader.settle();
    try {
      act();
      return true;
    } catch (error) {
      if (isGone(error)) return true;
      // Anything but a system error is a defect of ours.
      if (errnoCode(error) === undefined) throw error;
      this.problems.push(`${what}: ${reasonOf(error)}`);
      return false;
    }
  }

  /** A directory that was kept whole may forbid writing in it (0555); it is given back its mode afterwards. */
  #withAccess(run: string, at: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      const parent = parentPath(at);
      const mode = errnoCode(error) === 'EACCES' ? this.#modeOf(run, parent) : undefined;
      if (mode === undefined || (mode & 0o700) === 0o700) throw error;
      fs.chmodSync(toFs(this.#reader.locate(run, parent)), mode | 0o700);
      try {
        act();
      } finally {
        if (this.#modeOf(run, parent) !== undefined) fs.chmodSync(toFs(this.#reader.locate(run, parent)), mode);
      }
    }
  }

  #modeOf(run: string, at: string): number | undefined {
    const stats = lstatIfPresent(this.#reader.locate(run, at));
    return stats?.isDirectory() === true ? Number(stats.mode) & 0o7777 : undefined;
  }

  *#removeEmpty(run: string, top: string, kept: ReadonlySet<string>): Work<void> {
    const dirs: string[] = [];
    for (const dir of preorder(top, (above) => this.#directoriesIn(run, above))) {
      yield pause;
      dirs.push(dir);
    }
    for (const dir of dirs.reverse()) {
      yield pause;
      if (!kept.has(dir)) this.#removeDirectory(run, dir);
    }
  }

  #directoriesIn(run: string, dir: string): string[] {
    let below: string[] = [];
    this.#attempt(dir, () => {
      const path = this.#reader.locate(run, dir);
      below = readNames(path).filter((name) => lstatIfPresent(`${path}/${name}`)?.isDirectory() === true);
    });
    return below.map((name) => `${dir}/${name}`);
  }

  #rewriteIndex(run: string, kept: ReadonlySet<string>): void {
    const lines = this.#reader.indexLines(run);
    const latest = linesByPlace(lines);
    const left = lines.filter((line) => kept.has(line.record.at) && latest.get(line.record.at) === line);
    if (left.length === lines.length) return;
    this.#attempt(indexName, () => {
      const temporary = this.#reader.locate(run, `${indexName}.new`);
      fs.rmSync(temporary, { force: true });
      const text = left.map((line) => `${line.text}\n`).join('');
      // Not flushed to the disk: should a power cut cost it, the versions are still there, only less well described.
      fs.writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
      fs.renameSync(temporary, this.#reader.locate(run, indexName));
    });
  }

  #removeRun(run: string): boolean {
    for (const name of [indexName, `${indexName}.new`]) {
      this.#attempt(name, () => fs.rmSync(this.#reader.locate(run, name), { force: true }));
    }
    this.#reader.forget(run, '');
    return this.#removeDirectory(run, '');
  }
}
