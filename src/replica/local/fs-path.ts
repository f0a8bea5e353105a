/** Paths as the file system wants them. */
import { isWellFormed } from '../../base/text.ts';
import { encodeName } from '../../tree/path.ts';

/** A string where that is exact, bytes where the name is not UTF-8 (tree/path.ts). */
export function toFs(path: string): string | Buffer {
  return isWellFormed(path) ? path : encodeName(path);
}
