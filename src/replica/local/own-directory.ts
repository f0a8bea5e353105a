/**
 * `.lockstep/`, Lockstep's own directory inside a root (DESIGN §3.8): lock, id, tokens, staging, history. On the root's own
 * file system, so that staged content and history are one rename away. Made only when something needs it.
 *
 *     .lockstep/.gitignore            `*`
 *     .lockstep/lock                  who is at work here (lock.ts)
 *     .lockstep/id                    the root's identity (two-way)
 *     .lockstep/links/<link>          token of the last run of a link (two-way)
 *     .lockstep/staging/<run>/        content on its way in; gone after the run
 *     .lockstep/staging/<run>/parked/ files half-way through a rename: the user's only copy
 *     .lockstep/partial/<path>.<run>  what came of a large file before its transfer broke off (partials.ts)
 *     .lockstep/history/<run>/        versions that would exist nowhere else (history.ts)
 */
import fs from 'node:fs';
import { crypto } from '../../base/builtins.ts';
import { errnoCode, GuardError, LockstepError, reasonOf } from '../../base/errors.ts';
import { ownDirectory } from '../../tree/path.ts';
import { readNames } from './names.ts';
import { readOwnFile } from './read.ts';
import { lstatIfPresent } from './stat.ts';
import { toFs } from './fs-path.ts';
import { timeArgument } from './utime.ts';

/** Its directories. */
const directories = ['staging', 'partial', 'links', 'history'];

/**
 * Invariant: nothing outside the root is read, written or removed by way of what lies in it. A tree that came from somewhere else (an archive, a
 * clone) may bring a `.lockstep` of its own, with symlinks in it. So every directory below is seen to be one before something in it is
 * touched, files are read without following links, written as new ones and renamed, and what is removed recursively
 * is not followed. (Who may write into `.lockstep` while we are at work could still put a link there in between; that is its owner.)
 */
export class OwnDirectory {
  /** Path of `.lockstep`, through the root's handle. */
  readonly path: string;
  readonly #root: string;
  readonly #rootPrefix: string;
  #exists: boolean;

  /**
   * The same by its plain path. Staging goes by it: a path through a handle costs 2 µs more a call, and what is staged is
   * made with O_EXCL inside a directory that only its owner may enter.
   */
  readonly plainPath: string;

  constructor(rootPrefix: string, root: string) {
    this.#root = root;
    this.#rootPrefix = rootPrefix;
    this.plainPath = `${root}/${ownDirectory}`;
    this.path = `${rootPrefix}/${ownDirectory}`;
    const stats = this.#look();
    this.#exists = stats !== undefined;
    if (stats === undefined) return;
    if (!stats.isDirectory()) throw this.#noDirectory([]);
    unlessForbidden(() => {
      for (const name of directories) if (this.#isDirectory([name]) === false) throw this.#noDirectory([name]);
    });
  }

  #look(): fs.Stats | undefined {
    try {
      return fs.lstatSync(this.path, { throwIfNoEntry: false });
    } catch (error) {
      throw new GuardError('root-unreadable', `${this.#root} cannot be read: ${reasonOf(error)}`, {
        path: this.#root,
        hint: 'Check its permissions, or run as a user who may read it.',
        cause: error,
      });
    }
  }

  get exists(): boolean {
    return this.#exists;
  }

  /** Path of a directory below, made with its parents if needed. */
  ensure(...names: string[]): string {
    this.#create();
    for (let depth = 1; depth <= names.length; depth += 1) {
      const part = names.slice(0, depth);
      makeDirectory(this.#pathOf(part));
      if (this.#isDirectory(part) === false) throw this.#noDirectory(part);
    }
    return this.#pathOf(names);
  }

  read(...names: string[]): string | undefined {
    return unlessForbidden(() => (this.#isReached(names) ? readOwnFile(this.#pathOf(names)) : undefined));
  }

  /** Replaces a small file atomically, and has it stored. */
  write(text: string, ...names: string[]): void {
    this.#write(text, names, true);
  }

  /** As `write`, but after a crash of the machine it may be the old one, or empty. */
  writeQuickly(text: string, ...names: string[]): void {
    this.#write(text, names, false);
  }

  #write(text: string, names: readonly string[], flush: boolean): void {
    const dir = this.ensure(...names.slice(0, -1));
    const path = `${dir}/${names.at(-1) ?? ''}`;
    const temporary = `${path}.${crypto().randomBytes(6).toString('hex')}`;
    fs.writeFileSync(temporary, text, { mode: 0o600, flag: 'wx', flush });
    fs.renameSync(temporary, path);
  }

  /** Names in a directory below; empty when it is not there. */
  list(...names: string[]): string[] {
    if (!this.#isReached(names) || this.#isDirectory(names) === false) return [];
    try {
      return readNames(this.#pathOf(names));
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** Removes what is below with everything in it; of a link only that. */
  remove(...names: string[]): void {
    if (this.#isReached(names)) fs.rmSync(this.#pathOf(names), { recursive: true, force: true });
  }

  /** Removes `.lockstep` itself if nothing but its `.gitignore` is left in it. */
  removeIfBare(): void {
    if (!this.#exists) return;
    for (const name of ['staging', 'partial', 'links', 'history']) this.#removeEmpty(name);
    if (this.list().some((name) => name !== '.gitignore')) return;
    this.#keepingRootTime(() => {
      fs.rmSync(`${this.path}/.gitignore`, { force: true });
      fs.rmdirSync(this.path);
    });
    this.#exists = false;
  }

  #pathOf(names: readonly string[]): string {
    return [this.path, ...names].join('/');
  }

  /** Is that a directory, and no link to one? undefined: there is nothing. */
  #isDirectory(names: readonly string[]): boolean | undefined {
    return lstatIfPresent(this.#pathOf(names))?.isDirectory();
  }

  /** Everything above it is a directory. */
  #isReached(names: readonly string[]): boolean {
    return this.#exists && names.every((_, depth) => depth === 0 || this.#isDirectory(names.slice(0, depth)) === true);
  }

  #noDirectory(names: readonly string[]): LockstepError {
    const path = [this.plainPath, ...names].join('/');
    return new LockstepError('state', `${path} is not a directory`, {
      path,
      hint: 'Lockstep keeps its history and staging there, and follows no symbolic link to it: rename or remove it.',
    });
  }

  #removeEmpty(name: string): void {
    try {
      fs.rmdirSync(`${this.path}/${name}`);
    } catch (error) {
      const code = errnoCode(error);
      if (code !== 'ENOENT' && code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
  }

  #create(): void {
    if (this.#exists) return;
    // Somebody else's that came in this moment has one already, if it needs one.
    if (this.#keepingRootTime(() => this.#make())) {
      fs.writeFileSync(`${this.path}/.gitignore`, '*\n', { flag: 'wx' });
    }
    if (this.#isDirectory([]) === false) throw this.#noDirectory([]);
    this.#exists = true;
  }

  /** @returns whether it was not there yet */
  #make(): boolean {
    try {
      fs.mkdirSync(this.path, { mode: 0o700 });
      return true;
    } catch (error) {
      if (errnoCode(error) === 'EEXIST') return false;
      throw new LockstepError('io', `cannot write into ${this.#root}: ${reasonOf(error)}`, {
        path: this.#root,
        hint: 'Check its permissions and that it is not mounted read-only.',
        cause: error,
      });
    }
  }

  /** Our coming and going must not look like a change of the user's directory. */
  #keepingRootTime<T>(act: () => T): T {
    const { atimeMs, mtimeNs } = fs.statSync(this.#rootPrefix, { bigint: true });
    const result = act();
    try {
      fs.utimesSync(this.#rootPrefix, Number(atimeMs) / 1000, timeArgument(mtimeNs / 1000n));
    } catch (error) {
      // Somebody else's directory that we may write to: only its owner may set its time.
      if (errnoCode(error) !== 'EPERM') throw error;
    }
    return result;
  }
}

/** Somebody else's `.lockstep`, which need not concern who only reads the root. */
function unlessForbidden<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (errnoCode(error) === 'EACCES') return undefined;
    throw error;
  }
}

export function makeDirectory(path: string, mode = 0o700): void {
  try {
    fs.mkdirSync(toFs(path), { mode });
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
  }
}
