/**
 * A star: one local root, the hub, and several remotes, each with a link of its own. What comes from one remote reaches the
 * others through the hub.
 *
 * One replica holds the hub's lock for all links; each link has a replica of the hub to itself, so that a slow remote holds
 * up nobody else.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { LockstepError, UsageError } from '../base/errors.ts';
import { compactStamp } from '../base/format.ts';
import { runCycle } from '../link/cycle.ts';
import type { LinkEvent, Summary } from '../link/events.ts';
import type { Connection } from '../link/live/live-link.ts';
import type { LinkOptions } from '../link/options.ts';
import { checkOverlap } from '../link/roots.ts';
import { sourceOf } from '../reconcile/options.ts';
import { startAgentThread } from '../replica/agent/thread.ts';
import { LocalReplica } from '../replica/local/local-replica.ts';
import type { RootProbe } from '../replica/replica.ts';
import type { Endpoint } from '../transport/endpoint.ts';
import { endpointOf, type ConnectControl } from './connect.ts';
import type { Direction } from './direction.ts';
import { linkOptions, remoteOptions } from './options.ts';
import type { RemoteSettings } from './remote.ts';
import type { SyncRequest } from './sync.ts';

/** What one remote brings to the hub goes to the others in another round; more than this many never settle. */
const maxRounds = 5;

/** @throws UsageError for roots that make no star */
export function checkStar(
  direction: Direction,
  local: string,
  remotes: readonly string[],
  remoteCommand: readonly string[] | undefined,
): void {
  if (direction === 'pull') throw new UsageError('pull takes one remote and one local root');
  if (remoteCommand !== undefined) {
    throw new UsageError('a command behind -- leads to one remote', { hint: 'Name the remotes by their endpoints.' });
  }
  if (endpointOf(local).kind !== 'local') {
    throw new UsageError(`${local} is the hub of a star and must be on this machine`);
  }
  const [twice] = remotes.filter((remote, at) => remotes.indexOf(remote) !== at);
  if (twice !== undefined) throw new UsageError(`${twice} is named twice`);
}

/** The local root of a star, locked as long as it is open. */
export class Hub {
  readonly root: string;
  readonly #replica = new LocalReplica();
  /** The remotes as they were found, by what they were named. */
  readonly #met = new Map<string, { name: string; probe: RootProbe }>();
  #isLocked = false;

  constructor(local: string, direction: Direction) {
    if (direction === 'pull') throw new UsageError('pull takes one remote and one local root');
    this.root = path.resolve(local);
  }

  /** The hub's side of links: locked by us, so that their replicas are guests. */
  get guests(): readonly 'a'[] {
    return this.#isLocked ? ['a'] : [];
  }

  async open(options: LinkOptions, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // A source is only read, and has no lock; what is no directory is told of by the links.
    const probe = await this.#replica.probe(this.root);
    if (sourceOf(options.mode) === 'a' || options.dryRun || probe.kind !== 'directory') return;
    await this.#replica.open({
      root: probe.realPath,
      access: 'write',
      marks: sourceOf(options.mode) === undefined,
      create: false,
      runId: `${compactStamp(Date.now())}-${randomBytes(4).toString('hex')}`,
      command: options.command,
      forceUnlock: options.forceUnlock,
    });
    // All links must find the same one, whichever of them is first.
    if (sourceOf(options.mode) === undefined) this.#replica.keepIdentity();
    this.#isLocked = true;
  }

  /**
   * Takes note of where a remote is.
   *
   * @throws GuardError when it is, or lies in, another one: by names alone that cannot be seen, nor by the locks of links that
   *   come one after the other
   */
  meet(remote: string, name: string, probe: RootProbe): void {
    for (const [other, known] of this.#met) {
      if (other !== remote) checkOverlap({ a: known.name, b: name }, { a: known.probe, b: probe });
    }
    this.#met.set(remote, { name, probe });
  }

  async close(): Promise<void> {
    await this.#replica.close();
  }
}

/** Replicas for one of a star's links. */
export async function hubRoots(
  hub: Hub,
  { remote, endpoint }: { remote: string; endpoint: Endpoint },
  settings: RemoteSettings,
  control: ConnectControl,
): Promise<Connection> {
  const { guests, root } = hub;
  if (endpoint.kind === 'local') {
    const roots = { a: root, b: path.resolve(endpoint.path) };
    const meet = (probe: RootProbe): void => hub.meet(remote, roots.b, probe);
    return { roots, replicas: { a: startAgentThread(), b: startAgentThread() }, guests, meet };
  }
  const { openRoot } = await import('./remote.ts');
  const { replica, name } = await openRoot(endpoint, settings, control);
  const meet = (probe: RootProbe): void => hub.meet(remote, name, probe);
  return { roots: { a: root, b: name }, replicas: { a: new LocalReplica(), b: replica }, guests, meet };
}

export interface StarRequest extends Omit<SyncRequest, 'onEvent'> {
  onEvent?: (event: LinkEvent, remote: string) => void;
}

/** What became of one of a star's links. */
export type StarResult = { remote: string; summary: Summary } | { remote: string; error: unknown };

/**
 * Brings a star in step once. What one remote brings to the hub goes on to the others; a remote that fails stops none of
 * them.
 *
 * @throws UsageError, and what keeps the hub from being locked
 */
export async function star(
  direction: Direction,
  local: string,
  remotes: readonly string[],
  request: StarRequest = {},
): Promise<StarResult[]> {
  const {
    signal = new AbortController().signal,
    onEvent,
    command,
    agents,
    remoteCommand,
    onStderr,
    onDetail,
    ...given
  } = request;
  const options = linkOptions(direction, given, command ?? 'lockstep library');
  const settings = remoteOptions(given);
  checkStar(direction, local, remotes, remoteCommand);
  const control = { signal, onDetail, ...(onStderr === undefined ? {} : { onStderr }) };
  const hub = new Hub(local, direction);
  const results = new Map<string, StarResult>();
  try {
    await hub.open(options, signal);
    let todo: readonly string[] = remotes;
    for (let round = 0; round < maxRounds && todo.length > 0; round += 1) {
      const first = round === 0;
      const ran = await Promise.all(
        todo.map(async (remote): Promise<StarResult> => {
          try {
            const connection = await hubRoots(hub, { remote, endpoint: endpointOf(remote) }, settings, control);
            const listener = (event: LinkEvent): void => onEvent?.(event, remote);
            const once = first ? options : { ...options, rebaseline: false, cleanOutFirst: false };
            return { remote, summary: await runCycle({ ...connection, options: once, listener, signal }) };
          } catch (error) {
            if (!(error instanceof LockstepError)) throw error;
            return { remote, error };
          }
        }),
      );
      for (const result of ran) results.set(result.remote, joined(results.get(result.remote), result));
      todo = stale(ran, remotes, results);
      if (!options.dryRun) continue;
      // What would be in the hub then is nowhere yet, so that nothing can be planned from it.
      for (const remote of todo) onEvent?.({ type: 'notice', message: notForetold(remote, local) }, remote);
      break;
    }
  } finally {
    await Promise.allSettled([...(agents ?? []).map(async (agent) => agent.close()), hub.close()]);
  }
  return remotes.flatMap((remote) => results.get(remote) ?? []);
}

/** The remotes that have not seen what others brought to the hub. */
function stale(
  ran: readonly StarResult[],
  remotes: readonly string[],
  results: ReadonlyMap<string, StarResult>,
): string[] {
  const bringing = ran.filter((result) => 'summary' in result && toHub(result.summary) > 0).map(({ remote }) => remote);
  if (bringing.length === 0) return [];
  const alive = remotes.filter((remote) => 'summary' in (results.get(remote) ?? {}));
  return alive.filter((remote) => bringing.some((other) => other !== remote));
}

function notForetold(remote: string, local: string): string {
  return `${remote}: what other remotes bring to ${local} would go on to it; this dry run does not show that`;
}

function toHub({ actions }: Summary): number {
  return Object.values(actions.a).reduce((sum, count) => sum + count, 0);
}

/** Two rounds as one. */
function joined(before: StarResult | undefined, after: StarResult): StarResult {
  if (before === undefined || !('summary' in before) || !('summary' in after)) return after;
  const [one, two] = [before.summary, after.summary];
  const sum = (side: 'a' | 'b'): Summary['actions']['a'] => {
    const counts = { ...one.actions[side] };
    for (const op of ['create', 'replace', 'delete', 'rename', 'metadata'] as const)
      counts[op] += two.actions[side][op];
    return counts;
  };
  return {
    remote: after.remote,
    summary: {
      ...two,
      actions: { a: sum('a'), b: sum('b') },
      total: one.total + two.total,
      bytes: one.bytes + two.bytes,
      conflicts: { settled: one.conflicts.settled + two.conflicts.settled, open: two.conflicts.open },
      kept: one.kept + two.kept,
      durationMs: one.durationMs + two.durationMs,
    },
  };
}
