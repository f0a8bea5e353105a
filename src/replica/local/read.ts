import fs from 'node:fs';
import { errnoCode } from '../../base/errors.ts';

/** A small text file, or undefined when it is not there (or may not be read). */
export function readFileIfPresent(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw error;
  }
}
