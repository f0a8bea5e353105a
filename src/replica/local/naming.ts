/** Giving things names, one system call each, so that a kill leaves the one name or the other (apply.ts). */
import fs from 'node:fs';
import { errnoCode } from '../../base/errors.ts';
import { StepError } from './failure.ts';
import { toFs } from './fs-path.ts';
import { lstatIfPresent, matches, observe, readTarget } from './stat.ts';
import { setTimes } from './utime.ts';
import { changedMeanwhile } from './verify.ts';

/**
 * Gives a staged thing a name that nobody has. `link(2)` fails where something stands: what appeared since `verify` is
 * never replaced.
 */
export function nameNew(staged: string, target: string): void {
  try {
    fs.linkSync(toFs(staged), toFs(target));
  } catch (error) {
    const code = errnoCode(error);
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EMLINK') throw error;
    // No hard links here (FAT, some FUSE): the name is looked at again, and the rest is a race of microseconds.
    if (lstatIfPresent(target) !== undefined) throw new StepError('changed-meanwhile', 'something appeared there');
    fs.renameSync(toFs(staged), toFs(target));
    return;
  }
  fs.unlinkSync(toFs(staged));
}

/** A second name for a file or link; a copy where the file system has no hard links. @returns whether it was linked */
export function linkOrCopy(from: string, to: string): boolean {
  try {
    fs.linkSync(toFs(from), toFs(to));
    return true;
  } catch (error) {
    const code = errnoCode(error);
    if (code === undefined || !['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EXDEV'].includes(code)) throw error;
    copyAside(from, to);
    return false;
  }
}

/** Renames; where history is on another file system (a nested mount), copies and removes. @returns whether it was renamed */
export function renameOrCopy(from: string, to: string): boolean {
  try {
    fs.renameSync(toFs(from), toFs(to));
    return true;
  } catch (error) {
    if (errnoCode(error) !== 'EXDEV') throw error;
    const before = observe(from, 0n);
    copyAside(from, to);
    if (before === undefined || !matches(observe(from, 0n), before)) {
      fs.rmSync(toFs(to), { force: true });
      throw changedMeanwhile();
    }
    fs.unlinkSync(toFs(from));
    return false;
  }
}

/**
 * Gives a version in history an inode of its own where the user has other names for it: what he writes by them is not to
 * change it. Where there is no room for a copy it stays what it is.
 *
 * @param spare a path at which nothing exists yet
 */
export function unshare(kept: string, spare: string): void {
  const stats = fs.lstatSync(toFs(kept), { bigint: true });
  if (stats.nlink === 1n || !stats.isFile()) return;
  try {
    copyAside(kept, spare);
    if (process.getuid?.() === 0) fs.lchownSync(toFs(spare), Number(stats.uid), Number(stats.gid));
    fs.chmodSync(toFs(spare), Number(stats.mode) & 0o7777);
    fs.renameSync(toFs(spare), toFs(kept));
  } catch {
    fs.rmSync(toFs(spare), { force: true });
  }
}

function copyAside(from: string, to: string): void {
  const stats = fs.lstatSync(toFs(from), { bigint: true });
  if (stats.isSymbolicLink()) fs.symlinkSync(toFs(readTarget(from)), toFs(to));
  else {
    fs.copyFileSync(toFs(from), toFs(to), fs.constants.COPYFILE_EXCL);
    setTimes(to, stats.mtimeNs / 1000n);
  }
}
