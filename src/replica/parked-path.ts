/** What is noted beside a file that is half-way through a rename (`.lockstep/staging/<run>/parked`), wherever the root is. */
import { decodeName, isSafePath, nameBytes, type RelPath } from '../tree/path.ts';

/** What file systems take at most. */
const maxNameBytes = 255;

/**
 * The path that a parked file had. The note may be cut short (a full disk, a crash) or somebody else's: where it is no path in
 * the root, the file gets a made-up one, because it must be kept all the same.
 *
 * @param noted its bytes; undefined when there is no note
 * @param name of the parked file
 */
export function pathOfParked(noted: Uint8Array | undefined, name: string): RelPath {
  const path = noted === undefined ? '' : decodeName(noted);
  const isUsable = isSafePath(path) && path.split('/').every((part) => nameBytes(part) <= maxNameBytes);
  return isUsable ? path : `parked-${name}`;
}
