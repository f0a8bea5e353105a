/**
 * What is wrong with a pattern that a user wrote: said when it is read, because when it is matched it just matches nothing.
 */
import { parsePattern } from './pattern.ts';

/**
 * Looks for mistakes in a pattern of `IgnoreRules.patterns` or `perishable`. Matching takes any string; this only tells.
 *
 * @returns one line that completes "pattern X …", or undefined for a pattern that can do something
 */
export function checkPattern(pattern: string): string | undefined {
  const body = pattern.replace(/^!/, '');
  if (/^[ \t/]*$/.test(body)) return 'is empty';
  if (body.includes('\0')) return 'contains a NUL, which no name can';
  if (body.includes('\n')) return 'contains a line break: write one pattern per entry';
  const names = body.replace(/^\//, '').replace(/\/$/, '').split('/');
  if (names.includes('..')) return "contains '..': patterns are about paths inside the root";
  if (names.every((name) => name === '.')) return 'is the root itself, which is always in step';
  if (names.includes('.')) return `contains '.': write '${suggestion(pattern)}'`;
  if (names.includes('')) return 'contains two slashes in a row, which no path does';
  if (looksAbsolute(body)) return 'looks like a path of the file system: patterns start at the root of the sync';
  if (parsePattern(pattern, 1).kind === 'never') return "can match nothing: '[' is not closed, or '\\' ends it";
  return undefined;
}

/**
 * A home directory, `~/x` or a drive. Other absolute paths cannot be told from anchored patterns: `/var/cache` is a good
 * pattern in the root of a web application.
 */
function looksAbsolute(body: string): boolean {
  return /^\/(home|Users)\/[^/*?[]+\/./.test(body) || /^~\/./.test(body) || /^[A-Za-z]:[\\/]/.test(body);
}

function suggestion(pattern: string): string {
  return pattern.replace(/^(!?)\.\//, '$1/').replace(/\/\.(?=\/|$)/g, '');
}
