/** A replica at the end of a pipe. */
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { InterruptedError, LockstepError } from '../../base/errors.ts';
import { formatDuration } from '../../base/format.ts';
import { decodeTreeLazily } from '../../tree/codec.ts';
import { distrustChunks } from '../../tree/distrust.ts';
import { encode, Reader } from '../../wire/codec.ts';
import { Connection, type ConnectionOptions } from '../../wire/connection.ts';
import { zstdAvailable } from '../../wire/packing.ts';
import { explainResult } from '../explain-changes.ts';
import { digestLayers, scanSaltBytes } from '../listing-digest.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../history.ts';
import type { Control, OpenedRoot, OpenRequest, RootProbe, ScanRequest, ScanResult } from '../replica.ts';
import type { Channel } from './channel.ts';
import { AgentClient } from './client.ts';
import { agentGreeting, controllerGreeting, greetingType, protocolVersion, type AgentGreeting } from './greeting.ts';
import { PipeChannel } from './pipe-channel.ts';
import { maxMessageBytes } from './protocol.ts';

export interface RemoteOptions {
  /** The root's path over there; what a caller names it by does not matter. */
  root: string;
  /** Names the root, in messages. */
  name: string;
  /** Identifies the machine that it is on. */
  place: string;
  /** What the kernel over there calls itself since it was started, where that is known. */
  boot?: string | undefined;
  /** A moment before the agent was started, by our clock, ms: it has greeted since. */
  startedAt: number;
  connection: Pick<ConnectionOptions, 'compress' | 'bytesPerSecond' | 'heartbeatMs' | 'silenceMs'>;
  /** How long its greeting is waited for, signs of life or not. */
  greetingMs: number;
  /** The agent was sent from here, and waits for nothing but to be greeted. */
  isOurs: boolean;
  /** Gives, once, digests of what will probably be asked about. */
  prepared?: (() => PreparedDigests | undefined) | undefined;
  /** The scan that will probably be asked for, by those digests. */
  ahead?: (() => ScanRequest | undefined) | undefined;
  /** When the run is interrupted: what waits in a slow line is not waited for longer than a moment. */
  signal: AbortSignal;
  /** Called when all is said: ends what the pipe leads to. */
  onClosed: () => Promise<void>;
}

/** Digests of what was recorded, taken before there was anybody to tell them. */
export interface PreparedDigests {
  /** Of what they were taken. */
  layers: readonly Uint8Array[];
  salt: Uint8Array;
  digests: Uint8Array;
}

export function prepareDigests(packed: readonly Uint8Array[]): PreparedDigests {
  const salt = new Uint8Array(randomBytes(scanSaltBytes));
  return { layers: packed, salt, digests: digestLayers(salt, packed.map(decodeTreeLazily).reverse()) };
}

function areSame(one: readonly Uint8Array[], other: readonly Uint8Array[]): boolean {
  return one.length === other.length && one.every((bytes, at) => Buffer.compare(bytes, other[at] ?? noBytes) === 0);
}

const noBytes = new Uint8Array(0);

/**
 * Greets the agent that listens there. One that was sent from here is of our own build: it is told at once all that can be
 * said before it has said anything.
 *
 * @throws LockstepError `connection` or `protocol`; InterruptedError
 */
export async function greetRemote(
  pipe: { stdin: Writable; stdout: Readable },
  options: RemoteOptions,
): Promise<RemoteReplica> {
  const { compress, bytesPerSecond } = options.connection;
  const connection = new Connection(pipe.stdout, pipe.stdin, {
    ...options.connection,
    maxMessageBytes,
  });
  const channel = new NamedChannel(connection, options.name);
  const rate = bytesPerSecond === undefined ? {} : { bytesPerSecond };
  const greet = (zstd: boolean): void =>
    connection.send(greetingType, encode(controllerGreeting, { compress, zstd, ...rate }));
  const heard = greetingOf(connection);
  // Should something else go wrong before anybody waits for it.
  heard.catch(() => undefined);
  if (options.isOurs) {
    const ahead = options.ahead?.();
    if (ahead !== undefined) channel.sayAhead({ root: options.root, request: ahead });
    greet(zstdAvailable);
  }
  const { greeting, greetedAt } = await inTime(heard, connection, options);
  if (greeting.protocol !== protocolVersion) {
    connection.destroy();
    throw new LockstepError('protocol', `${options.name} serves another version of Lockstep, ${greeting.version}`, {
      hint: 'Install the same version at both ends.',
    });
  }
  const zstd = greeting.zstd && zstdAvailable;
  if (!options.isOurs) greet(zstd);
  connection.configure({ compress, zstd, ...rate });
  return new RemoteReplica({ connection, channel }, options, greeting, greetedAt);
}

/** Waits for the greeting, unless it takes too long or the run is interrupted: then the connection is over. */
async function inTime<T>(
  heard: Promise<T>,
  connection: Connection,
  { name, greetingMs, signal }: RemoteOptions,
): Promise<T> {
  let isOver = false;
  const onAbort = (): void => connection.destroy(new InterruptedError());
  const giveUp = (): void => {
    if (isOver) return;
    const message = `${name} did not greet within ${formatDuration(greetingMs)}`;
    const hint =
      'Check that it is up, and that what answers there is Lockstep; or give it more time: --connect-timeout.';
    connection.destroy(new LockstepError('connection', message, { hint }));
  };
  // What waits in the pipe, because this process was busy or asleep, is read first.
  const timer = setTimeout(() => setImmediate(giveUp), greetingMs);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await heard;
  } finally {
    isOver = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

async function greetingOf(connection: Connection): Promise<{ greeting: AgentGreeting; greetedAt: number }> {
  return new Promise((resolve, reject) => {
    connection.onClose((error) => reject(error ?? new LockstepError('connection', 'the agent went away at once')));
    connection.onMessage((type, payload) => {
      try {
        if (type !== greetingType) {
          throw new LockstepError('protocol', 'the far side does not greet, or says more than that');
        }
        // Not to its end: a later version may say more (greeting.ts).
        resolve({ greeting: agentGreeting.read(new Reader(payload)), greetedAt: Date.now() });
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        connection.destroy(error);
        reject(error);
      }
    });
  });
}

/** Says which root it is that was lost, or that sends nonsense: there may be several. */
class NamedChannel extends PipeChannel {
  readonly #name: string;

  constructor(connection: Connection, name: string) {
    super(connection);
    this.#name = name;
  }

  override onClose(listener: (reason: Error) => void): void {
    super.onClose((reason) => listener(named(reason, this.#name)));
  }
}

function named(error: Error, name: string): Error {
  if (error instanceof InterruptedError) return error;
  if (!(error instanceof LockstepError)) return error;
  const { hint } = error;
  return new LockstepError(error.code, `${name}: ${error.message}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

/** What an interrupted far side gets to put everything away in good order; without a line it does so by itself. */
const interruptedMs = 700;

export class RemoteReplica extends AgentClient {
  readonly #options: RemoteOptions;
  readonly #clock: { offsetMs: number; uncertaintyMs: number };

  /** @param greetedAt when the greeting was heard, by our clock, ms */
  constructor(
    { connection, channel }: { connection: Connection; channel: Channel },
    options: RemoteOptions,
    greeting: AgentGreeting,
    greetedAt: number,
  ) {
    super(channel, options.name);
    this.#options = options;
    const onAbort = (): void => {
      const cut = setTimeout(() => connection.destroy(new InterruptedError()), interruptedMs);
      connection.onClose(() => clearTimeout(cut));
    };
    if (options.signal.aborted) onAbort();
    else {
      options.signal.addEventListener('abort', onAbort, { once: true });
      connection.onClose(() => options.signal.removeEventListener('abort', onAbort));
    }
    // The greeting was written some time between the agent's start and our hearing it.
    const uncertaintyMs = (greetedAt - options.startedAt) / 2 + 1;
    this.#clock = { offsetMs: greeting.clockMs - (options.startedAt + greetedAt) / 2, uncertaintyMs };
  }

  override async probe(): Promise<RootProbe> {
    const probe = await super.probe(this.#options.root);
    const { place, boot } = this.#options;
    return { ...probe, host: place, ...(boot === undefined ? {} : { boot }) };
  }

  override async open(request: OpenRequest): Promise<OpenedRoot> {
    const root = request.create ? this.#options.root : request.root;
    const opened = await super.open({ ...request, root });
    const capabilities = { ...opened.capabilities, hostPath: undefined, clock: this.#clock };
    return { ...opened, capabilities };
  }

  /** The far side gets digests of what was recorded, and what it finds is looked at with the records here. */
  override async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    const { previous } = request;
    if (previous.as !== 'packed') return super.scan(request, control);
    const prepared = this.#options.prepared?.();
    const fits = prepared !== undefined && areSame(prepared.layers, previous.layers);
    const { salt, digests } = fits ? prepared : prepareDigests(previous.layers);
    const layers = previous.layers.map(decodeTreeLazily).reverse();
    const result = await super.scan({ ...request, previous: { as: 'digests', salt, digests } }, control);
    explainResult(result, request, layers);
    return result;
  }

  override async history(_root: string, under: string): Promise<HistoryVersion[]> {
    return super.history(this.#options.root, under);
  }

  override async restore(
    _root: string,
    path: string,
    options: RestoreOptions,
    control: Control,
  ): Promise<RestoreSummary> {
    return super.restore(this.#options.root, path, options, control);
  }

  override async close(): Promise<void> {
    try {
      await super.close();
    } finally {
      await this.#options.onClosed();
    }
  }

  protected override checkTree(chunks: readonly Uint8Array[]): void {
    try {
      distrustChunks(chunks);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new LockstepError('protocol', `${this.#options.name} sent a tree that cannot be: ${error.message}`);
    }
  }
}
