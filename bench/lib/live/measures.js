import {
  appendFileSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { random, take } from '../random.js';

/** Longer than this and it is not coming. Milliseconds. */
const PATIENCE = 120_000;

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * All files below a root, without Lockstep's own.
 *
 * @param {string} root
 * @returns {string[]} relative paths, in order
 */
export function filesOf(root) {
  /** @type {string[]} */
  const found = [];
  const dirs = [''];
  for (let dir = dirs.pop(); dir !== undefined; dir = dirs.pop()) {
    for (const entry of readdirSync(join(root, dir), { withFileTypes: true })) {
      if (dir === '' && entry.name === '.lockstep') continue;
      const path = join(dir, entry.name);
      if (entry.isDirectory()) dirs.push(path);
      else if (entry.isFile()) found.push(path);
    }
  }
  return found.sort();
}

/**
 * Files edited one after the other, each in a directory where nothing was done before: from before the write until the
 * other side has the bytes.
 *
 * @param {string} from
 * @param {string} to
 * @param {string[]} files
 * @param {number} seed
 * @param {number} [count]
 * @returns {Promise<number[]>} milliseconds
 */
export async function latencies(from, to, files, seed, count = 40) {
  /** @type {number[]} */
  const times = [];
  const dirs = new Set();
  for (const path of take([...files], files.length, random(seed))) {
    if (times.length === count) break;
    if (dirs.has(dirname(path))) continue;
    dirs.add(dirname(path));
    await pause(300);
    const text = `edit ${seed} ${times.length} of ${path}\n`;
    const start = performance.now();
    writeFileSync(join(from, path), text);
    while (!holds(join(to, path), text)) {
      if (performance.now() - start > PATIENCE) throw new Error(`${path} did not arrive`);
      await pause(0);
    }
    times.push(performance.now() - start);
  }
  return times;
}

/**
 * @param {string} file
 * @param {string} text
 */
function holds(file, text) {
  try {
    // The size first: a large file is not read again and again while it is being replaced.
    return statSync(file).size === text.length && readFileSync(file, 'latin1') === text;
  } catch {
    return false;
  }
}

/**
 * 5,000 files appended to, 500 deleted and 500 created within two seconds, all over the tree.
 *
 * @param {string} root
 * @param {string[]} files
 * @param {number} seed
 * @returns {Promise<string[]>} the paths concerned
 */
export async function burst(root, files, seed) {
  const some = take([...files], 6000, random(seed));
  const deeds = some.map((path, at) => {
    const full = join(root, path);
    if (at < 5000) return { path, act: () => appendFileSync(full, `/* ${seed} */\n`) };
    if (at < 5500) return { path, act: () => unlinkSync(full) };
    const made = join(dirname(path), `bench-${seed}-${at}.c`);
    return { path: made, act: () => writeFileSync(join(root, made), `int made_${at};\n`.repeat(200)) };
  });
  const start = performance.now();
  for (const [at, { act }] of take([...deeds], deeds.length, random(seed + 1)).entries()) {
    act();
    // Spread over the two seconds.
    while (performance.now() - start < (at / deeds.length) * 2000) await pause(1);
  }
  return deeds.map(({ path }) => path);
}

/**
 * Waits until all paths look alike on both sides. Nobody changes the source meanwhile, so what was seen alike stays so, and
 * only the first path that is not is looked at again: who waits must not take a processor from those who work.
 *
 * @param {string} from
 * @param {string} to
 * @param {string[]} paths
 */
export async function arrival(from, to, paths) {
  const start = performance.now();
  for (const path of paths) {
    while (stateOf(join(from, path)) !== stateOf(join(to, path))) {
      if (performance.now() - start > PATIENCE) throw new Error(`${path} did not arrive`);
      await pause(5);
    }
  }
}

/** @param {string} path */
function stateOf(path) {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  // To the microsecond, exactly: as milliseconds, a time just below a whole one is rounded up to it.
  return stats === undefined ? 'none' : `${stats.size} ${stats.mtimeNs / 1000n}`;
}

/**
 * Processor time and memory of a process and all its descendants.
 *
 * @param {number} pid
 * @returns {{ cpu: number, rss: number }} seconds, bytes
 */
export function usage(pid) {
  let [cpu, rss] = [0, 0];
  const queue = [pid];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    if (!existsSync(`/proc/${at}/stat`)) continue;
    const stat = readFileSync(`/proc/${at}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    cpu += (Number(fields[11]) + Number(fields[12])) / 100;
    rss += Number(fields[21]) * 4096;
    for (const task of readdirSync(`/proc/${at}/task`)) {
      const children = `/proc/${at}/task/${task}/children`;
      if (existsSync(children)) queue.push(...readFileSync(children, 'latin1').split(' ').filter(Boolean).map(Number));
    }
  }
  return { cpu, rss };
}
