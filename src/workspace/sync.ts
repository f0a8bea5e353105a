/** Syncing two roots once: what the command line does, and what a library user calls. */
import path from 'node:path';
import { UsageError } from '../base/errors.ts';
import { runCycle } from '../link/cycle.ts';
import type { LinkEvent, Summary } from '../link/events.ts';
import { startAgentThread } from '../replica/agent/thread.ts';
import type { Replica } from '../replica/replica.ts';
import { linkOptions, type Direction, type SyncOptions } from './options.ts';

export interface SyncRequest extends SyncOptions {
  /** Stops the run: staging is cleaned up, what is done stays done, and `InterruptedError` is thrown. */
  signal?: AbortSignal;
  /** Told of everything while it happens. */
  onEvent?: (event: LinkEvent) => void;
  /** Named to others whom a lock refuses. */
  command?: string;
  /** Agents started beforehand, while the command line was still being read. */
  agents?: { a: Replica; b: Replica };
}

/**
 * Keeps two local directories in step, once and in both directions.
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
  const { signal, onEvent, command, agents, ...options } = request;
  const replicas = agents ?? { a: startAgentThread(), b: startAgentThread() };
  let link;
  try {
    link = linkOptions(direction, options, command ?? 'lockstep library');
    for (const root of [local, remote]) {
      if (root.trim() === '') throw new UsageError('a root is empty', { hint: 'Name two directories.' });
    }
  } catch (error) {
    await Promise.allSettled([replicas.a.close(), replicas.b.close()]);
    throw error;
  }
  return runCycle({
    roots: { a: path.resolve(local), b: path.resolve(remote) },
    replicas,
    options: link,
    listener: onEvent ?? ignore,
    signal: signal ?? new AbortController().signal,
  });
}

function ignore(): void {
  // A library user who does not listen.
}
