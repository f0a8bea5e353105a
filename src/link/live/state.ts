/**
 * What a live link is doing: one union, and one function that says what follows on what. docs/live.md draws it.
 *
 *     connecting → checking → watching ⇄ syncing
 *         ↑            ↓ any of them, when something goes wrong
 *         └── waiting, halted
 */
import { unreachable, type GuardError, type LockstepError } from '../../base/errors.ts';

/**
 * - `start`: the first look at everything; `reconnected`: likewise, after a line that was lost or an error
 * - `rescan`: the full check that is made now and then
 * - `lost`: what changed is not known any more, or which paths are in scope
 */
export type CheckReason = 'start' | 'reconnected' | 'rescan' | 'lost';

export type LiveState =
  /** @property attempt how many failed since the link was last in step */
  | { name: 'connecting'; attempt: number }
  | { name: 'checking'; why: CheckReason; attempt: number }
  | { name: 'watching' }
  | { name: 'syncing' }
  /** A guard stopped it; it goes on when it is told to, or when what the guard saw is over. */
  | { name: 'halted'; error: GuardError }
  /** Something failed that may be over by and by, such as a connection. */
  | { name: 'waiting'; error: LockstepError; attempt: number; retryInMs: number }
  | { name: 'ended' };

export type LiveInput =
  | { type: 'connected' }
  | { type: 'in-step' }
  | { type: 'changes' }
  | { type: 'check'; why: CheckReason }
  | { type: 'guarded'; error: GuardError }
  | { type: 'failed'; error: LockstepError; retryInMs: number }
  /** It is time, or somebody asks, to try again. */
  | { type: 'retry' }
  | { type: 'stop' };

export const initialState: LiveState = { name: 'connecting', attempt: 0 };

/** @throws Error for what cannot follow: a defect */
export function nextState(state: LiveState, input: LiveInput): LiveState {
  switch (input.type) {
    case 'stop':
      return { name: 'ended' };
    case 'guarded':
      return { name: 'halted', error: input.error };
    case 'failed':
      return { name: 'waiting', error: input.error, retryInMs: input.retryInMs, attempt: attemptOf(state) + 1 };
    case 'connected':
      return from(state, input, ['connecting'], {
        name: 'checking',
        why: attemptOf(state) === 0 ? 'start' : 'reconnected',
        attempt: attemptOf(state),
      });
    case 'in-step':
      return from(state, input, ['checking', 'syncing'], { name: 'watching' });
    case 'changes':
      return from(state, input, ['watching'], { name: 'syncing' });
    case 'check':
      return from(state, input, ['watching', 'syncing'], { name: 'checking', why: input.why, attempt: 0 });
    case 'retry':
      return from(state, input, ['waiting', 'halted'], { name: 'connecting', attempt: Math.max(1, attemptOf(state)) });
    default:
      return unreachable(input);
  }
}

function from(state: LiveState, input: LiveInput, expected: readonly LiveState['name'][], next: LiveState): LiveState {
  if (!expected.includes(state.name)) throw new Error(`"${input.type}" while a link is ${state.name}`);
  return next;
}

/** How many attempts have failed in a row. */
function attemptOf(state: LiveState): number {
  return 'attempt' in state ? state.attempt : 0;
}

/** How long to wait before trying again, ms: longer each time, up to half a minute, and not all links at the same moment. */
export function backoffMs(attempt: number, random: number): number {
  const most = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(most * (0.5 + random / 2));
}
