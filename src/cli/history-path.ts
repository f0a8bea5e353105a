import path from 'node:path';
import { UsageError } from '../base/errors.ts';
import type { RootHistory } from '../workspace/history.ts';

/**
 * What a path on the command line means in a root's history.
 *
 * It is taken as it stands if history has it. If not, it may have been copied from our own output, where control
 * characters and bytes that are not UTF-8 are shown as escapes (such bytes cannot be typed as an argument at all: Node
 * decodes arguments), or be a path from the current directory, as shells complete it. If history has none of these, the
 * first that can be a path in the root is returned, and the caller says that there is nothing.
 */
export async function historyPath(history: RootHistory, root: string, given: string): Promise<string> {
  let first: string | undefined;
  for (const candidate of candidates(history.isLocal ? root : undefined, given)) {
    try {
      if ((await history.list(candidate)).length > 0) return candidate;
      first ??= candidate;
    } catch (error) {
      // As it stands it leads out of the root: `../b/x`, from a directory in it.
      if (!(error instanceof UsageError)) throw error;
    }
  }
  return first ?? given;
}

/** @param root where paths from the current directory may lie */
function* candidates(root: string | undefined, given: string): Generator<string> {
  if (given === '') throw new UsageError('a path is empty', { hint: 'Everything in the root is `.`' });
  yield given;
  if (given.includes('\\')) {
    yield unescape(given, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte));
    yield unescape(given, (byte) => String.fromCharCode(byte));
  }
  if (root === undefined) return;
  const below = path.relative(path.resolve(root), path.resolve(given));
  if (below !== '' && below !== '..' && !below.startsWith('../')) yield below;
}

const named: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

/** @param character what a `\xNN` stands for: a byte of a name that is not UTF-8, or a control character */
function unescape(text: string, character: (byte: number) => string): string {
  return text.replace(
    /\\(?:x([0-9a-f]{2})|([nrt\\]))/gi,
    (whole, hex: string | undefined, letter: string | undefined) =>
      hex !== undefined ? character(Number.parseInt(hex, 16)) : (named[letter ?? ''] ?? whole),
  );
}
