import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.js';
import { random } from './random.js';

/** @import { Context } from './types.js' */

/**
 * A copy of the Linux tree that the benchmark may change. Copying it also brings it into the page cache, where every
 * contender is to find it.
 *
 * @param {Context} context
 * @param {string} to does not exist yet
 */
export async function copyLinux(context, to) {
  await copyTree(await context.linuxTree(), to);
}

/**
 * @param {string} from
 * @param {string} to does not exist yet
 */
export async function copyTree(from, to) {
  await run(['cp', '-a', from, to]);
}

/**
 * A directory of `dirs` × `files` files of 2 to 8 KB, no two alike: whoever renames them by digest must not be helped
 * by duplicates.
 *
 * @param {string} root
 * @param {number} dirs
 * @param {number} files
 */
export function writeDistinctFiles(root, dirs, files) {
  const next = random(10_000);
  for (let d = 0; d < dirs; d++) {
    const dir = join(root, `part-${d}`);
    mkdirSync(dir, { recursive: true });
    for (let f = 0; f < files; f++) {
      const line = `file ${f} of part ${d}, number ${next()}\n`;
      const size = 2048 + Math.floor(next() * 6144);
      writeFileSync(join(dir, `file-${f}.txt`), line.repeat(Math.ceil(size / line.length)).slice(0, size));
    }
  }
}

/** Directories at each level of the million-file tree: 63,775 in all. */
const FAN_OUT = [25, 50, 50];
/** Files in each of the 62,500 directories of the lowest level: 1,000,000 in all. */
const LEAF_FILES = 16;

/**
 * A million files in 63,775 directories. All but one in sixteen are empty: it is entries that are to fill the memory,
 * not a tmpfs with pages.
 *
 * @param {string} root
 * @param {number} [scale] share of the top-level directories to make, for trying the benchmark out
 * @returns {number} entries made
 */
export function writeManyFiles(root, scale = 1) {
  let entries = 0;
  /**
   * @param {string} dir
   * @param {number} level
   */
  const fill = (dir, level) => {
    const width = FAN_OUT[level];
    if (width === undefined) {
      for (let f = 0; f < LEAF_FILES; f++) writeFileSync(`${dir}/entry-${f}.dat`, f === 0 ? `${dir}\n` : '');
      entries += LEAF_FILES;
      return;
    }
    for (let d = 0; d < (level === 0 ? Math.max(1, Math.round(width * scale)) : width); d++) {
      const child = `${dir}/dir-${d}`;
      mkdirSync(child);
      entries++;
      fill(child, level + 1);
    }
  };
  mkdirSync(root, { recursive: true });
  fill(root, 0);
  return entries;
}
