/** Live mode for people: a line for every change on stdout, everything else on stderr, and nothing while nothing happens. */
import { formatBytes, formatDuration, plural } from '../../base/format.ts';
import { escapeControls } from '../../base/text.ts';
import type { Action } from '../../link/actions.ts';
import type { LinkEvent } from '../../link/events.ts';
import type { LiveState } from '../../link/live/state.ts';
import type { LiveSummary } from '../../link/live/totals.ts';
import type { Side } from '../../reconcile/options.ts';
import { colours, type Colours } from './colours.ts';
import type { Renderer } from './renderer.ts';
import type { StatusLine } from './status-line.ts';
import { arrows, describeSummary, textRenderer } from './text.ts';

export interface LiveTextOptions {
  /** As of text.ts; 1: also what the first look at everything brings. */
  verbosity: number;
  names: Record<Side, string>;
  /** Said before every line, where there are several links. */
  label: string | undefined;
  status: StatusLine;
}

export function liveTextRenderer(options: LiveTextOptions): Renderer {
  const { verbosity, names, status } = options;
  const out = colours(process.stdout);
  const err = colours(process.stderr);
  const label = options.label === undefined ? '' : `[${escapeControls(options.label)}] `;
  const inner = textRenderer({ verbosity: Math.min(verbosity, 0), dryRun: false, names });
  const print = (text: string): void => {
    status.clear();
    process.stdout.write(`${label}${text}\n`);
  };
  const say = (text: string): void => {
    status.clear();
    process.stderr.write(`${label}${text}\n`);
  };
  let state: LiveState | undefined;
  let isFirst = true;
  let lastProblem = '';

  const enter = (next: LiveState): void => {
    state = next;
    status.set(escapeControls(options.label ?? ''), next);
    if (next.name === 'halted' || next.name === 'waiting') {
      // Said once, however often it is tried again.
      if (next.error.message !== lastProblem) tellProblem(next, say, err);
      lastProblem = next.error.message;
    } else if (next.name === 'watching') {
      if (isFirst && verbosity >= 0) say(`watching ${names.a} and ${names.b}; Ctrl-C ends it`);
      else if (lastProblem !== '') say('in step again');
      isFirst = false;
      lastProblem = '';
    }
  };

  return {
    farLine: (line) => {
      status.clear();
      inner.farLine(line);
    },
    event: (event: LinkEvent) => {
      switch (event.type) {
        case 'state':
          inner.end();
          return enter(event.state);
        case 'action':
          status.changed();
          if ((!isFirst && verbosity >= 0) || verbosity > 0) print(describe(event.action, out));
          return;
        case 'pass':
          inner.end();
          if (verbosity >= 0 && isFirst) print(describeSummary(event.pass.summary));
          status.draw();
          return;
        case 'progress':
          // Only what takes long enough to be waited for.
          if (state?.name === 'checking' && state.why !== 'rescan') inner.event(event);
          return;
        case 'notice':
        case 'warning':
        case 'conflict':
        case 'skip':
          status.clear();
          return inner.event(event);
      }
    },
    summary: () => undefined,
    liveSummary: (summary) => {
      status.clear();
      if (verbosity >= 0) print(describeEnd(summary));
    },
    end: () => {
      inner.end();
      status.clear();
    },
  };
}

function tellProblem(
  state: Extract<LiveState, { name: 'halted' | 'waiting' }>,
  say: (text: string) => void,
  err: Colours,
): void {
  const { error } = state;
  const lines = (text: string): string => text.split('\n').map(escapeControls).join('\n');
  if (state.name === 'waiting') {
    const retry = formatDuration(state.retryInMs);
    say(`${err.yellow('waiting:')} ${lines(error.message)}; trying again in ${retry}, and on`);
    return;
  }
  say(`${err.red('halted:')} ${lines(error.message)}`);
  if (error.hint !== undefined) say(`  ${lines(error.hint)}`);
  const how = process.stdin.isTTY ? 'type "continue" and Enter' : `kill -USR2 ${process.pid}`;
  say(`  It goes on by itself when this is over. To answer yes: ${how}`);
}

function describe(action: Action, colour: Colours): string {
  const slash = action.kind === 'dir' ? '/' : '';
  const path = (action.path === '' ? '.' : escapeControls(action.path)) + slash;
  switch (action.op) {
    case 'delete':
      return `${colour.red('✕')} ${path}${colour.dim(`  (${arrows[action.side]})`)}`;
    case 'rename':
      return `${arrows[action.side]} ${path} → ${escapeControls(action.to ?? '')}${slash}`;
    case 'metadata':
      return `${arrows[action.side]} ${path}${colour.dim('  (metadata)')}`;
    case 'create':
    case 'replace': {
      const size = action.kind === 'file' ? colour.dim(`  ${formatBytes(action.bytes)}`) : '';
      return `${arrows[action.side]} ${path}${size}`;
    }
  }
}

function describeEnd({ total, bytes, conflicts, skipped, durationMs }: LiveSummary): string {
  const open = conflicts.open > 0 ? `, ${plural(conflicts.open, 'conflict')} open` : '';
  const left = skipped > 0 ? `, ${plural(skipped, 'path')} skipped` : '';
  const done = `${plural(total, 'change')} (${formatBytes(bytes)}) in ${formatDuration(durationMs)}`;
  return `ended: ${done}${open}${left}`;
}
