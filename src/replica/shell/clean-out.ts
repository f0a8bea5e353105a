/** `--clean-out-first`: everything at the top of the root goes into history, whatever is in it; the root keeps its inode. */
import { ownDirectory } from '../../tree/path.ts';
import type { Control, Failure } from '../replica.ts';
import { readRecords, type FarRoot } from './far-root.ts';
import type { FarHistory, Kept } from './history.ts';
import { lineInput } from './open.ts';
import type { Found } from './records.ts';
import { plainReason } from './complaints.ts';

export async function cleanOutFar(
  root: FarRoot,
  history: FarHistory,
  control: Control,
): Promise<{ removed: number; failures: Failure[] }> {
  const top: Found[] = [];
  await readRecords(root, { code: 'top' }, (found) => {
    if (found.path !== '' && found.path !== ownDirectory) top.push(found);
  });
  const kept: Kept[] = [];
  const failures: Failure[] = [];
  for (const { path, entry } of top) {
    control.signal.throwIfAborted();
    const at = await history.reserve(path);
    const input = lineInput(path, history.path(at));
    const { output } = await root.session.run({ code: 'away', input, limit: 1 << 16 });
    const said = output.toString('utf8').trim();
    if (said === '') kept.push({ path, at, entry, reason: 'clean-out' });
    else failures.push({ path, why: 'failed', detail: plainReason(said.split(': ').pop() ?? '') });
    control.onProgress?.({ entries: kept.length, bytes: 0, path });
  }
  await history.record(kept);
  return { removed: kept.length, failures };
}
