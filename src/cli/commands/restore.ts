/** `lockstep restore`: brings versions back from a root's history. */
import { Command, Option } from '@commander-js/extra-typings';
import { exitCodes, InterruptedError, LockstepError, UsageError } from '../../base/errors.ts';
import { formatBytes, plural } from '../../base/format.ts';
import { escapeControls } from '../../base/text.ts';
import { ancestorsOf } from '../../tree/path.ts';
import type { RestoreOptions, RestoreSummary, RootHistory } from '../../workspace/history.ts';
import { addRemoteOptions, withHistory } from './remote.ts';
import { historyPath } from '../history-path.ts';
import { untilInterrupted } from '../interrupt.ts';
import { parsePastTime } from '../past-time.ts';
import { colours } from '../render/colours.ts';
import { localTime } from '../render/time.ts';

const help = `
Of a directory, everything that history has below it comes back, each path in its newest version; files that
are there and that history knows nothing of stay. What stands where something is restored goes to history
first, so that restoring it again undoes the restore. What is restored stays in history, too.

--at TIME brings back what was there at that time: 2026-11-21, "2026-11-21 14:30", 2026-11-21T13:30:00Z,
2h or "3d ago". That is the oldest version kept since then, because what was replaced or deleted later
is what stood there. What has not changed since is left as it is. When a file was made is not kept: one
that was made after that time and deleted or replaced since comes back, too. --dry-run shows it.

Examples:
  lockstep restore ~/work/project notes.txt                     the newest version of a file
  lockstep restore ~/work/project notes.txt --version 3         see lockstep history for the numbers
  lockstep restore ~/work/project src --at "2h ago"             a directory as it was two hours ago
  lockstep restore ~/work/project src --to /tmp/old-src         beside, replacing nothing
  lockstep restore ~/work/project . --at 2026-11-20 --dry-run   show what would come back
`;

/** Some of the paths could not be restored, the others were. */
class IncompleteError extends LockstepError {
  override readonly name = 'IncompleteError';
  override get exitCode(): number {
    return exitCodes.incomplete;
  }
}

interface Given {
  at?: string;
  version?: number;
  to?: string;
  dryRun?: true;
  forceUnlock?: true;
  json?: true;
}

export function restoreCommand(): Command {
  const command = new Command('restore')
    .description('Bring back files or directories that were replaced or deleted.')
    .argument('<ROOT>', 'a root that is kept in step')
    .argument('<PATH...>', 'what to bring back: paths in the root, as lockstep history shows them')
    .addOption(new Option('--at <TIME>', 'as it was at that time').conflicts('version'))
    .addOption(new Option('--version <N>', 'the N-th newest version of the path').argParser(parseNumber))
    .option('--to <DIR>', 'put it below this directory instead; nothing there is replaced')
    .option('-n, --dry-run', 'show what would be restored; write nothing')
    .option('--force-unlock', 'take a lock even from a run that seems alive; only if you know that it is not')
    .option('--json', 'one JSON object per path on stdout, and a summary')
    .addHelpText('after', help)
    .action(async (root, paths, options: Given) => restore(root, paths, options));
  addRemoteOptions(command as unknown as Command);
  return command as unknown as Command;
}

function parseNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`--version takes a number from 1, not ${text}`, { hint: 'See lockstep history ROOT PATH.' });
}

async function restore(root: string, given: readonly string[], options: Given): Promise<void> {
  const request = requestOf(root, given, options);
  const summaries: RestoreSummary[] = [];
  await untilInterrupted(async (signal) =>
    withHistory(root, options, signal, async (history) => {
      const asked: string[] = [];
      for (const path of given) asked.push(await historyPath(history, root, path));
      const paths = [...new Set(asked)];
      // With several, a mistake in one must not be found when the others are done.
      if (paths.length > 1) refuseClashes(await plansOf(history, paths, request), options);
      for (const path of paths) {
        const summary = await restoreOne(history, path, request, summaries.length > 0);
        summaries.push(summary);
        if (options.json === true) printJson(summary);
        else printText(summary, options.to !== undefined);
      }
    }),
  );
  finish(summaries, options);
}

/** @param isLater others are restored already: that this one cannot be is told beside them */
async function restoreOne(
  history: RootHistory,
  path: string,
  request: RestoreOptions,
  isLater: boolean,
): Promise<RestoreSummary> {
  try {
    return await history.restore(path, request);
  } catch (error) {
    if (!isLater || !(error instanceof LockstepError) || error instanceof InterruptedError) throw error;
    const failures = [{ path, why: 'failed', detail: error.message } as const];
    return { restored: [], unchanged: 0, bytes: 0, failures, recovered: [], dryRun: request.dryRun ?? false };
  }
}

interface Plan {
  path: string;
  restored: RestoreSummary['restored'];
}

async function plansOf(history: RootHistory, paths: readonly string[], request: RestoreOptions): Promise<Plan[]> {
  const plans: Plan[] = [];
  for (const path of paths) {
    const { restored } = await history.restore(path, { ...request, dryRun: true });
    plans.push({ path, restored });
  }
  return plans;
}

/** With --to nothing is replaced, so no two of the paths may come to lie in one place. In place they are the same thing. */
function refuseClashes(plans: readonly Plan[], { to }: Given): void {
  if (to === undefined) return;
  const taken = new Map<string, { by: string; isLeaf: boolean }>();
  for (const { path, restored } of plans) {
    for (const { target, kind } of restored) {
      for (const at of [target, ...parentsOf(target)]) {
        const isLeaf = at === target && kind !== 'dir';
        const other = taken.get(at);
        if (other === undefined) taken.set(at, { by: path, isLeaf });
        else if (other.by !== path && (isLeaf || other.isLeaf)) {
          const [one, two, place] = [other.by, path, at].map(escapeControls);
          throw new UsageError(`${one} and ${two} would both come to lie at ${place}`, {
            path,
            hint: 'Restore them one by one, each with a --to of its own.',
          });
        }
      }
    }
  }
}

/** Directories above an absolute path. */
function parentsOf(target: string): string[] {
  return ancestorsOf(target.slice(1)).map((dir) => `/${dir}`);
}

function requestOf(root: string, given: readonly string[], options: Given): RestoreOptions {
  if (options.version !== undefined && given.length > 1) {
    throw new UsageError('--version goes with one path: each has its own numbers', { hint: 'Use --at for several.' });
  }
  if (options.to?.trim() === '') throw new UsageError('--to is empty');
  return {
    dryRun: options.dryRun ?? false,
    forceUnlock: options.forceUnlock ?? false,
    command: ['lockstep', 'restore', root, ...given].join(' '),
    ...(options.at === undefined ? {} : { at: parsePastTime(options.at, Date.now()) }),
    ...(options.version === undefined ? {} : { version: options.version }),
    ...(options.to === undefined ? {} : { to: options.to }),
  };
}

function printText({ restored, failures, recovered, dryRun }: RestoreSummary, aside: boolean): void {
  const colour = colours(process.stdout);
  for (const message of recovered) process.stderr.write(`${escapeControls(message)}\n`);
  for (const { path, target, kind, size, kept, replaced } of restored) {
    const word = (replaced ? 'replaced' : 'restored').padEnd(8);
    const shown = escapeControls(aside ? target : path) + (kind === 'dir' ? '/' : '');
    const bytes = kind === 'file' ? `${formatBytes(size)}, ` : '';
    const when = colour.dim(`  (${bytes}kept ${localTime(kept)})`);
    process.stdout.write(`${dryRun ? 'would be ' : ''}${replaced ? word : colour.green(word)} ${shown}${when}\n`);
  }
  for (const { path, detail } of failures) {
    process.stderr.write(`${colours(process.stderr).yellow('skipped:')} ${escapeControls(path)}: ${detail}\n`);
  }
}

function printJson({ restored, failures, recovered, dryRun }: RestoreSummary): void {
  for (const message of recovered) writeJson({ type: 'notice', message });
  for (const item of restored) writeJson({ type: 'restored', ...item, dryRun });
  for (const failure of failures) writeJson({ type: 'skip', ...failure });
}

function writeJson(value: object): void {
  process.stdout.write(`${JSON.stringify({ v: 1, ...value })}\n`);
}

/** The last word, and the exit code by way of an error when something is left undone. */
function finish(summaries: readonly RestoreSummary[], options: Given): void {
  const sum = (of: (summary: RestoreSummary) => number): number => summaries.reduce((total, one) => total + of(one), 0);
  const restored = sum((one) => one.restored.length);
  const replaced = sum((one) => one.restored.filter((item) => item.replaced).length);
  const unchanged = sum((one) => one.unchanged);
  const bytes = sum((one) => one.bytes);
  const failed = sum((one) => one.failures.length);
  if (options.json === true) {
    const dryRun = options.dryRun ?? false;
    writeJson({ type: 'summary', restored, replaced, unchanged, failed, bytes, dryRun });
  } else if (restored + unchanged > 0) {
    const title = options.dryRun === true ? 'dry run' : failed > 0 ? 'incomplete' : 'restored';
    const what = restored === 0 ? 'nothing to do' : `${plural(restored, 'path')} (${formatBytes(bytes)})`;
    const kept =
      replaced === 0 ? '' : `, what stood there ${options.dryRun === true ? 'would go to' : 'is in'} history`;
    const same = unchanged === 0 ? '' : `, ${unchanged.toLocaleString('en-US')} already so`;
    process.stdout.write(`${title}: ${what}${kept}${same}\n`);
  }
  if (failed === 0) return;
  const message = `${plural(failed, 'path')} could not be restored`;
  if (restored + unchanged > 0) throw new IncompleteError('io', message, { hint: 'The others were; run it again.' });
  throw new LockstepError('io', message, { hint: 'Nothing was changed; --to DIR puts it elsewhere.' });
}
