import fs from 'node:fs';
import { errnoCode, LockstepError } from '../../base/errors.ts';
import { toFs } from './fs-path.ts';

/** A small text file, or undefined when it is not there (or may not be read). */
export function readFileIfPresent(path: string): string | undefined {
  return unlessAbsent(() => fs.readFileSync(path, 'utf8'));
}

/** As `readOwnBytes`, of text. */
export function readOwnFile(path: string): string | undefined {
  return readOwnBytes(path)?.toString('utf8');
}

/**
 * A small file in `.lockstep`. Whoever made the tree may have made that, too: no symlink is followed, and a FIFO is not waited for.
 *
 * @returns undefined when it is not there (or may not be read)
 * @throws LockstepError `state` when a symlink is there
 */
export function readOwnBytes(path: string): Buffer | undefined {
  try {
    return unlessAbsent(() => {
      const fd = fs.openSync(toFs(path), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
      try {
        return fs.readFileSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    });
  } catch (error) {
    if (errnoCode(error) !== 'ELOOP') throw error;
    throw new LockstepError('state', `${path} is a symbolic link, and none is followed there`, {
      path,
      hint: 'Lockstep has not made it: find out who has, and remove it.',
      cause: error,
    });
  }
}

function unlessAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw error;
  }
}
