/** Trees and listings from a peer that may be hostile: everything that the rest of the code takes for granted is checked. */
import { decodeTree } from './codec.ts';
import { checkListing, headerBytes, Listing, recordBytes } from './listing.ts';
import { compareNames, isSafePath, isValidName, ownDirectory, type RelPath } from './path.ts';

const symlinkKind = 2;
const lastKind = 5;

/** What is wrong with the bytes of a listing, or undefined when nothing is. */
export function distrustListing(bytes: Uint8Array): string | undefined {
  const lengths = checkListing(bytes);
  if (lengths !== undefined) return lengths;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(0, true);
  // What means nothing must be nothing, too: listings are compared as bytes.
  if (view.getUint32(12, true) !== 0) return 'something where there is nothing to say';
  let links = 0;
  for (let i = 0, at = headerBytes; i < count; i += 1, at += recordBytes) {
    if (view.getUint32(at + 36, true) !== 0) return 'something where there is nothing to say';
    const kind = (view.getUint32(at + 32, true) >>> 16) & 15;
    if (kind > lastKind) return 'an entry of no known kind';
    if (view.getBigUint64(at + 24, true) > BigInt(Number.MAX_SAFE_INTEGER)) return 'a file of an impossible size';
    if (kind === symlinkKind) links += 1;
  }
  const listing = new Listing(bytes);
  const { names } = listing;
  if (names.length !== count) return `${names.length} names for ${count} entries`;
  for (const [i, name] of names.entries()) {
    if (!isValidName(name) || name === ownDirectory) return `the name ${JSON.stringify(name)}`;
    if (i > 0 && compareNames(names[i - 1] ?? '', name) >= 0) return 'names that are not in order, or twice there';
  }
  return links === listing.targetCount ? undefined : `${listing.targetCount} targets for ${links} symlinks`;
}

/** @throws RangeError for chunks (packer.ts) that do not hold parts of one tree */
export function distrustChunks(chunks: readonly Uint8Array[]): void {
  const seen = new Set<RelPath>();
  for (const chunk of chunks) {
    for (const [dir, listing] of decodeTree(chunk).listings()) {
      if (dir !== '' && !isSafePath(dir)) throw new RangeError(`a directory ${JSON.stringify(dir)}`);
      if (seen.has(dir)) throw new RangeError(`the directory ${JSON.stringify(dir)} twice`);
      seen.add(dir);
      const complaint = distrustListing(listing.bytes);
      if (complaint !== undefined) throw new RangeError(`in the directory ${JSON.stringify(dir)} ${complaint}`);
    }
  }
}
