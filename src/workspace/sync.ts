/** Syncing two roots once: what the command line does, and what a library user calls. */
import { UsageError } from '../base/errors.ts';
import { runCycle } from '../link/cycle.ts';
import type { LinkEvent, Summary } from '../link/events.ts';
import type { Replica } from '../replica/replica.ts';
import { connectPair, endpointOf } from './connect.ts';
import type { Direction } from './direction.ts';
import { linkOptions, remoteOptions, type SyncOptions } from './options.ts';

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
  onDetail?: ((line: string) => void) | undefined;
  /** An agent started beforehand, while the command line was still being read; for the second root. */
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
  try {
    const link = linkOptions(direction, options, command ?? 'lockstep library');
    if (options.watch === true) throw new UsageError('a run that goes on is what `watch` is for');
    const settings = remoteOptions(options);
    const endpoints = { a: endpointOf(local), b: endpointOf(remote, remoteCommand) };
    const control = { signal, onDetail, ...(onStderr === undefined ? {} : { onStderr }) };
    const connection = await connectPair(endpoints, settings, control, spare, link);
    return await runCycle({ ...connection, options: link, listener: onEvent ?? ignore, signal });
  } finally {
    await Promise.allSettled(spare.map(async (replica) => replica.close()));
  }
}

function ignore(): void {
  // A library user who does not listen.
}
