/** Running the built command line. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';

export const cliPath = path.resolve(import.meta.dirname, '../../dist/lockstep.cjs');

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

/** Runs `lockstep ARGS…` to its end. */
export async function lockstep(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [program, ...before] = [...(options.under ?? []), process.execPath];
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...before, cliPath, ...args], {
      cwd: options.cwd ?? '/',
      env: { ...process.env, NO_COLOR: '1', ...options.env },
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
