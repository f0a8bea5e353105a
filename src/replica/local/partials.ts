/**
 * Large files whose transfer broke off: what had arrived is kept, and is what the next attempt begins from. It is a base for
 * a delta like any other (delta/), so that nothing needs to be known of it: what is made of it is verified as a whole
 * (where it is: partial-name.ts).
 *
 * A large file is written there from the start, so that not even a kill loses what had arrived.
 */
import fs from 'node:fs';
import type { RelPath } from '../../tree/path.ts';
import { leastPartial, partialDirectory, partialPrefix } from '../partial-name.ts';
import type { OwnDirectory } from './own-directory.ts';
/** Who has not tried again for so long will not. */
const keptMs = 7 * 24 * 3600 * 1000;

export class Partials {
  readonly #own: OwnDirectory;
  readonly #runId: string;
  /** Paths whose last signature was taken of a partial file. */
  readonly #signed = new Set<RelPath>();

  constructor(own: OwnDirectory, runId: string) {
    this.#own = own;
    this.#runId = runId;
  }

  /** Where to write a large file; does not exist yet. */
  place(path: RelPath): string {
    this.#own.ensure(partialDirectory);
    const place = `${this.#prefix(path)}${this.#runId}`;
    fs.rmSync(place, { force: true });
    return place;
  }

  /** What an earlier run left of a file, for reading: of several the largest. */
  open(path: RelPath): number | undefined {
    let best: { place: string; size: number } | undefined;
    for (const { place, size } of this.#leftOf(path)) if (size > (best?.size ?? 0)) best = { place, size };
    return best === undefined ? undefined : fs.openSync(best.place, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
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

  /** The transfer broke off. */
  abandon(place: string): void {
    const size = fs.lstatSync(place, { throwIfNoEntry: false })?.size ?? 0;
    if (size < leastPartial) fs.rmSync(place, { force: true });
  }

  /** Removes what nobody came back for. */
  prune(): void {
    for (const name of this.#own.list(partialDirectory)) {
      const place = `${this.#own.plainPath}/${partialDirectory}/${name}`;
      const stats = fs.lstatSync(place, { throwIfNoEntry: false });
      if (stats !== undefined && Date.now() - stats.ctimeMs > keptMs) fs.rmSync(place, { force: true });
    }
  }

  *#leftOf(path: RelPath): Generator<{ place: string; size: number }> {
    const start = this.#prefix(path);
    const own = `${start}${this.#runId}`;
    for (const name of this.#own.list(partialDirectory)) {
      const place = `${this.#own.plainPath}/${partialDirectory}/${name}`;
      if (!place.startsWith(start) || place === own) continue;
      const stats = fs.lstatSync(place, { throwIfNoEntry: false });
      if (stats?.isFile() === true) yield { place, size: stats.size };
    }
  }

  #prefix(path: RelPath): string {
    return `${this.#own.plainPath}/${partialDirectory}/${partialPrefix(path)}`;
  }
}
