/** What the system says of watching: how long its queue is, and where it cannot watch at all. */
import fs from 'node:fs';
import { errnoCode } from '../../../base/errors.ts';
import { readFileIfPresent } from '../read.ts';

const inotify = '/proc/sys/fs/inotify';

/** Events that wait for a process at most; more are dropped, which nobody is told of (NODE.md). */
export function queueLimit(): number {
  const limit = Number.parseInt(readFileIfPresent(`${inotify}/max_queued_events`) ?? '', 10);
  return Number.isSafeInteger(limit) && limit > 0 ? limit : 16_384;
}

/** `statfs` types of file systems that other machines, or other programs, change without the kernel here hearing of it. */
const silentTypes: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB',
  0x65735546: 'FUSE',
  0x01021997: '9p',
};

/** Why a root's file system tells of no changes, undefined when it does. */
export function silenceOf(root: string): string | undefined {
  const type = silentTypes[fs.statfsSync(root).type];
  return type === undefined ? undefined : `${type} does not tell of changes`;
}

/** Why a directory cannot be watched, for people: what to do about it; undefined when that is not for want of watches. */
export function wantOfWatches(error: unknown): string | undefined {
  const code = errnoCode(error);
  if (code === 'ENOSPC') {
    return `the system gives no more watches; more: sysctl fs.inotify.max_user_watches=${moreThan('max_user_watches')}`;
  }
  if (code !== 'EMFILE' && code !== 'ENFILE') return undefined;
  return `the system gives no more watchers; more: sysctl fs.inotify.max_user_instances=${moreThan('max_user_instances')}`;
}

function moreThan(name: string): number {
  const now = Number.parseInt(readFileIfPresent(`${inotify}/${name}`) ?? '', 10);
  const least = name === 'max_user_watches' ? 524_288 : 512;
  return Math.max(least, Number.isSafeInteger(now) ? now * 4 : 0);
}
