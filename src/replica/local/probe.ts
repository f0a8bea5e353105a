/** Looking at a path before anything is opened. */
import fs from 'node:fs';
import path from 'node:path';
import { errnoCode, reasonOf } from '../../base/errors.ts';
import type { RootProbe } from '../replica.ts';
import { bootId, isDangerous } from './platform.ts';

export function probeRoot(root: string): RootProbe {
  const missing = { kind: 'missing', realPath: realPathOfMissing(root), inode: '' } as const;
  try {
    // Not `throwIfNoEntry: false`: from Node 22 on it also hides that a file stands where a directory would have to be.
    const stats = fs.statSync(root, { bigint: true });
    const realPath = fs.realpathSync(root);
    const kind = stats.isDirectory() ? 'directory' : 'other';
    const inode = `${stats.dev}:${stats.ino}`;
    return { kind, realPath, inode, dangerous: isDangerous(realPath), boot: bootId() };
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return { ...missing, dangerous: isDangerous(missing.realPath) };
    if (errnoCode(error) === 'ENOTDIR') return { ...missing, kind: 'other', dangerous: false };
    return { kind: 'unreadable', realPath: path.resolve(root), inode: '', dangerous: false, reason: reasonOf(error) };
  }
}

/** Where a missing root would come to lie: symlinks above it resolved, so that overlaps are seen. */
function realPathOfMissing(root: string): string {
  const absolute = path.resolve(root);
  for (let dir = path.dirname(absolute); ; dir = path.dirname(dir)) {
    try {
      return path.join(fs.realpathSync(dir), path.relative(dir, absolute));
    } catch (error) {
      // Whatever is wrong with it (a loop of links, a name too long) is found again, and told, where the root is looked at.
      if (dir === '/') throw error;
    }
  }
}
