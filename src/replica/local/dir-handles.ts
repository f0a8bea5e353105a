/**
 * Directories held open, so that a path is walked down once and never through a symlink (DESIGN §6.4).
 *
 * Node has no `openat`, but on Linux `/proc/self/fd/N/name` names a child of an open directory whatever has become of its
 * path since. A directory is opened through its parent's handle with O_NOFOLLOW: somebody who swaps a directory for a
 * symlink while a sync runs gets ENOTDIR and not our writes. Elsewhere each component is checked with `lstat` and used by
 * path; the worst case there is a swap within the microseconds between the check and the use.
 */
import fs from 'node:fs';
import { monotonicMs } from '../../base/clock.ts';
import { LockstepError } from '../../base/errors.ts';
import { baseName, joinPath, ownDirectory, parentPath, type RelPath } from '../../tree/path.ts';
import { toFs } from './fs-path.ts';

/** Linux only and not among Node's constants: a handle that needs no read permission and opens nothing. */
const O_PATH = 0o10000000;
const byHandle = process.platform === 'linux' && fs.existsSync('/proc/self/fd');

/**
 * Directories with longer paths than this, in UTF-16 units of up to three bytes, are reached through handles: the kernel
 * takes 4,096 bytes in one go, of which a name needs up to 256.
 */
export const maxPathLength = 1270;

/** Handles kept at most; far below any open-file limit. */
const maxHandles = 256;
/** A handle used after this many ms is first checked to be still what its path names. */
const recheckAfterMs = 50;

interface Handle {
  fd: number;
  prefix: string;
  ino: bigint;
  checkedAt: number;
}

/** Opens any path without following a final symlink; on Linux nothing is really opened (FIFOs and devices are safe). */
export function openNoFollow(path: string): number {
  const flags = byHandle ? O_PATH | fs.constants.O_NOFOLLOW : fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  return fs.openSync(toFs(path), flags);
}

/** A path that names what a descriptor holds, for calls that Node has no descriptor form of. */
export function pathOfHandle(fd: number, path: string): string {
  return byHandle ? `/proc/self/fd/${fd}` : path;
}

/**
 * Opens a directory whose path is longer than the kernel takes in one go: one name after the other, never through a
 * symlink. For single files that cannot be reached otherwise; `DirHandles` is for many.
 *
 * @param root an absolute path that is taken as it is
 * @returns the prefix for names in the directory, and `close` to be called when they are not needed any more
 * @throws a system error (ENOENT, ENOTDIR, ELOOP, EACCES) when it is not a directory all the way down
 */
export function openFarDirectory(root: string, dir: RelPath): { prefix: string; close: () => void } {
  let at = openDirectory(root, false);
  for (const name of dir === '' ? [] : dir.split('/')) {
    const above = at;
    try {
      at = openDirectory(`${above.prefix}/${name}`, true);
    } finally {
      closeHandle(above);
    }
  }
  const handle = at;
  return { prefix: handle.prefix, close: () => closeHandle(handle) };
}

export class DirHandles {
  readonly #handles = new Map<RelPath, Handle>();
  /** No longer kept, not closed yet. */
  readonly #released: Handle[] = [];
  readonly #root: Handle;

  /** @param root absolute path of a directory; the handle keeps naming it should it be renamed */
  constructor(readonly root: string) {
    this.#root = openDirectory(root, false);
  }

  /** Prefix for names in the root: `${prefix}/${name}`. */
  get rootPrefix(): string {
    return this.#root.prefix;
  }

  /**
   * Prefix for names in a directory below the root. Good until control goes back to the event loop: whatever else is
   * entered meanwhile, its descriptor is not closed, so that its number cannot come to mean another directory.
   *
   * @throws a system error (ENOENT, ENOTDIR, ELOOP, EACCES) when it is not a directory all the way down
   */
  enter(dir: RelPath): string {
    if (dir === '') return this.#root.prefix;
    const known = this.#handles.get(dir);
    const now = monotonicMs();
    if (known !== undefined && now - known.checkedAt < recheckAfterMs) return known.prefix;
    const parent = this.enter(parentPath(dir));
    // Asked for again: entering the parents may have let go of it.
    const cached = this.#handles.get(dir);
    const path = `${parent}/${baseName(dir)}`;
    if (cached !== undefined) {
      const stats = fs.lstatSync(toFs(path), { bigint: true, throwIfNoEntry: false });
      if (stats?.isDirectory() === true && stats.ino === cached.ino) {
        cached.checkedAt = now;
        return cached.prefix;
      }
      this.forget(dir);
    }
    const handle = openDirectory(path, true);
    if (parent === this.#root.prefix && this.#isOwn(dir, handle)) {
      closeHandle(handle);
      throw new LockstepError('io', `this file system takes it for ${ownDirectory}, which is Lockstep's own`, {
        path: dir,
      });
    }
    this.#keep(dir, handle);
    return handle.prefix;
  }

  /** Another name of Lockstep's own directory: without regard to case, or shortened (FAT). Nobody's content goes there. */
  #isOwn(dir: RelPath, handle: Handle): boolean {
    if (dir === ownDirectory) return false;
    const own = fs.lstatSync(`${this.#root.prefix}/${ownDirectory}`, { bigint: true, throwIfNoEntry: false });
    return own?.isDirectory() === true && own.ino === handle.ino;
  }

  /** From now on nothing that was seen earlier counts: each directory is first checked to be still what its path names. */
  doubt(): void {
    for (const handle of this.#handles.values()) handle.checkedAt = -Infinity;
  }

  /** Full path of an entry, by handle of its directory. Throws as `enter`. */
  locate(path: RelPath): string {
    return path === '' ? this.#root.prefix : `${this.enter(parentPath(path))}/${baseName(path)}`;
  }

  /** Lets go of a directory and all below it: it is about to be renamed or removed. */
  forget(dir: RelPath): void {
    const below = joinPath(dir, '');
    for (const [path, handle] of this.#handles) {
      if (path !== dir && !path.startsWith(below)) continue;
      this.#handles.delete(path);
      this.#release(handle);
    }
  }

  /**
   * Closes what was let go of, instead of leaving that to the event loop: for long work that does not give control back. No
   * prefix that was given before is good any more.
   */
  settle(): void {
    if (this.#released.length === 0) return;
    for (const handle of this.#released.splice(0)) closeHandle(handle);
  }

  close(): void {
    for (const handle of this.#handles.values()) closeHandle(handle);
    this.#handles.clear();
    this.settle();
    closeHandle(this.#root);
  }

  #keep(dir: RelPath, handle: Handle): void {
    if (this.#handles.size >= maxHandles) {
      // The oldest half goes at once.
      let count = maxHandles / 2;
      for (const [path, old] of this.#handles) {
        if (count === 0) break;
        count -= 1;
        this.#handles.delete(path);
        this.#release(old);
      }
    }
    this.#handles.set(dir, handle);
  }

  #release(handle: Handle): void {
    if (this.#released.push(handle) === 1) setImmediate(() => this.settle());
  }
}

function openDirectory(path: string, noFollow: boolean): Handle {
  const stop = noFollow ? fs.constants.O_NOFOLLOW : 0;
  if (!byHandle) {
    const stats = fs.lstatSync(toFs(path), { bigint: true });
    if (noFollow && !stats.isDirectory()) throw new LockstepError('io', 'not a directory', { path });
    return { fd: -1, prefix: path, ino: stats.ino, checkedAt: monotonicMs() };
  }
  const fd = fs.openSync(toFs(path), O_PATH | fs.constants.O_DIRECTORY | stop);
  const { ino } = fs.fstatSync(fd, { bigint: true });
  return { fd, prefix: `/proc/self/fd/${fd}`, ino, checkedAt: monotonicMs() };
}

function closeHandle(handle: Handle): void {
  if (handle.fd >= 0) fs.closeSync(handle.fd);
}

/** Device and inode of the root, `dev:ino`. */
export function inodeOf({ rootPrefix }: DirHandles): string {
  const { dev, ino } = fs.statSync(rootPrefix, { bigint: true });
  return `${dev}:${ino}`;
}
