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

/** True when the record must not be trusted to show every later edit. */
export function isRacy(entry: Entry): boolean {
  return (entry.flags & flags.racy) !== 0;
}

/** Kinds about which nothing may be concluded: neither synced nor taken for absent. */
export function isUnknown(kind: Kind): boolean {
  return kind === 'special' || kind === 'unreadable' || kind === 'ignored';
}
