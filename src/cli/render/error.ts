import { LockstepError } from '../../base/errors.ts';
import { escapeControls, shellWord } from '../../base/text.ts';
import { colours } from './colours.ts';

/** Prints an error for a person on stderr, or as an event on stdout for a program. */
export function printError(error: unknown, json: boolean): void {
  if (error instanceof LockstepError) {
    const { code, message, hint, path, exitCode } = error;
    const command = commandWith(error.option);
    if (json) {
      process.stdout.write(
        `${JSON.stringify({ v: 1, type: 'error', code, message, hint, command, path, exitCode })}\n`,
      );
      return;
    }
    const colour = colours(process.stderr);
    process.stderr.write(`${colour.red('lockstep:')} ${escapeLines(message)}\n`);
    if (hint !== undefined) process.stderr.write(`  ${escapeLines(hint)}\n`);
    if (command !== undefined) process.stderr.write(`  ${command}\n`);
    return;
  }
  // A defect of ours: the stack is what a report needs.
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (json)
    process.stdout.write(`${JSON.stringify({ v: 1, type: 'error', code: 'internal', message: text, exitCode: 1 })}\n`);
  process.stderr.write(`lockstep: this is a bug in Lockstep, please report it:\n${escapeLines(text)}\n`);
}

/** This very command line with an option added, ready to be pasted into a shell. */
function commandWith(option: string | undefined): string | undefined {
  if (option === undefined) return undefined;
  const args = process.argv.slice(2).filter((arg) => arg !== '--json');
  const end = args.indexOf('--');
  const at = end < 0 ? args.length : end;
  const words = [...args.slice(0, at), ...option.split(' '), ...args.slice(at)];
  return ['lockstep', ...words.map(shellWord)].join(' ');
}

function escapeLines(text: string): string {
  return text.split('\n').map(escapeControls).join('\n');
}
