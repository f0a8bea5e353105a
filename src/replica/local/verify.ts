/** Looking at a target just before it is touched (apply.ts). */
import type { Entry } from '../../tree/entry.ts';
import { StepError } from './failure.ts';
import { matches, observe } from './stat.ts';

/** DESIGN §6.2: the target must still be what the plan saw. */
export function verify(target: string, expect: Entry | undefined): Entry | undefined {
  const now = observe(target, 0n);
  if (!matches(now, expect)) throw changedMeanwhile();
  return now;
}

export function changedMeanwhile(): StepError {
  return new StepError('changed-meanwhile', 'it is not what it was when it was looked at');
}
