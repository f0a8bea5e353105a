/** Entries from `lstat`. */
import fs, { type BigIntStats } from 'node:fs';
import { errnoCode } from '../../base/errors.ts';
import { flags, type Entry, type Kind } from '../../tree/entry.ts';
import { decodeName } from '../../tree/path.ts';
import { toFs } from './fs-path.ts';

const typeMask = 0o170000;
const types: Readonly<Record<number, Kind>> = { 0o100000: 'file', 0o040000: 'dir', 0o120000: 'symlink' };

export function kindOfMode(mode: number): Kind {
  return types[mode & typeMask] ?? 'special';
}

/** What a special file is, for messages. */
export function specialKind(mode: number): string {
  switch (mode & typeMask) {
    case 0o010000:
      return 'FIFO';
    case 0o140000:
      return 'socket';
    case 0o020000:
    case 0o060000:
      return 'device';
    default:
      return 'special file';
  }
}

/** The times that are too close to a moment of looking to be trusted later: the clock had not moved on since. */
export interface Grain {
  fromNs: bigint;
  /** Times set into the future by hand are not racy: no later write will produce them again. */
  toNs: bigint;
}

/** The grain of now. */
export function grainNow(granularityNs: bigint): Grain {
  const now = BigInt(Date.now()) * 1_000_000n;
  return { fromNs: now - granularityNs, toNs: now + granularityNs };
}

/** No time is too close: for entries that are compared and thrown away. */
export const noGrain: Grain = { fromNs: 1n, toNs: 0n };

export function isWithinGrain(stats: Pick<BigIntStats, 'mtimeNs' | 'ctimeNs'>, grain: Grain): boolean {
  return (
    (stats.ctimeNs >= grain.fromNs && stats.ctimeNs <= grain.toNs) ||
    (stats.mtimeNs >= grain.fromNs && stats.mtimeNs <= grain.toNs)
  );
}

/** The entry for a stat, without a symlink's target; racy if its times lie within the grain. */
export function entryOf(stats: BigIntStats, grain: Grain): Entry {
  const mode = Number(stats.mode);
  const kind = kindOfMode(mode);
  return {
    kind,
    mode: kind === 'symlink' ? 0 : mode & 0o7777,
    size: kind === 'file' ? Number(stats.size) : 0,
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    ino: stats.ino,
    flags: kind === 'file' && isWithinGrain(stats, grain) ? flags.racy : 0,
  };
}

/** `lstat` that answers undefined for what is not there; throws for everything else that goes wrong. */
export function lstatIfPresent(path: string): BigIntStats | undefined {
  try {
    return fs.lstatSync(toFs(path), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (errnoCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

export function readTarget(path: string): string {
  return decodeName(fs.readlinkSync(toFs(path), 'buffer'));
}

/** Looks at one path now. Racy entries are marked as in a scan. */
export function observe(path: string, granularityNs: bigint): Entry | undefined {
  const grain = grainNow(granularityNs);
  const stats = lstatIfPresent(path);
  if (stats === undefined) return undefined;
  const entry = entryOf(stats, grain);
  if (entry.kind === 'symlink') entry.target = readTarget(path);
  return entry;
}

/**
 * Is what stands here still what the plan saw? Directories are the same while they are the same inode: their content is
 * their children's affair.
 */
export function matches(now: Entry | undefined, expect: Entry | undefined): boolean {
  if (now === undefined || expect === undefined) return now === expect;
  if (now.kind !== expect.kind) return false;
  if (expect.ino !== 0n && now.ino !== expect.ino) return false;
  if (now.kind === 'dir') return true;
  if (now.kind === 'symlink') return now.target === expect.target;
  if (now.size !== expect.size || now.mtimeNs !== expect.mtimeNs) return false;
  return expect.ctimeNs === 0n || now.ctimeNs === expect.ctimeNs;
}
