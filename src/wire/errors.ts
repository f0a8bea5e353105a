/** The errors of this room. All are `LockstepError`s: 'protocol' when the peer broke a rule, 'connection' when it is gone. */
import { LockstepError, type ErrorDetails } from '../base/errors.ts';

const protocolHint =
  'Something other than Lockstep may be writing into the connection, or the two ends run different versions.';

/** The peer sent what it must not send. @param problem what was wrong, e.g. `a frame of 7 MB` */
export function protocolError(problem: string, details: ErrorDetails = {}): LockstepError {
  return new LockstepError('protocol', `the other end sent something that Lockstep does not understand: ${problem}`, {
    hint: protocolHint,
    ...details,
  });
}

/** The peer, or the way to it, is gone. */
export function connectionLost(problem: string, cause?: unknown): LockstepError {
  return new LockstepError('connection', `the connection was lost: ${problem}`, {
    hint: 'Check that the other end can be reached, then run the command again.',
    cause,
  });
}

/** Bytes that do not decode, with the way to the value in question: `entries[3].size`. */
export class MalformedError extends LockstepError {
  readonly #problem: string;
  readonly #where: string;

  constructor(problem: string, where = '') {
    const full = where === '' ? problem : `${where}: ${problem}`;
    super('protocol', `the other end sent a malformed message: ${full}`, { hint: protocolHint });
    this.#problem = problem;
    this.#where = where;
  }

  /** The same, seen from the value that holds the broken one. */
  within(step: string): MalformedError {
    const glue = this.#where === '' || this.#where.startsWith('[') ? '' : '.';
    return new MalformedError(this.#problem, step + glue + this.#where);
  }
}
