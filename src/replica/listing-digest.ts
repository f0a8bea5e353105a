/**
 * What was recorded of a root far away, told in few bytes: instead of the listings, 8 bytes a directory. The walk over there
 * packs what it finds in the same way and sends back what is not among them.
 *
 * The digest is keyed with a salt that is new for every scan, so a directory that changed passes for unchanged once in 2^64
 * times, whatever somebody puts into it.
 */
import { crypto } from '../base/builtins.ts';
import { encodeName, type RelPath } from '../tree/path.ts';
import type { Tree } from '../tree/tree.ts';
import { recordedListing } from './explain-changes.ts';

export const digestBytes = 8;
export const scanSaltBytes = 16;

/** As a string of 8 characters, one a byte: what a `Set` holds best. */
export function listingDigest(salt: Uint8Array, dir: RelPath, listing: Uint8Array): string {
  const hash = crypto().createHash('sha256');
  hash.update(salt).update(encodeName(dir)).update('\0').update(listing);
  return hash.digest().toString('latin1', 0, digestBytes);
}

/** @param layers what was recorded, the last word first */
export function digestLayers(salt: Uint8Array, layers: readonly Tree[]): Uint8Array {
  const dirs = new Set(layers.flatMap((layer) => [...layer.directories()]));
  const digests: string[] = [];
  for (const dir of dirs) {
    const listing = recordedListing(layers, dir);
    if (listing !== undefined) digests.push(listingDigest(salt, dir, listing.bytes));
  }
  return Buffer.from(digests.join(''), 'latin1');
}

export function digestSet(digests: Uint8Array): Set<string> {
  const text = Buffer.from(digests.buffer, digests.byteOffset, digests.length).toString('latin1');
  const set = new Set<string>();
  for (let at = 0; at + digestBytes <= text.length; at += digestBytes) set.add(text.slice(at, at + digestBytes));
  return set;
}
