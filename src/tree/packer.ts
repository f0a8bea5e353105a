/**
 * A tree that is packed while it is being found: a few large buffers that can be given to another thread as they are,
 * instead of an object per directory that has to be copied and then waits for a collection.
 */
import { decodeTree } from './codec.ts';
import type { Entry } from './entry.ts';
import { Listing } from './listing.ts';
import { encodeName, type RelPath } from './path.ts';
import { Tree } from './tree.ts';

const chunkBytes = 1 << 20;
/** Number of parts, and whether the first is the root's entry (codec.ts). */
const headerBytes = 8;

/** Collects listings into chunks, each of which is a tree in the format of codec.ts. */
export class TreePacker {
  readonly #chunks: Uint8Array[] = [];
  #chunk = Buffer.alloc(0);
  #used = 0;
  #parts = 0;

  /** The root's own entry; must come first. */
  setRoot(entry: Entry): void {
    this.#open(0);
    this.#part('', Listing.from([['.', entry]]).bytes);
    this.#chunk.writeUInt8(1, 4);
  }

  add(dir: RelPath, listing: Uint8Array): void {
    this.#part(dir, listing);
  }

  finish(): Uint8Array[] {
    this.#close();
    return this.#chunks;
  }

  #part(path: RelPath, listing: Uint8Array): void {
    const name = encodeName(path);
    const size = 8 + name.length + listing.length;
    if (this.#used === 0 || this.#used + size > this.#chunk.length) {
      this.#close();
      this.#open(size);
    }
    this.#chunk.writeUInt32LE(name.length, this.#used);
    this.#chunk.writeUInt32LE(listing.length, this.#used + 4);
    this.#chunk.set(name, this.#used + 8);
    this.#chunk.set(listing, this.#used + 8 + name.length);
    this.#used += size;
    this.#parts += 1;
  }

  #open(size: number): void {
    if (this.#used > 0) return;
    this.#chunk = Buffer.from(new ArrayBuffer(Math.max(chunkBytes, headerBytes + size)));
    this.#used = headerBytes;
    this.#parts = 0;
  }

  #close(): void {
    if (this.#parts > 0) {
      this.#chunk.writeUInt32LE(this.#parts, 0);
      // The last chunk is cut to what it holds: most scans find little, and what is given away need not be large.
      const { buffer } = this.#chunk;
      this.#chunks.push(
        new Uint8Array(this.#used < chunkBytes / 2 ? buffer.slice(0, this.#used) : buffer, 0, this.#used),
      );
    }
    this.#used = 0;
    this.#parts = 0;
  }
}

/** A tree of packed chunks, decoded when somebody looks. */
export function treeOfChunks(chunks: readonly Uint8Array[]): Tree {
  const decoded = (): Tree[] => chunks.map(decodeTree);
  const tree = new Tree(() => new Map(decoded().flatMap((part) => [...part.listings()])), chunks);
  const [first] = chunks;
  if (first !== undefined) tree.root = decodeTree(first).root;
  return tree;
}
