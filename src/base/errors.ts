/**
 * Everything that Lockstep refuses or fails at, as one typed error with a stable code.
 *
 * A message names what happened, to which path and why; the hint names what to do next. They are printed as they stand,
 * without a stack, so they are written for the person at the terminal.
 */

/** Stable machine-readable codes; they appear in `--json` output and never change meaning. */
export type ErrorCode =
  | 'usage'
  | 'root-missing'
  | 'root-unreadable'
  | 'root-not-directory'
  | 'root-replaced'
  | 'root-emptied'
  | 'roots-overlap'
  | 'mount-gone'
  | 'too-many-deletions'
  | 'no-space'
  | 'dangerous-target'
  | 'locked'
  | 'interrupted'
  | 'state'
  | 'not-found'
  | 'protocol'
  | 'connection'
  | 'io';

/** Process exit codes, as documented in `lockstep --help`. */
export const exitCodes = { inStep: 0, failed: 1, incomplete: 2, halted: 3, usage: 64, interrupted: 130 } as const;

export interface ErrorDetails {
  /** What the user can do about it; one sentence, may hold a command. */
  hint?: string;
  /** The path it is about, for machine readers. */
  path?: string;
  /** With this added to the command line, it goes on: for who has read the hint and answers yes. */
  option?: string;
  cause?: unknown;
}

/** Base of all errors that are meant to be read by a user. */
export class LockstepError extends Error {
  override readonly name: string = 'LockstepError';
  readonly hint: string | undefined;
  readonly path: string | undefined;
  readonly option: string | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.hint = details.hint;
    this.path = details.path;
    this.option = details.option;
  }

  /** The exit code that a process ends with when this error ends it. */
  get exitCode(): number {
    return exitCodes.failed;
  }
}

/** The command line or an option's value is wrong; nothing was looked at yet. */
export class UsageError extends LockstepError {
  override readonly name = 'UsageError';
  constructor(message: string, details: ErrorDetails = {}) {
    super('usage', message, details);
  }
  override get exitCode(): number {
    return exitCodes.usage;
  }
}

/** A guard of DESIGN §7 stopped the link before anything was written. */
export class GuardError extends LockstepError {
  override readonly name = 'GuardError';
  override get exitCode(): number {
    return exitCodes.halted;
  }
}

/** The user (or a supervisor) asked for the run to stop. */
export class InterruptedError extends LockstepError {
  override readonly name = 'InterruptedError';
  constructor(message = 'interrupted') {
    super('interrupted', message);
  }
  override get exitCode(): number {
    return exitCodes.interrupted;
  }
}

/**
 * The code of a system error (`ENOENT`, `EACCES`, …), or undefined for anything else. Node's own complaints (`ERR_…`) are
 * about what it was given: defects of ours, which must not pass for the system's.
 */
export function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return error.code.startsWith('ERR_') ? undefined : error.code;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EROFS: 'read-only file system',
  EIO: 'input/output error',
  ENAMETOOLONG: 'name too long',
  EEXIST: 'something is already there',
  ENOTEMPTY: 'directory not empty',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  ELOOP: 'a symbolic link is in the way',
  EXDEV: 'on another file system',
  EMFILE: 'too many open files',
  EMLINK: 'too many hard links',
  EFBIG: 'file too large for the file system',
  EBUSY: 'busy',
  ETXTBSY: 'the program is running',
  EINVAL: 'not accepted by the file system',
};

/** A short plain-language reason for an error, without paths (the caller names the path). */
export function reasonOf(error: unknown): string {
  // It has a code as well, but one of ours.
  if (error instanceof LockstepError) return error.message;
  const code = errnoCode(error);
  if (code !== undefined) return reasons[code] ?? code;
  return error instanceof Error ? error.message : String(error);
}

/** For `default` branches of exhaustive switches: fails to compile when a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
