/** For the tests of this room. */
import { LockstepError } from '../base/errors.ts';

/** The LockstepError that `body` throws. */
export function thrownBy(body: () => unknown): LockstepError {
  try {
    body();
  } catch (error) {
    if (error instanceof LockstepError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
