/** One JSON object per line on stdout, documented in docs/json.md. Progress is left out: it is for eyes. */
import type { Action } from '../../link/actions.ts';
import type { LinkEvent, Summary } from '../../link/events.ts';
import type { Skip } from '../../reconcile/plan.ts';
import type { Renderer } from './renderer.ts';

const version = 1;

export function jsonRenderer(): Renderer {
  const print = (value: object): void => {
    process.stdout.write(`${JSON.stringify({ v: version, ...value })}\n`);
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
      }
    },
    summary: ({ actions, entries, ...rest }: Summary) => {
      const { durationMs, ...counts } = rest;
      print({
        type: 'summary',
        ...counts,
        actions: { local: actions.a, remote: actions.b },
        entries: { local: entries.a, remote: entries.b },
        durationMs: Math.round(durationMs),
      });
    },
    end: () => undefined,
  };
}

/** Sides go by their public names. */
function sided({ side, ...rest }: Action | Skip): object {
  return { side: side === 'a' ? 'local' : 'remote', ...rest };
}
