/** Names of conflict copies: `report.conflict-remote-20261121T031500Z.txt`. */
import { baseName, joinPath, nameBytes, parentPath, type RelPath } from '../tree/path.ts';
import type { Side } from './options.ts';

/** The longest name that common file systems hold, in bytes. */
const maxNameBytes = 255;

/**
 * The path beside `path` under which the loser is kept; unique among `taken`, and never longer than a name may be.
 *
 * @param taken tells whether a name is in use in that directory on either side
 */
export function conflictPath(path: RelPath, side: Side, stamp: string, taken: (name: string) => boolean): RelPath {
  const name = baseName(path);
  // A leading dot is not an extension; of `a.tar.gz` only `.gz` is taken for one, as `path.extname` does.
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 ? name.slice(0, dot) : name;
  const extension = dot > 0 ? name.slice(dot) : '';
  for (let n = 0; ; n += 1) {
    const mark = `.conflict-${side === 'a' ? 'local' : 'remote'}-${stamp}${n === 0 ? '' : `-${n}`}`;
    const candidate = fit(stem, mark, extension);
    if (!taken(candidate)) return joinPath(parentPath(path), candidate);
  }
}

/** Shortens the stem, then the extension, until all fits. */
function fit(stem: string, mark: string, extension: string): string {
  let [head, tail] = [Array.from(stem), Array.from(extension)];
  while (nameBytes(head.join('') + mark + tail.join('')) > maxNameBytes) {
    if (head.length > 1) head = head.slice(0, -1);
    else tail = tail.slice(0, -1);
  }
  return head.join('') + mark + tail.join('');
}
