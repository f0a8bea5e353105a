import { existsSync, readFileSync } from 'node:fs';
import { describeEnding, finish } from './process.js';

/** @import { Sample } from './types.js' */

/** A contender that takes longer than this hangs. Seconds. */
const LIMIT = 1800;

/**
 * GNU time is what reports the peak RSS. It also keeps the figure honest: a process starts with the high-water mark
 * of whoever forked it, which is `time` (2 MB) here and would be this Node process (60 MB) without it.
 */
const GNU_TIME = '/usr/bin/time';

/**
 * Measures one whole process: what a person who types the command waits for, start-up included.
 *
 * @param {string[]} argv
 * @param {Record<string, string>} env
 * @param {string} scratch a file this may overwrite
 * @returns {Promise<Sample>}
 */
export async function measure(argv, env, scratch) {
  const gnu = existsSync(GNU_TIME);
  const wrapped = gnu
    ? [GNU_TIME, '-q', '-o', scratch, '-f', '%U %S %M', '--', ...argv]
    : ['bash', '-c', 'TIMEFORMAT="%U %S"; exec 3>&2; { time "$@" 2>&3; } 2>"$0"', scratch, ...argv];
  const start = process.hrtime.bigint();
  const ending = await finish(wrapped, { env, limit: LIMIT });
  const wall = Number(process.hrtime.bigint() - start) / 1e9;
  if (ending.code !== 0) throw new Error(describeEnding(ending));
  const [user = NaN, system = NaN, kib] = readFileSync(scratch, 'latin1').trim().split(/\s+/).map(Number);
  return { wall, cpu: user + system, rss: kib === undefined ? undefined : kib * 1024 };
}
