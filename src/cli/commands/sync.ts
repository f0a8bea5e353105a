/** `lockstep sync`, `push` and `pull`: once or live, with one remote root or several. */
import { Command, Option } from '@commander-js/extra-typings';
import { exitCodes, LockstepError, UsageError } from '../../base/errors.ts';
import type { LinkEvent, Summary } from '../../link/events.ts';
import type { Direction } from '../../workspace/direction.ts';
import { optionMeta, syncOptionsSchema, type SyncOptions } from '../../workspace/options.ts';
import { pull, push, sync, type SyncRequest } from '../../workspace/sync.ts';
import { onAnswer } from '../answer.ts';
import { untilInterrupted } from '../interrupt.ts';
import type { Replica } from '../../replica/replica.ts';
import { printError } from '../render/error.ts';
import { Views } from '../render/views.ts';

/** What a command of this run has beside its options. */
export interface Run {
  /** Agents for local roots, started while the command line was still being read. */
  agents: readonly Replica[];
  /** What stood behind `--`. */
  remoteCommand: readonly string[] | undefined;
  setExitCode: (code: number) => void;
}

/** How options of several values go together with roots (value-lists.ts). */
const lists = `
An option of several values (<name...>) takes all words up to the next option when it stands behind the roots.
Before them, write --name=VALUE once for each.
`;

/** Where a root may be. */
const endpoints = `
A root is a path, [user@]host:path, ssh://host:port/path, docker://CONTAINER/path, podman://…, compose://…,
k8s://NAMESPACE/POD/path or vagrant://MACHINE/path. With -- COMMAND at the end, the remote root is an
absolute path behind any command that gives a shell. Over there a POSIX sh is needed, and Node 18 or later
is better; nothing is installed. More: docs/endpoints.md, docs/shell.md
`;

const notes: Record<Direction, string> = {
  sync: `
When both sides changed a file, the newer wins by default; the other version is kept in .lockstep/history on
its side (see lockstep history and restore). A file deleted here and edited there is kept. Nothing is deleted
when two directories meet for the first time. A dry run of a star does not show what comes from one remote and
would go on to the others; it says where there is such.
`,
  push: `
What was edited at the destination is left alone where it is newer (exit 2), unless --force or --delete is
given. Whatever is replaced or deleted there and exists nowhere else is kept in its .lockstep/history.
`,
  pull: `
What was edited in LOCAL is left alone where it is newer (exit 2), unless --force or --delete is given.
Whatever is replaced or deleted there and exists nowhere else is kept in its .lockstep/history.
`,
};

export function syncCommand(run: Run): Command {
  const command = new Command('sync')
    .description('Keep directories in step, in both directions. The second is made if it is missing.')
    .argument('[A]', 'the first root; it is called local')
    .argument('[B...]', 'the second root, called remote; with more of them, A is the hub of a star')
    .usage('[options] <A> <B> [C…]');
  return finish(command as unknown as Command, 'sync', run, [
    'lockstep sync ~/work/project /mnt/backup/project',
    'lockstep sync ~/work/project ann@server:work/project    over ssh; from her home directory there',
    'lockstep sync a b --exclude node_modules --on-conflict both',
    'lockstep sync a b --dry-run --json',
    'lockstep sync a b --path src docs/guide.md',
    'lockstep sync ~/work/project server:project --watch     until Ctrl-C: every change, as it is made',
    'lockstep sync ~/work/project laptop:project server:project    a star: what changes at one gets to the others',
  ]);
}

export function pushCommand(run: Run): Command {
  const command = new Command('push')
    .description('Bring everything of SRC to DST. Nothing flows back; nothing is deleted unless --delete is given.')
    .argument('[SRC]', 'the source, only read')
    .argument('[DST...]', 'the destination, made if it is missing; there may be several')
    .usage('[options] <SRC> <DST> [DST…]');
  return finish(command as unknown as Command, 'push', run, [
    'lockstep push ./site /srv/www/site',
    'lockstep push ./site /srv/www/site --delete         the destination becomes a mirror',
    'lockstep push ./build /opt/app --clean-out-first',
    'lockstep push ./site web:/srv/www/site              over ssh',
    'lockstep push ./site web:/srv/www/site --watch      until Ctrl-C',
    'lockstep push ./site docker://web/srv/www           into a container',
    'lockstep push ./site /srv/www -- docker exec -i web sh',
  ]);
}

export function pullCommand(run: Run): Command {
  const command = new Command('pull')
    .description('The other way round: bring everything of REMOTE, which is only read, to LOCAL.')
    .argument('[REMOTE]', 'the source, only read')
    .argument('[LOCAL]', 'the destination, made if it is missing')
    .usage('[options] <REMOTE> <LOCAL>');
  return finish(command as unknown as Command, 'pull', run, [
    'lockstep pull /mnt/server/data ./data',
    'lockstep pull /mnt/server/data ./data --delete',
    'lockstep pull server:/var/log ./logs                over ssh',
    'lockstep pull /var/log ./logs -- kubectl exec -i web-0 -- sh',
  ]);
}

function finish(command: Command, direction: Direction, run: Run, examples: readonly string[]): Command {
  const patterns: string[] = [];
  addOptions(command, direction, patterns);
  command
    .option('--json', 'one JSON object per event on stdout, and a summary (docs/json.md)')
    .addOption(new Option('-q, --quiet', 'only what needs attention').conflicts('verbose'))
    .option('-v, --verbose', 'show every path')
    .addHelpText(
      'after',
      `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}\n${lists}${endpoints}${notes[direction]}`,
    );
  // The operands' names differ by command; sync and push take several of the second.
  const act = async (
    first: string | undefined,
    second: string | string[] | undefined,
    given: Given & Record<'exclude' | 'include', unknown>,
  ): Promise<void> => {
    // Both spellings have filled `patterns`; commander's own record of them is of no use.
    const options: Given = { ...given, patterns };
    delete options.exclude;
    delete options.include;
    const operands = [first, ...(Array.isArray(second) ? second : [second])];
    const roots = operands.filter((root) => root !== undefined);
    checkRoots(roots, direction);
    await carryOut(direction, roots, options, run);
  };
  return command.action(act as never);
}

/** Every option of the schema that the command takes. */
function addOptions(command: Command, direction: Direction, patterns: string[]): void {
  for (const [key, schema] of Object.entries(syncOptionsSchema.shape)) {
    const meta = optionMeta(schema);
    const kind = direction === 'sync' ? 'two-way' : 'one-way';
    const option = new Option(meta.flags, meta.description).helpGroup(`${meta.group}:`);
    // Taken all the same, so that whoever tries is told where it belongs (options.ts).
    if (meta.only !== undefined && !meta.only.includes(kind)) option.hideHelp();
    if (key === 'patterns') {
      // Two spellings fill one list, because their order decides.
      command.addOption(option.argParser((value: string) => patterns.push(value)));
      const include = new Option('--include <pattern>', 'take back in what an earlier pattern left out');
      command.addOption(include.helpGroup('What:').argParser((value: string) => patterns.push(`!${value}`)));
      continue;
    }
    command.addOption(option);
    if (key === 'gitignore') {
      command.addOption(new Option('--no-gitignore', 'do not read .gitignore files').helpGroup('What:'));
    }
  }
}

interface Given extends SyncOptions {
  exclude?: unknown;
  include?: unknown;
  json?: true;
  quiet?: true;
  verbose?: true;
}

function checkRoots(roots: readonly string[], direction: Direction): void {
  if (roots.length >= 2) return;
  const what = direction === 'sync' ? 'two directories or more' : 'a source and a destination';
  throw new UsageError(`${direction} takes ${what}`, { hint: `Try: lockstep ${direction} --help` });
}

async function carryOut(
  direction: Direction,
  roots: readonly string[],
  given: Given,
  { agents, remoteCommand, setExitCode }: Run,
): Promise<void> {
  const { json, quiet, verbose, ...options } = given;
  const [local = '', ...remotes] = direction === 'pull' ? [...roots].reverse() : roots;
  const verbosity = quiet === true ? -1 : verbose === true ? 1 : 0;
  const behind = remoteCommand === undefined ? [] : ['--', ...remoteCommand];
  const command = ['lockstep', direction, ...roots, ...behind].join(' ');
  const there = remoteCommand === undefined ? {} : { remoteCommand };
  const views = new Views({ local, remotes, json: json === true, verbosity, options });
  const onDetail = (line: string): void => views.farLine(`served over there by ${line}`);
  const details = verbosity > 0 && json !== true ? { onDetail } : {};
  const request = { ...options, ...there, ...details, command, agents };
  try {
    if (options.watch === true) {
      await carryOutLive(direction, local, remotes, request, views);
      setExitCode(exitCodes.interrupted);
    } else if (remotes.length > 1) setExitCode(await carryOutStar(direction, local, remotes, request, views));
    else setExitCode(await carryOutOnce(direction, local, remotes[0] ?? '', request, views));
  } finally {
    views.end();
  }
}

async function carryOutOnce(
  direction: Direction,
  local: string,
  remote: string,
  request: SyncRequest,
  views: Views,
): Promise<number> {
  const view = views.of(remote);
  const summary = await untilInterrupted(async (signal) => {
    const onEvent = (event: LinkEvent): void => view.event(event);
    const whole: SyncRequest = { ...request, signal, onEvent, onStderr: (line) => view.farLine(line) };
    if (direction === 'sync') return sync(local, remote, whole);
    return direction === 'push' ? push(local, remote, whole) : pull(remote, local, whole);
  });
  view.summary(summary);
  return exitCodeOf(summary);
}

async function carryOutStar(
  direction: Direction,
  local: string,
  remotes: readonly string[],
  request: SyncRequest,
  views: Views,
): Promise<number> {
  const { star } = await import('../../workspace/star.ts');
  const results = await untilInterrupted(async (signal) =>
    star(direction, local, remotes, {
      ...request,
      signal,
      onEvent: (event, remote) => views.of(remote).event(event),
      onStderr: (line) => views.farLine(line),
    }),
  );
  let worst: number = exitCodes.inStep;
  for (const result of results) {
    if ('summary' in result) {
      views.of(result.remote).summary(result.summary);
      worst = worseOf(worst, exitCodeOf(result.summary));
    } else {
      printError(result.error, views.json);
      worst = worseOf(worst, result.error instanceof LockstepError ? result.error.exitCode : exitCodes.failed);
    }
  }
  return worst;
}

/** A failure before a halt, a halt before what is merely left; an interrupt before all. */
function worseOf(a: number, b: number): number {
  const order: readonly number[] = [
    exitCodes.inStep,
    exitCodes.incomplete,
    exitCodes.halted,
    exitCodes.failed,
    exitCodes.usage,
    exitCodes.interrupted,
  ];
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}

async function carryOutLive(
  direction: Direction,
  local: string,
  remotes: readonly string[],
  request: SyncRequest,
  views: Views,
): Promise<void> {
  const { watch } = await import('../../workspace/watch.ts');
  const summaries = await untilInterrupted(async (signal) => {
    const live = watch(direction, local, remotes, {
      ...request,
      signal,
      onEvent: (event, remote) => views.of(remote).event(event),
      onStderr: (line) => views.farLine(line),
    });
    const stopListening = onAnswer(() => live.proceed());
    try {
      return await live.ended;
    } finally {
      stopListening();
    }
  });
  for (const { remote, summary } of summaries) views.of(remote).liveSummary(summary);
}

function exitCodeOf(summary: Summary): number {
  if (summary.outOfSpace > 0) return exitCodes.failed;
  return summary.conflicts.open > 0 || summary.skipped > 0 ? exitCodes.incomplete : exitCodes.inStep;
}
