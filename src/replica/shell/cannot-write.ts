import { LockstepError } from '../../base/errors.ts';

/** @param said by the tool that could not */
export function cannotWrite(root: string, said: Buffer): LockstepError {
  const reason = said.toString('utf8').trim().split(': ').pop()?.toLowerCase() ?? '';
  return new LockstepError('io', `cannot write into ${root}: ${reason}`, {
    path: root,
    hint: 'Check its permissions and that it is not mounted read-only.',
  });
}
