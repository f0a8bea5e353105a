/**
 * A tree as one byte string, for files, worker threads and pipes.
 *
 *     u32 number of directories · u8 1 if the root's entry follows as a listing of one entry named '.'
 *     per directory: u32 bytes of path · u32 bytes of listing · path · listing
 *
 * All little-endian. Decoding copies nothing: the listings are views of the given bytes.
 */
import { checkListing, Listing } from './listing.ts';
import type { Entry } from './entry.ts';
import { decodeName, encodeName, nameBytes, type RelPath } from './path.ts';
import { Tree } from './tree.ts';

/** Encodes a tree. @param allocate where the bytes shall live, e.g. in a SharedArrayBuffer */
export function encodeTree(tree: Tree, allocate = (bytes: number): Uint8Array => new Uint8Array(bytes)): Uint8Array {
  const bytes = allocate(encodedTreeLength(tree));
  let at = 0;
  for (const piece of encodeTreePieces(tree)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** How many bytes `encodeTree` makes. */
export function encodedTreeLength(tree: Tree): number {
  let total = 8;
  for (const [path, listing] of partsOf(tree)) total += 8 + nameBytes(path) + listing.bytes.length;
  return total;
}

/** The bytes of `encodeTree` in order, a few at a time. */
export function* encodeTreePieces(tree: Tree): Generator<Uint8Array> {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(tree.directoryCount + (tree.root === undefined ? 0 : 1), 0);
  head.writeUInt8(tree.root === undefined ? 0 : 1, 4);
  yield head;
  for (const [path, listing] of partsOf(tree)) {
    const name = encodeName(path);
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(name.length, 0);
    lengths.writeUInt32LE(listing.bytes.length, 4);
    yield lengths;
    yield name;
    yield listing.bytes;
  }
}

function* partsOf(tree: Tree): Generator<[RelPath, Listing]> {
  if (tree.root !== undefined) yield ['', Listing.from([['.', tree.root]])];
  yield* tree.listings();
}

/** @throws RangeError when the bytes are not a tree */
export function decodeTree(bytes: Uint8Array): Tree {
  const decoded = decode(bytes, true);
  const tree = new Tree(() => decoded.listings);
  tree.root = decoded.root;
  return tree;
}

/** Like `decodeTree` for bytes that are known to be a tree: only the root's entry is decoded before somebody looks. */
export function decodeTreeLazily(bytes: Uint8Array): Tree {
  const tree = new Tree(() => decode(bytes, false).listings);
  tree.root = decode(bytes, false, 1).root;
  return tree;
}

/**
 * @param check whether the listings, too, may be broken
 * @param limit how many parts to decode at most
 */
function decode(
  bytes: Uint8Array,
  check: boolean,
  limit = Infinity,
): { root: Entry | undefined; listings: Map<RelPath, Listing> } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const listings = new Map<RelPath, Listing>();
  const count = buffer.readUInt32LE(0);
  const hasRoot = buffer[4] === 1;
  let root: Entry | undefined;
  let at = 8;
  for (let i = 0; i < count && i < limit; i += 1) {
    const pathStart = at + 8;
    const listingStart = pathStart + buffer.readUInt32LE(at);
    const end = listingStart + buffer.readUInt32LE(at + 4);
    if (end > bytes.length) throw new RangeError('a tree is cut short');
    const listing = bytes.subarray(listingStart, end);
    const complaint = check ? checkListing(listing) : undefined;
    if (complaint !== undefined) throw new RangeError(`a listing in a tree is damaged: ${complaint}`);
    if (hasRoot && i === 0) root = new Listing(listing).get('.');
    else listings.set(pathOf(buffer, pathStart, listingStart), new Listing(listing));
    at = end;
  }
  if (at !== bytes.length && limit === Infinity) throw new RangeError('a tree has bytes left over');
  return { root, listings };
}

function pathOf(buffer: Buffer, start: number, end: number): RelPath {
  const text = buffer.toString('utf8', start, end);
  // What is not UTF-8 needs the careful way.
  return text.includes('\ufffd') ? decodeName(buffer.subarray(start, end)) : text;
}
