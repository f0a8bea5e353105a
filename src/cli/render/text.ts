/** For people: actions and the summary on stdout, messages and progress on stderr. */
import { unreachable } from '../../base/errors.ts';
import { formatBytes, formatDuration, plural } from '../../base/format.ts';
import { escapeControls } from '../../base/text.ts';
import type { Action } from '../../link/actions.ts';
import type { LinkEvent, Summary } from '../../link/events.ts';
import type { Side } from '../../reconcile/options.ts';
import type { Conflict, Skip, SkipReason } from '../../reconcile/plan.ts';
import { colours, type Colours } from './colours.ts';
import { ProgressLine } from './progress.ts';
import type { Renderer } from './renderer.ts';

export interface TextOptions {
  /** 0: messages and the summary; 1: also every action; -1: only what needs attention. */
  verbosity: number;
  dryRun: boolean;
  /** What the two roots are called on the command line. */
  names: Record<Side, string>;
}

export function textRenderer(options: TextOptions): Renderer {
  const out = colours(process.stdout);
  const err = colours(process.stderr);
  const progress = options.verbosity >= 0 ? new ProgressLine(process.stderr) : undefined;
  const say = (text: string): void => {
    progress?.clear();
    process.stderr.write(`${text}\n`);
  };
  const print = (text: string): void => {
    progress?.clear();
    process.stdout.write(`${text}\n`);
  };
  let newerFarSide = false;
  const showsActions = options.dryRun ? options.verbosity >= 0 : options.verbosity > 0;
  return {
    farLine: (line) => {
      if (options.verbosity >= 0) say(escapeControls(line));
    },
    event: (event: LinkEvent) => {
      switch (event.type) {
        case 'notice':
          if (options.verbosity >= 0) say(escapeControls(event.message));
          return;
        case 'warning':
          return say(`${err.yellow('warning:')} ${escapeControls(event.message)}`);
        case 'action':
          if (showsActions) print(describeAction(event.action, out));
          return;
        case 'conflict':
          if (options.verbosity >= 0 || event.conflict.winner === 'open') {
            say(`${err.yellow('conflict:')} ${describeConflict(event.conflict, options.names)}`);
          }
          return;
        case 'skip':
          newerFarSide ||= event.skip.why === 'newer-far-side';
          return say(`${err.yellow('skipped:')} ${describeSkip(event.skip, options.names)}`);
        case 'progress':
          return progress?.show(event.progress);
        case 'state':
        case 'pass':
          // Only of live mode, which has a renderer of its own (live-text.ts).
          return;
        default:
          return unreachable(event);
      }
    },
    summary: (summary: Summary) => {
      if (options.verbosity < 0) return;
      print(describeSummary(summary));
      for (const hint of followUps(summary, newerFarSide)) say(hint);
    },
    liveSummary: () => undefined,
    end: () => progress?.clear(),
  };
}

export const arrows: Record<Side, string> = { a: '←', b: '→' };
const words: Record<Action['op'], string> = {
  create: 'new',
  replace: 'changed',
  delete: 'deleted',
  rename: 'renamed',
  metadata: 'metadata',
};

function describeAction(action: Action, colour: Colours): string {
  const slash = action.kind === 'dir' ? '/' : '';
  const path = escapeControls(action.path) + slash;
  const shown = action.to === undefined ? path : `${path} → ${escapeControls(action.to)}${slash}`;
  const word = words[action.op].padEnd(8);
  const coloured = action.op === 'delete' ? colour.red(word) : action.op === 'create' ? colour.green(word) : word;
  const size = action.kind === 'file' && action.bytes > 0 ? colour.dim(`  ${formatBytes(action.bytes)}`) : '';
  const why = action.reason === 'conflict' || action.reason === 'mirrored' ? colour.dim(`  (${action.reason})`) : '';
  return `${arrows[action.side]} ${coloured} ${shown}${size}${why}`;
}

const conflictWords: Record<Conflict['what'], string> = {
  content: 'changed',
  kind: 'of different kinds',
  metadata: 'permissions changed',
  directory: 'something in it changed',
};

export function describeConflict(conflict: Conflict, names: Record<Side, string>): string {
  const { path, what, winner, detail } = conflict;
  const subject = `${escapeControls(path === '' ? '.' : path)}: ${conflictWords[what]} on both sides`;
  const more = detail === undefined ? '' : ` (${detail})`;
  switch (winner) {
    case 'open':
      return `${subject}; left as it is${more}`;
    case 'both':
      return `${subject}; both kept${more}`;
    case 'a':
    case 'b':
      return `${subject}; took that of ${names[winner]}${more}`;
    default:
      return unreachable(winner);
  }
}

const skipWords: Record<SkipReason, string> = {
  unreadable: 'cannot be read',
  special: 'is a FIFO, socket or device, which are not synced',
  'newer-far-side': 'differs over there and was left alone',
  'would-delete': 'would need deletions',
  'kept-ignored': 'stays',
  'name-clash': 'cannot be told apart from another name over there',
  'changed-meanwhile': 'changed while it was being synced',
  'source-changed': 'changed while it was being read',
  'no-space': 'did not fit',
  failed: 'failed',
};

export function describeSkip(skip: Skip, names: Record<Side, string>): string {
  const path = `${names[skip.side].replace(/\/+$/, '')}/${escapeControls(skip.path)}`;
  return `${path}: ${skipWords[skip.why]}${skip.detail === undefined ? '' : ` (${skip.detail})`}`;
}

export function describeSummary(summary: Summary): string {
  const { total, conflicts, skipped, dryRun } = summary;
  const parts: string[] = [];
  for (const side of ['b', 'a'] as const) {
    const counts = Object.entries(summary.actions[side]) as [Action['op'], number][];
    const done = counts
      .filter(([, count]) => count > 0)
      .map(([op, count]) => `${count.toLocaleString('en-US')} ${words[op]}`);
    if (done.length > 0) parts.push(`${arrows[side]} ${done.join(', ')}`);
  }
  const what =
    total === 0 ? 'nothing to do' : parts.join('; ') + (summary.bytes === 0 ? '' : ` (${formatBytes(summary.bytes)})`);
  const settled = conflicts.settled > 0 ? `, ${plural(conflicts.settled, 'conflict')} settled` : '';
  const open = conflicts.open > 0 ? `, ${plural(conflicts.open, 'conflict')} open` : '';
  const left = skipped > 0 ? `, ${plural(skipped, 'path')} skipped` : '';
  const kept = summary.kept > 0 ? `, ${summary.kept.toLocaleString('en-US')} kept in history` : '';
  const title = dryRun ? 'dry run' : conflicts.open + skipped > 0 ? 'incomplete' : 'in step';
  return `${title}: ${what}${settled}${kept}${open}${left} in ${formatDuration(summary.durationMs)}`;
}

/** What to do about what is left. */
function* followUps(summary: Summary, newerFarSide: boolean): Generator<string> {
  if (summary.outOfSpace > 0)
    yield 'There was not enough room. Make some and run again: it continues where it stopped.';
  if (summary.conflicts.open > 0) {
    yield 'Open conflicts: both versions are untouched. Settle them with --on-conflict newer|older|local|remote|both.';
  }
  if (newerFarSide) yield 'What was edited at the destination was left alone; --force makes the source win.';
}
