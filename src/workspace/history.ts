/** History of a root, wherever it is: what the command line shows, and what a library user gets. */
import { UsageError } from '../base/errors.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../replica/history.ts';
import type { Replica } from '../replica/replica.ts';
import { parseCommandEndpoint, parseEndpoint } from '../transport/endpoint.ts';
import { remoteOptions } from './options.ts';
import type { RemoteOptionsGiven } from './remote-options.ts';

export type { HistoryVersion, RestoreOptions, RestoreSummary } from '../replica/history.ts';

/** How a root that is not on this machine is reached. */
export interface HistoryAccess extends RemoteOptionsGiven {
  /** A program with its arguments that gives a shell on its stdin and stdout: the root is a path at its far end. */
  remoteCommand?: readonly string[];
  /** Told of every line that the program which leads to the far side prints on stderr. */
  onStderr?: (line: string) => void;
  signal?: AbortSignal;
}

/** A root's history, until it is closed. */
export class RootHistory {
  readonly #replica: Replica;
  readonly #root: string;
  readonly #signal: AbortSignal;
  /** Paths of this machine mean something in it. */
  readonly isLocal: boolean;

  /** For `openHistory`. */
  constructor(replica: Replica, root: string, isLocal: boolean, signal: AbortSignal) {
    this.#replica = replica;
    this.#root = root;
    this.isLocal = isLocal;
    this.#signal = signal;
  }

  /** As `listHistory`. */
  async list(under = ''): Promise<HistoryVersion[]> {
    return this.#replica.history(this.#root, under);
  }

  /** As `restoreHistory`. */
  async restore(asked: string, options: RestoreOptions = {}, signal = this.#signal): Promise<RestoreSummary> {
    return this.#replica.restore(this.#root, asked, options, { signal });
  }

  async close(): Promise<void> {
    await this.#replica.close();
  }
}

/** @throws UsageError, and what keeps a far side from being reached */
export async function openHistory(root: string, access: HistoryAccess = {}): Promise<RootHistory> {
  const { remoteCommand, onStderr, signal = new AbortController().signal, ...options } = access;
  if (root.trim() === '') throw new UsageError('a root is empty');
  const endpoint = remoteCommand === undefined ? parseEndpoint(root) : parseCommandEndpoint(root, remoteCommand);
  const { openRoot } = await import('./remote.ts');
  const control = { signal, ...(onStderr === undefined ? {} : { onStderr }) };
  const { replica, name } = await openRoot(endpoint, remoteOptions(options), control);
  return new RootHistory(replica, name, endpoint.kind === 'local', signal);
}

/**
 * All versions that a root's history has, by path, newest first.
 *
 * @param root the root, a path or any other endpoint; must exist
 * @param under only this path in the root and what is below it
 * @throws UsageError for a path outside the root; LockstepError when the root or its history cannot be read
 * @example
 *     for (const { path, version } of await listHistory('/home/me/project', 'notes')) console.log(path, version);
 */
export async function listHistory(root: string, under = '', access: HistoryAccess = {}): Promise<HistoryVersion[]> {
  const history = await openHistory(root, access);
  try {
    return await history.list(under);
  } finally {
    await history.close();
  }
}

/**
 * Brings back a file, a symlink, or a directory with everything that history has below it. What stands in its place goes to
 * history first, so a restore can be undone by another one.
 *
 * @param root the root, a path or any other endpoint; must exist
 * @param asked path in the root; `.` for everything
 * @throws UsageError; LockstepError `not-found` when history has no such version; GuardError when the root is in use
 * @example
 *     await restoreHistory('/home/me/project', 'notes.txt', { at: new Date('2026-11-20') });
 */
export async function restoreHistory(
  root: string,
  asked: string,
  options: RestoreOptions & HistoryAccess = {},
): Promise<RestoreSummary> {
  const { at, version, to, dryRun, forceUnlock, command, ...access } = options;
  const history = await openHistory(root, access);
  try {
    return await history.restore(asked, {
      ...(at === undefined ? {} : { at }),
      ...(version === undefined ? {} : { version }),
      ...(to === undefined ? {} : { to }),
      ...(dryRun === undefined ? {} : { dryRun }),
      ...(forceUnlock === undefined ? {} : { forceUnlock }),
      ...(command === undefined ? {} : { command }),
    });
  } finally {
    await history.close();
  }
}
