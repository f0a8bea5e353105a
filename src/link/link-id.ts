/** What names a link's files in the state directory. */
import { createHash } from 'node:crypto';

export interface LinkId {
  id: string;
  /** The roots were given in the other order than the files have them. */
  swapped: boolean;
}

/** A link is its two roots, in whatever order they are named. @param places where they are, in the whole world */
export function linkIdOf(a: string, b: string): LinkId {
  const sorted = [a, b].sort();
  const id = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 32);
  return { id, swapped: sorted[0] !== a };
}

/** Where a root is. @param host the machine; undefined for this one */
export function placeOnHost(host: string | undefined, realPath: string): string {
  return host === undefined ? realPath : `${host} ${realPath}`;
}
