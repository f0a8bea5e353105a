/**
 * Large files whose transfer broke off, as in local/partials.ts: what had arrived is held against the new content block by
 * block, like an old version (large.ts), so nothing needs to be known of it.
 */
import { ownDirectory, type RelPath } from '../../tree/path.ts';
import { leastPartial, partialDirectory, partialPrefix } from '../partial-name.ts';
import type { ContentBase } from '../replica.ts';
import type { FarRoot } from './far-root.ts';
import { lineInput } from './open.ts';

/** Where a large file is put together, in `.lockstep/`. */
export function partialPlace({ request }: FarRoot, path: RelPath): string {
  return `${partialDirectory}/${partialPrefix(path)}${request.runId}`;
}

/** The most that an earlier run left of a file. */
export function leftOf(root: FarRoot, path: RelPath): ContentBase | undefined {
  const [most] = namesLeftOf(root, path)
    .filter(({ entry }) => entry.kind === 'file' && entry.size >= leastPartial)
    .sort((a, b) => b.entry.size - a.entry.size);
  return most && { path: `${ownDirectory}/${partialDirectory}/${most.name}`, entry: most.entry };
}

/** The file is whole: nothing that was left of it is needed any more. */
export async function forgetLeft(root: FarRoot, path: RelPath): Promise<void> {
  for (const { name } of namesLeftOf(root, path)) {
    await root.session.run({ code: 'rmown', input: lineInput(`${partialDirectory}/${name}`), limit: 1 << 16 });
  }
}

function namesLeftOf(root: FarRoot, path: RelPath): FarRoot['leftPartials'] {
  const prefix = partialPrefix(path);
  return root.leftPartials.filter(({ name }) => name.startsWith(prefix));
}
