/** Trouble with the state directory, told with its path: it is the user's disk, not a defect of ours. */
import { errnoCode, LockstepError, reasonOf } from '../base/errors.ts';

/** @throws LockstepError `state` for every system error of `act` */
export function onState<T>(what: 'read' | 'write', stateDir: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (errnoCode(error) === undefined || error instanceof LockstepError) throw error;
    const hint =
      what === 'read'
        ? 'Check its permissions, or name another place with --state-dir.'
        : 'Without a record nothing can be synced safely. Put that right and run again, or name another place with --state-dir.';
    throw new LockstepError('state', `cannot ${what} the state in ${stateDir}: ${reasonOf(error)}`, {
      path: stateDir,
      hint,
      cause: error,
    });
  }
}
