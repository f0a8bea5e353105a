/** One JSON object per line on stdout, documented in docs/json.md. Progress is left out: it is for eyes. */
import type { Action } from '../../link/actions.ts';
import type { LinkEvent, Summary } from '../../link/events.ts';
import type { LockstepError } from '../../base/errors.ts';
import type { LiveState } from '../../link/live/state.ts';
import type { LiveSummary } from '../../link/live/totals.ts';
import type { Skip } from '../../reconcile/plan.ts';
import type { Renderer } from './renderer.ts';

const version = 1;

/** @param remote named in every line, where there are several */
export function jsonRenderer(remote?: string): Renderer {
  const which = remote === undefined ? {} : { remote };
  const print = (value: object): void => {
    process.stdout.write(`${JSON.stringify({ v: version, ...value, ...which })}\n`);
  };
  return {
    farLine: (line) => print({ type: 'notice', message: line }),
    event: (event: LinkEvent) => {
      switch (event.type) {
        case 'action':
          return print({ type: 'action', ...sided(event.action) });
        case 'conflict': {
          const { winner, ...rest } = event.conflict;
          return print({
            type: 'conflict',
            ...rest,
            winner: winner === 'a' ? 'local' : winner === 'b' ? 'remote' : winner,
          });
        }
        case 'skip':
          return print({ type: 'skip', ...sided(event.skip) });
        case 'notice':
        case 'warning':
          return print({ type: event.type, message: event.message });
        case 'progress':
          return;
        case 'state':
          return print({ type: 'state', ...stateOf(event.state) });
        case 'pass': {
          const { cause, looked, summary } = event.pass;
          const sides = { local: looked.a, remote: looked.b };
          return print({ type: 'pass', cause, looked: sides, ...summaryOf(summary) });
        }
      }
    },
    summary: (summary: Summary) => print({ type: 'summary', ...summaryOf(summary) }),
    liveSummary: ({ durationMs, ...rest }: LiveSummary) =>
      print({ type: 'summary', ...rest, durationMs: Math.round(durationMs) }),
    end: () => undefined,
  };
}

function summaryOf({ actions, entries, durationMs, ...rest }: Summary): object {
  return {
    ...rest,
    actions: { local: actions.a, remote: actions.b },
    entries: { local: entries.a, remote: entries.b },
    durationMs: Math.round(durationMs),
  };
}

function stateOf(state: LiveState): object {
  switch (state.name) {
    case 'connecting':
      return { state: state.name, attempt: state.attempt };
    case 'checking':
      return { state: state.name, why: state.why };
    case 'watching':
    case 'syncing':
    case 'ended':
      return { state: state.name };
    case 'halted':
      return { state: state.name, ...errorOf(state.error) };
    case 'waiting': {
      const { name, attempt, retryInMs, error } = state;
      return { state: name, attempt, retryInMs, ...errorOf(error) };
    }
  }
}

function errorOf({ code, message, hint, path }: LockstepError): object {
  return { code, message, hint, path };
}

/** Sides go by their public names. */
function sided({ side, ...rest }: Action | Skip): object {
  return { side: side === 'a' ? 'local' : 'remote', ...rest };
}
