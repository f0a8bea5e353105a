/** Running the built command line. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { expect, type TestContext } from 'vitest';
import { farShells } from './far-shells.ts';

export const cliPath = path.resolve(import.meta.dirname, '../../dist/lockstep.cjs');

/**
 * Where the second root is to be: here, or at the far end of a local shell or of a real ssh. The whole suite runs over each
 * (vitest.remote.config.ts); what it says of two directories must hold whatever is between them.
 */
const via = process.env['LOCKSTEP_TEST_VIA'] ?? 'local';
/** False where the second root has an agent of its own, in a process that a test cannot get at. */
export const bothHere = via === 'local';

/** True where the far side has an environment and a user of its own. */
export const overSsh = via === 'ssh';

/** True where nothing but a shell and small tools serves the far side (far-shells.ts). */
export const overShell = via in farShells;

/** True where the far end can set times to the second only. */
export const keepsSeconds = farShells[via]?.tools === 'busybox';

/** How far apart, ms, two changes must be for the later one to be the newer one: more than the step in which times are compared. */
export const clockDoubtMs = keepsSeconds ? 1100 : 0;

/** For tests of what only local roots have: skips where the second one is at the far end. @param why said of the skip */
export function onlyHere(context: TestContext, why: string): void {
  if (!bothHere) context.skip(why);
}

/**
 * For tests in which something happens between two file calls of the agent of the second root: skips where there is no Node
 * to make any.
 */
export function notInShell(context: TestContext): void {
  if (overShell) context.skip('happens between file calls of an agent; over there only a shell starts tools');
}

export interface Ran {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** One line of `--json` output. */
export type JsonEvent = { v: 1; type: string } & Record<string, unknown>;

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** A program and its arguments to run the command line under, e.g. `setpriv --reuid 1000 --`. */
  under?: readonly string[];
  /** Called with the process as soon as it runs. */
  onStart?: (child: ChildProcess) => void;
}

/** The command line with the remote root at the far end. */
function overThere(args: readonly string[]): readonly string[] {
  const [command = '', first = '', second = '', ...rest] = args;
  if (overShell && ['history', 'restore'].includes(command) && first.startsWith('/')) {
    // These take no command of their own: `docker` is a stand-in beside the far shell (far-shells.ts).
    return [command, `docker://far${first}`, '--agent', 'sh', ...args.slice(2)];
  }
  if (bothHere || !['sync', 'push', 'pull'].includes(command) || first.startsWith('-') || second.startsWith('-'))
    return args;
  const remote = command === 'pull' ? first : second;
  // Only absolute paths mean the same there; everything else is a test of what local roots are.
  if (!remote.startsWith('/') || args.includes('--help') || args.includes('--')) return args;
  if (via === 'sh') return [...args, '--', 'sh'];
  if (overShell) return [...args, '--agent', 'sh', '--', process.env['LOCKSTEP_TEST_FAR'] ?? ''];
  const there = `lockstep-test:${remote}`;
  const roots = command === 'pull' ? [there, second] : [first, there];
  return [command, ...roots, `--ssh-option=-F${process.env['LOCKSTEP_TEST_SSH_CONFIG'] ?? ''}`, ...rest];
}

const farShell = process.env['LOCKSTEP_TEST_FAR'];
const besideFarShell = farShell === undefined ? {} : { PATH: `${path.dirname(farShell)}:${process.env['PATH'] ?? ''}` };

/** Runs `lockstep ARGS…` to its end. */
export async function lockstep(given: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const args = overThere(given);
  const [program, ...before] = [...(options.under ?? []), process.execPath];
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...before, cliPath, ...args], {
      cwd: options.cwd ?? '/',
      env: { ...process.env, ...besideFarShell, NO_COLOR: '1', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    options.onStart?.(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Something of a run was killed: the command itself, or the agent at the far end. */
export function expectKilled(ran: Ran): void {
  const lost = eventsOf(ran, 'error').some(({ code }) => code === 'connection');
  if (!bothHere && lost) expect(ran.code).toBe(1);
  else expect(ran.signal, ran.stdout.slice(-500) + ran.stderr).toBe('SIGKILL');
}

/** The events of a `--json` run. @throws when a line of stdout is not one */
export function events(ran: Ran): JsonEvent[] {
  return ran.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JsonEvent);
}

export function eventsOf(ran: Ran, type: string): JsonEvent[] {
  return events(ran).filter((event) => event.type === type);
}
