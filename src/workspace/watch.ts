/** Keeping roots in step until told to stop: one remote, or several around one local root. */
import { UsageError } from '../base/errors.ts';
import type { LinkEvent, Listener } from '../link/events.ts';
import { LiveLink, type Connection } from '../link/live/live-link.ts';
import type { LiveSummary } from '../link/live/totals.ts';
import type { Replica } from '../replica/replica.ts';
import { connectPair, endpointOf } from './connect.ts';
import type { Direction } from './direction.ts';
import { linkOptions, liveOptions, remoteOptions } from './options.ts';
import { checkStar, Hub, hubRoots } from './star.ts';
import type { SyncRequest } from './sync.ts';

export interface WatchRequest extends Omit<SyncRequest, 'onEvent'> {
  /** Told of everything while it happens. @param remote the remote root that it is about, as it was named */
  onEvent?: (event: LinkEvent, remote: string) => void;
}

/** A live run that is under way. */
export interface Watch {
  /** Resolves when it has ended, which it does when the request's signal is aborted. */
  ended: Promise<{ remote: string; summary: LiveSummary }[]>;
  /** Answers the guards that halted links: each goes on this once, as its message proposed. @returns how many did */
  proceed(): number;
}

/**
 * Keeps a local root and one or more remotes in step until the request's signal is aborted.
 *
 * `ended` rejects with UsageError, and, where there is one remote only, with what kept the two from being brought in step for
 * the first time. Whatever fails later is told as a `state` event, waited out and tried again.
 *
 * @param remotes several only for `sync` and `push`, and only with a local root on this machine
 * @example
 *     const stop = new AbortController();
 *     const { ended } = watch('sync', '/home/me/project', ['web:project'], { signal: stop.signal });
 */
export function watch(
  direction: Direction,
  local: string,
  remotes: readonly string[],
  request: WatchRequest = {},
): Watch {
  const links: LiveLink[] = [];
  return {
    ended: run(direction, local, remotes, request, links),
    proceed: () => links.filter((link) => link.proceed()).length,
  };
}

async function run(
  direction: Direction,
  local: string,
  remotes: readonly string[],
  request: WatchRequest,
  links: LiveLink[],
): Promise<{ remote: string; summary: LiveSummary }[]> {
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
  const spare: Replica[] = [...(agents ?? [])];
  const hub = remotes.length > 1 ? new Hub(local, direction) : undefined;
  // When one link ends by a defect, the others are not left running.
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  try {
    const options = linkOptions(direction, given, command ?? 'lockstep library');
    const live = liveOptions(given);
    const settings = remoteOptions(given);
    if (remotes.length === 0) throw new UsageError('there is no remote root to keep in step');
    if (hub !== undefined) checkStar(direction, local, remotes, remoteCommand);
    const a = endpointOf(local);
    const ends = remotes.map((remote) => ({ remote, endpoint: endpointOf(remote, remoteCommand) }));
    // Loaded now, though needed later: an upgrade may take the file away while this goes on.
    await import('../link/execute.ts');
    await hub?.open(options, signal);
    const running = ends.map(async ({ remote, endpoint }) => {
      const listener: Listener = (event) => onEvent?.(event, remote);
      const connect = async (connecting: AbortSignal): Promise<Connection> => {
        const control = { signal: connecting, onDetail, ...(onStderr === undefined ? {} : { onStderr }) };
        if (hub !== undefined) return hubRoots(hub, { remote, endpoint }, settings, control);
        return connectPair({ a, b: endpoint }, settings, control, spare);
      };
      const link = new LiveLink({ connect, options, live, listener, signal: stop, endures: hub !== undefined });
      links.push(link);
      try {
        return { remote, summary: await link.run() };
      } catch (error) {
        failed.abort();
        throw error;
      }
    });
    const settled = await Promise.allSettled(running);
    return settled.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  } finally {
    await Promise.allSettled([...spare.map(async (replica) => replica.close()), hub?.close()]);
  }
}
