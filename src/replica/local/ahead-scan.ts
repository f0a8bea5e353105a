/**
 * A scan that is begun before it is asked for: while the far side is being connected to, this side has nothing else to do.
 *
 * Invariant: it is the answer only to the very request that it was begun with, for the very directory that it walked, and only while
 * this replica has changed nothing in it. So it is the scan that would be made then, begun a little earlier, and things may
 * change behind any scan's back: whatever is done is checked against what is there then (apply.ts).
 */
import fs from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { Recorded, ScanRequest, ScanResult } from '../replica.ts';
import { DirHandles } from './dir-handles.ts';
import { granularityOf } from './platform.ts';
import { scanRoot } from './scan.ts';
import { drive } from './slices.ts';

/** What tells whether a path still leads to the directory that was walked, with nothing new right in it. */
type RootStamp = readonly bigint[];

export class AheadScan {
  readonly #root: string;
  readonly #request: ScanRequest;
  readonly #stop = new AbortController();
  readonly #before: RootStamp;
  readonly #result: Promise<ScanResult | undefined>;

  /**
   * @param root a directory, as it will be opened
   * @param signal ends it: while it goes on, nothing else in this thread gets on quickly
   * @throws what makes it impossible to begin
   */
  constructor(root: string, request: ScanRequest, signal: AbortSignal) {
    this.#root = root;
    this.#request = request;
    this.#before = stampOf(root);
    const granularityNs = granularityOf(root);
    const handles = new DirHandles(root);
    this.#result = drive(scanRoot(handles, granularityNs, request), {
      signal: AbortSignal.any([this.#stop.signal, signal]),
    })
      // What is wrong is found again, and told, by the scan that is asked for.
      .catch(() => undefined)
      .finally(() => handles.close());
  }

  /** @returns undefined where it is not the answer, or it failed: then a scan is to be made */
  async answer(root: string, request: ScanRequest): Promise<ScanResult | undefined> {
    if (root !== this.#root || !isSame(request, this.#request)) {
      await this.close();
      return undefined;
    }
    const result = await this.#result;
    return result !== undefined && isDeepStrictEqual(stampOf(root), this.#before) ? result : undefined;
  }

  /** Ends it, if it is still under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#result;
  }
}

function stampOf(root: string): RootStamp {
  const { dev, ino, mtimeNs, ctimeNs } = fs.statSync(root, { bigint: true });
  return [dev, ino, mtimeNs, ctimeNs];
}

function isSame({ previous, ...rest }: ScanRequest, { previous: other, ...otherRest }: ScanRequest): boolean {
  return isSameRecord(previous, other) && isDeepStrictEqual(rest, otherRest);
}

function isSameRecord(one: Recorded, other: Recorded): boolean {
  if (one.as !== 'packed' || other.as !== 'packed') return false;
  return (
    one.layers.length === other.layers.length && one.layers.every((layer, at) => isSameBytes(layer, other.layers[at]))
  );
}

function isSameBytes(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return one === other || (other !== undefined && Buffer.compare(one, other) === 0);
}
