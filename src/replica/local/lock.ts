/**
 * One writer per root (feature E5). The lock is a file made with O_EXCL that says who holds it: host, boot, pid and the
 * process's start time, so that a dead owner is told from a living one even when its pid was given away again.
 *
 * Taking over a dead owner's lock happens under a second O_EXCL file, held for an instant, because "read it, find it stale,
 * replace it" by two contenders at once would let both in.
 */
import fs from 'node:fs';
import os from 'node:os';
import { monotonicMs } from '../../base/clock.ts';
import { errnoCode, GuardError, LockstepError, reasonOf } from '../../base/errors.ts';
import type { OwnDirectory } from './own-directory.ts';
import { isOtherBoot } from '../boot.ts';
import { bootId, processStart } from './platform.ts';
import { readOwnFile } from './read.ts';

/** Its name in `.lockstep/`. */
export const lockFile = 'lock';

interface LockOwner {
  host: string;
  boot: string;
  pid: number;
  start: string;
  run: string;
  command: string;
  since: string;
  /** At the end of a pipe: it may be about to notice that nobody is at the other end any more. */
  piped?: boolean;
}

/** How long an agent at the end of a pipe may take to put everything away when its controller has died. */
const pipedPatienceMs = 4000;
const askAgainMs = 50;

export interface LockRequest {
  /** For messages: which root. */
  root: string;
  runId: string;
  command: string;
  force: boolean;
  /** This process is at the end of a pipe. */
  piped: boolean;
}

/**
 * As `takeLock`; an agent whose controller has died gets the time that it needs to put everything away.
 *
 * @returns whether it had to be waited for
 */
export async function takeLockSoon(own: OwnDirectory, request: LockRequest): Promise<boolean> {
  const deadline = monotonicMs() + pipedPatienceMs;
  for (let waited = false; ; waited = true) {
    try {
      takeLock(own, request);
      return waited;
    } catch (error) {
      const isHeld = error instanceof GuardError && error.code === 'locked';
      if (!isHeld || monotonicMs() > deadline || readOwner(`${own.path}/${lockFile}`)?.piped !== true) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, askAgainMs));
  }
}

/**
 * Takes the root's lock.
 *
 * @throws GuardError `locked` when somebody else at work holds it; LockstepError when nothing can be written there
 */
export function takeLock(own: OwnDirectory, request: LockRequest): void {
  try {
    takeOrRefuse(own, request);
  } catch (error) {
    if (errnoCode(error) === undefined || error instanceof LockstepError) throw error;
    throw new LockstepError('io', `cannot write into ${request.root}: ${reasonOf(error)}`, {
      path: request.root,
      hint: 'Check the permissions of its .lockstep and that it is not mounted read-only.',
      cause: error,
    });
  }
}

function takeOrRefuse(own: OwnDirectory, request: LockRequest): void {
  const path = `${own.ensure()}/${lockFile}`;
  const mine: LockOwner = {
    host: os.hostname(),
    boot: bootId(),
    pid: process.pid,
    start: processStart(process.pid) ?? '',
    run: request.runId,
    command: request.command,
    since: new Date().toISOString(),
    ...(request.piped ? { piped: true } : {}),
  };
  if (tryCreate(path, mine)) return;
  const guard = `${path}.takeover`;
  if (!tryCreate(guard, mine)) {
    const other = found(guard);
    if (other?.owner !== undefined && isAlive(other.owner)) throw refusal(request, other.owner);
    if (other !== undefined) removeIfStill(guard, other.text);
    if (!tryCreate(guard, mine)) throw refusal(request, found(guard)?.owner);
  }
  try {
    const other = found(path);
    if (other?.owner !== undefined && isAlive(other.owner) && !request.force) throw refusal(request, other.owner);
    if (other !== undefined) removeIfStill(path, other.text);
    if (!tryCreate(path, mine)) throw refusal(request, found(path)?.owner);
  } finally {
    fs.rmSync(guard, { force: true });
  }
}

/** What is removed is what was looked at: where there is none any more, another one may have come by now. */
function removeIfStill(path: string, text: string): void {
  if (readOwnFile(path) === text) fs.rmSync(path, { force: true });
}

/** Frees the lock if it is still this run's. */
export function freeLock(own: OwnDirectory, runId: string): void {
  const path = `${own.path}/${lockFile}`;
  if (readOwner(path)?.run === runId) fs.rmSync(path, { force: true });
}

function tryCreate(path: string, owner: LockOwner): boolean {
  // Written aside and linked into place: a lock is never seen half-written.
  const draft = `${path}.${owner.run}`;
  fs.writeFileSync(draft, JSON.stringify(owner), { mode: 0o600 });
  try {
    fs.linkSync(draft, path);
    return true;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'EEXIST') return false;
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
    // No hard links here (FAT): created in place.
    return createInPlace(path, owner);
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

function createInPlace(path: string, owner: LockOwner): boolean {
  try {
    fs.writeFileSync(path, JSON.stringify(owner), { flag: 'wx', mode: 0o600 });
    // For a moment there was nothing in it, and who has seen that may have taken it for nobody's.
    return readOwner(path)?.run === owner.run;
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function readOwner(path: string): LockOwner | undefined {
  return found(path)?.owner;
}

/** @returns without an owner what is no lock (a crash of the machine can leave it empty): nobody can be said to hold it */
function found(path: string): { text: string; owner: LockOwner | undefined } | undefined {
  const text = readOwnFile(path);
  if (text === undefined) return undefined;
  try {
    const owner: unknown = JSON.parse(text);
    return { text, owner: isOwner(owner) ? owner : undefined };
  } catch {
    return { text, owner: undefined };
  }
}

function isOwner(value: unknown): value is LockOwner {
  return typeof value === 'object' && value !== null && 'pid' in value && 'host' in value && 'run' in value;
}

/** An owner on another machine counts as alive: it cannot be asked. */
function isAlive(owner: LockOwner): boolean {
  if (owner.host !== os.hostname()) return true;
  if (isOtherBoot(owner.boot, bootId())) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    // EPERM: it lives, under another user.
    if (errnoCode(error) !== 'EPERM') return false;
  }
  const start = processStart(owner.pid);
  return start === undefined || owner.start === '' || start === owner.start;
}

function refusal(request: LockRequest, owner: LockOwner | undefined): GuardError {
  const who =
    owner === undefined
      ? 'another run'
      : `another run (pid ${owner.pid} on ${owner.host}, since ${owner.since}: ${owner.command})`;
  return new GuardError('locked', `${request.root} is in use by ${who}`, {
    path: request.root,
    hint: 'Wait until it ends. If you are sure that nothing is running, add --force-unlock.',
    option: '--force-unlock',
  });
}
