/**
 * What was recorded of a root far away, told in few bytes: instead of the listings, 8 bytes a directory. The walk over there
 * takes digests of what it finds in the same way and sends back what is not among them.
 *
 * The digest is keyed with a salt that is new for every scan, so a directory that changed passes for unchanged once in 2^64
 * times, whatever somebody puts into it.
 *
 * Numbers go into it as the doubles that Node's `lstat` gives, which takes half of the time of exact ones. Times are
 * therefore told apart from a quarter of a microsecond on. That misses no change, for the reason given in
 * local/as-recorded.ts. Targets of symlinks are left out: a new target is a new inode.
 */
import { sha256 } from '../base/builtins.ts';
import { headerBytes, recordBytes } from '../tree/listing.ts';
import { encodeName, type RelPath } from '../tree/path.ts';
import type { Tree } from '../tree/tree.ts';
import { recordedListing } from './explain-changes.ts';

export const digestBytes = 8;
export const scanSaltBytes = 16;

/** What is taken of an entry: four doubles and its bits. */
const entryBytes = 36;

/** Takes digests of directories, one after the other: `begin`, `add` for every entry in order, `end`. */
export class DirectoryDigest {
  readonly #salt: Uint8Array;
  #scratch = Buffer.allocUnsafe(1 << 16);
  #view = viewOf(this.#scratch);
  #at = 0;

  constructor(salt: Uint8Array) {
    this.#salt = salt;
  }

  /** @param count how many entries it has */
  begin(dir: RelPath, count: number): void {
    this.#at = 0;
    this.#put(this.#salt);
    this.#put(encodeName(dir));
    this.#reserve(1 + count * entryBytes);
    this.#scratch[this.#at] = 0;
    this.#at += 1;
  }

  /** @param bits as in a listing (tree/listing.ts) */
  add(mtimeMs: number, ctimeMs: number, ino: number, size: number, bits: number): void {
    const view = this.#view;
    const at = this.#at;
    view.setFloat64(at, mtimeMs, true);
    view.setFloat64(at + 8, ctimeMs, true);
    view.setFloat64(at + 16, ino, true);
    view.setFloat64(at + 24, size, true);
    view.setUint32(at + 32, bits, true);
    this.#at = at + entryBytes;
  }

  /**
   * @param names of the entries, as in a listing
   * @returns a string of 8 characters, one a byte: what a `Set` holds best
   */
  end(names: Uint8Array): string {
    this.#put(names);
    const digest = sha256(this.#scratch.subarray(0, this.#at));
    return Buffer.from(digest.buffer, digest.byteOffset, digestBytes).toString('latin1');
  }

  #put(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#scratch.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#scratch.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#at + bytes));
    this.#scratch.copy(larger, 0, 0, this.#at);
    this.#scratch = larger;
    this.#view = viewOf(larger);
  }
}

/** The digest of a packed listing. */
export function listingDigest(digest: DirectoryDigest, dir: RelPath, listing: Uint8Array): string {
  const view = viewOf(listing);
  const count = view.getUint32(0, true);
  digest.begin(dir, count);
  let at = headerBytes;
  for (let i = 0; i < count; i += 1, at += recordBytes) {
    const bits = view.getUint32(at + 32, true);
    digest.add(msAt(view, at), msAt(view, at + 8), unsignedAt(view, at + 16), unsignedAt(view, at + 24), bits);
  }
  return digest.end(listing.subarray(at, at + view.getUint32(4, true)));
}

/** @param layers what was recorded, the last word first */
export function digestLayers(salt: Uint8Array, layers: readonly Tree[]): Uint8Array {
  const digest = new DirectoryDigest(salt);
  const dirs = new Set(layers.flatMap((layer) => [...layer.directories()]));
  const digests: string[] = [];
  for (const dir of dirs) {
    const listing = recordedListing(layers, dir);
    if (listing !== undefined) digests.push(listingDigest(digest, dir, listing.bytes));
  }
  return Buffer.from(digests.join(''), 'latin1');
}

export function digestSet(digests: Uint8Array): Set<string> {
  const text = Buffer.from(digests.buffer, digests.byteOffset, digests.length).toString('latin1');
  const set = new Set<string>();
  for (let at = 0; at + digestBytes <= text.length; at += digestBytes) set.add(text.slice(at, at + digestBytes));
  return set;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

const nsPerSecond = 1_000_000_000;

/**
 * Nanoseconds as Node's stats have them in milliseconds: the whole seconds times 1000, plus the rest divided by a million, in
 * doubles. Without bigints, which would take most of the time.
 */
export function msAt(view: DataView, at: number): number {
  const low = view.getUint32(at, true);
  // Rounded, so the seconds are right or one off; the rest, which has less than 32 bits, tells which.
  let seconds = Math.floor((view.getInt32(at + 4, true) * 2 ** 32 + low) / nsPerSecond);
  let rest = (low - Math.imul(seconds, nsPerSecond)) >>> 0;
  if (rest >= 2 ** 32 - nsPerSecond) {
    seconds -= 1;
    rest -= 2 ** 32 - nsPerSecond;
  } else if (rest >= nsPerSecond) {
    seconds += 1;
    rest -= nsPerSecond;
  }
  return seconds * 1000 + rest / 1e6;
}

/** A 64-bit number as the double nearest to it. */
function unsignedAt(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
