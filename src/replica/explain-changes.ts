/**
 * A directory that does not look as recorded, seen with the record beside it: what lies out of scope counts as recorded,
 * and a recorded name that is no longer reported may have been left out by the rules instead of deleted.
 *
 * Done by whoever has the record: the scan itself, or the controller for a scan that was only given digests of it.
 */
import { flags, isUnknown, type Entry } from '../tree/entry.ts';
import { IgnoreMatcher } from '../tree/ignore/matcher.ts';
import type { Listing } from '../tree/listing.ts';
import { isWithin, joinPath, type RelPath } from '../tree/path.ts';
import type { Tree } from '../tree/tree.ts';
import type { ScanRequest, ScanResult } from './replica.ts';

/** Does a path lie within the scope, or above it? */
export function isInScope(scope: readonly RelPath[], path: RelPath): boolean {
  return scope.length === 0 || scope.some((limit) => isWithin(path, limit) || isWithin(limit, path));
}

/** What is known of an entry that the rules leave out. */
export function ignoredEntry(mode: number): Entry {
  return { kind: 'ignored', mode, size: 0, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, flags: 0 };
}

/**
 * @param found what was found in the directory and is in scope
 * @param mountsGone is added to
 * @returns `found` as it is to be reported
 */
export function explainChanges(
  dir: RelPath,
  found: Listing,
  recorded: Listing,
  context: { scope: readonly RelPath[]; matcher: IgnoreMatcher; mountsGone: RelPath[] },
): Listing {
  const { scope, matcher, mountsGone } = context;
  const added = new Map<string, Entry>();
  for (const [name, entry] of recorded.entries()) {
    const path = joinPath(dir, name);
    if (!isInScope(scope, path)) {
      added.set(name, entry);
      continue;
    }
    const index = found.indexOf(name);
    if ((entry.flags & flags.mount) !== 0 && !isMount(found, index)) mountsGone.push(path);
    if (index < 0 && matcher.ignores(path, entry.kind === 'dir')) added.set(name, ignoredEntry(0));
  }
  return added.size === 0 ? found : found.with(added);
}

/** Does all of this for a whole result. @param layers what was recorded, the last word first */
export function explainResult(
  result: ScanResult,
  request: Pick<ScanRequest, 'rules' | 'scope'>,
  layers: readonly Tree[],
): void {
  const matcher = new IgnoreMatcher(request.rules);
  for (const { dir, name, text } of result.ignoreFiles) matcher.addFile(dir, name, text);
  const context = { scope: request.scope, matcher, mountsGone: result.mountsGone };
  for (const [dir, found] of [...result.changed.listings()]) {
    const recorded = recordedListing(layers, dir);
    if (recorded === undefined) continue;
    const explained = explainChanges(dir, found, recorded, context);
    if (explained !== found) result.changed.setListing(dir, explained);
  }
  const unmatched = new Set(matcher.unmatchedPatterns());
  result.unmatchedPatterns = result.unmatchedPatterns.filter((pattern) => unmatched.has(pattern));
}

export function recordedListing(layers: readonly Tree[], dir: RelPath): Listing | undefined {
  for (const layer of layers) {
    const listing = layer.listing(dir);
    if (listing !== undefined) return listing;
  }
  return undefined;
}

function isMount(listing: Listing, index: number): boolean {
  return index >= 0 && (isUnknown(listing.kind(index)) || (listing.entry(index).flags & flags.mount) !== 0);
}
