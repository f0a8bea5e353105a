/** What went wrong at one path, as a value. */
import { errnoCode, LockstepError, reasonOf } from '../../base/errors.ts';
import type { SkipReason } from '../../reconcile/plan.ts';
import type { RelPath } from '../../tree/path.ts';
import type { Failure } from '../replica.ts';
import { SourceChangedError, SourceUnreadableError } from './copy.ts';

/** A step that cannot be done; becomes a `Failure`. */
export class StepError extends Error {
  override readonly name = 'StepError';
  constructor(
    readonly why: SkipReason,
    message: string,
  ) {
    super(message);
  }
}

/**
 * A file cannot be made as it was to be, but may be of its whole content: the base of a delta is no longer what the signature was
 * taken of, or gone, or took the room.
 */
export class DeltaMismatchError extends Error {
  override readonly name = 'DeltaMismatchError';
}

const endsTheRun: ReadonlySet<string> = new Set(['protocol', 'connection', 'interrupted']);

/** Nothing more can be written. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errnoCode(error) ?? '');
}

/** @throws what is no system error: a defect of ours must not pass for a failure of one path */
export function failureOf(path: RelPath, error: unknown): Failure {
  if (error instanceof StepError) return { path, why: error.why, detail: error.message };
  if (error instanceof SourceChangedError) {
    return { path, why: 'source-changed', detail: 'it changed while it was being read' };
  }
  if (error instanceof SourceUnreadableError) return { path, why: 'unreadable', detail: reasonOf(error.cause) };
  if (error instanceof DeltaMismatchError) {
    const detail = error.message === '' ? 'the old version changed while the new one was made of it' : error.message;
    return { path, why: 'changed-meanwhile', detail };
  }
  // The other side broke the rules, or is gone: nothing of what it sends is taken any more.
  if (error instanceof LockstepError && endsTheRun.has(error.code)) throw error;
  if (isFull(error)) return { path, why: 'no-space', detail: reasonOf(error) };
  switch (errnoCode(error)) {
    case undefined:
      throw error;
    case 'EEXIST':
      return { path, why: 'changed-meanwhile', detail: 'something appeared there meanwhile' };
    case 'ENOTDIR':
    case 'ELOOP':
      return { path, why: 'changed-meanwhile', detail: 'a directory above it is not one any more' };
    default:
      return { path, why: 'failed', detail: reasonOf(error) };
  }
}
