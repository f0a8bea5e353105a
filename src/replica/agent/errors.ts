import {
  errnoCode,
  GuardError,
  InterruptedError,
  LockstepError,
  reasonOf,
  UsageError,
  type ErrorCode,
} from '../../base/errors.ts';
import type { WireError } from './channel.ts';

export function toWire(thrown: unknown): WireError {
  const error = ofSystem(thrown) ?? thrown;
  const known = error instanceof LockstepError ? error : undefined;
  const fallback = error instanceof Error ? error : new Error(String(error));
  return {
    name: known?.name ?? fallback.name,
    code: known?.code ?? 'io',
    message: fallback.message,
    hint: known?.hint,
    path: known?.path,
    option: known?.option,
    // A defect of ours is worth its stack; an error for the user is not.
    stack: known === undefined ? fallback.stack : undefined,
  };
}

/** What the system refused is for the user to read; only what nothing is known about is a defect of ours. */
function ofSystem(error: unknown): LockstepError | undefined {
  if (error instanceof LockstepError || errnoCode(error) === undefined) return undefined;
  const { path, syscall } = error as NodeJS.ErrnoException;
  const where = [syscall, path?.replace(/^\/proc\/self\/fd\/\d+\/?/, '…/')].filter((part) => part !== undefined);
  return new LockstepError('io', `${reasonOf(error)} (${where.join(' ')})`, { cause: error });
}

/**
 * What an agent may propose to add to the command line: it is printed as a command to be pasted into a shell, and an agent
 * that is not trusted could think of other options.
 */
const proposable = ['--force-unlock'];

/** So much of a far stack is shown. */
const mostStack = 4000;

/** @param far what the other end is called, where it is not a thread of ours: then its defects need not be ours */
export function fromWire(wire: WireError, far?: string): Error {
  const details = {
    ...(wire.hint === undefined ? {} : { hint: wire.hint }),
    ...(wire.path === undefined ? {} : { path: wire.path }),
    ...(wire.option !== undefined && proposable.includes(wire.option) ? { option: wire.option } : {}),
  };
  switch (wire.name) {
    case 'InterruptedError':
      return new InterruptedError();
    case 'GuardError':
      return new GuardError(wire.code as ErrorCode, wire.message, details);
    case 'UsageError':
      return new UsageError(wire.message, details);
    case 'LockstepError':
      return new LockstepError(wire.code as ErrorCode, wire.message, details);
    default: {
      if (far !== undefined) return unknownOver(far, wire);
      const error = new Error(wire.message);
      if (wire.stack !== undefined) error.stack = wire.stack;
      return error;
    }
  }
}

function unknownOver(far: string, { name, message, stack }: WireError): LockstepError {
  const hint =
    stack === undefined
      ? {}
      : { hint: `If Lockstep itself runs there, please report it:\n${stack.slice(0, mostStack)}` };
  return new LockstepError('io', `${far}: failed over there in an unknown way: ${name}: ${message}`, hint);
}
