/** What may have changed, gathered: hints are added until somebody takes them all. Bounded, whoever it is that adds. */
import type { RelPath } from '../tree/path.ts';
import type { DirtyDirectory } from './watching.ts';

/** With more names than this, a directory is looked at as a whole. */
const maxNames = 2048;
/** With more directories than this, everything is looked at. */
const maxDirectories = 50_000;

export class DirtySet {
  #directories = new Map<RelPath, Set<string> | undefined>();
  #lost: string | undefined;

  get isEmpty(): boolean {
    return this.#directories.size === 0 && this.#lost === undefined;
  }

  /** Why everything must be looked at, if it must. */
  get lost(): string | undefined {
    return this.#lost;
  }

  get size(): number {
    return this.#directories.size;
  }

  /** @param name undefined: anything in the directory */
  add(dir: RelPath, name: string | undefined): void {
    if (this.#lost !== undefined) return;
    const names = this.#directories.get(dir);
    if (names === undefined && this.#directories.has(dir)) return;
    if (name === undefined || (names?.size ?? 0) >= maxNames) this.#directories.set(dir, undefined);
    else if (names !== undefined) names.add(name);
    else if (this.#directories.size < maxDirectories) this.#directories.set(dir, new Set([name]));
    else this.lose('more has changed than can be kept in mind');
  }

  addAll(directories: Iterable<DirtyDirectory>): void {
    for (const { dir, names } of directories) {
      if (names === undefined) this.add(dir, undefined);
      else for (const name of names) this.add(dir, name);
    }
  }

  addFrom(other: DirtySet): void {
    if (other.#lost !== undefined) this.lose(other.#lost);
    this.addAll(other.directories());
  }

  /** Everything may have changed. */
  lose(reason: string): void {
    this.#directories.clear();
    this.#lost ??= reason;
  }

  has(dir: RelPath, name: string): boolean {
    if (!this.#directories.has(dir)) return false;
    return this.#directories.get(dir)?.has(name) ?? true;
  }

  /** Takes a name out, if it is there. @returns whether it was, by itself or because anything in its directory is */
  takeName(dir: RelPath, name: string): boolean {
    if (this.#lost !== undefined) return true;
    const names = this.#directories.get(dir);
    if (names === undefined) return this.#directories.has(dir);
    const had = names.delete(name);
    if (names.size === 0) this.#directories.delete(dir);
    return had;
  }

  *directories(): Generator<DirtyDirectory> {
    for (const [dir, names] of this.#directories) yield { dir, names: names === undefined ? undefined : [...names] };
  }

  /** Takes it all out. */
  take(): { directories: DirtyDirectory[]; lost: string | undefined } {
    const taken = { directories: [...this.directories()], lost: this.#lost };
    this.clear();
    return taken;
  }

  clear(): void {
    this.#directories = new Map();
    this.#lost = undefined;
  }
}
