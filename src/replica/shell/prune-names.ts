/** Names of directories that the rules leave out wherever they are: the far side need not even walk through them. */
import type { IgnoreRules } from '../../tree/ignore/rules.ts';

const plainName = /^[A-Za-z0-9_.][A-Za-z0-9_.+@-]*$/;

/**
 * Of the user's own patterns only, which decide before any ignore file in the tree does, and only where none of them takes
 * anything back in.
 *
 * @returns names without wildcards, safe as they stand in `find -name`
 */
export function prunable({ patterns }: IgnoreRules): string[] {
  if (patterns.some((pattern) => pattern.startsWith('!'))) return [];
  const names = patterns.map((pattern) => pattern.replace(/\/$/, ''));
  return names.filter((name) => plainName.test(name) && name !== '.' && name !== '..');
}
