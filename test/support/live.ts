/** A live run of the built command line, its events as they come, and waiting for what must become true. */
import { spawn, type ChildProcess } from 'node:child_process';
import { expect } from 'vitest';
import { cliPath, type JsonEvent } from './cli.ts';
import { Pair } from './pair.ts';
import { comparable } from './tree.ts';

/** However slow a machine is, what has not happened by then is not going to. */
const patienceMs = 90_000;

export interface LiveRunOptions {
  args?: readonly string[];
  command?: 'sync' | 'push' | 'pull';
  env?: Record<string, string>;
  under?: readonly string[];
  /** Roots other than the pair's. */
  roots?: readonly string[];
}

export class LiveRun {
  readonly events: JsonEvent[] = [];
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stderr = '';
  #rest = '';

  constructor(args: readonly string[], { env = {}, under = [] }: LiveRunOptions = {}) {
    const [program, ...before] = [...under, process.execPath];
    this.child = spawn(program, [...before, cliPath, ...args], {
      cwd: '/',
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.take(text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve) => this.child.on('close', (code, signal) => resolve({ code, signal })));
  }

  of(type: string): JsonEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  get actions(): JsonEvent[] {
    return this.of('action');
  }

  /** Waits until it is in step and watching. @param times how often it has said so since it was started */
  async watching(times = 1, remote?: string): Promise<void> {
    const is = (event: JsonEvent): boolean =>
      event['state'] === 'watching' && (remote === undefined || event['remote'] === remote);
    await this.until(() => this.of('state').filter(is).length >= times, `${times} × watching`);
  }

  /**
   * Waits for something to become true, which may look at trees that are being changed; fails with what was said so far when it
   * does not, or when the run ends.
   */
  async until(isTrue: () => boolean, what: string | (() => string) = isTrue.toString()): Promise<void> {
    const deadline = Date.now() + patienceMs;
    while (!isSo(isTrue)) {
      const over = this.child.exitCode !== null || this.child.signalCode !== null;
      if (over || Date.now() > deadline) {
        const said = this.events.map((event) => JSON.stringify(event)).join('\n');
        throw new Error(
          `${over ? 'it ended before' : 'waited in vain for'}: ${typeof what === 'string' ? what : what()}\n${said.slice(-3000)}\n${this.stderr}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Waits until nothing was told for a while: whatever follows on what was done has been told by then. */
  async quiet(forMs = 1500): Promise<void> {
    const deadline = Date.now() + patienceMs;
    for (let [seen, since] = [-1, Date.now()]; Date.now() - since < forMs;) {
      if (this.events.length !== seen) [seen, since] = [this.events.length, Date.now()];
      if (Date.now() > deadline) throw new Error('it does not come to rest');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it as Ctrl-C does. */
  async interrupt(): Promise<void> {
    this.child.kill('SIGINT');
    const { code, signal } = await this.ended;
    expect([code, signal], this.stderr).toEqual([130, null]);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  protected take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.events.push(JSON.parse(line) as JsonEvent);
  }
}

/** A pair that is kept in step. */
export class LivePair extends Pair {
  run$: LiveRun | undefined;

  get live(): LiveRun {
    if (this.run$ === undefined) throw new Error('it was not started');
    return this.run$;
  }

  async start(options: LiveRunOptions = {}): Promise<LiveRun> {
    const { command = 'sync', args = [], roots } = options;
    const own = command === 'pull' ? [this.b, this.a] : [this.a, this.b];
    const at = args.indexOf('--');
    const [before, behind] = at < 0 ? [args, []] : [args.slice(0, at), args.slice(at)];
    this.run$ = new LiveRun(
      [command, ...(roots ?? own), '--watch', '--json', '--state-dir', this.state, ...before, ...behind],
      options,
    );
    await this.live.watching();
    return this.live;
  }

  /** Waits until both sides are alike. */
  async inStep(): Promise<void> {
    await this.live.until(
      () => same(this.a, this.b),
      () => `both sides alike\n${JSON.stringify([comparable(this.a), comparable(this.b)], null, 1)}`,
    );
  }

  /** Ends the run; then both sides are alike, another run finds nothing to do, and nothing is left lying about. */
  async finish(...args: string[]): Promise<void> {
    await this.live.interrupt();
    this.expectEqual();
    await this.expectIdle(...args);
    this.expectClean();
  }
}

function same(a: string, b: string): boolean {
  try {
    return JSON.stringify(comparable(a)) === JSON.stringify(comparable(b));
  } catch {
    // Something came or went while it was being looked at.
    return false;
  }
}

/** A name that vanished while a tree was being read: whatever is waited for is not so yet. */
function isSo(isTrue: () => boolean): boolean {
  try {
    return isTrue();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}

export async function withLive(act: (pair: LivePair) => Promise<void>): Promise<void> {
  const pair = new LivePair();
  try {
    await act(pair);
  } finally {
    await pair.run$?.kill();
    pair.remove();
  }
}
