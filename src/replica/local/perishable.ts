/** Ignored things that the user said may go together with their directory (`ignore: {perishable: …}`, `(?d)` elsewhere). */
import fs from 'node:fs';
import { errnoCode } from '../../base/errors.ts';
import type { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { joinPath, type RelPath } from '../../tree/path.ts';
import { toFs } from './fs-path.ts';
import { readNames } from './names.ts';
import { lstatIfPresent } from './stat.ts';

/**
 * Removes a directory if all that is left in it is perishable.
 *
 * @param target full path of the directory
 * @returns the names that kept it, empty when it is gone
 */
export function removeDirectoryIfOnly(target: string, path: RelPath, matcher: IgnoreMatcher): string[] {
  const names = readNames(target);
  const kept = names.filter((name) => {
    const stats = lstatIfPresent(`${target}/${name}`);
    return stats !== undefined && !matcher.isPerishable(joinPath(path, name), stats.isDirectory());
  });
  if (kept.length > 0) return kept;
  for (const name of names) fs.rmSync(toFs(`${target}/${name}`), { recursive: true, force: true });
  try {
    fs.rmdirSync(toFs(target));
    return [];
  } catch (error) {
    if (errnoCode(error) !== 'ENOTEMPTY') throw error;
    return readNames(target);
  }
}
