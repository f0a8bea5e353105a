import { cpus, release, totalmem, type } from 'node:os';
import { run } from './process.js';

/**
 * What a reader needs in order to judge the figures.
 *
 * @param {'tmpfs' | 'disk'} fs
 * @param {string} dir where it was measured
 * @returns {Promise<string[]>}
 */
export async function machine(fs, dir) {
  const cores = cpus();
  const kind = fs === 'tmpfs' ? 'tmpfs' : `disk, ${(await run(['stat', '-f', '-c', '%T', dir])).trim()}`;
  return [
    `${cores[0]?.model ?? 'unknown CPU'}, ${cores.length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    `${type()} ${release()}, Node ${process.version}, files on ${kind}`,
    `${await version('rsync', '--version')}; ${await version('unison', '-version')}; ${await version('cp', '--version')}`,
  ];
}

/**
 * @param {string} command
 * @param {string} flag
 */
async function version(command, flag) {
  try {
    return ((await run([command, flag])).split('\n')[0] ?? '').replaceAll(/\s+/g, ' ').trim();
  } catch {
    return `no ${command}`;
  }
}
