import { LockstepError } from '../../base/errors.ts';
import { lineOf } from './names.ts';
import type { Session } from './session.ts';

/**
 * A small file of ours over there. One that could not be read is not one that is not there: who took it for that would
 * take over a lock that somebody holds, or give the root another identity.
 *
 * @param name below `.lockstep`
 * @returns undefined when there is none
 * @throws LockstepError `io` when it could not be read
 */
export async function readOwn(session: Session, name: string, limit = 1 << 16): Promise<Buffer | undefined> {
  const input = Buffer.from(`${lineOf(name)}\n`, 'latin1');
  const { status, output } = await session.run({ code: 'get', input, limit });
  if (status === 0) return output;
  if (status === 1) return undefined;
  throw new LockstepError('io', `${session.name}: cannot read .lockstep/${name}`);
}
