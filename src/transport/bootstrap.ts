/**
 * From an endpoint to a program that runs there, with clean streams to it.
 *
 *     here                                     there
 *     run ssh, docker, … with `sh -c PROBE`    login noise, marker, facts, end; waits for a line
 *     one line: run Node with the loader;      loader: marker, `run`; then the program's own output
 *       the program
 *
 * Two round trips. With the cache the program follows only when the loader asks for it: three when it does.
 */
import { InterruptedError, LockstepError } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';
import { commandFor, type Command, type ShellProgram } from './command.ts';
import { hear, SilenceError } from './conversation.ts';
import { diagnose, foreignServer } from './diagnose.ts';
import type { RemoteEndpoint } from './endpoint.ts';
import { parseFacts, type FarFacts } from './facts.ts';
import { loaderExpression, minimumNodeMajor, parseLoaderReply, type LoaderReply, type Program } from './loader.ts';
import { newMarker, type Marker } from './marker.ts';
import { describeTarget } from './names.ts';
import { transportSettings, type TransportOptions, type TransportSettings } from './options.ts';
import { nodeVariable, probeArguments, probeScript, searchedPlaces } from './probe-script.ts';
import { spawnPiped, type PipedProcess } from './process.ts';
import { resolveRemotePath } from './remote-path.ts';
import { anyServeGreeting, serveVersion } from './serve-greeting.ts';
import { vagrantConfigCommand } from './vagrant.ts';

export interface ConnectOptions extends TransportOptions {
  /** Ends the attempt, until a program was started; from then on, `close` and `kill` of the process do. */
  signal?: AbortSignal;
  /** Told of every line that the far side, or the program that leads there, prints on stderr; for the whole connection. */
  onStderr?: (line: string) => void;
  /** Told when a process has been started: what follows is mostly waiting. */
  onStarted?: () => void;
}

/** A program runs at the far end, and has its stdin and stdout for itself. */
interface Started {
  /** `stdin` and `stdout` are the program's, from their first byte on. */
  process: PipedProcess;
  /** How often an answer was waited for, from the start of the process on. */
  roundTrips: number;
}

/** `lockstep serve` answered: its greeting is read, its first message is next. */
export interface ServedConnection extends Started {
  kind: 'served';
}

/** The program that was sent runs in a Node there. */
export interface AgentConnection extends Started {
  kind: 'agent';
  facts: FarFacts;
  /** It was in the far side's cache already. */
  cached: boolean;
}

/** A `sh` reads its commands from stdin there. */
export interface ShellConnection extends Started {
  kind: 'shell';
  facts: FarFacts;
}

/** Two minutes for who has to type a password: what sshd itself allows. */
const askingMs = 120_000;
/** A slow line still carries so many bytes in a millisecond. */
const slowestRate = 4;

/**
 * Connects, and asks what is there. Nothing is written at the far side.
 *
 * @returns the far side, waiting to be told what to start; or a server that speaks at once
 * @throws LockstepError `connection`, with the far side's own words; UsageError; InterruptedError
 */
export async function openFarSide(
  endpoint: RemoteEndpoint,
  options: ConnectOptions = {},
): Promise<FarSide | ServedConnection> {
  const settings = transportSettings(options);
  const attempt = new Attempt(endpoint, settings, options);
  const marker = newMarker();
  const homeOf = endpoint.path.from === 'user-home' ? endpoint.path.user : undefined;
  const program = { script: probeScript, args: probeArguments(marker, settings.remoteNode, homeOf) };
  const command = await attempt.command(program);
  const asks = command.mayAsk && settings.interactive;
  const process = await attempt.spawn(command.argv, asks);
  return attempt.during(async () => {
    if (command.firstLine !== undefined) process.stdin.write(command.firstLine);
    const ms = settings.connectTimeoutMs + (asks ? askingMs : 0);
    const opening = await hear(process, ms, (heard) => findOpening(heard, marker));
    if (opening.kind === 'terminal') throw terminalInBetween(endpoint);
    if (opening.kind === 'served') {
      if (opening.version !== String(serveVersion)) throw foreignServer(endpoint, opening.version);
      attempt.succeeded();
      return { kind: 'served', process, roundTrips: 1 };
    }
    const lines = await hear(process, settings.connectTimeoutMs, findFacts);
    return new FarSide(attempt, process, parseFacts(lines, Date.now()));
  });
}

/**
 * Connects and runs a program in the far side's Node.
 *
 * @returns `served` where a server is forced upon us: then the program was not sent
 * @throws as `openFarSide`; LockstepError `connection` when no Node there is new enough
 */
export async function connectAgent(
  endpoint: RemoteEndpoint,
  program: Program,
  options: ConnectOptions = {},
): Promise<AgentConnection | ServedConnection> {
  const far = await openFarSide(endpoint, options);
  return far.kind === 'served' ? far : far.startAgent(program);
}

/** Connects and gives a plain `sh`, whatever else there is; otherwise as `connectAgent`. */
export async function connectShell(
  endpoint: RemoteEndpoint,
  options: ConnectOptions = {},
): Promise<ShellConnection | ServedConnection> {
  const far = await openFarSide(endpoint, options);
  return far.kind === 'served' ? far : far.startShell();
}

/** A far side that answered and waits. Exactly one of `startAgent`, `startShell` and `close` ends that. */
export class FarSide {
  readonly kind = 'waiting';
  readonly #attempt: Attempt;
  readonly #process: PipedProcess;

  /** For `openFarSide`. */
  constructor(
    attempt: Attempt,
    process: PipedProcess,
    readonly facts: FarFacts,
  ) {
    this.#attempt = attempt;
    this.#process = process;
  }

  /**
   * The root's absolute path over there.
   *
   * @throws LockstepError `connection` when it starts from a home that is not known there
   */
  get root(): string {
    const { endpoint, settings } = this.#attempt;
    const overSsh = endpoint.kind === 'ssh' || endpoint.kind === 'vagrant';
    // sudo may change HOME to root's, but leaves the directory, and ssh starts in the user's home.
    const home = settings.remoteSudo && overSsh ? this.facts.workingDirectory : this.facts.home;
    return resolveRemotePath(endpoint.path, { home, userHome: this.facts.userHome });
  }

  /**
   * Sends a program and runs it in the Node that was found.
   *
   * @throws LockstepError `connection` when there is none (see `facts.node`), or it fails; InterruptedError. The connection
   *   is closed then.
   */
  async startAgent(program: Program): Promise<AgentConnection> {
    const { endpoint, settings } = this.#attempt;
    const process = this.#process;
    return this.#attempt.during(
      async () => {
        if (this.facts.node === undefined) throw noNode(endpoint, this.facts);
        const marker = newMarker();
        const expression = loaderExpression(marker, program, settings.agentCache);
        process.stdin.write(`exec "$${nodeVariable}" -e "${expression}"\n`);
        const send = async (): Promise<LoaderReply> => {
          process.stdin.write(program.packed);
          return this.#reply(marker, settings.connectTimeoutMs + program.packed.length / slowestRate);
        };
        let roundTrips = 2;
        let reply = settings.agentCache ? await this.#reply(marker, settings.connectTimeoutMs) : await send();
        if (reply.kind === 'wanted') {
          roundTrips += 1;
          reply = await send();
        }
        if (reply.kind !== 'started') throw refusal(endpoint, this.facts, reply);
        this.#attempt.succeeded();
        return { kind: 'agent', facts: this.facts, cached: reply.cached, process, roundTrips };
      },
      `Node ${this.facts.node?.version ?? ''} (${this.facts.node?.path ?? ''})`,
    );
  }

  /**
   * Has the far side's `sh` read its commands from stdin. Such a shell may read ahead: do not send input for a program
   * before that program has answered.
   *
   * @throws LockstepError `connection`; InterruptedError
   */
  async startShell(): Promise<ShellConnection> {
    const process = this.#process;
    return this.#attempt.during(async () => {
      const marker = newMarker();
      process.stdin.write(`printf "%s%s\\n" ${marker.halves.join(' ')}; exec sh\n`);
      await hear(process, this.#attempt.settings.connectTimeoutMs, (heard) => findLine(heard, marker.text));
      this.#attempt.succeeded();
      return { kind: 'shell', facts: this.facts, process, roundTrips: 2 };
    }, 'sh');
  }

  /** Leaves; nothing was started. */
  async close(): Promise<void> {
    this.#attempt.succeeded();
    await this.#process.close();
  }

  async #reply(marker: Marker, timeoutMs: number): Promise<LoaderReply> {
    const text = await hear(this.#process, timeoutMs, (heard) => findLine(heard, `${marker.text} `));
    const reply = parseLoaderReply(text);
    if (reply !== undefined) return reply;
    throw new LockstepError('protocol', `the loader answered "${escapeControls(text)}", which it never says`);
  }
}

/** One try to get to a far side: whatever goes wrong ends the process, and is told in a message. */
class Attempt {
  readonly #stop = new AbortController();
  readonly #onAbort = (): void => this.#stop.abort();
  #process: PipedProcess | undefined;

  constructor(
    readonly endpoint: RemoteEndpoint,
    readonly settings: TransportSettings,
    private readonly options: ConnectOptions,
  ) {
    if (options.signal?.aborted === true) throw new InterruptedError();
    options.signal?.addEventListener('abort', this.#onAbort);
  }

  /** What is to be run here; vagrant has to be asked first. */
  async command(program: ShellProgram): Promise<Command> {
    const { endpoint, settings } = this;
    if (endpoint.kind !== 'vagrant') return this.during(() => commandFor(endpoint, program, settings));
    const process = await this.spawn(vagrantConfigCommand(endpoint), false);
    process.stdin.end();
    const sshConfig = await this.during(() => wholeOutput(process, settings.connectTimeoutMs));
    return this.during(() => commandFor({ ...endpoint, sshConfig: sshConfig.toString() }, program, settings));
  }

  async spawn(argv: Command['argv'], needsTerminal: boolean): Promise<PipedProcess> {
    return this.during(async () => {
      const { onStderr } = this.options;
      this.#process = await spawnPiped(argv, { needsTerminal, signal: this.#stop.signal, onStderr });
      this.options.onStarted?.();
      return this.#process;
    });
  }

  /**
   * Runs a part of it.
   *
   * @param starting what is started meanwhile over there; none while there is no far side yet
   */
  async during<T>(act: () => Promise<T> | T, starting?: string): Promise<T> {
    try {
      return await act();
    } catch (error) {
      await this.#process?.kill();
      this.succeeded();
      if (this.#stop.signal.aborted) throw new InterruptedError();
      if (!(error instanceof SilenceError)) throw error;
      const stderr = this.#process?.stderrTail() ?? '';
      throw diagnose({ endpoint: this.endpoint, starting, silence: error.silence, stderr });
    }
  }

  /** From now on the process is somebody else's to end. */
  succeeded(): void {
    this.options.signal?.removeEventListener('abort', this.#onAbort);
  }
}

/** Everything that a process prints, when it ends well. */
async function wholeOutput(process: PipedProcess, timeoutMs: number): Promise<Buffer> {
  try {
    return await hear<never>(process, timeoutMs, () => undefined);
  } catch (error) {
    const silence = error instanceof SilenceError ? error.silence : undefined;
    if (silence?.kind === 'closed' && silence.exit.code === 0) return silence.heard;
    throw error;
  }
}

type Opening = { kind: 'marker' } | { kind: 'terminal' } | { kind: 'served'; version: string };

/** Marker or greeting, behind whatever a login script printed. latin1: a character is a byte. */
function findOpening(heard: Buffer, marker: Marker): { value: Opening; end: number } | undefined {
  const text = heard.toString('latin1');
  const line = `${marker.text}\n`;
  const at = text.indexOf(line);
  if (at >= 0) return { value: { kind: 'marker' }, end: at + line.length };
  // A terminal makes CR LF of every LF: nothing that is said after that would be understood either.
  const spoilt = `${marker.text}\r\n`;
  const spoiltAt = text.indexOf(spoilt);
  if (spoiltAt >= 0) return { value: { kind: 'terminal' }, end: spoiltAt + spoilt.length };
  const greeting = anyServeGreeting.exec(text);
  if (greeting === null) return undefined;
  return { value: { kind: 'served', version: greeting[1] ?? '' }, end: greeting.index + greeting[0].length };
}

function findFacts(heard: Buffer): { value: Buffer; end: number } | undefined {
  const end = '\nend\n';
  const at = heard.indexOf(end);
  return at < 0 ? undefined : { value: heard.subarray(0, at), end: at + end.length };
}

/** The rest of the first line that has `start` in it. */
function findLine(heard: Buffer, start: string): { value: string; end: number } | undefined {
  const at = heard.indexOf(start);
  const lineEnd = at < 0 ? -1 : heard.indexOf('\n', at);
  return lineEnd < 0 ? undefined : { value: heard.toString('latin1', at + start.length, lineEnd), end: lineEnd + 1 };
}

function terminalInBetween(endpoint: RemoteEndpoint): LockstepError {
  return new LockstepError(
    'connection',
    `there is a terminal between here and ${escapeControls(describeTarget(endpoint))}, which changes the bytes that go through it`,
    { hint: 'Leave out what asks for one: -t of docker, podman, kubectl and ssh.' },
  );
}

const nodeHint = `Install Node ${minimumNodeMajor} or later there, or name its path with --remote-node.`;

function noNode(endpoint: RemoteEndpoint, { tried }: FarFacts): LockstepError {
  const target = escapeControls(describeTarget(endpoint));
  if (tried.length === 0) {
    return new LockstepError('connection', `there is no Node on ${target}\n  looked for: ${searchedPlaces}`, {
      hint: nodeHint,
    });
  }
  const list = tried.map(
    ({ path, version }) => `${escapeControls(path)} (${escapeControls(version ?? 'does not run')})`,
  );
  return new LockstepError(
    'connection',
    `no Node on ${target} is new enough: ${minimumNodeMajor} or later is needed\n  found: ${list.join(', ')}\n  looked for: ${searchedPlaces}`,
    { hint: nodeHint },
  );
}

/** Why the loader did not start the program. */
function refusal(
  endpoint: RemoteEndpoint,
  facts: FarFacts,
  reply: Exclude<LoaderReply, { kind: 'started' }>,
): LockstepError {
  const target = escapeControls(describeTarget(endpoint));
  switch (reply.kind) {
    case 'too-old':
      return noNode(endpoint, { ...facts, tried: [{ path: facts.node?.path ?? 'node', version: reply.version }] });
    case 'damaged':
      return new LockstepError('connection', `the program sent to ${target} arrived damaged`, {
        hint: 'Something between here and there changes bytes: a terminal (-t), or a filter in the command.',
      });
    case 'wanted':
      return new LockstepError('protocol', `${target} asked for the program twice`);
  }
}
