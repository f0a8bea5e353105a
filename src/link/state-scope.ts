/**
 * A state directory that lies inside a root (a home directory that is pushed, say). It changes with every run, and a record
 * that came back from the other side would be an older one: it is never synced.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UsageError } from '../base/errors.ts';
import { otherSide, sourceOf, type Side } from '../reconcile/options.ts';
import type { OpenedRoot } from '../replica/replica.ts';
import type { LinkOptions } from './options.ts';

/** The options with patterns that leave the state directory out. @throws UsageError where that is not enough */
export function withoutStateDir(options: LinkOptions, opened: Record<Side, OpenedRoot | undefined>): LinkOptions {
  const patterns: string[] = [];
  for (const side of ['a', 'b'] as const) {
    const root = opened[side]?.capabilities.hostPath;
    if (root === undefined) continue;
    const inside = path.relative(root, realPath(options.stateDir));
    if (inside === '..' || inside.startsWith('../')) continue;
    const source = sourceOf(options.mode);
    const isEmptied = options.cleanOutFirst && source !== undefined && side === otherSide(source);
    if (inside === '' || isEmptied) {
      const why = isEmptied ? 'lies in a root that is to be emptied' : 'is a root';
      throw new UsageError(`the state directory ${options.stateDir} ${why}`, {
        path: options.stateDir,
        hint: 'Name another place with --state-dir.',
      });
    }
    patterns.push(`/${inside.replace(/[\\*?[\]]| $/g, '\\$&')}/`);
  }
  if (patterns.length === 0) return options;
  return { ...options, rules: { ...options.rules, patterns: [...options.rules.patterns, ...patterns] } };
}

/** Symlinks resolved as far as the path exists. */
function realPath(given: string): string {
  for (let dir = given; ; dir = path.dirname(dir)) {
    try {
      return path.join(fs.realpathSync(dir), path.relative(dir, given));
    } catch (error) {
      if (dir === path.dirname(dir)) throw error;
    }
  }
}
