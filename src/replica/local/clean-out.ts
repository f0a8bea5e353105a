/** `--clean-out-first`: an empty root, its inode kept, everything that was in it in history (feature A16). */
import fs from 'node:fs';
import { reasonOf } from '../../base/errors.ts';
import { ownDirectory } from '../../tree/path.ts';
import type { Failure } from '../replica.ts';
import type { DirHandles } from './dir-handles.ts';
import { toFs } from './fs-path.ts';
import type { HistoryWriter } from './history/keep.ts';
import { readNames } from './names.ts';
import type { Work } from './slices.ts';
import { observe } from './stat.ts';

/** Each top-level entry goes into history in one rename, whatever is in it. */
export function* cleanOutRoot(
  handles: DirHandles,
  history: HistoryWriter,
): Work<{ removed: number; failures: Failure[] }> {
  const failures: Failure[] = [];
  let removed = 0;
  for (const name of readNames(handles.rootPrefix)) {
    if (name === ownDirectory) continue;
    try {
      const entry = observe(`${handles.rootPrefix}/${name}`, 0n);
      if (entry === undefined) continue;
      const { to, record } = history.place(name);
      fs.renameSync(toFs(`${handles.rootPrefix}/${name}`), toFs(to));
      record(entry, 'clean-out');
      removed += 1;
    } catch (error) {
      failures.push({ path: name, why: 'failed', detail: reasonOf(error) });
    }
    yield { entries: removed, bytes: 0, path: name };
  }
  return { removed, failures };
}
