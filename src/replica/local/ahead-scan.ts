/**
 * A scan that is begun before it is asked for: while the far side is being connected to, this side has nothing else to do; and
 * a far side that is told early does not wait for what has to be said first.
 *
 * Invariant: it is the answer only to the very request that it was begun with, for the very directory that it walked, and only where
 * nobody else held the root's lock from its beginning until this replica has opened it (`confirm`), and this replica has changed
 * nothing in it since. So it is the scan that would be made then, begun a little earlier, and things may change behind any scan's
 * back: whatever is done is checked against what is there then (apply.ts). What another run had half done is never taken for what
 * somebody wants.
 */
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ownDirectory } from '../../tree/path.ts';
import type { Control, Progress, Recorded, ScanRequest, ScanResult } from '../replica.ts';
import { DirHandles } from './dir-handles.ts';
import { lockFile } from './lock.ts';
import { granularityOf } from './platform.ts';

/** Walks a root, by the handles of whoever asks. */
export type Walk = (
  handles: DirHandles,
  granularityNs: bigint,
  request: ScanRequest,
  control: Control,
) => Promise<ScanResult>;

/** What tells whether a path still leads to the directory that was walked, with nothing new right in it. */
type RootStamp = readonly bigint[];

export class AheadScan {
  readonly #root: string;
  readonly #request: ScanRequest;
  readonly #stop = new AbortController();
  readonly #before: RootStamp;
  readonly #unlocked: RootStamp | undefined;
  #isConfirmed = false;
  #onProgress: ((progress: Progress) => void) | undefined;
  readonly #result: Promise<ScanResult | undefined>;

  /**
   * @param root a directory, as it will be opened
   * @param signal ends it: while it goes on, nothing else in this thread gets on quickly
   * @throws what makes it impossible to begin
   */
  constructor(root: string, request: ScanRequest, walk: Walk, signal: AbortSignal) {
    this.#root = root;
    this.#request = request;
    this.#before = stampOf(root);
    this.#unlocked = unlockedStampOf(root);
    if (this.#unlocked === undefined) {
      this.#result = Promise.resolve(undefined);
      return;
    }
    const granularityNs = granularityOf(root);
    const handles = new DirHandles(root);
    this.#result = walk(handles, granularityNs, request, {
      signal: AbortSignal.any([this.#stop.signal, signal]),
      onProgress: (progress) => this.#onProgress?.(progress),
    })
      // What is wrong is found again, and told, by the scan that is asked for.
      .catch(() => undefined)
      .finally(() => handles.close());
  }

  /** To be called when the root is opened, just before its lock is taken: has anybody else held it meanwhile? */
  confirm(): void {
    const now = unlockedStampOf(this.#root);
    this.#isConfirmed = now !== undefined && isDeepStrictEqual(now, this.#unlocked);
  }

  /** @returns undefined where it is not the answer, or it failed: then a scan is to be made */
  async answer(root: string, request: ScanRequest, control: Control): Promise<ScanResult | undefined> {
    if (root !== this.#root || !this.#isConfirmed || !isSame(request, this.#request)) {
      await this.close();
      return undefined;
    }
    this.#onProgress = control.onProgress;
    const onAbort = (): void => this.#stop.abort();
    if (control.signal.aborted) onAbort();
    control.signal.addEventListener('abort', onAbort, { once: true });
    const result = await this.#result;
    control.signal.removeEventListener('abort', onAbort);
    return result !== undefined && isDeepStrictEqual(stampOf(root), this.#before) ? result : undefined;
  }

  /** Ends it, if it is still under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#result;
  }
}

/** Our own coming and going leaves the time as it is (own-directory.ts). */
function stampOf(root: string): RootStamp {
  const { dev, ino, mtimeNs } = fs.statSync(root, { bigint: true });
  return [dev, ino, mtimeNs];
}

/** Changes whenever somebody takes the root's lock; undefined while somebody has it. */
function unlockedStampOf(root: string): RootStamp | undefined {
  const own = path.join(root, ownDirectory);
  if (fs.existsSync(path.join(own, lockFile))) return undefined;
  const stats = fs.lstatSync(own, { bigint: true, throwIfNoEntry: false });
  if (stats !== undefined) return [stats.ino, stats.mtimeNs, stats.ctimeNs];
  return [fs.statSync(root, { bigint: true }).ctimeNs];
}

function isSame({ previous, ...rest }: ScanRequest, { previous: other, ...otherRest }: ScanRequest): boolean {
  return isSameRecord(previous, other) && isDeepStrictEqual(rest, otherRest);
}

function isSameRecord(one: Recorded, other: Recorded): boolean {
  if (one.as === 'digests') {
    return other.as === 'digests' && isSameBytes(one.salt, other.salt) && isSameBytes(one.digests, other.digests);
  }
  return (
    other.as === 'packed' &&
    one.layers.length === other.layers.length &&
    one.layers.every((layer, at) => isSameBytes(layer, other.layers[at]))
  );
}

function isSameBytes(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return one === other || (other !== undefined && Buffer.compare(one, other) === 0);
}
