import { LockstepError } from '../base/errors.ts';

/** An ignore file of the root itself: without it nothing can be said of anything. @param path for messages */
export function unreadableRules(path: string, reason: string): LockstepError {
  return new LockstepError('io', `${path} cannot be read: ${reason}`, {
    path,
    hint: 'Nothing was changed: what it ignores is not known. Make it readable, or run without it (--no-gitignore).',
  });
}
