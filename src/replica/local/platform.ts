/** What this machine and file system are like. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readFileIfPresent } from './read.ts';

/** `statfs` types whose time stamps step with the kernel's clock tick (Linux `magic.h`). */
const tickTypes = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e]);
const fatTypes = new Set([0x4d44, 0x2011bab0]);

/**
 * How long two changes may lie apart and still get the same time stamp, in nanoseconds: a clock tick (at most 10 ms) on
 * local Linux file systems, two seconds on FAT, one second where nothing is known (NFS, FUSE, HFS+).
 */
export function granularityOf(root: string): bigint {
  const { type } = fs.statfsSync(root);
  if (tickTypes.has(type)) return 10_000_000n;
  if (fatTypes.has(type)) return 2_000_000_000n;
  return process.platform === 'darwin' ? 10_000_000n : 1_000_000_000n;
}

/**
 * Does a directory's own time tell of every name that comes or goes in it? So it is with local Linux file systems. Others are
 * not relied on: a network file system or FUSE may answer from a cache, or never touch a directory's times.
 */
export function listsByTimes(root: string): boolean {
  return process.platform === 'linux' && tickTypes.has(fs.statfsSync(root).type);
}

/** Finest step in which the file system stores an mtime, nanoseconds. */
export function storedGranularityOf(root: string): bigint {
  return fatTypes.has(fs.statfsSync(root).type) ? 2_000_000_000n : 1000n;
}

/**
 * True when names that differ only in case are one file here. Asked of an existing entry where there is one, so that
 * nothing is written.
 */
export function foldsNames(root: string, names: readonly string[]): boolean {
  const probe = names.find((name) => swapCase(name) !== name && !names.includes(swapCase(name)));
  if (probe === undefined) return process.platform === 'darwin' || fatTypes.has(fs.statfsSync(root).type);
  return fs.lstatSync(path.join(root, swapCase(probe)), { throwIfNoEntry: false }) !== undefined;
}

function swapCase(name: string): string {
  const upper = name.toUpperCase();
  return upper === name ? name.toLowerCase() : upper;
}

/** Free bytes for an ordinary user; 0 when the file system does not tell. */
export function freeBytesOf(root: string): number {
  const { bavail, bsize } = fs.statfsSync(root);
  return bavail * bsize;
}

/**
 * What must stay the same for written but not yet synced data to be certain: this boot of the kernel, and this appearance
 * of the disk (a USB disk that was pulled out and came back has another `diskseq`).
 */
export function sessionOf(root: string): string {
  const { dev } = fs.statSync(root, { bigint: true });
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const disk = `/sys/dev/block/${major}:${minor}`;
  const sequence = readFileIfPresent(`${disk}/diskseq`) ?? readFileIfPresent(`${disk}/../diskseq`) ?? '';
  return `${bootId()}/${dev}/${sequence.trim()}`;
}

export function bootId(): string {
  return readFileIfPresent('/proc/sys/kernel/random/boot_id')?.trim() ?? `up-since-${bootMinute()}`;
}

function bootMinute(): number {
  return Math.round((Date.now() / 1000 - os.uptime()) / 60);
}

/** A process's start time by the kernel's count: tells a reused pid from the process that wrote it down. */
export function processStart(pid: number): string | undefined {
  const stat = readFileIfPresent(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in parentheses may hold anything; fields are counted from its end. Field 22 is the start time.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** The user's own home directory, symlinks resolved; undefined when there is none. */
function ownHome(): string | undefined {
  try {
    return fs.realpathSync(os.homedir());
  } catch {
    // HOME is not set and the user has no entry in the user database, or it does not exist.
    return undefined;
  }
}

/** `/` and home directories: places that nobody means to mirror into. */
export function isDangerous(realPath: string): boolean {
  if (realPath === '/' || realPath === '/root' || realPath === '/home' || realPath === '/Users') return true;
  if (realPath === ownHome()) return true;
  const parent = path.dirname(realPath);
  return parent === '/home' || parent === '/Users';
}

/** How many threads can run at the same time here. Node has the exact answer since 18.14. */
export function processors(): number {
  const { availableParallelism, cpus } = os as Partial<typeof os> & typeof os;
  return typeof availableParallelism === 'function' ? availableParallelism() : cpus().length;
}
