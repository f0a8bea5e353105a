/** Syncing two roots once: what the command line does, and what a library user calls. */
import path from 'node:path';
import { UsageError } from '../base/errors.ts';
import { runCycle } from '../link/cycle.ts';
import type { LinkEvent, Summary } from '../link/events.ts';
import { startAgentThread } from '../replica/agent/thread.ts';
import type { Replica } from '../replica/replica.ts';
import { parseCommandEndpoint, parseEndpoint, type Endpoint } from '../transport/endpoint.ts';
import { linkOptions, remoteOptions, type Direction, type SyncOptions } from './options.ts';
import type { OpenRoot } from './remote.ts';

export interface SyncRequest extends SyncOptions {
  /** Stops the run: staging is cleaned up, what is done stays done, and `InterruptedError` is thrown. */
  signal?: AbortSignal;
  /** Told of everything while it happens. */
  onEvent?: (event: LinkEvent) => void;
  /** Named to others whom a lock refuses. */
  command?: string;
  /** A program with its arguments that gives a shell on its stdin and stdout: `remote` is a path at its far end. */
  remoteCommand?: readonly string[];
  /** Told of every line that the programs which lead to a far side print on stderr. */
  onStderr?: (line: string) => void;
  /** Told which program serves each root that is far away, and why. */
  onDetail?: (line: string) => void;
  /** Agents started beforehand, while the command line was still being read. */
  agents?: readonly Replica[];
}

/**
 * Keeps two directories in step, once and in both directions. Each is a path or any other endpoint (docs/endpoints.md).
 *
 * @param local the first root; must exist
 * @param remote the second root; made when it is missing
 * @returns what was done; `conflicts.open` and `skipped` tell whether something is left
 * @throws UsageError, GuardError (nothing was changed), InterruptedError, LockstepError
 * @example
 *     const summary = await sync('/home/me/project', '/mnt/backup/project', { onConflict: 'both' });
 */
export async function sync(local: string, remote: string, request: SyncRequest = {}): Promise<Summary> {
  return run('sync', local, remote, request);
}

/** Brings everything of `source` to `destination`; nothing flows back, nothing is deleted unless `delete` is set. */
export async function push(source: string, destination: string, request: SyncRequest = {}): Promise<Summary> {
  return run('push', source, destination, request);
}

/** The other way round: from `remote`, which is only read, to `local`. */
export async function pull(remote: string, local: string, request: SyncRequest = {}): Promise<Summary> {
  return run('pull', local, remote, request);
}

async function run(direction: Direction, local: string, remote: string, request: SyncRequest): Promise<Summary> {
  const {
    signal = new AbortController().signal,
    onEvent,
    command,
    agents,
    remoteCommand,
    onStderr,
    onDetail,
    ...options
  } = request;
  const spare = [...(agents ?? [])];
  let opening: Promise<OpenRoot>[] = [];
  try {
    const link = linkOptions(direction, options, command ?? 'lockstep library');
    const settings = remoteOptions(options);
    const endpoints = { a: endpointOf(local), b: endpointOf(remote, remoteCommand) };
    const failed = new AbortController();
    const connecting = AbortSignal.any([signal, failed.signal]);
    const control = { signal: connecting, onDetail, ...(onStderr === undefined ? {} : { onStderr }) };
    if (endpoints.a.kind === 'local' && endpoints.b.kind === 'local') {
      for (const { path: root } of [endpoints.a, endpoints.b]) {
        const replica = spare.shift() ?? startAgentThread();
        opening.push(Promise.resolve({ replica, name: path.resolve(root) }));
      }
    } else {
      const { openRoot } = await import('./remote.ts');
      opening = [openRoot(endpoints.a, settings, control), openRoot(endpoints.b, settings, control)];
    }
    // When one cannot be reached, nobody waits for the other.
    const both = Promise.all(opening);
    both.catch(() => failed.abort());
    const [a, b] = await both;
    if (a === undefined || b === undefined) throw new Error('two roots were opened');
    return await runCycle({
      roots: { a: a.name, b: b.name },
      replicas: { a: a.replica, b: b.replica },
      options: link,
      listener: onEvent ?? ignore,
      signal,
    });
  } finally {
    const opened = (await Promise.allSettled(opening)).flatMap((root) =>
      root.status === 'fulfilled' ? [root.value.replica] : [],
    );
    await Promise.allSettled([...spare, ...opened].map(async (replica) => replica.close()));
  }
}

/** @param command what leads to the far side, for a path over there that says nothing of it */
function endpointOf(root: string, command?: readonly string[]): Endpoint {
  if (root.trim() === '') throw new UsageError('a root is empty', { hint: 'Name two directories.' });
  return command === undefined ? parseEndpoint(root) : parseCommandEndpoint(root, command);
}

function ignore(): void {
  // A library user who does not listen.
}
