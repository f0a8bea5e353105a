/** What is known of one path at one moment. */

/**
 * - `file`, `dir`, `symlink`: what is synced
 * - `special`: a FIFO, socket or device; reported, never opened, never synced
 * - `unreadable`: something is there, but its metadata could not be read: unknown, not absent
 * - `ignored`: something is there that the rules exclude: neither synced nor deleted
 */
export type Kind = 'file' | 'dir' | 'symlink' | 'special' | 'unreadable' | 'ignored';

/** Bits of `Entry.flags`. */
export const flags = {
  /** mtime or ctime lay within the clock granularity of the observation: a later edit could look the same. */
  racy: 1,
  /** A directory on another device than its parent: a nested mount point. */
  mount: 4,
} as const;

export interface Entry {
  kind: Kind;
  /** Permission bits including set-id and sticky, 0…0o7777; 0 for symlinks. */
  mode: number;
  /** Bytes; 0 for everything but files. */
  size: number;
  /** Nanoseconds since 1970; negative before. */
  mtimeNs: bigint;
  ctimeNs: bigint;
  /** Inode number; 0n when it is not known (which never equals a real one). */
  ino: bigint;
  flags: number;
  /** Symlinks only: where it points, in the form of a name (path.ts). */
  target?: string;
}

/** mtime as whole microseconds, rounded down: the finest unit that can be set through Node, and compared across sides. */
export function mtimeUs(entry: Entry): bigint {
  return floorDiv(entry.mtimeNs, 1000n);
}

function floorDiv(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value < 0n && quotient * by !== value ? quotient - 1n : quotient;
}

/** The permission bits that travel: set-id bits belong to an owner and stay behind unless owners travel too. */
export const syncedModeBits = 0o1777;

export function syncedMode(entry: Entry): number {
  return entry.mode & syncedModeBits;
}

/**
 * DESIGN §3.5: on one side, unchanged means kind, size, mtime, ctime and inode all as recorded, and neither record racy.
 * For directories only what is theirs counts: kind, mode, mtime and inode; their content is their children.
 */
export function sameFingerprint(a: Entry, b: Entry): boolean {
  if (a.kind !== b.kind || a.mtimeNs !== b.mtimeNs || a.ino !== b.ino || a.mode !== b.mode) return false;
  if (a.kind === 'dir') return true;
  return a.size === b.size && a.ctimeNs === b.ctimeNs && a.target === b.target && a.ino !== 0n;
}

/** What a step made of a path, in the parts that are known. */
export type Made = Partial<Pick<Entry, 'ino' | 'size' | 'mtimeNs' | 'target' | 'mode'>>;

/**
 * How something is recorded that a step has made and that was then looked at. Invariant: the record never holds what
 * somebody else did in between; it would be taken for settled, and never carried. So where the two differ it is recorded
 * as we made it, and the next look shows a change on this side.
 */
export function recordedAs(entry: Entry, made: Made): Entry {
  const { mode = entry.mode, ...rest } = made;
  const asMade = Object.entries(rest).every(([key, value]) => entry[key as keyof Entry] === value);
  if (asMade) return mode === entry.mode ? entry : { ...entry, mode };
  // A directory is known by its inode; what changed in it shows in its time.
  const isOurs = made.ino === undefined || made.ino === entry.ino;
  if (entry.kind === 'dir' && made.size === undefined && isOurs) {
    return { ...entry, mode, mtimeNs: made.mtimeNs ?? entry.mtimeNs };
  }
  // An inode that matches nothing: that it was edited must show, whatever its times are.
  return { ...entry, ...rest, mode, ino: 0n, ctimeNs: 0n };
}

/**
 * The mtime that setting one has left: as it was read back, because file systems round down, unless that is an edit's.
 *
 * @param askedUs what was set, microseconds
 * @param stepNs what the file system, and what set it, may have rounded down by
 */
export function timeSet(found: bigint, askedUs: bigint, stepNs: bigint): bigint {
  const asked = askedUs * 1000n;
  return found <= asked + 999n && asked - found <= stepNs ? found : asked;
}

/** True when the record must not be trusted to show every later edit. */
export function isRacy(entry: Entry): boolean {
  return (entry.flags & flags.racy) !== 0;
}

/** Kinds about which nothing may be concluded: neither synced nor taken for absent. */
export function isUnknown(kind: Kind): boolean {
  return kind === 'special' || kind === 'unreadable' || kind === 'ignored';
}
