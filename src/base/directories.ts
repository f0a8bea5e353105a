import fs from 'node:fs';
import path from 'node:path';
import { errnoCode } from './errors.ts';

/**
 * Makes a directory and what is missing above it. Node's own `recursive` spins for ever where the system says that there is
 * no such directory although the one above is there, as in /proc, and has no word for a read-only disk.
 *
 * @returns the topmost directory that had to be made, undefined when it was there
 * @throws the system's error; its `path` says which directory could not be made
 */
export function makeDirectories(dir: string, mode = 0o777): string | undefined {
  const above = path.dirname(dir);
  try {
    return make(dir, mode);
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT' || above === dir || fs.existsSync(above)) throw error;
  }
  const first = makeDirectories(above, mode);
  const made = make(dir, mode);
  return first ?? made;
}

/** @returns it, or undefined when it was there */
function make(dir: string, mode: number): string | undefined {
  try {
    fs.mkdirSync(dir, { mode });
    return dir;
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT' && fs.statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) {
      return undefined;
    }
    throw error;
  }
}
