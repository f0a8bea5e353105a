/**
 * What has arrived of a large file waits for the next attempt, should the transfer break off, in
 *
 *     .lockstep/partial/<digest of the path>.<run>
 *
 * whoever serves the root (local/partials.ts, shell/partials.ts): the next run may reach it in another way.
 */
import { sha256 } from '../base/builtins.ts';
import { encodeName, type RelPath } from '../tree/path.ts';

export const partialDirectory = 'partial';

/** Less than this, in bytes, is not worth comparing. */
export const leastPartial = 1 << 20;

/** What the names of all that is left of a path begin with; the run's id follows. */
export function partialPrefix(path: RelPath): string {
  return `${Buffer.from(sha256(encodeName(path))).toString('hex', 0, 16)}.`;
}

/** Which path something is left of, as that is told in its name: the same for all that is left of a file. */
export function pathInPartialName(name: string): string {
  return name.slice(0, name.indexOf('.') + 1);
}
