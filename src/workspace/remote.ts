/** From an endpoint to the replica behind it. */
import fs from 'node:fs';
import path from 'node:path';
import { LockstepError, UsageError } from '../base/errors.ts';
import { foreseeScans, type EarlyRecord } from '../link/foresee.ts';
import { placeOnHost } from '../link/link-id.ts';
import type { LinkOptions } from '../link/options.ts';
import type { Side } from '../reconcile/options.ts';
import { greetRemote, prepareDigests, type PreparedDigests, type RemoteOptions } from '../replica/agent/remote.ts';
import { startShellReplica } from '../replica/shell/shell-replica.ts';
import { costsOf } from '../replica/shell/tools.ts';
import { LocalReplica } from '../replica/local/local-replica.ts';
import { agentFile } from '../replica/worker-file.ts';
import type { Replica, ScanRequest } from '../replica/replica.ts';
import { openFarSide, type AgentConnection, type ServedConnection } from '../transport/bootstrap.ts';
import type { Endpoint, RemoteEndpoint } from '../transport/endpoint.ts';
import { packProgram, type Program } from '../transport/loader.ts';
import { endpointIdentity, formatEndpoint } from '../transport/names.ts';
import { defaultConnectTimeoutMs, type TransportOptions } from '../transport/options.ts';
import { formatRemotePath } from '../transport/remote-path.ts';

export interface RemoteSettings {
  transport: TransportOptions;
  connection: RemoteOptions['connection'];
  /** What is to serve the root over there; `auto` takes Node where there is one, and else the shell. */
  agent: 'auto' | 'node' | 'sh';
}

/** A root and what serves it. */
export interface OpenRoot {
  replica: Replica;
  /** For people: as it was named, or absolute. */
  name: string;
}

let program: Program | undefined;

interface OpenControl {
  signal: AbortSignal;
  onStderr?: (line: string) => void;
  /** Told which program serves the root over there, and why. */
  onDetail?: ((line: string) => void) | undefined;
}

/** Two roots on their way, and what is read of their link's record for it. */
interface Opening {
  roots: Promise<OpenRoot>[];
  takeRecord?: () => EarlyRecord | undefined;
}

/** Opens two roots of which at least one is far away. */
export function openRoots(
  { a, b }: Record<Side, Endpoint>,
  link: LinkOptions,
  settings: RemoteSettings,
  control: OpenControl,
): Opening {
  if (a.kind !== 'local' && b.kind !== 'local') {
    return { roots: [a, b].map((endpoint) => openRoot(endpoint, settings, control)) };
  }
  const [near, far] = a.kind === 'local' ? (['a', 'b'] as const) : (['b', 'a'] as const);
  const ends = { a, b };
  const local = new LocalReplica();
  const [nearEnd, farEnd] = [ends[near], ends[far]];
  if (nearEnd.kind !== 'local' || farEnd.kind === 'local') throw new Error('one root is here and one is not');
  const ahead = new LookAhead(local, { near: nearEnd.path, far: farEnd, nearSide: near }, link, control.signal);
  const here = Promise.resolve({ replica: local, name: path.resolve(nearEnd.path) });
  const there = openRoot(farEnd, settings, control, ahead);
  return { roots: near === 'a' ? [here, there] : [there, here], takeRecord: () => ahead.takeRecord() };
}

/** While the far side is being connected to: what can be done here on the guess that all is as at the last run. */
class LookAhead {
  #digests: PreparedDigests | undefined;
  #farRequest: ScanRequest | undefined;
  #record: EarlyRecord | undefined;
  #begun = false;

  constructor(
    private readonly local: LocalReplica,
    private readonly ends: { near: string; far: RemoteEndpoint; nearSide: Side },
    private readonly link: LinkOptions,
    private readonly signal: AbortSignal,
  ) {}

  /** Digests of what is recorded of the far side: once, as what they are of takes memory. */
  takeDigests(): PreparedDigests | undefined {
    const digests = this.#digests;
    this.#digests = undefined;
    return digests;
  }

  /** What will be asked of the far side. */
  takeRequest(): ScanRequest | undefined {
    const request = this.#farRequest;
    this.#farRequest = undefined;
    return request;
  }

  /** What all this rests on, so that it need not be read again. */
  takeRecord(): EarlyRecord | undefined {
    const record = this.#record;
    this.#record = undefined;
    return record;
  }

  begin(): void {
    const { near, far, nearSide } = this.ends;
    // Where a path that starts from a home leads is not known yet.
    if (this.#begun || far.path.from !== 'root') return;
    this.#begun = true;
    const farSide = nearSide === 'a' ? 'b' : 'a';
    try {
      const nearPlace = placeOnHost(undefined, fs.realpathSync(near));
      const farPlace = placeOnHost(placeOf(far), formatRemotePath(far.path));
      const places = nearSide === 'a' ? { a: nearPlace, b: farPlace } : { a: farPlace, b: nearPlace };
      const foreseen = foreseeScans(this.link, places);
      if (foreseen === undefined) return;
      const { scans, record } = foreseen;
      this.#record = record;
      const { previous } = scans[farSide];
      if (previous.as === 'packed' && previous.layers.length > 0) {
        this.#digests = prepareDigests(previous.layers);
        const { salt, digests } = this.#digests;
        this.#farRequest = { ...scans[farSide], previous: { as: 'digests', salt, digests } };
      }
      this.local.lookAhead(near, scans[nearSide], this.signal);
    } catch {
      // A guess that fails is none: what is wrong is told by whoever needs it.
    }
  }
}

/** Opens a root, wherever it is. */
export async function openRoot(
  endpoint: Endpoint,
  settings: RemoteSettings,
  control: OpenControl,
  ahead?: LookAhead,
): Promise<OpenRoot> {
  // In this very thread: what it reads goes straight into the pipe, and what comes out of the pipe straight to disk.
  if (endpoint.kind === 'local') return { replica: new LocalReplica(), name: path.resolve(endpoint.path) };
  // What is said on the way there is part of the error when one does not get there, and else told then.
  const early: string[] = [];
  let isThere = false;
  const onStderr = (line: string): void => {
    if (isThere) control.onStderr?.(line);
    else early.push(line);
  };
  const arrived = (root: OpenRoot): OpenRoot => {
    isThere = true;
    for (const line of early) control.onStderr?.(line);
    return root;
  };
  let startedAt = Date.now();
  const far = await openFarSide(endpoint, {
    ...settings.transport,
    signal: control.signal,
    onStderr,
    onStarted: () => ahead?.begin(),
  });
  const prepared = (): PreparedDigests | undefined => ahead?.takeDigests();
  const asked = (): ScanRequest | undefined => ahead?.takeRequest();
  const { connectTimeoutMs: greetingMs = defaultConnectTimeoutMs } = settings.transport;
  const known = { connection: settings.connection, greetingMs, signal: control.signal, prepared, ahead: asked };
  if (far.kind === 'served') {
    const root = formatRemotePath(endpoint.path);
    return arrived(await connected(endpoint, far, { ...known, root, startedAt }));
  }
  if (settings.agent === 'sh' || (settings.agent === 'auto' && far.facts.node === undefined)) {
    const name = formatEndpoint(endpoint);
    try {
      refuseWithoutNode(name, settings.connection);
    } catch (error) {
      await far.close();
      throw error;
    }
    const replica = await startShellReplica(async (text) => (await far.startProgram(text)).process, {
      root: far.root,
      name,
      place: placeOf(endpoint),
      pulse: settings.connection,
      signal: control.signal,
    });
    const why = settings.agent === 'sh' ? 'as asked' : 'there is no Node 18 or later';
    control.onDetail?.(`sh, ${why}`);
    for (const { tool, cost } of costsOf(replica.tools)) control.onDetail?.(`sh without ${tool}: ${cost}`);
    return arrived({ replica, name });
  }
  const { node } = far.facts;
  if (node !== undefined) control.onDetail?.(`Node ${node.version ?? ''} (${node.path})`);
  program ??= packProgram(fs.readFileSync(agentFile));
  const { root, facts } = far;
  startedAt = Date.now();
  const boot = facts.boot;
  return arrived(await connected(endpoint, await far.startAgent(program), { ...known, root, startedAt, boot }));
}

/** What only the agent's wire can do is refused where a plain shell serves: an option must not be taken and then ignored. */
function refuseWithoutNode(name: string, { compress, bytesPerSecond = 0 }: RemoteOptions['connection']): void {
  const option = bytesPerSecond > 0 ? '--bwlimit' : compress === 'on' ? '--compress on' : undefined;
  if (option === undefined) return;
  throw new UsageError(`${name}: ${option} needs Node over there, and a plain shell serves this root`, {
    hint: `Leave it out (ssh has its own: --ssh-option Compression=yes), or install Node 18 or later there.`,
  });
}

async function connected(
  endpoint: RemoteEndpoint,
  { kind, process }: AgentConnection | ServedConnection,
  known: Pick<
    RemoteOptions,
    'root' | 'connection' | 'greetingMs' | 'signal' | 'startedAt' | 'prepared' | 'ahead' | 'boot'
  >,
): Promise<OpenRoot> {
  const name = formatEndpoint(endpoint);
  try {
    const replica = await greetRemote(process, {
      ...known,
      isOurs: kind === 'agent',
      name,
      place: placeOf(endpoint),
      onClosed: async () => {
        await process.close();
      },
    });
    return { replica, name };
  } catch (error) {
    await process.kill();
    throw error instanceof LockstepError && error.code === 'connection'
      ? withLastWords(error, process.stderrTail())
      : error;
  }
}

function withLastWords(error: LockstepError, stderr: string): LockstepError {
  const words = stderr.trim();
  if (words === '') return error;
  const { hint } = error;
  const details = hint === undefined ? { cause: error } : { hint, cause: error };
  return new LockstepError(error.code, `${error.message}\n  the far side said: ${words}`, details);
}

/** The machine, without the path on it: two roots there may overlap. */
function placeOf(endpoint: RemoteEndpoint): string {
  return endpointIdentity({ ...endpoint, path: { from: 'root', path: '/' } });
}
