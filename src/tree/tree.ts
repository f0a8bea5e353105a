/** All entries of a root at one moment: a packed listing per directory. */
import type { Entry } from './entry.ts';
import { Listing } from './listing.ts';
import { baseName, joinPath, parentPath, rebasePath, type RelPath } from './path.ts';
import { preorder } from './preorder.ts';

/**
 * A set of listings by directory. A tree may be partial (only the directories that changed): then a directory without a
 * listing means "as before", and its owner knows before what.
 */
export class Tree {
  /** The root directory's own entry; undefined when it was not looked at. */
  root: Entry | undefined;
  #loaded: Map<RelPath, Listing> | undefined;
  readonly #load: () => Map<RelPath, Listing>;

  #chunks: readonly Uint8Array[] | undefined;
  #entryCount: number | undefined;

  /**
   * @param load makes the listings when somebody first looks; a run in which nothing changed never does
   * @param chunks what `load` makes them from, for whom the packed form is more useful (packer.ts)
   */
  constructor(load: () => Map<RelPath, Listing> = () => new Map(), chunks?: readonly Uint8Array[]) {
    this.#load = load;
    this.#chunks = chunks;
  }

  /** The packed form, if nobody has looked at the tree yet; the tree must not be used after that. */
  takeChunks(): readonly Uint8Array[] | undefined {
    return this.#loaded === undefined ? this.#chunks : undefined;
  }

  get #listings(): Map<RelPath, Listing> {
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  /** Number of directories that have a listing. */
  get directoryCount(): number {
    return this.#listings.size;
  }

  /** Number of entries, the root not counted. Counted when first asked for, then kept up with what changes. */
  get entryCount(): number {
    if (this.#entryCount !== undefined) return this.#entryCount;
    let count = 0;
    for (const listing of this.#listings.values()) count += listing.size;
    this.#entryCount = count;
    return count;
  }

  directories(): IterableIterator<RelPath> {
    return this.#listings.keys();
  }

  listings(): IterableIterator<[RelPath, Listing]> {
    return this.#listings.entries();
  }

  listing(dir: RelPath): Listing | undefined {
    return this.#listings.get(dir);
  }

  setListing(dir: RelPath, listing: Listing): void {
    this.#set(dir, listing);
  }

  #set(dir: RelPath, listing: Listing): void {
    if (this.#entryCount !== undefined) this.#entryCount += listing.size - (this.#listings.get(dir)?.size ?? 0);
    this.#listings.set(dir, listing);
  }

  #delete(dir: RelPath): void {
    if (this.#entryCount !== undefined) this.#entryCount -= this.#listings.get(dir)?.size ?? 0;
    this.#listings.delete(dir);
  }

  /** The entry of a path, or undefined when its directory has no listing or does not hold it. */
  get(path: RelPath): Entry | undefined {
    if (path === '') return this.root;
    return this.#listings.get(parentPath(path))?.get(baseName(path));
  }

  /** Sets or removes several entries of one directory; removing a directory's entry drops its subtree. */
  patch(dir: RelPath, changes: ReadonlyMap<string, Entry | undefined>): void {
    for (const [name, entry] of changes) if (entry?.kind !== 'dir') this.dropSubtree(joinPath(dir, name));
    this.#set(dir, (this.#listings.get(dir) ?? Listing.empty).with(changes));
  }

  /** Forgets the listings of a directory and of everything below it; the entry in its parent stays. */
  dropSubtree(dir: RelPath): void {
    // Most of what is dropped is no directory.
    if (!this.#listings.has(dir)) return;
    for (const path of [...this.subtree(dir)]) this.#delete(path);
  }

  /** Gives the subtree at `from` the name `to`, in the listings only (entries in the parents are the caller's). */
  moveSubtree(from: RelPath, to: RelPath): void {
    this.moveListings(this.subtree(from), from, to);
  }

  /** As `moveSubtree` for a tree with gaps. @param dirs `from` and what is below it, with a listing here or without one */
  moveListings(dirs: Iterable<RelPath>, from: RelPath, to: RelPath): void {
    const moved = [...dirs].map((dir) => [dir, this.#listings.get(dir)] as const);
    for (const [dir] of moved) this.#delete(dir);
    for (const [dir, listing] of moved) if (listing) this.#set(rebasePath(dir, from, to), listing);
  }

  /** A tree that shares the listings; changing one does not change the other. */
  clone(): Tree {
    const copy = new Tree();
    copy.root = this.root;
    for (const [dir, listing] of this.#listings) copy.#listings.set(dir, listing);
    return copy;
  }

  /** The directory and every one below it that has a listing, as far as all those between have one; parents first. */
  *subtree(dir: RelPath): Generator<RelPath> {
    if (!this.#listings.has(dir)) return;
    yield* preorder(dir, (at) => {
      const names = this.#listings.get(at)?.directories() ?? [];
      return Array.from(names, (name) => joinPath(at, name)).filter((path) => this.#listings.has(path));
    });
  }
}
