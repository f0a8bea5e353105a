/** `lockstep serve`: some roots and nothing else, whatever the controller asks for. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { errnoCode, LockstepError, reasonOf } from '../../base/errors.ts';
import { isWithin, maybeOwn } from '../../tree/path.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import { openNoFollow, pathOfHandle } from '../local/dir-handles.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../history.ts';
import type { ReadRequest } from '../content-stream.ts';
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from '../watching.ts';
import { watching } from '../watching.ts';
import type {
  ApplyBatch,
  Control,
  DigestRequest,
  Failure,
  OpenedRoot,
  OpenRequest,
  Replica,
  Retention,
  RootProbe,
  ScanRequest,
  ScanResult,
  SignatureRequest,
  StepResult,
} from '../replica.ts';

export interface Restriction {
  /** Absolute paths of what may be served, with everything below. */
  roots: readonly string[];
  readOnly: boolean;
}

/**
 * Invariant: the replica behind it only ever gets to directories that, symlinks resolved, are a served root or lie in one, and in
 * nobody's `.lockstep`. Once it is open it stays in that directory by itself.
 *
 * What a path below a served root leads to is the client's to change: by way of another connection, between our look and the
 * replica's. So such a directory is held open here, seen to be where it should be, and given to the replica by its handle.
 * (Where there are no handles by path, off Linux, only the look is left.)
 */
export class RestrictedReplica implements Replica {
  readonly #inner: Replica;
  readonly #restriction: Restriction;
  /** Of the root that is open. */
  #held: Held | undefined;

  constructor(inner: Replica, restriction: Restriction) {
    this.#inner = inner;
    this.#restriction = restriction;
  }

  async probe(root: string): Promise<RootProbe> {
    const real = this.#allowed(root);
    if (!isDirectory(real)) return this.#inner.probe(real);
    return this.#holding(real, async (path) => this.#inner.probe(path));
  }

  async open(request: OpenRequest): Promise<OpenedRoot> {
    const writes = request.access === 'write';
    if (writes && this.#restriction.readOnly) throw readOnly(request.root);
    if (this.#held !== undefined) throw new LockstepError('protocol', 'a root is open already');
    const real = this.#allowed(request.root);
    const made = request.create && writes && !this.#isServed(real) && this.#make(real);
    const held = this.#hold(real);
    try {
      const opened = await this.#inner.open({ ...request, root: held.path });
      this.#held = held;
      return { ...opened, created: opened.created || made };
    } catch (error) {
      held.close();
      throw error;
    }
  }

  async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    return this.#inner.scan(request, control);
  }

  watch(options: WatchOptions, control: Control): AsyncGenerator<WatchEvent, void, undefined> {
    return watching(this.#inner).watch(options, control);
  }

  async look(request: LookRequest, control: Control): Promise<LookResult> {
    return watching(this.#inner).look(request, control);
  }

  async digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]> {
    return this.#inner.digest(requests, control);
  }

  async signatures(requests: readonly SignatureRequest[], control: Control): Promise<(Uint8Array | undefined)[]> {
    return this.#inner.signatures(requests, control);
  }

  read(requests: readonly ReadRequest[], control: Control): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#inner.read(requests, control);
  }

  async apply(batch: ApplyBatch, control: Control, content?: AsyncIterable<Uint8Array>): Promise<StepResult[]> {
    // A path of this machine could be anywhere on it.
    if (batch.content?.via === 'host') throw new LockstepError('protocol', 'content from a path that is not served');
    return this.#inner.apply(batch, control, content);
  }

  async token(linkId: string, write?: string): Promise<string | undefined> {
    return this.#inner.token(linkId, write);
  }

  async cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }> {
    return this.#inner.cleanOut(control);
  }

  async prune(retention: Retention): Promise<{ removed: number; bytes: number }> {
    return this.#inner.prune(retention);
  }

  async history(root: string, under: string): Promise<HistoryVersion[]> {
    return this.#holding(this.#allowed(root), async (path) => this.#inner.history(path, under));
  }

  async restore(root: string, restored: string, options: RestoreOptions, control: Control): Promise<RestoreSummary> {
    if (this.#restriction.readOnly && options.dryRun !== true) throw readOnly(root);
    const { to, ...rest } = options;
    return this.#holding(this.#allowed(root), async (held) => {
      if (to === undefined) return this.#inner.restore(held, restored, rest, control);
      // What it is put into is there, or is made in what is.
      const real = this.#allowed(to);
      const dir = isDirectory(real) ? real : existing(path.dirname(real));
      this.#allowed(dir);
      return this.#holding(dir, async (heldDir) => {
        const aside = path.join(heldDir, path.relative(dir, real));
        return this.#inner.restore(held, restored, { ...rest, to: aside }, control);
      });
    });
  }

  async flush(timeoutMs: number): Promise<boolean> {
    return this.#inner.flush(timeoutMs);
  }

  async close(): Promise<void> {
    try {
      await this.#inner.close();
    } finally {
      this.#held?.close();
      this.#held = undefined;
    }
  }

  /** The path with its symlinks resolved. */
  #allowed(root: string): string {
    const real = realPathOf(path.resolve(os.homedir(), root.replace(/^~(?=\/|$)/, '.')));
    if (this.#lies(real)) return real;
    throw this.#notServed(root);
  }

  /** In a served root, and not in what is Lockstep's own in it; however a file system that takes letters for others may call that. */
  #lies(real: string): boolean {
    return this.#restriction.roots.some((served) => {
      const top = realPathOf(served);
      return isWithin(real.slice(1), top.slice(1)) && !real.slice(top.length).split('/').some(maybeOwn);
    });
  }

  /** One of the roots themselves, and in none of the others: where it leads is not the client's to change. */
  #isServed(real: string): boolean {
    const around = this.#restriction.roots.map(realPathOf).filter((top) => isWithin(real.slice(1), top.slice(1)));
    return around.length > 0 && around.every((top) => top === real);
  }

  async #holding<T>(real: string, act: (path: string) => Promise<T>): Promise<T> {
    const held = this.#hold(real);
    try {
      return await act(held.path);
    } finally {
      held.close();
    }
  }

  /** @param real as it was allowed. @throws LockstepError `io` when that is not what stands there any more */
  #hold(real: string): Held {
    if (this.#isServed(real)) return { path: real, close: () => undefined };
    let fd: number;
    try {
      fd = openNoFollow(real);
    } catch (error) {
      throw new LockstepError('io', `${real} cannot be opened: ${reasonOf(error)}`, { path: real, cause: error });
    }
    const held = pathOfHandle(fd, real);
    const close = (): void => fs.closeSync(fd);
    if (isAt(held, real)) return { path: held, close };
    close();
    throw this.#notServed(real);
  }

  /** Makes a directory with its parents, none of them behind a symlink. @returns whether there was something to be made */
  #make(real: string): boolean {
    if (isDirectory(real)) return false;
    const from = existing(real);
    this.#allowed(from);
    let held = this.#hold(from);
    try {
      let at = from;
      for (const name of path.relative(from, real).split('/')) {
        fs.mkdirSync(`${held.path}/${name}`);
        const above = held;
        at = path.join(at, name);
        held = this.#hold(at);
        above.close();
      }
    } catch (error) {
      if (errnoCode(error) === undefined || error instanceof LockstepError) throw error;
      throw new LockstepError('io', `cannot make ${real}: ${reasonOf(error)}`, { path: real, cause: error });
    } finally {
      held.close();
    }
    return true;
  }

  #notServed(root: string): LockstepError {
    return new LockstepError('io', `${root} is not served there`, {
      path: root,
      hint: `The server was started for ${this.#restriction.roots.join(', ')}.`,
    });
  }
}

/** A directory that stays what was checked. */
interface Held {
  path: string;
  close: () => void;
}

/** Not so either when nobody can say: whoever goes on to look at it, or to make it, tells why. */
function isDirectory(absolute: string): boolean {
  try {
    return fs.statSync(absolute).isDirectory();
  } catch {
    return false;
  }
}

/** Not so either when what is held has been removed. */
function isAt(held: string, real: string): boolean {
  try {
    return fs.realpathSync(held) === real;
  } catch {
    return false;
  }
}

/** The directory itself, or the nearest one above it that is there. */
function existing(absolute: string): string {
  for (let dir = absolute; ; dir = path.dirname(dir)) if (dir === '/' || isDirectory(dir)) return dir;
}

function readOnly(root: string): LockstepError {
  return new LockstepError('io', `${root} is served for reading only`, {
    path: root,
    hint: 'Pull from it, or have the server started without --read-only.',
  });
}

/** Symlinks resolved as far as there is something. */
function realPathOf(absolute: string): string {
  for (let dir = absolute; ; dir = path.dirname(dir)) {
    try {
      return path.join(fs.realpathSync(dir), path.relative(dir, absolute));
    } catch (error) {
      if (dir === '/') throw error;
    }
  }
}
