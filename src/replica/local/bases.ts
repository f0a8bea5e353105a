/** What deltas are made against: the file that stands there, one like it, or what an interrupted run left of the new one. */
import fs from 'node:fs';
import type { RelPath } from '../../tree/path.ts';
import type { ApplyStep, ContentBase, SignatureRequest } from '../replica.ts';
import { wantedContent } from '../wanted-content.ts';
import type { DirHandles } from './dir-handles.ts';
import { openExpected } from './open-expected.ts';
import type { Partials } from './partials.ts';

export class Bases {
  readonly #handles: DirHandles;
  readonly #expected = new Map<RelPath, ContentBase>();

  /** @param steps those of the batch for whose content it is */
  constructor(
    handles: DirHandles,
    readonly partials: Partials,
    steps: readonly ApplyStep[],
  ) {
    this.#handles = handles;
    for (const { to, base } of wantedContent(steps)) if (base !== undefined) this.#expected.set(to, base);
  }

  /** Opens for reading what a signature was taken of; undefined when it is not there any more. */
  open(path: RelPath): number | undefined {
    if (this.partials.isSigned(path)) return this.partials.open(path);
    const base = this.#expected.get(path);
    return base === undefined ? undefined : openExpected(this.#handles, base.path, base.entry);
  }
}

/** Opens what a signature is to be taken of, and says how large it is. */
export function openForSigning(
  handles: DirHandles,
  partials: Partials,
  { path, expect, at = path }: SignatureRequest,
): { file: number; size: number } | undefined {
  // What came of the new version is nearer to it than the old one.
  const partial = partials.open(path);
  partials.noteSigned(path, partial !== undefined);
  if (partial !== undefined) return { file: partial, size: fs.fstatSync(partial).size };
  const file = expect === undefined ? undefined : openExpected(handles, at, expect);
  return file === undefined || expect === undefined ? undefined : { file, size: expect.size };
}
