/**
 * Options that take several values (`--path a b`) take the words behind them, and so may a root be. Here the two are told
 * apart, before commander reads the line; where that cannot be done nobody guesses: a wrong root is a directory overwritten.
 */
import type { Option } from '@commander-js/extra-typings';
import { UsageError } from '../base/errors.ts';

/** What the words of a command line are for. */
interface Line {
  words: readonly string[];
  /** How many words certainly are roots. */
  roots: number;
  /** Where options of several values stand. */
  lists: number[];
  /** Options of several values that stand before the second root, with more words behind them than the one they need. */
  unclear: ValueList[];
  /** Which option, if not the one just before it, a word is one more value of. */
  further: Map<number, string>;
}

interface ValueList {
  flag: string;
  /** The words behind its first value, up to the next option. */
  more: number[];
}

/**
 * Gives each value its option (`--path a b` → `--path=a --path=b`), so that all other words are roots.
 *
 * - Behind two roots, all words up to the next option are values.
 * - Before them, only the first is; more only where there is but one way to end with enough roots.
 *
 * @param most roots that the command takes
 * @throws UsageError when a word may be a value as well as a root
 */
export function withValuesNamed(words: readonly string[], options: readonly Option[], most: number): string[] {
  // Help comes before complaints.
  if (words.includes('--help') || words.includes('-h')) return [...words];
  const line = read(words, options);
  if (line.unclear.length > 0) settle(line, most);
  const named: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const [word = '', value] = [words[at], words[at + 1]];
    const flag = line.further.get(at);
    if (flag !== undefined) named.push(`${flag}=${word}`);
    else if (line.lists.includes(at) && value !== undefined) {
      named.push(`${word}=${value}`);
      at += 1;
    } else named.push(word);
  }
  return named;
}

function read(words: readonly string[], options: readonly Option[]): Line {
  const line: Line = { words, roots: 0, lists: [], unclear: [], further: new Map() };
  let list: ValueList | undefined;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (!isOption(word)) {
      if (list === undefined) line.roots += 1;
      else list.more.push(at);
      continue;
    }
    close(list, line);
    const option = options.find(({ short, long }) => word === short || word === long);
    list = option?.variadic === true ? { flag: word, more: [] } : undefined;
    if (list !== undefined) line.lists.push(at);
    if (option?.required === true) at += 1;
  }
  close(list, line);
  return line;
}

/** Commander's own idea of it: `-` and numbers are words. */
function isOption(word: string): boolean {
  return word.length > 1 && word.startsWith('-') && !/^-(\d+|\d*\.\d+)(e[+-]?\d+)?$/.test(word);
}

function close(list: ValueList | undefined, line: Line): void {
  if (list === undefined || list.more.length === 0) return;
  if (line.roots < 2) line.unclear.push(list);
  else for (const at of list.more) line.further.set(at, list.flag);
}

function settle({ words, roots, unclear, further }: Line, most: number): void {
  const more = unclear.reduce((sum, list) => sum + list.more.length, 0);
  // All of them are needed as roots.
  if (roots + more <= 2) return;
  const [list] = unclear;
  if (list !== undefined && unclear.length === 1 && most === 2 && roots <= 2) {
    // The last ones are roots, as in `pull --path a b FROM TO`.
    for (const at of list.more.slice(0, list.more.length - (2 - roots))) further.set(at, list.flag);
    return;
  }
  const flag = list?.flag ?? '';
  const shown = unclear.flatMap(({ more }) => more.map((at) => words[at] ?? ''));
  throw new UsageError(`which are roots, and which are further values of ${flag}: ${shown.join(', ')}?`, {
    hint: `Put the roots before ${flag}, or write each value as ${flag}=VALUE: what follows that is a root.`,
  });
}
