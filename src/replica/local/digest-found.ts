/**
 * The digest of a directory as it is now (listing-digest.ts), as cheaply as Node allows: for a scan that has only digests of
 * what was recorded.
 */
import fs, { type Stats } from 'node:fs';
import { flags } from '../../tree/entry.ts';
import { packBits } from '../../tree/listing.ts';
import { encodeName, type RelPath } from '../../tree/path.ts';
import type { DirectoryDigest } from '../listing-digest.ts';
import type { AsRecorded, FoundDirectory } from './as-recorded.ts';
import { toFs } from './fs-path.ts';
import { kindOfMode } from './stat.ts';

const statOptions = { throwIfNoEntry: false } as const;

export interface Digested extends AsRecorded {
  digest: string;
}

/**
 * @returns undefined where the exact look has more to say: names that the rules leave out, entries that vanished or cannot be
 *   looked at, and those whose times are so near that they may yet change unseen
 */
export function digestFound(
  path: RelPath,
  dir: FoundDirectory & { names: readonly string[] },
  digest: DirectoryDigest,
): Digested | undefined {
  const { prefix, names, isIgnored } = dir;
  const dev = Number(dir.dev);
  const newest = Date.now() * 1e6 - Number(dir.granularityNs);
  const found: Digested = { count: names.length, bytes: 0, directories: [], digest: '' };
  digest.begin(path, names.length);
  for (const [index, name] of names.entries()) {
    let stats: Stats | undefined;
    try {
      stats = fs.lstatSync(toFs(`${prefix}/${name}`), statOptions);
    } catch {
      return undefined; // The exact look tells why.
    }
    if (stats === undefined) return undefined;
    const kind = kindOfMode(stats.mode);
    const isDirectory = kind === 'dir';
    if (stats.mtimeMs * 1e6 > newest || stats.ctimeMs * 1e6 > newest || isIgnored?.(name, isDirectory) === true)
      return undefined;
    const isMount = isDirectory && stats.dev !== dev;
    if (isDirectory) {
      found.directories.push({ index, name, dev: isMount ? BigInt(stats.dev) : dir.dev });
    } else if (kind === 'file') found.bytes += stats.size;
    const bits = packBits(kind, kind === 'symlink' ? 0 : stats.mode & 0o7777, isMount ? flags.mount : 0);
    digest.add(stats.mtimeMs, stats.ctimeMs, stats.ino, kind === 'file' ? stats.size : 0, bits);
  }
  found.digest = digest.end(encodeName(names.join('/')));
  return found;
}
