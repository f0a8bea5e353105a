/**
 * Large files whose transfer broke off: what had arrived is kept, and is what the next attempt begins from. It is a base for
 * a delta like any other (delta/), so that nothing needs to be known of it: what is made of it is verified as a whole
 * (where it is: partial-name.ts).
 *
 * A large file is written there from the start, so that not even a kill loses what had arrived.
 */
import fs from 'node:fs';
import type { RelPath } from '../../tree/path.ts';
import { leastPartial, partialDirectory, partialPrefix, pathInPartialName } from '../partial-name.ts';
import type { OwnDirectory } from './own-directory.ts';
/** Who has not tried again for so long will not. */
const keptMs = 7 * 24 * 3600 * 1000;

/** What came of one file. */
interface Left {
  place: string;
  size: number;
  /** What it takes on disk: less where it has holes. */
  bytes: number;
}

export class Partials {
  readonly #own: OwnDirectory;
  readonly #runId: string;
  readonly #owns: boolean;
  /** Paths whose last signature was taken of a partial file. */
  readonly #signed = new Set<RelPath>();

  /** @param owns nobody else writes here; others who join may */
  constructor(own: OwnDirectory, runId: string, owns = true) {
    this.#own = own;
    this.#runId = runId;
    this.#owns = owns;
  }

  /** Where to write a large file; does not exist yet. */
  place(path: RelPath): string {
    this.#own.ensure(partialDirectory);
    const place = `${this.#prefix(path)}${this.#runId}`;
    fs.rmSync(place, { force: true });
    return place;
  }

  /** What an earlier run left of a file, for reading: of several the largest that can be read. */
  open(path: RelPath): number | undefined {
    for (const { place } of mostFirst(this.#leftOf(path))) {
      const file = openIfReadable(place);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  /** The signature that was given out last for a path is of what an earlier run left of it, or is not. */
  noteSigned(path: RelPath, isPartial: boolean): void {
    if (isPartial) this.#signed.add(path);
    else this.#signed.delete(path);
  }

  isSigned(path: RelPath): boolean {
    return this.#signed.has(path);
  }

  /** The file is whole: nothing that was left of it is needed any more. */
  forget(path: RelPath): void {
    this.#signed.delete(path);
    for (const { place } of this.#leftOf(path)) fs.rmSync(place, { force: true });
  }

  /** The transfer broke off. What earlier runs left goes as soon as there is more, or what there is now. */
  abandon(path: RelPath, place: string): void {
    const size = fs.lstatSync(place, { throwIfNoEntry: false })?.size ?? 0;
    if (size < leastPartial) fs.rmSync(place, { force: true });
    else keepMost([...this.#leftOf(path), { place, size, bytes: size }]);
  }

  /** Removes what nobody came back for, and of each file all but the most: runs that were killed could not. */
  prune(): void {
    const byPath = new Map<string, Left[]>();
    for (const name of this.#own.list(partialDirectory)) {
      const place = `${this.#own.plainPath}/${partialDirectory}/${name}`;
      const stats = fs.lstatSync(place, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      if (Date.now() - stats.ctimeMs > keptMs) fs.rmSync(place, { force: true });
      else if (stats.isFile()) {
        const path = pathInPartialName(name);
        byPath.set(path, [...(byPath.get(path) ?? []), leftAs(place, stats)]);
      }
    }
    for (const left of byPath.values()) keepMost(left);
  }

  /** So many bytes `makeRoom` could free. */
  get bytes(): number {
    return this.#owns ? [...this.#left('')].reduce((sum, { bytes }) => sum + bytes, 0) : 0;
  }

  /** The disk is full: what earlier runs left must not keep it so. @returns whether something went */
  makeRoom(): boolean {
    const left = this.#owns ? [...this.#left('')] : [];
    for (const { place } of left) fs.rmSync(place, { force: true });
    return left.length > 0;
  }

  *#leftOf(path: RelPath): Generator<Left> {
    yield* this.#left(partialPrefix(path));
  }

  /** What runs other than this one left. @param start what names begin with */
  *#left(start: string): Generator<Left> {
    for (const name of this.#own.list(partialDirectory)) {
      if (!name.startsWith(start) || name.endsWith(`.${this.#runId}`)) continue;
      const place = `${this.#own.plainPath}/${partialDirectory}/${name}`;
      const stats = fs.lstatSync(place, { throwIfNoEntry: false });
      if (stats?.isFile() === true) yield leftAs(place, stats);
    }
  }

  #prefix(path: RelPath): string {
    return `${this.#own.plainPath}/${partialDirectory}/${partialPrefix(path)}`;
  }
}

function leftAs(place: string, { size, blocks }: fs.Stats): Left {
  return { place, size, bytes: Math.min(size, blocks * 512) };
}

function mostFirst(left: Iterable<Left>): Left[] {
  return [...left].sort((a, b) => b.size - a.size);
}

/** What cannot be read is as good as not there. */
function openIfReadable(place: string): number | undefined {
  try {
    return fs.openSync(place, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

/** Of one file the largest is of use, and the others are not: each began from the one before it. */
function keepMost(left: readonly Left[]): void {
  let isKept = false;
  for (const { place } of mostFirst(left)) {
    if (isKept || !isReadable(place)) fs.rmSync(place, { force: true });
    else isKept = true;
  }
}

function isReadable(place: string): boolean {
  const file = openIfReadable(place);
  if (file !== undefined) fs.closeSync(file);
  return file !== undefined;
}
