/** `lockstep history`: what is kept of a root. */
import { Command } from '@commander-js/extra-typings';
import { formatBytes, plural } from '../../base/format.ts';
import { escapeControls } from '../../base/text.ts';
import type { HistoryVersion } from '../../workspace/history.ts';
import { untilInterrupted } from '../interrupt.ts';
import { addRemoteOptions, withHistory } from './remote.ts';
import { historyPath } from '../history-path.ts';
import { colours } from '../render/colours.ts';
import { localTime } from '../render/time.ts';

const help = `
Version 1 is the newest of its path. The last column of a symbolic link shows where it points.

Examples:
  lockstep history ~/work/project                   everything that is kept
  lockstep history ~/work/project notes.txt         the versions of one file
  lockstep history ~/work/project src --json        one JSON object per version
  lockstep history ann@web:/srv/app                 of a root at the other end of ssh

Restore one with: lockstep restore ROOT PATH [--version N]
`;

export function historyCommand(): Command {
  const command = new Command('history')
    .description('List the versions kept in a root: what was replaced or deleted and exists nowhere else.')
    .argument('<ROOT>', 'a root that is kept in step')
    .argument('[PATH]', 'only this path in the root, and what is below it')
    .option('--json', 'one JSON object per version on stdout, and a summary')
    .addHelpText('after', help)
    .action(async (root, given, options) => {
      const versions = await untilInterrupted(async (signal) =>
        withHistory(root, options, signal, async (history) =>
          history.list(given === undefined ? '.' : await historyPath(history, root, given)),
        ),
      );
      if (options.json === true) printJson(versions);
      else printTable(versions, given === undefined ? root : given);
    });
  addRemoteOptions(command as unknown as Command);
  return command as unknown as Command;
}

function printJson(versions: readonly HistoryVersion[]): void {
  for (const version of versions) process.stdout.write(`${JSON.stringify({ v: 1, type: 'version', ...version })}\n`);
  process.stdout.write(`${JSON.stringify({ v: 1, type: 'summary', ...totals(versions) })}\n`);
}

function printTable(versions: readonly HistoryVersion[], asked: string): void {
  if (versions.length === 0) {
    process.stderr.write(`no versions of ${escapeControls(asked)} are kept\n`);
    return;
  }
  const rows = versions.map((version) => [
    String(version.version),
    localTime(version.kept),
    version.kind === 'file' ? formatBytes(version.size) : '-',
    escapeControls(version.reason),
    describePath(version),
  ]);
  const table = [['VERSION', 'KEPT', 'SIZE', 'WHY', 'PATH'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const dim = colours(process.stdout).dim;
  for (const [index, row] of table.entries()) {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 || column === 2 ? cell.padStart(width) : cell.padEnd(width);
    });
    const line = cells.join('  ').trimEnd();
    process.stdout.write(`${index === 0 ? dim(line) : line}\n`);
  }
  const { versions: count, paths, bytes } = totals(versions);
  process.stderr.write(`${plural(count, 'version')} of ${plural(paths, 'path')}, ${formatBytes(bytes)}\n`);
}

function describePath(version: HistoryVersion): string {
  const { path, kind, target, problem } = version;
  const shown = escapeControls(path) + (kind === 'dir' ? '/' : '');
  if (target !== undefined) return `${shown} -> ${escapeControls(target)}`;
  return problem === undefined ? shown : `${shown}  (cannot be looked into: ${problem})`;
}

function totals(versions: readonly HistoryVersion[]): { versions: number; paths: number; bytes: number } {
  const paths = new Set(versions.map(({ path }) => path)).size;
  return { versions: versions.length, paths, bytes: versions.reduce((sum, { size }) => sum + size, 0) };
}
