/** Where the content of new files comes from; one of them per batch. */
import { isRacy, mtimeUs, type Entry } from '../../tree/entry.ts';
import { baseName, parentPath, type RelPath } from '../../tree/path.ts';
import { copyContent, ofSource, type Copied } from './copy.ts';
import { maxPathLength, openFarDirectory } from './dir-handles.ts';
import { StepError } from './failure.ts';
import type { Work } from './slices.ts';

/** A file to be made in staging. */
export interface FetchTask {
  /** Where to make it; does not exist yet. */
  to: string;
  /** The path that it is for; distinct within a batch. */
  path: RelPath;
  /** Its path on the side that has it. */
  from: RelPath;
  /** The file as it must be while it is read. */
  source: Entry;
  mode: number;
  /** Also take the SHA-256. */
  digest: boolean;
}

export interface Content {
  /** Makes a file with its content, mode and mtime; one that fails leaves nothing. */
  fetch(task: FetchTask): Work<Copied>;
}

/** A coarser clock is not waited for until it has moved on (apply.ts): what is made under it is born racy. */
export const maxGrainToWaitNs = 100_000_000n;

/**
 * What was written a moment ago may be written again within the same tick, and so may a copy that is made under a coarse
 * clock: the digest is worth having, so that the record can say what the content was (DESIGN §3.5).
 */
export function wantsDigest(source: Entry, granularityNs: bigint): boolean {
  if (granularityNs > maxGrainToWaitNs || isRacy(source)) return true;
  return Date.now() - Number(source.mtimeNs / 1_000_000n) < 1000;
}

/** The other root is on this machine. */
export class HostContent implements Content {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  *fetch({ to, from, source, mode, digest }: FetchTask): Work<Copied> {
    const request = { to, expect: source, mode, mtimeUs: mtimeUs(source), digest };
    // By plain path, which is much cheaper than through handles; what was opened is seen to be there and nowhere else.
    const path = `${this.#root}/${from}`;
    if (path.length < maxPathLength) return yield* copyContent({ ...request, from: path, byHandle: false });
    const dir = ofSource(() => openFarDirectory(this.#root, parentPath(from)));
    try {
      return yield* copyContent({ ...request, from: `${dir.prefix}/${baseName(from)}`, byHandle: true });
    } finally {
      dir.close();
    }
  }
}

/** For batches whose steps need none. */
export class NoContent implements Content {
  *fetch({ from }: FetchTask): Work<Copied> {
    throw new StepError('failed', `there is no source to copy ${from} from`);
  }
}
