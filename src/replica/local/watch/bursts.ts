/**
 * Finding out that the kernel's queue of events ran over, of which Node tells nothing (NODE.md).
 *
 * All watchers of a thread share one queue, and libuv empties it in one go: what a queue that ran over held comes in one
 * turn of the event loop. A turn that brings half as many events as the queue takes counts as one in which some were lost:
 * the other half is for events of watchers that have been closed meanwhile.
 */
import { queueLimit } from './limits.ts';

interface Loser {
  lose(reason: string): void;
}

const losers = new Set<Loser>();
let count = 0;
let limit: number | undefined;

export function joinBursts(loser: Loser): void {
  limit ??= queueLimit();
  losers.add(loser);
}

export function leaveBursts(loser: Loser): void {
  losers.delete(loser);
}

/** An event came. */
export function countEvent(): void {
  if (count === 0) {
    setImmediate(() => {
      count = 0;
    });
  }
  count += 1;
  if (count !== Math.ceil((limit ?? Infinity) / 2)) return;
  for (const loser of losers) loser.lose('more happened at once than the system keeps events of');
}
