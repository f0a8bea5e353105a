import fs from 'node:fs';
import type { Entry } from '../../tree/entry.ts';
import type { RelPath } from '../../tree/path.ts';
import { openRegular } from './copy.ts';
import type { DirHandles } from './dir-handles.ts';
import { entryOf, matches, noGrain } from './stat.ts';

/** Opens a file of the root for reading; undefined when it cannot be, or is not the one that is expected. */
export function openExpected(handles: DirHandles, path: RelPath, expect: Entry): number | undefined {
  let file: number | undefined;
  try {
    file = openRegular(handles.locate(path));
    const stats = fs.fstatSync(file, { bigint: true });
    if (stats.isFile() && matches(entryOf(stats, noGrain), expect)) return file;
  } catch {
    // As good as not there, for whoever asks.
  }
  if (file !== undefined) fs.closeSync(file);
  return undefined;
}
