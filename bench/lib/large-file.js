import { createCipheriv } from 'node:crypto';
import { closeSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';

const CHUNK = 2 ** 22;

/**
 * Incompressible bytes, the same in every run for the same seed; random.js would take seconds for as many.
 *
 * @param {number} seed
 * @returns {(length: number) => Buffer} the next bytes of the stream
 */
function bytesFrom(seed) {
  const key = Buffer.alloc(16);
  key.writeInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

/**
 * @param {string} path
 * @param {number} size bytes
 */
export function writeLargeFile(path, size) {
  const next = bytesFrom(-1);
  const file = openSync(path, 'w');
  for (let left = size; left > 0; left -= CHUNK) writeSync(file, next(Math.min(CHUNK, left)));
  closeSync(file);
}

/**
 * Inserts 100 bytes at the front, so that everything moves, and changes 1 MiB in the middle.
 *
 * @param {string} path
 * @param {string} scratch a path on the same file system, where the new version is made
 * @param {number} seed
 */
export function mutateLargeFile(path, scratch, seed) {
  const next = bytesFrom(seed);
  const middle = Math.floor(statSync(path).size / 2);
  const [from, to] = [openSync(path, 'r'), openSync(scratch, 'w')];
  writeSync(to, next(100));
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let got = readSync(from, chunk); got > 0; got = readSync(from, chunk)) writeSync(to, chunk, 0, got);
  writeSync(to, next(2 ** 20), 0, 2 ** 20, middle);
  closeSync(from);
  closeSync(to);
  renameSync(scratch, path);
}
