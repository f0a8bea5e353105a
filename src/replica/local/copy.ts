/**
 * Bringing content into staging (DESIGN §6.1, §6.9): read from a source that must not change meanwhile, into a new file
 * that nobody sees yet.
 *
 * Invariant: what `copyContent` returns for is, byte for byte, what the source held at one moment. The source is opened
 * without following a symlink, checked on the descriptor before and after reading; a change in between fails the copy.
 */
import type { Hash } from 'node:crypto';
import fs, { type BigIntStats } from 'node:fs';
import { crypto } from '../../base/builtins.ts';
import { errnoCode, LockstepError } from '../../base/errors.ts';
import { isWellFormed } from '../../base/text.ts';
import type { Entry } from '../../tree/entry.ts';
import { encodeName } from '../../tree/path.ts';
import { toFs } from './fs-path.ts';
import { setTimes } from './utime.ts';
import { entryOf, matches, noGrain } from './stat.ts';
import type { Work } from './slices.ts';

const chunk = Buffer.allocUnsafeSlow(1 << 20);
const zeros = Buffer.alloc(1 << 16);
/** From this size on, asking the file system for a shared copy is worth the call. */
const minCloneBytes = 1 << 20;
/** File systems that share extents (btrfs, XFS, …) are found by trying; those that cannot are not asked again. */
const cannotClone = new Set<bigint>();

/** What a system says when something else, or nothing, stands where a file or a directory above it was. */
const goneCodes = ['ELOOP', 'ENOENT', 'ENOTDIR', 'ENXIO'];

/** The source was not, or did not stay, what the plan saw. */
export class SourceChangedError extends Error {
  override readonly name = 'SourceChangedError';
}

/** The source cannot be read; the cause says why. What goes wrong with the new file is told as it comes. */
export class SourceUnreadableError extends Error {
  override readonly name = 'SourceUnreadableError';
}

export interface Copied {
  bytes: number;
  digest: Uint8Array | undefined;
  /** Inode of the new file. */
  ino: bigint;
  ctimeNs: bigint;
  mtimeNs: bigint;
  /** As the file system kept it: permission bits and set-id bits. */
  mode: number;
}

export interface CopyRequest {
  /** Absolute, without symlinks on the way. */
  from: string;
  /** `from` goes through an open directory: there was no symlink on the way to it. */
  byHandle: boolean;
  /** A path that does not exist yet. */
  to: string;
  expect: Entry;
  mode: number;
  mtimeUs: bigint;
  digest: boolean;
}

/** Copies a regular file with mode and mtime. A copy that fails leaves nothing. */
export function* copyContent(request: CopyRequest): Work<Copied> {
  const source = ofSource(() => openRegular(request.from));
  try {
    const before = ofSource(() => fs.fstatSync(source, { bigint: true }));
    if (!before.isFile() || !matches(entryOf(before, noGrain), request.expect)) throw new SourceChangedError();
    if (!request.byHandle && !isAt(source, request.from)) throw new SourceChangedError();
    const cloned = !request.digest && before.size >= minCloneBytes && tryClone(source, before.dev, request.to);
    const target = cloned ? openRegular(request.to, fs.constants.O_WRONLY) : createNew(request.to, request.mode);
    try {
      const hash = request.digest ? crypto().createHash('sha256') : undefined;
      const isSparse = before.blocks * 512n < before.size && before.size > 65536n;
      if (!cloned) yield* transfer(source, target, Number(before.size), isSparse, hash);
      const after = fs.fstatSync(source, { bigint: true });
      if (changedBetween(before, after, request.expect)) throw new SourceChangedError();
      return { bytes: Number(before.size), ...finishFile(target, request, hash) };
    } catch (error) {
      fs.rmSync(toFs(request.to), { force: true });
      throw error;
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(source);
  }
}

/** Makes a call on the source. @throws SourceChangedError when it is gone, SourceUnreadableError for any other refusal */
export function ofSource<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const code = errnoCode(error);
    if (code === undefined) throw error;
    if (goneCodes.includes(code)) throw new SourceChangedError();
    throw new SourceUnreadableError('the source cannot be read', { cause: error });
  }
}

/** Did a file change while it was read? */
export function changedBetween(before: BigIntStats, after: BigIntStats, expect: Entry): boolean {
  // Where the plan leaves the ctime open, another step of the same run moves it: a rename, or one of a twin's names.
  const touched = expect.ctimeNs !== 0n && after.ctimeNs !== before.ctimeNs;
  return touched || after.mtimeNs !== before.mtimeNs || after.size !== before.size;
}

/** Gives a file that holds its content its mode and time. */
export function finishFile(
  file: number,
  { mode, mtimeUs }: { mode: number; mtimeUs: bigint },
  hash: Hash | undefined,
): Omit<Copied, 'bytes'> {
  setTimes(file, mtimeUs);
  let made = fs.fstatSync(file, { bigint: true });
  // The mode given to open was cut by the umask; what is missing is set on the descriptor.
  if ((Number(made.mode) & 0o7777) !== mode) {
    fs.fchmodSync(file, mode);
    made = fs.fstatSync(file, { bigint: true });
  }
  const digest = hash === undefined ? undefined : new Uint8Array(hash.digest());
  const { ino, ctimeNs, mtimeNs } = made;
  return { digest, ino, ctimeNs, mtimeNs, mode: Number(made.mode) & 0o7777 };
}

/**
 * Was a file opened where its path says, and not through a symlink that somebody put in the place of a directory on the
 * way? The scan may have followed the same symlink, so that the inode proves nothing. Only Linux can tell; elsewhere the
 * worst case is a directory that is swapped both while it is scanned and while it is read.
 */
export function isAt(file: number, path: string): boolean {
  if (process.platform !== 'linux') return true;
  const link = `/proc/self/fd/${file}`;
  if (isWellFormed(path)) return fs.readlinkSync(link) === path;
  return encodeName(path).equals(fs.readlinkSync(link, 'buffer'));
}

/** A regular file, or whatever else stands there without blocking on it: the caller checks with fstat. */
export function openRegular(path: string, access = fs.constants.O_RDONLY): number {
  try {
    return fs.openSync(toFs(path), access | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  } catch (error) {
    if (goneCodes.includes(errnoCode(error) ?? '')) throw new SourceChangedError();
    throw error;
  }
}

/** A new file that nobody sees yet. */
export function createNew(path: string, mode: number): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  return fs.openSync(toFs(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0o777);
}

function* transfer(
  source: number,
  target: number,
  size: number,
  isSparse: boolean,
  hash: Hash | undefined,
): Work<void> {
  let done = 0;
  while (done < size) {
    const wanted = Math.min(chunk.length, size - done);
    const count = ofSource(() => fs.readSync(source, chunk, 0, wanted, null));
    if (count === 0) throw new SourceChangedError();
    const piece = chunk.subarray(0, count);
    hash?.update(piece);
    if (isSparse) writeWithHoles(target, piece, done);
    else writeFully(target, piece);
    done += count;
    if (done < size) yield { entries: 0, bytes: done, path: '' };
  }
  if (isSparse) fs.ftruncateSync(target, size);
}

export function writeFully(target: number, piece: Uint8Array): void {
  for (let at = 0; at < piece.length;) {
    const count = fs.writeSync(target, piece, at, piece.length - at, null);
    if (count === 0) throw new LockstepError('io', 'the file system took no more bytes');
    at += count;
  }
}

/** Leaves out the runs of zeros that a sparse source has holes for; `ftruncate` brings the length at the end. */
export function writeWithHoles(target: number, piece: Uint8Array, position: number): void {
  for (let at = 0; at < piece.length; at += zeros.length) {
    const part = piece.subarray(at, at + zeros.length);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) === 0) continue;
    for (let written = 0; written < part.length;) {
      written += fs.writeSync(target, part, written, part.length - written, position + at + written);
    }
  }
}

function tryClone(source: number, dev: bigint, to: string): boolean {
  if (process.platform !== 'linux' || cannotClone.has(dev)) return false;
  try {
    const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = fs.constants;
    fs.copyFileSync(`/proc/self/fd/${source}`, toFs(to), COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    // Whatever the reason (another file system, no shared extents, an old kernel): the bytes are copied instead.
    fs.rmSync(toFs(to), { force: true });
    cannotClone.add(dev);
    return false;
  }
}
