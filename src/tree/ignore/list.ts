/**
 * A list of patterns from one source, of which the last that matches decides.
 */
import type { ByteString } from './glob.ts';
import { byteString } from './glob.ts';
import type { Pattern } from './pattern.ts';
import { matchesPattern, mayMatchEnd, parsePattern } from './pattern.ts';
import { joinPath } from '../path.ts';
import type { RelPath } from '../path.ts';

/** Where a list comes from, as the user is told. */
export interface ListSource {
  /** 'pattern' for the user's own list, 'preset', or the path of the ignore file. */
  readonly source: string;
  /** Which preset, when it is one. */
  readonly preset?: string;
}

/** The patterns of one source, compiled. */
export class PatternList {
  readonly source: ListSource;
  readonly patterns: readonly Pattern[];
  /** Where the part of a path that the patterns are about begins: behind the directory of the list. */
  readonly #base: number;
  /** Patterns by `path's last byte × 2 + is directory`, made when first needed; the last one first. */
  readonly #candidates = new Map<number, readonly Pattern[]>();

  constructor(source: ListSource, patterns: readonly Pattern[], dir: RelPath = '') {
    this.source = source;
    this.patterns = patterns;
    this.#base = dir === '' ? 0 : byteString(dir).length + 1;
  }

  /** Patterns that are taken literally, one each. */
  static of(source: ListSource, texts: readonly string[]): PatternList {
    return new PatternList(
      source,
      texts.map((text, index) => parsePattern(text, index + 1)),
    );
  }

  /** What an ignore file in `dir` says. */
  static fromFile(dir: RelPath, name: string, text: string): PatternList {
    const patterns = readLines(text).map(({ text: line, number }) => parsePattern(line, number));
    return new PatternList(
      { source: joinPath(dir, name) },
      patterns.filter((pattern) => pattern.kind !== 'never'),
      dir,
    );
  }

  /**
   * The last pattern that matches.
   *
   * @param name where the base name begins in `path`, which lies below the directory of the list
   */
  lastMatch(path: ByteString, name: number, isDirectory: boolean): Pattern | undefined {
    for (const pattern of this.#candidatesFor(path.charCodeAt(path.length - 1), isDirectory)) {
      if (this.#matches(pattern, path, name, isDirectory)) return pattern;
    }
    return undefined;
  }

  /** Takes every pattern that matches, whether or not it decides, out of `unmatched`. */
  strikeMatches(unmatched: Set<Pattern>, path: ByteString, name: number, isDirectory: boolean): void {
    for (const pattern of this.#candidatesFor(path.charCodeAt(path.length - 1), isDirectory)) {
      if (unmatched.has(pattern) && this.#matches(pattern, path, name, isDirectory)) unmatched.delete(pattern);
    }
  }

  /**
   * The patterns that the kind and the last byte of a path do not rule out. Of `*.o`, `*.log`, `dist/` and their like that
   * leaves one or two, so that long lists cost hardly more than short ones.
   */
  #candidatesFor(lastByte: number, isDirectory: boolean): readonly Pattern[] {
    const key = lastByte * 2 + (isDirectory ? 1 : 0);
    const known = this.#candidates.get(key);
    if (known !== undefined) return known;
    const found = this.patterns
      .filter((pattern) => (isDirectory || !pattern.directoryOnly) && mayMatchEnd(pattern, lastByte))
      .reverse();
    this.#candidates.set(key, found);
    return found;
  }

  #matches(pattern: Pattern, path: ByteString, name: number, isDirectory: boolean): boolean {
    return matchesPattern(pattern, path, this.#base, name, isDirectory);
  }
}

/** The lines of an ignore file that are patterns. */
function readLines(text: string): { text: string; number: number }[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, number }) => ({ text: trimLine(line), number }));
}

/** A line without its CR, without what follows a NUL (git's lines are C strings), without unescaped spaces at the end. */
function trimLine(line: string): string {
  const bare = line.endsWith('\r') ? line.slice(0, -1) : line;
  const nul = bare.indexOf('\0');
  return trimSpaces(nul < 0 ? bare : bare.slice(0, nul));
}

function trimSpaces(line: string): string {
  let end = line.length;
  while (line[end - 1] === ' ') end -= 1;
  if (end === line.length) return line;
  // The first of these spaces stays if an odd number of backslashes stands before it: it is escaped then.
  let backslashes = 0;
  while (line[end - 1 - backslashes] === '\\') backslashes += 1;
  return line.slice(0, backslashes % 2 === 0 ? end : end + 1);
}
