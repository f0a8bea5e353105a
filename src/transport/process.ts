/** The process that is the pipe to the far side. */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { childProcess } from '../base/builtins.ts';
import { errnoCode, LockstepError, reasonOf } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';
import { StderrTail, type TakeLine } from './stderr-tail.ts';

export interface Exit {
  /** None when a signal ended it. */
  code: number | undefined;
  signal: NodeJS.Signals | undefined;
}

export interface PipedProcess {
  /** To the far side. Honour `write()`'s false: the pipe takes anything and keeps it in memory. */
  readonly stdin: Writable;
  /** From the far side. Always read it: who does not, blocks the far side. */
  readonly stdout: Readable;
  /** Bytes that came out of its stdout so far. */
  readonly bytesIn: number;
  /** Bytes written to its stdin so far, those that still wait here included. */
  readonly bytesOut: number;
  /** Its end, once its last words on stderr are in. Never rejects. stdout may still hold bytes to be read. */
  readonly exited: Promise<Exit>;
  /** The last 4 KB of its stderr. */
  stderrTail(): string;
  /** Has lines on stderr seen by `take` first: those that it takes are neither kept nor passed on. */
  takeStderr(take: TakeLine): void;
  /**
   * Ends its stdin and waits for it to go; what it still sends is thrown away. A process that stays is killed.
   *
   * @param graceMs how long it may take
   */
  close(graceMs?: number): Promise<Exit>;
  /** Ends it now: SIGTERM, and SIGKILL for one that does not listen. */
  kill(): Promise<Exit>;
}

export interface SpawnOptions {
  /**
   * It may need the terminal, to ask for a password.
   *
   * Ctrl-C goes to every process of the terminal's foreground group, and would end ssh before the far side is told
   * goodbye. So a process that needs no terminal gets a session of its own (`setsid`), which no terminal's signal reaches. One
   * that asks would find no terminal there; it stays in ours, with SIGINT ignored: ssh leaves it so, and its questions
   * can still be interrupted, because we kill it then.
   */
  needsTerminal?: boolean;
  /** Kills it whenever it fires, until it has ended. */
  signal?: AbortSignal;
  /** Told of every line on stderr. */
  onStderr?: ((line: string) => void) | undefined;
}

/** Between SIGTERM and SIGKILL. */
const killDelayMs = 2000;
/** How long words on stderr are waited for after the end: a grandchild may hold the pipe for ever. */
const lastWordsMs = 250;

/** Processes that would outlive this one: a program that calls `process.exit` closes nothing. */
const alive = new Set<Piped>();
let hooked = false;

/**
 * Starts a program with pipes to its stdin, stdout and stderr.
 *
 * @returns once it runs
 * @throws LockstepError `connection` when there is no such program, or it cannot be run
 */
export async function spawnPiped(
  argv: readonly [string, ...string[]],
  options: SpawnOptions = {},
): Promise<PipedProcess> {
  options.signal?.throwIfAborted();
  const [program, ...args] = argv;
  if (options.needsTerminal === true) await assertRunnable(program);
  const [file, ...rest] = options.needsTerminal === true ? ignoringInterrupt(argv) : [program, ...args];
  const child = childProcess().spawn(file, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: options.needsTerminal !== true,
    windowsHide: true,
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(cannotRun(program, error)));
  });
  return new Piped(child, options);
}

/** `exec` keeps the process id, so that killing it kills the program. */
function ignoringInterrupt(argv: readonly string[]): [string, ...string[]] {
  return ['/bin/sh', '-c', 'trap "" INT; exec "$@"', 'lockstep', ...argv];
}

/** Run through `sh`, a missing program would be an exit status instead of an error. */
async function assertRunnable(program: string): Promise<void> {
  const { access, constants, stat } = await import('node:fs/promises');
  const path = await import('node:path');
  const directories = program.includes('/') ? [''] : (process.env['PATH'] ?? '').split(path.delimiter);
  let refused: unknown;
  for (const directory of directories) {
    const candidate = path.join(directory === '' && !program.includes('/') ? '.' : directory, program);
    try {
      await access(candidate, constants.X_OK);
      if ((await stat(candidate)).isFile()) return;
    } catch (error) {
      if (errnoCode(error) === 'EACCES') refused = error;
    }
  }
  throw cannotRun(program, refused ?? Object.assign(new Error('not found'), { code: 'ENOENT' }));
}

const packages: Readonly<Record<string, string>> = {
  ssh: 'the OpenSSH client (the package is called openssh-client or openssh)',
  docker: 'the Docker command line',
  podman: 'Podman',
  kubectl: 'kubectl',
  vagrant: 'Vagrant',
};

function cannotRun(program: string, cause: unknown): LockstepError {
  const shown = escapeControls(program);
  if (errnoCode(cause) === 'ENOENT') {
    const wanted = packages[program];
    return new LockstepError('connection', `the program ${shown} is not installed on this machine, or not on PATH`, {
      hint:
        wanted === undefined ? `Install ${shown}, or write its full path.` : `Install ${wanted}, or put it on PATH.`,
      cause,
    });
  }
  return new LockstepError('connection', `the program ${shown} cannot be run: ${reasonOf(cause)}`, { cause });
}

class Piped implements PipedProcess {
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #group: boolean;
  readonly #tail: StderrTail;
  #gone = false;

  constructor(child: ChildProcess, options: SpawnOptions) {
    this.#child = child;
    this.#group = options.needsTerminal !== true;
    this.#tail = new StderrTail(options.onStderr);
    const { stdin, stdout, stderr } = child;
    // With stdio 'pipe' they are sockets, which count their bytes.
    const { Socket } = process.getBuiltinModule('node:net');
    if (!(stdin instanceof Socket) || !(stdout instanceof Socket) || stderr === null) throw new Error('no pipes');
    this.stdin = stdin;
    this.stdout = stdout;
    // A process that dies leaves EPIPE behind on whatever was being written. Its end is told by `exited`.
    for (const source of [child, stdin, stdout, stderr]) source.on('error', ignore);
    stderr.on('data', (chunk: Buffer) => this.#tail.add(chunk));
    const stderrClosed = new Promise<void>((resolve) => stderr.once('close', resolve));

    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#gone = true;
        alive.delete(this);
        options.signal?.removeEventListener('abort', abort);
        void within(lastWordsMs, stderrClosed).then(() => {
          this.#tail.end();
          stderr.destroy();
          resolve({ code: code ?? undefined, signal: signal ?? undefined });
        });
      });
    });
    const abort = (): void => void this.kill();
    options.signal?.addEventListener('abort', abort);
    alive.add(this);
    if (!hooked) process.on('exit', killAll);
    hooked = true;
    if (options.signal?.aborted === true) abort();
  }

  get bytesIn(): number {
    return this.stdout.bytesRead;
  }

  get bytesOut(): number {
    return this.stdin.bytesWritten;
  }

  stderrTail(): string {
    return this.#tail.text();
  }

  takeStderr(take: TakeLine): void {
    this.#tail.take = take;
  }

  async close(graceMs = 5000): Promise<Exit> {
    this.stdin.end();
    // It may be waiting to be read before it ends.
    this.stdout.resume();
    await within(graceMs, this.exited);
    return this.kill();
  }

  async kill(): Promise<Exit> {
    if (!this.#gone) {
      this.signal('SIGTERM');
      await within(killDelayMs, this.exited);
      this.signal('SIGKILL');
    }
    const exit = await this.exited;
    // A grandchild that holds the pipes must not hold us.
    this.stdin.destroy();
    this.stdout.destroy();
    return exit;
  }

  /** Its whole group where it has one: helpers such as a ProxyCommand go too. */
  signal(name: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (this.#gone || pid === undefined) return;
    try {
      process.kill(this.#group ? -pid : pid, name);
    } catch {
      // It ended in this very moment.
    }
  }
}

function killAll(): void {
  for (const one of alive) one.signal('SIGTERM');
}

function ignore(): void {
  // See where it is attached.
}

/** Waits for something, but not for ever. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
