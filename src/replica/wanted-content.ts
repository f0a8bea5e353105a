/** Which files' content a batch needs, in the order in which it is sent and taken. */
import { joinPath, type RelPath } from '../tree/path.ts';
import { Listing } from '../tree/listing.ts';
import type { Entry } from '../tree/entry.ts';
import type { ApplyStep, ContentBase } from './replica.ts';

/** A file whose content a step needs. */
export interface WantedContent {
  /** Where it will be; distinct within a batch. */
  to: RelPath;
  /** Where it is on the side that has it. */
  from: RelPath;
  /** The file as it must be while it is read. */
  source: Entry;
  /** The file that stands at `to` before, or one that is like the new one. */
  base: ContentBase | undefined;
}

/** New directories come first, because they are built before anything else of the batch is done. */
export function* wantedContent(steps: readonly ApplyStep[]): Generator<WantedContent> {
  const flat = steps.flatMap((step) => (step.op === 'group' ? step.steps : [step]));
  for (const step of flat) {
    if (step.op !== 'unit') continue;
    for (const [name, source] of new Listing(step.listing).entries()) {
      const path = joinPath(step.path, name);
      if (source.kind === 'file') yield { to: path, from: path, source, base: undefined };
    }
  }
  for (const step of flat) {
    if (step.op !== 'put') continue;
    const { path, from, source, expect, like } = step;
    yield { to: path, from, source, base: expect?.kind === 'file' ? { path, entry: expect } : like };
  }
}
