/**
 * "Does this directory still look as recorded?", answered as cheaply as Node allows: nothing is packed, and the numbers of
 * `lstat` come as doubles, which are quicker to make than bigints.
 *
 * Doubles hold today's times to about a quarter of a microsecond, so times are the same here when they differ by less than
 * `slackNs`. That misses no change: every change sets ctime to the present, and an entry is only trusted (not flagged racy)
 * when a whole tick of the clock, a thousand times the slack, lay between its ctime and the moment it was recorded.
 * Wherever the answer is "no" or "not sure", the caller looks again with exact numbers.
 */
import fs, { type Stats } from 'node:fs';
import { headerBytes, packBits, recordBytes, type Listing } from '../../tree/listing.ts';
import type { Kind } from '../../tree/entry.ts';
import { toFs } from './fs-path.ts';
import { kindOfMode } from './stat.ts';

const slackNs = 1000;

const statOptions = { throwIfNoEntry: false } as const;

/** What a directory's entries come to, when they are all as recorded. */
export interface AsRecorded {
  count: number;
  bytes: number;
  /** The sub-directories: index and name, and device. */
  directories: { index: number; name: string; dev: bigint }[];
}

/** A directory as the scan finds it. */
export interface FoundDirectory {
  /** Its path for the file system. */
  prefix: string;
  /** What it holds now, in order; undefined when it is certain that these are the recorded names. */
  names: readonly string[] | undefined;
  dev: bigint;
  /** Tick of the clock that stamps its files, nanoseconds. */
  granularityNs: bigint;
  /** Whether the rules leave out a name; undefined when there are no rules. */
  isIgnored: ((name: string, isDirectory: boolean) => boolean) | undefined;
}

/** @returns undefined unless every entry certainly is as recorded */
export function looksAsRecorded(dir: FoundDirectory, recorded: Listing): AsRecorded | undefined {
  const { prefix, isIgnored } = dir;
  if (dir.names !== undefined && !recorded.hasNames(dir.names)) return undefined;
  const names = dir.names ?? recorded.decodeNames();
  const dev = Number(dir.dev);
  const view = new DataView(recorded.bytes.buffer, recorded.bytes.byteOffset, recorded.bytes.byteLength);
  const found: AsRecorded = { count: names.length, bytes: 0, directories: [] };
  // What may be racy now, or has times of the future, is looked at exactly.
  const newest = Date.now() * 1e6 - Number(dir.granularityNs);
  for (let i = 0, at = headerBytes; i < names.length; i += 1, at += recordBytes) {
    const name = names[i] ?? '';
    let stats: Stats | undefined;
    try {
      stats = fs.lstatSync(toFs(`${prefix}/${name}`), statOptions);
    } catch {
      return undefined; // The exact look tells why.
    }
    if (stats === undefined) return undefined;
    const kind = kindOfMode(stats.mode);
    const isDirectory = kind === 'dir';
    if (
      !isRecord(view, at, stats, kind) ||
      stats.mtimeMs * 1e6 > newest ||
      stats.ctimeMs * 1e6 > newest ||
      (isDirectory && stats.dev !== dev) ||
      isIgnored?.(name, isDirectory) === true
    )
      return undefined;
    if (isDirectory) found.directories.push({ index: i, name, dev: dir.dev });
    else if (kind === 'file') found.bytes += stats.size;
  }
  return found;
}

/** Is the record at an offset that of these numbers, without any flag? */
function isRecord(view: DataView, at: number, stats: Stats, kind: Kind): boolean {
  return (
    view.getUint32(at + 32, true) === packBits(kind, kind === 'symlink' ? 0 : stats.mode & 0o7777, 0) &&
    double(view, at + 16) === stats.ino &&
    (kind !== 'file' || double(view, at + 24) === stats.size) &&
    Math.abs(double(view, at) - stats.mtimeMs * 1e6) < slackNs &&
    Math.abs(double(view, at + 8) - stats.ctimeMs * 1e6) < slackNs
  );
}

/** A 64-bit integer as the double nearest to it. */
function double(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
