/** Words for a POSIX shell at the far end. */
import { UsageError } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';

/**
 * One word, in single quotes: everything in it reaches the far program as it stands, whatever it is.
 *
 * It is quoted even when it would not have to be: what is safe bare differs between shells, and the shell at the far end
 * of ssh is the user's own. What `'…'` means is the same in all of them, but csh wants no line breaks and no `!` inside,
 * and fish takes `\\` and `\'` for escapes; text that goes through those is to hold neither (probe-script.ts).
 *
 * @throws UsageError when it holds a NUL, which no argument can carry
 */
export function quoteWord(word: string): string {
  if (word.includes('\0')) {
    throw new UsageError(`${escapeControls(word)} holds a NUL character, which no command line can carry`, {
      hint: 'Remove it (a quoting mistake in a script?).',
    });
  }
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * A program and its arguments as one line for a shell, which it replaces: a shell that waited for it would hold the pipe
 * open. It may be any shell that a user can have for a login: they all know `exec`.
 *
 * @param words the program first; it stands unquoted, so it is one of ours (`sh`, `sudo`)
 */
export function execLine([program, ...args]: readonly [string, ...string[]]): string {
  return ['exec', program, ...args.map(quoteWord)].join(' ');
}
