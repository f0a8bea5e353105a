/** What comes of it when what was agreed is not gone by any more: in every message the same promise, which the run keeps. */
import { isMirror } from '../reconcile/options.ts';
import type { LinkOptions } from './options.ts';

type Meeting = Pick<LinkOptions, 'mode' | 'cleanOutFirst'>;

/** Told by a run that goes by no record although there was one. */
export function metAnew(options: Meeting): string {
  return `both sides meet as for the first time, ${nothingDeleted(options, 'this run')}`;
}

/** What a guard promises of the run that it proposes, or a run of itself. */
export function nothingDeleted({ mode, cleanOutFirst }: Meeting, run: 'this run' | 'that run'): string {
  if (cleanOutFirst) return 'the target is emptied first';
  if (!isMirror(mode)) return 'nothing is deleted';
  return `nothing is deleted in ${run}; what only the target has is named, and deleted by the next one`;
}
