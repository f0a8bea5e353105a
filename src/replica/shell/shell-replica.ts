/** A root over there, served by nothing but `sh` and small tools, behind the `Replica` interface. */
import path from 'node:path';
import { InterruptedError, LockstepError, UsageError } from '../../base/errors.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import type { PipedProcess } from '../../transport/process.ts';
import { isSafePath, isValidName, type RelPath } from '../../tree/path.ts';
import type { ReadRequest } from '../content-stream.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../history.ts';
import type {
  ApplyBatch,
  Control,
  DigestRequest,
  Failure,
  OpenedRoot,
  OpenRequest,
  Replica,
  Retention,
  RootProbe,
  ScanRequest,
  ScanResult,
  SignatureRequest,
  StepResult,
} from '../replica.ts';
import { FarApplies, type Bring } from './apply.ts';
import { cleanOutFar } from './clean-out.ts';
import { receiveContent } from './content-in.ts';
import { sendFar } from './content-out.ts';
import { digestFar } from './digest.ts';
import { FarHistory } from './history.ts';
import { farHistory, pruneFar } from './history-read.ts';
import { lineInput, openFar, probeFar, writeOwn, type FarOpened, type FarPlace } from './open.ts';
import { applyProgram } from './program-apply.ts';
import { program, programStart } from './program.ts';
import { Pulse, type PulseTiming } from './pulse.ts';
import { readOwn } from './read-own.ts';
import { restoreFar } from './restore.ts';
import { scanRoot } from './scan.ts';
import { Session } from './session.ts';
import { checkTools, parseTools, readClock, type Tools } from './tools.ts';

export interface ShellOptions {
  /** The root's path over there. */
  root: string;
  /** Names the root, in messages. */
  name: string;
  /** Identifies the machine that it is on. */
  place: string;
  /** When a far side that says nothing is lost. */
  pulse: PulseTiming;
  signal: AbortSignal;
}

/** A line of code after the other, to the end of stdin. */
const loop = '\nwhile IFS= read -r L; do case $L in "$M "*) eval "${L#"$M "}" ;; ?*) break ;; esac; done\nbye\n';

/** What an interrupted far side gets to put everything away in good order; without a line it does so by itself. */
const interruptedMs = 700;

interface Opened extends FarOpened {
  history: FarHistory;
}

/**
 * Talks to a far `sh` that waits for the program.
 *
 * @param start has the far shell run a program (transport/bootstrap.ts)
 * @throws LockstepError when what is there is not enough
 */
export async function startShellReplica(
  start: (program: string) => Promise<PipedProcess>,
  options: ShellOptions,
): Promise<ShellReplica> {
  const markers = Session.markers();
  const process = await start(`${programStart(markers)}${program}${applyProgram}${loop}`);
  const session = new Session(process, options.name, markers);
  const pulse = new Pulse(session, process, options.pulse);
  pulse.start();
  try {
    const { output } = await session.run({ code: 'facts', limit: 1 << 16 });
    const tools = parseTools(output.toString('utf8'));
    checkTools(tools, options.name);
    const clock = await measureClock(session);
    return new ShellReplica({ process, session, pulse }, tools, clock, options);
  } catch (error) {
    pulse.stop();
    session.fail(new InterruptedError());
    await process.kill();
    throw error;
  }
}

/** How far the clock over there is ahead of ours. */
async function measureClock(session: Session): Promise<{ offsetMs: number; uncertaintyMs: number }> {
  const askedAt = Date.now();
  const { output } = await session.run({ code: 'now', limit: 4096 });
  const answeredAt = Date.now();
  const { ms, stepMs } = readClock(output.toString('latin1'));
  return {
    offsetMs: ms + stepMs / 2 - (askedAt + answeredAt) / 2,
    uncertaintyMs: (answeredAt - askedAt) / 2 + stepMs / 2 + 1,
  };
}

/** A path in a root in its own form. @throws UsageError when it lies outside */
function pathInRoot(root: string, given: string): RelPath {
  const inside = given.startsWith('/') ? path.posix.relative(root, given) : path.posix.normalize(given);
  const asked = inside.replace(/\/+$/, '');
  if (asked === '' || asked === '.') return '';
  if (isSafePath(asked)) return asked;
  throw new UsageError(`not a path inside ${root}: ${given}`, {
    path: given,
    hint: 'Paths are given relative to the root, as lockstep history shows them.',
  });
}

export class ShellReplica implements Replica {
  readonly tools: Tools;
  readonly #session: Session;
  readonly #process: PipedProcess;
  readonly #clock: { offsetMs: number; uncertaintyMs: number };
  readonly #options: ShellOptions;
  readonly #applies = new FarApplies();
  readonly #pulse: Pulse;
  #opened: Opened | undefined;
  #closed = false;

  constructor(
    { process, session, pulse }: { process: PipedProcess; session: Session; pulse: Pulse },
    tools: Tools,
    clock: { offsetMs: number; uncertaintyMs: number },
    options: ShellOptions,
  ) {
    this.#process = process;
    this.#session = session;
    this.#pulse = pulse;
    this.tools = tools;
    this.#clock = clock;
    this.#options = options;
    const { signal } = options;
    const onAbort = (): void => void setTimeout(() => session.interrupt(), interruptedMs).unref();
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  }

  async probe(): Promise<RootProbe> {
    const probe = await probeFar({ session: this.#session }, this.#options.root);
    return { ...probe, host: this.#options.place, ...(this.tools.boot === '' ? {} : { boot: this.tools.boot }) };
  }

  async open(request: OpenRequest): Promise<OpenedRoot> {
    const root = request.create ? this.#options.root : request.root;
    const opened = await openFar(this.#place(), { ...request, root });
    this.#opened = { ...opened, history: new FarHistory(opened.root) };
    return opened.opened;
  }

  async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    return scanRoot(this.#root().root, request, control);
  }

  async digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]> {
    return digestFar(this.#root().root, requests, control);
  }

  /** Without one of its digests, all of a large file is sent. */
  get findsSameBy(): 'blocks' | 'nothing' {
    return this.tools.digest === 'none' ? 'nothing' : 'blocks';
  }

  /** None: what is the same is found here, by the digests of blocks, while the content is on its way. */
  async signatures(requests: readonly SignatureRequest[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.resolve(requests.map(() => undefined));
  }

  async *read(requests: readonly ReadRequest[], control: Control): AsyncGenerator<Uint8Array, void, undefined> {
    yield* sendFar(this.#root().root, requests, control);
  }

  async apply(batch: ApplyBatch, control: Control, content?: AsyncIterable<Uint8Array>): Promise<StepResult[]> {
    const opened = this.#writable();
    this.#keepMade(opened);
    const { root } = opened;
    const bring: Bring | undefined =
      content === undefined ? undefined : async (stager, task) => receiveContent(root, stager, task, content);
    return this.#applies.run(root, opened.history, batch, control, bring);
  }

  async token(linkId: string, write?: string): Promise<string | undefined> {
    if (!isValidName(linkId)) throw new LockstepError('protocol', 'not a link id');
    const name = `links/${linkId}`;
    if (write === undefined) {
      return (await readOwn(this.#session, name))?.toString('utf8').trim();
    }
    const opened = this.#writable();
    this.#keepMade(opened);
    const { identity } = opened;
    if (identity.isNew) await writeOwn(this.#session, 'id', `${identity.id}\n`);
    identity.isNew = false;
    await writeOwn(this.#session, name, `${write}\n`);
    return write;
  }

  async cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }> {
    const { root, history } = this.#writable();
    return cleanOutFar(root, history, control);
  }

  async prune(retention: Retention): Promise<{ removed: number; bytes: number }> {
    return pruneFar(this.#writable().root, retention, Date.now());
  }

  async history(_root: string, under: string): Promise<HistoryVersion[]> {
    return farHistory(await this.#unopened(), pathInRoot(this.#options.root, under));
  }

  async restore(_root: string, under: string, options: RestoreOptions, control: Control): Promise<RestoreSummary> {
    const { root } = this.#options;
    return restoreFar(this.#place(), root, pathInRoot(root, under), options, control);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    this.#root();
    const flushed = this.#session.run({ code: 'flush', limit: 4096 }).then(
      ({ status }) => status === 0,
      () => false,
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    const result = await Promise.race([flushed, late]);
    clearTimeout(timer);
    return result;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const opened = this.#opened;
    this.#opened = undefined;
    try {
      if (this.#session.failure === undefined) {
        await this.#applies.rest();
        await this.#putAway(opened);
      }
    } finally {
      this.#pulse.stop();
      await this.#session.end();
      await this.#process.close();
    }
  }

  /** The far program does the same by itself when the line is cut (`bye`). */
  async #putAway(opened: Opened | undefined): Promise<void> {
    if (opened?.root.request.access !== 'write') return;
    await this.#session.run({ code: 'putaway', limit: 1 << 16 });
    if (opened.madeFrom !== undefined) await this.#session.run({ code: 'unmade', limit: 1 << 16 });
  }

  /** There is something now to keep a root for that had to be made. */
  #keepMade(opened: Opened): void {
    if (opened.madeFrom === undefined) return;
    opened.madeFrom = undefined;
    // Not waited for: what comes next is behind it in the pipe, and must keep its own order.
    this.#session.run({ code: 'MADE=', limit: 64 }).catch(() => undefined);
  }

  #place(): FarPlace {
    return { session: this.#session, tools: this.tools, name: this.#options.name, clock: this.#clock };
  }

  /** For what needs no lock. */
  async #unopened(): Promise<{ session: Session; path: string }> {
    const path = this.#options.root;
    const { status } = await this.#session.run({ code: 'open', input: lineInput(path) });
    if (status === 0) return { session: this.#session, path };
    throw new LockstepError('root-missing', `${this.#options.name} does not exist, or cannot be read`, {
      path,
      hint: 'Give the root that is kept in step.',
    });
  }

  #root(): Opened {
    if (this.#opened === undefined) throw new LockstepError('protocol', 'the root is not open');
    return this.#opened;
  }

  #writable(): Opened {
    const opened = this.#root();
    if (opened.root.request.access !== 'write') {
      throw new LockstepError('protocol', 'the root was opened for reading only');
    }
    return opened;
  }
}
