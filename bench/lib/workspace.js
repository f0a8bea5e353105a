import { mkdirSync, readFileSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.js';

/** @import { Benchmark } from './types.js' */

/** What has to stay free beside the trees in memory: the contenders, the kernel's own objects, everyone else. */
const MEMORY_RESERVE = 4e9;

/** @returns {number} bytes */
function availableMemory() {
  try {
    return Number(/MemAvailable:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/**
 * Why the trees of these benchmarks cannot be held in a tmpfs; undefined when they can.
 *
 * @param {Benchmark[]} benchmarks
 * @returns {string | undefined}
 */
export function tmpfsObstacle(benchmarks) {
  if (process.platform !== 'linux') return 'there is no tmpfs on this system';
  if (process.getuid?.() !== 0) return 'mounting one takes root';
  const needed = Math.max(...benchmarks.map(({ bytes }) => bytes)) + MEMORY_RESERVE;
  const free = availableMemory();
  if (free < needed) return `it takes ${gb(needed)} of free memory and there are ${gb(free)}`;
  return undefined;
}

/** @param {number} bytes */
const gb = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;

/**
 * Opens the directory everything is measured in. It belongs to this process: a second benchmark on the same machine
 * would spoil both, so a live one is refused, and what a killed one left behind is cleared away.
 *
 * @param {string} data
 * @param {'tmpfs' | 'disk'} fs
 * @param {Benchmark[]} benchmarks
 */
export async function openWorkspace(data, fs, benchmarks) {
  await clearLeftovers(data);
  const dir = join(data, `work-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  const needed = Math.max(...benchmarks.map(({ bytes }) => bytes));
  if (fs === 'tmpfs') {
    const size = Math.max(needed, availableMemory() - MEMORY_RESERVE);
    await run(['mount', '-t', 'tmpfs', '-o', `size=${size},nr_inodes=0,mode=700`, 'lockstep-bench', dir]);
  } else {
    const { bavail, bsize } = statfsSync(dir);
    if (bavail * bsize < needed)
      throw new Error(`the trees need ${gb(needed)}, ${data} has ${gb(bavail * bsize)} free`);
  }
  return {
    /** @param {string} name */
    enter: (name) => {
      const inner = join(dir, name);
      mkdirSync(inner);
      return inner;
    },
    /** @param {string} inner */
    leave: (inner) => run(['rm', '-rf', inner], { always: true }),
    /** On disk the writes of one contender would be flushed during the next one's run. */
    settle: async () => {
      if (fs === 'disk') await run(['sync']);
    },
    close: () => discard(dir),
  };
}

/** @param {string} data */
async function clearLeftovers(data) {
  for (const name of readdirSync(data)) {
    const pid = Number(/^work-(\d+)$/.exec(name)?.[1] ?? NaN);
    if (Number.isNaN(pid)) continue;
    const dir = join(data, name);
    if (isRunning(pid))
      throw new Error(`process ${pid} is benchmarking in ${dir}; two at once would measure each other`);
    await discard(dir);
  }
}

/** @param {number} pid */
function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** @param {string} dir */
async function discard(dir) {
  const mounted = readFileSync('/proc/self/mounts', 'latin1').includes(` ${dir} tmpfs `);
  if (mounted) await run(['umount', dir], { always: true }).catch(() => run(['umount', '-l', dir], { always: true }));
  await run(['rm', '-rf', dir], { always: true });
}
