/** Text as it is stored and shown. */

/**
 * Makes a name safe to print: control characters as escapes, bytes that are not UTF-8 (lone surrogates, tree/path.ts) as
 * `\xNN`. Names come from anywhere; an escape sequence in one must not reach a terminal.
 */
export function escapeControls(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f]|[\udc80-\udcff](?<![\ud800-\udbff][\udc80-\udcff])/g,
    (character) => {
      if (character === '\n') return '\\n';
      if (character === '\r') return '\\r';
      if (character === '\t') return '\\t';
      const unit = character.charCodeAt(0);
      return `\\x${(unit >= 0xdc80 ? unit - 0xdc00 : unit).toString(16).padStart(2, '0')}`;
    },
  );
}

const native = (String.prototype as Partial<Pick<string, 'isWellFormed'>>).isWellFormed;

/** Holds no lone surrogate: a name that is valid UTF-8 (tree/path.ts). Node 18 has no method for it. */
export function isWellFormed(text: string): boolean {
  return native === undefined ? !/\p{Surrogate}/u.test(text) : native.call(text);
}

/** A word as a POSIX shell takes it: quoted where it has to be, control characters included. */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  const quoted = `'${word.replaceAll("'", "'\\''")}'`;
  // Inside plain quotes a terminal would be sent them as they are.
  return quoted === escapeControls(quoted) ? quoted : `$'${escapeControls(word.replace(/['\\]/g, '\\$&'))}'`;
}
