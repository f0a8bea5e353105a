/** What only some machines can do: other users, immutable files, file systems that fold case. Each says why it cannot. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { overSsh } from './cli.ts';

/** Somebody without privileges: root reads and writes everything. */
export const nobody = 65534;

/** Program and arguments to run the command line as `nobody`, or the reason why that is not possible. */
export function asNobody(): { under: string[] } | { reason: string } {
  if (process.getuid?.() !== 0) return { reason: 'needs root, to become another user' };
  if (overSsh) return { reason: 'another user cannot read the key for the ssh of the tests' };
  const under = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
  const probe = spawnSync('setpriv', [...under.slice(1), process.execPath, '-e', ''], { cwd: '/' });
  return probe.status === 0 ? { under } : { reason: 'setpriv does not work here' };
}

/** Gives a tree to `nobody`. */
export function giveAway(dir: string): void {
  execFileSync('chown', ['-R', `${nobody}:${nobody}`, dir]);
}

/** Runs a program that may be missing. @returns why it failed, undefined when it did not */
export function attempt(program: string, ...args: string[]): string | undefined {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) return `${program} is not installed`;
  return status === 0 ? undefined : `${program} ${args[0] ?? ''}: ${stderr.trim().split('\n')[0] ?? 'failed'}`;
}

/** A directory on which `Name` and `name` are one file. */
export interface Folding {
  dir: string;
  kind: 'vfat' | 'ext4';
  release: () => void;
}

/** Mounts a small case-insensitive file system from an image: FAT, or ext4 with case folding. */
export function mountFolding(scratch: string): Folding | { reason: string } {
  if (process.getuid?.() !== 0) return { reason: 'needs root, to mount a file system' };
  const reasons: string[] = [];
  for (const kind of ['vfat', 'ext4'] as const) {
    const image = path.join(scratch, `${kind}.img`);
    const dir = path.join(scratch, kind);
    fs.writeFileSync(image, '');
    fs.truncateSync(image, 64 << 20);
    fs.mkdirSync(dir);
    const made =
      kind === 'vfat'
        ? attempt('mkfs.vfat', image)
        : attempt('mke2fs', '-q', '-t', 'ext4', '-O', 'casefold', '-E', 'encoding=utf8', image);
    const failed = made ?? attempt('mount', '-t', kind, '-o', 'loop', image, dir);
    if (failed !== undefined) {
      reasons.push(failed);
      continue;
    }
    const release = (): void => void attempt('umount', dir);
    const root = path.join(dir, 'root');
    fs.mkdirSync(root);
    const folded = kind === 'vfat' ? undefined : attempt('chattr', '+F', root);
    if (folded === undefined) return { dir: root, kind, release };
    reasons.push(folded);
    release();
  }
  return { reason: `no case-insensitive file system: ${reasons.join('; ')}` };
}
