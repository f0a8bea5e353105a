/** From what a user names to the replicas of a link's two roots. */
import path from 'node:path';
import { UsageError } from '../base/errors.ts';
import type { LinkOptions } from '../link/options.ts';
import type { Connection } from '../link/live/live-link.ts';
import { LookedAtHere } from '../replica/agent/looked-at-here.ts';
import { startAgentThread } from '../replica/agent/thread.ts';
import type { Replica } from '../replica/replica.ts';
import { parseCommandEndpoint, parseEndpoint, type Endpoint } from '../transport/endpoint.ts';
import type { OpenRoot, RemoteSettings } from './remote.ts';

export interface ConnectControl {
  signal: AbortSignal;
  /** Told of every line that the programs which lead to a far side print on stderr. */
  onStderr?: (line: string) => void;
  /** Told which program serves each root that is far away, and why. */
  onDetail?: ((line: string) => void) | undefined;
}

/** @param command what leads to the far side, for a path over there that says nothing of it */
export function endpointOf(root: string, command?: readonly string[]): Endpoint {
  if (root.trim() === '') throw new UsageError('a root is empty', { hint: 'Name two directories.' });
  return command === undefined ? parseEndpoint(root) : parseCommandEndpoint(root, command);
}

/**
 * Connects to both roots; when one cannot be reached, the other is not waited for.
 *
 * @param spare agents started beforehand, used up first
 * @param once what will be done, where the roots will not be watched: then one of two local ones needs no thread (looked-at-here.ts),
 *   and one that is here is looked at while the other is being connected to
 * @throws what keeps a root from being reached; both are closed then
 */
export async function connectPair(
  endpoints: { a: Endpoint; b: Endpoint },
  settings: RemoteSettings,
  control: ConnectControl,
  spare: Replica[] = [],
  once?: LinkOptions,
): Promise<Connection> {
  if (endpoints.a.kind === 'local' && endpoints.b.kind === 'local') {
    const roots = { a: path.resolve(endpoints.a.path), b: path.resolve(endpoints.b.path) };
    const thread = (): Replica => spare.shift() ?? startAgentThread();
    return { roots, replicas: { a: once === undefined ? thread() : new LookedAtHere(), b: thread() } };
  }
  const { openRoot, openRoots } = await import('./remote.ts');
  const failed = new AbortController();
  const connecting = { ...control, signal: AbortSignal.any([control.signal, failed.signal]) };
  const { roots: opening, ...known } =
    once === undefined
      ? { roots: [endpoints.a, endpoints.b].map((endpoint) => openRoot(endpoint, settings, connecting)) }
      : openRoots(endpoints, once, settings, connecting);
  const both = Promise.all(opening);
  both.catch(() => failed.abort());
  try {
    const [a, b] = await both;
    if (a === undefined || b === undefined) throw new Error('two roots were opened');
    return { roots: { a: a.name, b: b.name }, replicas: { a: a.replica, b: b.replica }, ...known };
  } catch (error) {
    await closeAll(opening);
    throw error;
  }
}

async function closeAll(opening: readonly Promise<OpenRoot>[]): Promise<void> {
  const settled = await Promise.allSettled(opening);
  await Promise.allSettled(
    settled.map(async (root) => (root.status === 'fulfilled' ? root.value.replica.close() : undefined)),
  );
}
