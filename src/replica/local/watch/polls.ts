/**
 * Directories that cannot be watched: looked at every few seconds. What is kept of each is a digest of its entries'
 * metadata, so that one in which nothing changed is not told of.
 */
import fs from 'node:fs';
import { monotonicMs } from '../../../base/clock.ts';
import { crypto } from '../../../base/builtins.ts';
import { errnoCode } from '../../../base/errors.ts';
import { isWithin, type RelPath } from '../../../tree/path.ts';
import type { DirHandles } from '../dir-handles.ts';
import { toFs } from '../fs-path.ts';
import { readNames } from '../names.ts';
import { sliceMs } from '../slices.ts';

/** Polling takes no more than this share of the time, however many directories there are. */
const shareOfTime = 0.05;

export class Polls {
  readonly #handles: DirHandles;
  readonly #pollMs: number;
  readonly #onChange: (dir: RelPath) => void;
  readonly #known = new Map<RelPath, string>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(handles: DirHandles, pollMs: number, onChange: (dir: RelPath) => void) {
    this.#handles = handles;
    this.#pollMs = pollMs;
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Call before the directory is listed: what changes after that will be told. */
  add(dir: RelPath): void {
    this.#known.set(dir, this.#digest(dir));
    this.#timer ??= this.#later(this.#pollMs);
  }

  delete(dir: RelPath): void {
    this.#known.delete(dir);
  }

  dropBelow(dir: RelPath): void {
    if (this.#known.size > 0) this.keep((each) => !isWithin(each, dir));
  }

  keep(isKept: (dir: RelPath) => boolean): void {
    for (const dir of [...this.#known.keys()]) if (!isKept(dir)) this.#known.delete(dir);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#known.clear();
  }

  #later(ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.#round(), ms).unref();
  }

  async #round(): Promise<void> {
    let worked = 0;
    let sliceStart = monotonicMs();
    for (const dir of [...this.#known.keys()]) {
      if (monotonicMs() - sliceStart > sliceMs) {
        worked += monotonicMs() - sliceStart;
        await new Promise((resolve) => setImmediate(resolve));
        sliceStart = monotonicMs();
      }
      const known = this.#known.get(dir);
      if (known === undefined) continue;
      const now = this.#digest(dir);
      if (now === known) continue;
      this.#known.set(dir, now);
      this.#onChange(dir);
    }
    worked += monotonicMs() - sliceStart;
    this.#timer = undefined;
    if (!this.#closed && this.#known.size > 0) this.#timer = this.#later(Math.max(this.#pollMs, worked / shareOfTime));
  }

  /** What cannot be read has a digest of its own: that it has become so, or is so no longer, is a change. */
  #digest(dir: RelPath): string {
    try {
      const prefix = this.#handles.enter(dir);
      const hash = crypto().createHash('sha256');
      for (const name of readNames(prefix)) {
        const stats = fs.lstatSync(toFs(`${prefix}/${name}`), { bigint: true, throwIfNoEntry: false });
        const { ino, mode, size, mtimeNs, ctimeNs } = stats ?? {};
        hash.update(`${name}/${ino} ${mode} ${size} ${mtimeNs} ${ctimeNs}\n`);
      }
      return hash.digest().toString('latin1');
    } catch (error) {
      return errnoCode(error) ?? 'not a directory';
    }
  }
}
