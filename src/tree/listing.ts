/**
 * The entries of one directory, packed.
 *
 * A tree of a million entries must fit in a few dozen megabytes, and "nothing changed here" must cost one `memcmp`. So a
 * directory's entries, sorted by name, are one byte string, made in one go by the scan and decoded only where somebody
 * looks:
 *
 *     u32 count · u32 bytes of names · u32 bytes of targets · u32 mark        (all little-endian)
 *     count × { i64 mtimeNs · i64 ctimeNs · u64 ino · u64 size · u32 bits · u32 zero }
 *     names joined by '/'       (the one byte besides NUL that no name holds)
 *     targets of the symlinks, in order, joined by NUL
 *
 * `bits` is mode (16) | kind (4) | flags (8), from the lowest bit up.
 *
 * `mark` vouches for the names: it is the `directoryMark` of the directory when it was seen to hold these names and no
 * others, and zero when that was never seen. Whatever makes a listing leaves it zero, so it never outlives its names.
 */
import type { Entry, Kind } from './entry.ts';
import { compareNames, decodeName, encodeName } from './path.ts';

export const headerBytes = 16;
export const recordBytes = 40;
const kinds: readonly Kind[] = ['file', 'dir', 'symlink', 'special', 'unreadable', 'ignored'];
const kindCodes = new Map(kinds.map((kind, code) => [kind, code]));

/** `bits` of a record, see above. */
export function packBits(kind: Kind, mode: number, flags: number): number {
  return ((mode & 0xffff) | ((kindCodes.get(kind) ?? 0) << 16) | (flags << 20)) >>> 0;
}

/** One directory's entries, sorted by name, over packed bytes. Immutable. */
export class Listing {
  static readonly empty = new Listing(new Uint8Array(headerBytes));

  #lazyView: DataView | undefined;
  #names: readonly string[] | undefined;
  #targets: readonly string[] | undefined;

  /** @param bytes as laid out above; checked by `checkListing` when they come from outside */
  constructor(readonly bytes: Uint8Array) {}

  /** Made when first used: of a large tree's listings most are only ever compared as bytes. */
  get #view(): DataView {
    this.#lazyView ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    return this.#lazyView;
  }

  /** Packs entries; they need not be sorted, names must be distinct. */
  static from(entries: Iterable<readonly [name: string, entry: Entry]>): Listing {
    const sorted = [...entries].sort(([a], [b]) => compareNames(a, b));
    const names = sorted.map(([name]) => name);
    const targets = sorted.flatMap(([, entry]) => (entry.kind === 'symlink' ? [entry.target ?? ''] : []));
    const records = new DataView(new ArrayBuffer(sorted.length * recordBytes));
    sorted.forEach(([, entry], i) => {
      writeRecord(records, i * recordBytes, entry);
    });
    return new Listing(packListing(new Uint8Array(records.buffer), sorted.length, names, targets));
  }

  get size(): number {
    return word(this.bytes, 0);
  }

  /** Names in order. Decoded once, then kept. */
  get names(): readonly string[] {
    this.#names ??= this.decodeNames();
    return this.#names;
  }

  /** As `names`, but nothing is kept: for whoever looks at each listing of a large tree once. */
  decodeNames(): readonly string[] {
    return this.#names ?? (this.size === 0 ? [] : decodeJoined(this.#nameBytes(), '/'));
  }

  /**
   * Takes over the decoded names of another listing where they are the same, which is for one `memcmp` to find out. Listings
   * of one directory seen at different times, or on two sides, mostly have the same names; and names that are one and the same
   * string compare at once.
   */
  shareNames(other: Listing): void {
    if (this.#names !== undefined || this === other || this.size !== other.size) return;
    if (Buffer.compare(this.#nameBytes(), other.#nameBytes()) === 0) this.#names = other.names;
  }

  /** Are these, in order, the names? Without decoding them one by one. */
  hasNames(names: readonly string[]): boolean {
    if (names.length !== this.size) return false;
    return names.length === 0 || decodeName(this.#nameBytes()) === names.join('/');
  }

  kind(index: number): Kind {
    return kinds[(this.#bits(index) >>> 16) & 15] ?? 'unreadable';
  }

  /** Bytes of content of the entry at an index: without decoding the rest of it. */
  sizeOf(index: number): number {
    const at = headerBytes + index * recordBytes + 24;
    return word(this.bytes, at) + word(this.bytes, at + 4) * 2 ** 32;
  }

  /** `Entry.flags` of the entry at an index. */
  flagsOf(index: number): number {
    return this.#bits(index) >>> 20;
  }

  /** Are the entry here and the one at another listing's index of one kind and one inode? */
  sameInode(index: number, other: Listing, otherIndex: number): boolean {
    const at = headerBytes + index * recordBytes + 16;
    const otherAt = headerBytes + otherIndex * recordBytes + 16;
    return (
      this.#view.getUint32(at, true) === other.#view.getUint32(otherAt, true) &&
      this.#view.getUint32(at + 4, true) === other.#view.getUint32(otherAt + 4, true) &&
      this.kind(index) === other.kind(otherIndex)
    );
  }

  /** Decodes the entry at an index, 0 ≤ index < size. */
  entry(index: number): Entry {
    const at = headerBytes + index * recordBytes;
    const bits = this.#bits(index);
    const kind = kinds[(bits >>> 16) & 15] ?? 'unreadable';
    const entry: Entry = {
      kind,
      mode: bits & 0xffff,
      size: Number(this.#view.getBigUint64(at + 24, true)),
      mtimeNs: this.#view.getBigInt64(at, true),
      ctimeNs: this.#view.getBigInt64(at + 8, true),
      ino: this.#view.getBigUint64(at + 16, true),
      flags: bits >>> 20,
    };
    if (kind === 'symlink') entry.target = this.#targetOf(index);
    return entry;
  }

  /** See above. */
  get mark(): number {
    return word(this.bytes, 12);
  }

  /** A copy that vouches for its names. */
  withMark(mark: number): Listing {
    // Not `slice`: of a Buffer, as records that were read from a file are, that is no copy.
    const bytes = new Uint8Array(this.bytes);
    new DataView(bytes.buffer).setUint32(12, mark, true);
    return new Listing(bytes);
  }

  /** The `directoryMark` of the directory at an index, as it is recorded. */
  markOf(index: number): number {
    const at = headerBytes + index * recordBytes;
    return directoryMark(this.bytes.subarray(at, at + recordBytes));
  }

  /** Are the entries the same to the byte? Whether the names are vouched for makes no difference. */
  sameEntries(bytes: Uint8Array): boolean {
    return (
      Buffer.compare(this.bytes.subarray(0, 12), bytes.subarray(0, 12)) === 0 &&
      Buffer.compare(this.bytes.subarray(headerBytes), bytes.subarray(headerBytes)) === 0
    );
  }

  /** Index of a name, or -1. */
  indexOf(name: string): number {
    const at = lowerBound(this.names, name);
    return this.names[at] === name ? at : -1;
  }

  get(name: string): Entry | undefined {
    const index = this.indexOf(name);
    return index < 0 ? undefined : this.entry(index);
  }

  *entries(): Generator<[name: string, entry: Entry]> {
    const names = this.names;
    for (let i = 0; i < names.length; i += 1) yield [names[i] ?? '', this.entry(i)];
  }

  /** Names of the sub-directories. */
  *directories(): Generator<string> {
    // Most directories have none: their names are not decoded for it.
    for (let i = 0; i < this.size; i += 1) if (this.kind(i) === 'dir') yield this.names[i] ?? '';
  }

  /** True when the entry here and the entry at another listing's index are the same to the byte (symlink targets apart). */
  sameRecord(index: number, other: Listing, otherIndex: number): boolean {
    const at = headerBytes + index * recordBytes;
    const otherAt = headerBytes + otherIndex * recordBytes;
    // Words of 32 bits: they need no BigInt.
    for (let word = 0; word < recordBytes; word += 4) {
      if (this.#view.getInt32(at + word, true) !== other.#view.getInt32(otherAt + word, true)) return false;
    }
    return true;
  }

  /** A copy with some entries set, or taken out where the value is undefined. */
  with(changes: ReadonlyMap<string, Entry | undefined>): Listing {
    const few = changes.size * 8 < this.size;
    // Targets are packed by the order of their links: where there are any, everything is packed anew.
    const hasTargets = word(this.bytes, 8) > 0 || this.#hasLink(changes);
    if (!hasTargets) {
      const overwritten = this.#overwritten(changes);
      if (overwritten !== undefined) return overwritten;
      if (few) return this.#spliced(changes);
    }
    const merged = new Map<string, Entry>();
    for (const [name, entry] of this.entries()) if (!changes.has(name)) merged.set(name, entry);
    for (const [name, entry] of changes) if (entry !== undefined) merged.set(name, entry);
    return Listing.from(merged);
  }

  #hasLink(changes: ReadonlyMap<string, Entry | undefined>): boolean {
    // A link to nowhere has no bytes of a target, but is one all the same.
    for (const entry of changes.values()) if (entry?.kind === 'symlink') return true;
    for (let i = 0; i < this.size; i += 1) if (this.kind(i) === 'symlink') return true;
    return false;
  }

  /** `with` for changes that leave the names as they are, as edits do: records are written over. Otherwise undefined. */
  #overwritten(changes: ReadonlyMap<string, Entry | undefined>): Listing | undefined {
    const cursor = new NameCursor(this);
    const found: [index: number, entry: Entry][] = [];
    for (const [name, entry] of changes) {
      const index = entry === undefined ? -1 : cursor.indexOf(name);
      if (entry === undefined || index < 0) return undefined;
      found.push([index, entry]);
    }
    const bytes = new Uint8Array(this.bytes);
    const view = new DataView(bytes.buffer);
    // Whatever makes a listing vouches for nothing.
    view.setUint32(12, 0, true);
    for (const [index, entry] of found) writeRecord(view, headerBytes + index * recordBytes, entry);
    return new Listing(bytes);
  }

  /** `with` for a few changes of a large directory: what did not change is copied as it is, not decoded. */
  #spliced(changes: ReadonlyMap<string, Entry | undefined>): Listing {
    const own = this.names;
    const records = new Uint8Array((this.size + changes.size) * recordBytes);
    const view = new DataView(records.buffer);
    const names: string[] = [];
    let from = 0;
    const copyUpTo = (end: number): void => {
      const bytes = this.bytes.subarray(headerBytes + from * recordBytes, headerBytes + end * recordBytes);
      records.set(bytes, names.length * recordBytes);
      for (let i = from; i < end; i += 1) names.push(own[i] ?? '');
      from = end;
    };
    for (const [name, entry] of [...changes].sort(([a], [b]) => compareNames(a, b))) {
      const at = lowerBound(own, name);
      copyUpTo(at);
      if (own[at] === name) from = at + 1;
      if (entry === undefined) continue;
      writeRecord(view, names.length * recordBytes, entry);
      names.push(name);
    }
    copyUpTo(own.length);
    return new Listing(packListing(records, names.length, names, []));
  }

  /** How many targets are packed: one a symlink, unless somebody packed nonsense. */
  get targetCount(): number {
    this.#targets ??= this.#decodeTargets();
    return this.#targets.length;
  }

  #bits(index: number): number {
    return this.#view.getUint32(headerBytes + index * recordBytes + 32, true);
  }

  #nameBytes(): Uint8Array {
    const start = headerBytes + this.size * recordBytes;
    return this.bytes.subarray(start, start + word(this.bytes, 4));
  }

  #decodeTargets(): readonly string[] {
    const start = headerBytes + this.size * recordBytes + word(this.bytes, 4);
    const length = word(this.bytes, 8);
    return length === 0 ? [] : decodeJoined(this.bytes.subarray(start, start + length), '\0');
  }

  #targetOf(index: number): string {
    this.#targets ??= this.#decodeTargets();
    let links = 0;
    for (let i = 0; i < index; i += 1) if (this.kind(i) === 'symlink') links += 1;
    return this.#targets[links] ?? '';
  }
}

/**
 * Finds names in a listing. Those that are asked for in their order, as somebody does who walks through two listings of one
 * directory, are found without searching.
 */
export class NameCursor {
  readonly #names: readonly string[];
  #next = 0;

  constructor(listing: Listing) {
    this.#names = listing.names;
  }

  /** As `Listing.indexOf`, for names in any order. */
  indexOf(name: string): number {
    const names = this.#names;
    if (names[this.#next] === name) return this.#next++;
    const at = lowerBound(names, name);
    if (names[at] !== name) return -1;
    this.#next = at + 1;
    return at;
  }
}

/** Index of the first of sorted names that does not come before a name. */
function lowerBound(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(names[middle] ?? '', name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function decodeJoined(bytes: Uint8Array, separator: string): string[] {
  return decodeName(bytes).split(separator);
}

/** Writes one record at a byte offset. */
function writeRecord(view: DataView, at: number, entry: Entry): void {
  view.setBigInt64(at, entry.mtimeNs, true);
  view.setBigInt64(at + 8, entry.ctimeNs, true);
  view.setBigUint64(at + 16, entry.ino, true);
  view.setBigUint64(at + 24, BigInt(entry.size), true);
  view.setUint32(at + 32, packBits(entry.kind, entry.mode, entry.flags), true);
}

/**
 * Puts a listing's bytes together from records already packed (the scan's fast path).
 *
 * @param records at least `count` records of `recordBytes`, in the order of `names`
 */
export function packListing(
  records: Uint8Array,
  count: number,
  names: readonly string[],
  targets: readonly string[],
): Uint8Array {
  const joinedNames = encodeName(names.join('/'));
  const joinedTargets = targets.length === 0 ? undefined : encodeName(targets.join('\0'));
  const recordsEnd = headerBytes + count * recordBytes;
  const bytes = new Uint8Array(recordsEnd + joinedNames.length + (joinedTargets?.length ?? 0));
  const header = new DataView(bytes.buffer);
  header.setUint32(0, count, true);
  header.setUint32(4, joinedNames.length, true);
  header.setUint32(8, joinedTargets?.length ?? 0, true);
  bytes.set(records.subarray(0, count * recordBytes), headerBytes);
  bytes.set(joinedNames, recordsEnd);
  if (joinedTargets !== undefined) bytes.set(joinedTargets, recordsEnd + joinedNames.length);
  return bytes;
}

/**
 * Names one state of a directory: a hash (FNV-1a over 32-bit words) of the times and inode in its record, never zero. It is
 * only ever compared for a directory whose whole record has been found unchanged, so that it guards against a mark that is
 * older than the record, not against accidents of 1 in 2^32.
 */
function directoryMark(record: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < 24; at += 4) hash = Math.imul(hash ^ word(record, at), 0x01000193);
  return hash >>> 0 || 1;
}

/** A little-endian u32, without making a view for it. */
function word(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
  return low + (bytes[at + 3] ?? 0) * 0x1000000;
}

/** Reasons why bytes that came from outside are not a listing, or undefined when they are one. */
export function checkListing(bytes: Uint8Array): string | undefined {
  if (bytes.length < headerBytes) return 'shorter than its header';
  const length = headerBytes + word(bytes, 0) * recordBytes + word(bytes, 4) + word(bytes, 8);
  return length === bytes.length ? undefined : 'its lengths do not add up';
}
