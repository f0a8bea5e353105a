/**
 * Watching a root: one `fs.watch` per directory that is not ignored, or one for all where the system has such (DESIGN §3.2).
 *
 * Invariants:
 *  - A directory is watched before it is listed (scan.ts and look.ts call `enter` first), so what comes into it after the
 *    listing is told of, and what came before is in the listing.
 *  - A name that was created, removed or renamed may stand for another directory than the one that is watched under it, even
 *    with the same inode. It is remembered (`#renamed`) until a look has seen that it is the same, or has dropped its watches
 *    and walked it anew. (That a directory's times or mode were changed comes as the same event.)
 *  - What cannot be watched is polled, and what is not known any more is said to be lost: nothing is silently not looked at.
 */
import fs, { type BigIntStats, type FSWatcher } from 'node:fs';
import { errnoCode, reasonOf } from '../../../base/errors.ts';
import { DirtySet } from '../../dirty-set.ts';
import type { WatchEvent, WatchOptions } from '../../watching.ts';
import { baseName, decodeName, ownDirectory, parentPath, type RelPath } from '../../../tree/path.ts';
import { maxPathLength, type DirHandles } from '../dir-handles.ts';
import { toFs } from '../fs-path.ts';
import { countEvent, joinBursts, leaveBursts } from './bursts.ts';
import { silenceOf, wantOfWatches } from './limits.ts';
import { Polls } from './polls.ts';
import { WatchTree, type Watched } from './watch-tree.ts';

/** What is told is gathered for so long, ms: a tree that is being written must not be told of file by file. */
const gapMs = 2;

/** A directory that changed no longer ago than this may just be changing, ms. */
const recentMs = 2000;
const againMs = 50;

/** How the system lets directories be watched. */
export interface SystemWatch {
  /** A directory can be watched with all below it, by the system itself: Linux has no such thing, and Node's makeshift loses events. */
  hasRecursive: boolean;
  watch: typeof fs.watch;
}

const thisSystem: SystemWatch = {
  hasRecursive: process.platform === 'darwin',
  watch: fs.watch,
};

export class RootWatcher {
  readonly #handles: DirHandles;
  readonly #system: SystemWatch;
  readonly #tree = new WatchTree();
  readonly #dirty = new DirtySet();
  /** Names that were created, removed or renamed since they were last looked at; undefined: any name in the directory. */
  #renamed = new DirtySet();
  /** Those from before the sweep that is under way: it enters every directory anew. */
  #renamedBefore = new DirtySet();
  readonly #polls: Polls;
  /** Directories whose own entries are to be looked at again. */
  readonly #again: RelPath[] = [];
  #generation = 0;
  /** Why directories are polled; they are not tried again before the next sweep. */
  #want: string | undefined;
  #pollsTold = 0;
  #wake: (() => void) | undefined;
  #closed = false;

  /** What need not be told; set when the rules are known. @param name in the directory `dir` */
  isOfNoInterest: (dir: RelPath, name: string) => boolean = () => false;

  constructor(handles: DirHandles, options: WatchOptions, system = thisSystem) {
    this.#handles = handles;
    this.#system = system;
    this.#want = silenceOf(handles.root);
    this.#polls = new Polls(handles, options.pollMs, (dir) => this.#tell(dir, undefined));
    joinBursts(this);
  }

  /** Watches a directory, anew if it is watched already. Call before it is listed. */
  enter(dir: RelPath): void {
    if (this.#closed) return;
    const old = this.#tree.get(dir);
    const before = this.#statsOf(dir);
    const watcher = this.#watch(dir);
    const after = this.#statsOf(dir);
    // Another directory may have come in its place while it was being watched.
    const ino = before?.ino === after?.ino ? (after?.ino ?? 0n) : 0n;
    if (watcher !== 'none') {
      const own = watcher === 'with-root' ? undefined : watcher;
      this.#tree.set(dir, { watcher: own, ino, since: Date.now(), generation: this.#generation });
    }
    // What came into it just before it was watched moved its times, maybe after its own entry was looked at.
    if (dir !== '' && after !== undefined && Date.now() - Number(after.mtimeMs) < recentMs) this.#lookAgain(dir);
    if (watcher === undefined) this.#polls.add(dir);
    else this.#polls.delete(dir);
    // After the new one has begun: the kernel knows both as one and goes on telling.
    old?.watcher?.close();
  }

  /** A full scan begins: what it does not enter is let go of at its end. */
  beginSweep(): void {
    this.#generation += 1;
    this.#want = silenceOf(this.#handles.root);
    this.#renamedBefore = this.#renamed;
    this.#renamed = new DirtySet();
  }

  /** @param completed it entered everything there is; else all stays as it was */
  endSweep(completed: boolean): void {
    if (completed) {
      for (const { watcher } of this.#tree.dropOlder(this.#generation)) watcher?.close();
      this.#polls.keep((dir) => this.#tree.get(dir) !== undefined);
    } else this.#renamed.addFrom(this.#renamedBefore);
    this.#renamedBefore = new DirtySet();
    this.#notify();
  }

  /** Lets go of a directory and everything below it: it is gone, or is about to be entered anew. */
  drop(dir: RelPath): void {
    for (const { watcher } of this.#tree.drop(dir)) watcher?.close();
    this.#polls.dropBelow(dir);
  }

  /**
   * Something is being looked at: whatever its name was renamed to or from is known now.
   *
   * @returns whether it is, if a directory, one to be walked with all below it: not watched yet, or maybe not the one that is
   */
  takeIsNew(path: RelPath, stats: BigIntStats | undefined): boolean {
    const wasRenamed = this.#renamed.takeName(parentPath(path), baseName(path));
    const watched = this.#tree.get(path);
    return watched === undefined || (wasRenamed && !isSame(watched, stats));
  }

  lose(reason: string): void {
    this.#dirty.lose(reason);
    this.#notify();
  }

  /** What may have changed, as it comes, until the signal is aborted or the watcher is closed. For one taker. */
  async *events(signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    const stop = (): void => this.#notify();
    signal.addEventListener('abort', stop);
    try {
      for (;;) {
        while (this.#dirty.isEmpty && this.#polls.size === this.#pollsTold && !this.#isOver(signal))
          await this.#woken();
        if (this.#isOver(signal)) return;
        if (this.#polls.size !== this.#pollsTold) {
          this.#pollsTold = this.#polls.size;
          yield { type: 'polled', directories: this.#polls.size, reason: this.#want ?? '' };
        }
        const { directories, lost } = this.#dirty.take();
        if (lost !== undefined) yield { type: 'lost', reason: lost };
        else if (directories.length > 0) yield { type: 'dirty', directories };
        await new Promise((resolve) => setTimeout(resolve, gapMs));
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.#closed = true;
    leaveBursts(this);
    this.#polls.close();
    for (const { watcher } of this.#tree.drop('')) watcher?.close();
    this.#notify();
  }

  #isOver(signal: AbortSignal): boolean {
    return this.#closed || signal.aborted;
  }

  /** @returns undefined where it has to be polled, `none` where there is nothing to watch */
  #watch(dir: RelPath): FSWatcher | undefined | 'none' | 'with-root' {
    if (this.#want !== undefined) return undefined;
    const recursive = this.#system.hasRecursive;
    if (recursive && dir !== '') return 'with-root';
    try {
      const path = this.#pathOf(dir);
      const self = baseName(path);
      const watcher = this.#system.watch(toFs(path), { encoding: 'buffer', persistent: false, recursive });
      watcher.on('change', (kind, given) => {
        countEvent();
        const bytes = given as Buffer | null;
        const name = bytes === null ? undefined : decodeName(bytes);
        if (recursive) this.#eventBelow(kind, name);
        else this.#event(kind, dir, name, name === undefined || name === self);
      });
      // What is wrong with it is found by looking.
      watcher.on('error', () => {
        if (recursive) this.lose('the system does not tell of changes any more');
        else this.#tell(dir, undefined);
      });
      return watcher;
    } catch (error) {
      // Without the one watcher of the whole root nobody would tell of any directory: they are polled.
      // What vanished or may not be read is the scan's affair; whatever else keeps one from being had, it is polled.
      const isScansAffair = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM'].includes(errnoCode(error) ?? '');
      this.#want = wantOfWatches(error) ?? (recursive || !isScansAffair ? reasonOf(error) : undefined);
      return this.#want === undefined ? 'none' : undefined;
    }
  }

  #statsOf(dir: RelPath): BigIntStats | undefined {
    try {
      return fs.lstatSync(toFs(this.#pathOf(dir)), { bigint: true, throwIfNoEntry: false });
    } catch {
      return undefined;
    }
  }

  #lookAgain(dir: RelPath): void {
    if (this.#again.length === 0) {
      setTimeout(() => {
        for (const each of this.#again.splice(0)) this.#tell(parentPath(each), baseName(each));
      }, againMs).unref();
    }
    this.#again.push(dir);
  }

  #pathOf(dir: RelPath): string {
    const plain = dir === '' ? this.#handles.root : `${this.#handles.root}/${dir}`;
    return plain.length < maxPathLength ? plain : this.#handles.enter(dir);
  }

  /** @param mayBeItself libuv calls a directory that was itself removed or renamed by its own name, as if it were in itself */
  #event(kind: string, dir: RelPath, name: string | undefined, mayBeItself: boolean): void {
    if (name !== undefined && this.#isOwn(dir, name)) return;
    if (kind === 'rename') {
      this.#renamed.add(dir, name);
      if (mayBeItself && dir !== '') {
        this.#renamed.add(parentPath(dir), baseName(dir));
        this.#tell(parentPath(dir), baseName(dir));
      }
    }
    if (name !== undefined && this.isOfNoInterest(dir, name)) return;
    this.#tell(dir, name);
  }

  /** An event of the one watcher of the whole root. @param path what it is about, from the root on; empty: the root itself */
  #eventBelow(kind: string, path: string | undefined): void {
    if (path === undefined) {
      this.lose('the system does not say what has changed');
      return;
    }
    if (path === '') {
      this.#event(kind, '', undefined, false);
      return;
    }
    let [dir, name] = [parentPath(path), baseName(path)];
    // In a directory that was not entered: it is ignored, or new itself, and then looked at with all below it.
    while (dir !== '' && this.#tree.get(dir) === undefined) [dir, name] = [parentPath(dir), baseName(dir)];
    this.#event(kind, dir, name, false);
  }

  #isOwn(dir: RelPath, name: string): boolean {
    return name === ownDirectory && dir === '';
  }

  #tell(dir: RelPath, name: string | undefined): void {
    this.#dirty.add(dir, name);
    this.#notify();
  }

  async #woken(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    // What comes in the same turn belongs to it.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** Clocks of files step by so much; a directory that was made within it may be older or younger than its watch, ms. */
const tickMs = 20;

/** Certainly the directory that is watched: an inode may be given away again at once, but not with a time of birth before that. */
function isSame({ ino, since }: Watched, stats: BigIntStats | undefined): boolean {
  if (stats === undefined || ino === 0n || stats.ino !== ino || stats.birthtimeNs === 0n) return false;
  return stats.birthtimeNs / 1_000_000n < BigInt(since - tickMs);
}
