import { spawn } from 'node:child_process';

/** How a finished process ended. @typedef {{ code: number | null, signal: string | null, stderr: string }} Ending */

/** Process groups now running, so that an interrupt leaves nothing behind. @type {Set<number>} */
const groups = new Set();
let stopped = false;

/** Thrown by everything that starts or awaits a process once {@link stopAll} was called. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

/** Kills what is running; nothing new is started from here on, except what cleaning up starts with `always`. */
export function stopAll() {
  stopped = true;
  for (const pid of groups) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It ended in the same moment.
    }
  }
}

/**
 * Runs a process to its end, in a process group of its own so that a time limit or an interrupt also takes the
 * helpers it forked (rsync is three processes).
 *
 * @param {string[]} argv
 * @param {object} [options]
 * @param {Record<string, string>} [options.env] added to the environment
 * @param {string} [options.cwd]
 * @param {(chunk: Buffer) => void} [options.onStdout] without it standard output goes nowhere
 * @param {number} [options.limit] seconds until it is killed
 * @param {boolean} [options.always] run even after an interrupt
 * @returns {Promise<Ending>}
 */
export function finish(argv, { env, cwd, onStdout, limit, always } = {}) {
  if (stopped && !always) return Promise.reject(new Interrupted());
  const [command = '', ...rest] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, rest, {
      cwd,
      env: env ? { ...process.env, ...env } : process.env,
      stdio: ['ignore', onStdout ? 'pipe' : 'ignore', 'pipe'],
      detached: true,
    });
    const { pid } = child;
    if (pid !== undefined) groups.add(pid);
    const timer =
      limit === undefined || pid === undefined
        ? undefined
        : setTimeout(() => process.kill(-pid, 'SIGKILL'), limit * 1e3);
    let stderr = '';
    child.stderr?.on('data', (/** @type {Buffer} */ chunk) => {
      stderr = (stderr + chunk.toString()).slice(-4000);
    });
    if (onStdout) child.stdout?.on('data', onStdout);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (pid !== undefined) groups.delete(pid);
      if (stopped && !always) reject(new Interrupted());
      else resolve({ code, signal, stderr });
    });
  });
}

/**
 * Runs a process that has to succeed and returns what it printed.
 *
 * @param {string[]} argv
 * @param {{ cwd?: string, always?: boolean, env?: Record<string, string> }} [options]
 * @returns {Promise<string>} standard output, one character per byte
 */
export async function run(argv, options = {}) {
  /** @type {Buffer[]} */
  const chunks = [];
  const ending = await finish(argv, { ...options, onStdout: (chunk) => chunks.push(chunk) });
  if (ending.code !== 0) throw new Error(`${argv.join(' ')}: ${describeEnding(ending)}`);
  return Buffer.concat(chunks).toString('latin1');
}

/**
 * @param {Ending} ending
 * @returns {string}
 */
export function describeEnding({ code, signal, stderr }) {
  const how = signal === null ? `exit ${code}` : `killed by ${signal}`;
  return stderr.trim() === '' ? how : `${how}: ${stderr.trim()}`;
}
