/**
 * The root's lock, the same file in the same format as replica/local/lock.ts: either respects the other's. It names the far
 * `sh` as its owner, whose process and boot can be asked about there.
 */
import { monotonicMs } from '../../base/clock.ts';
import { GuardError, LockstepError } from '../../base/errors.ts';
import { isOtherBoot } from '../boot.ts';
import type { OpenRequest } from '../replica.ts';
import { cannotWrite } from './cannot-write.ts';
import { lineOf } from './names.ts';
import { readOwn } from './read-own.ts';
import type { Session } from './session.ts';
import type { Tools } from './tools.ts';

interface LockOwner {
  host: string;
  boot: string;
  pid: number;
  start: string;
  run: string;
  command: string;
  since: string;
  piped: true;
}

/** How long a far side may take to put everything away when its controller has died. */
const patienceMs = 4000;
const askAgainMs = 100;

/** @param root for messages. @throws GuardError `locked`; LockstepError when nothing can be written there */
export async function takeLock(session: Session, tools: Tools, request: OpenRequest, root: string): Promise<void> {
  const mine: LockOwner = {
    host: tools.host,
    boot: tools.boot,
    pid: tools.pid,
    start: tools.start,
    run: request.runId,
    command: request.command,
    since: new Date().toISOString(),
    piped: true,
  };
  const deadline = monotonicMs() + patienceMs;
  for (;;) {
    const other = await tryLock(session, tools, mine, request.forceUnlock, root);
    if (other === undefined) return;
    if (monotonicMs() > deadline || other.owner?.['piped'] !== true) throw refusal(root, other.owner);
    await new Promise((resolve) => setTimeout(resolve, askAgainMs));
  }
}

/** @returns who has it; undefined when we have it now */
async function tryLock(
  session: Session,
  tools: Tools,
  mine: LockOwner,
  force: boolean,
  root: string,
): Promise<{ owner: Record<string, unknown> | undefined } | undefined> {
  if (await create(session, root, 'lock', mine)) return undefined;
  // Whoever finds a dead owner's lock replaces it under a second one, held for an instant. What is removed is what was looked
  // at and nothing else: where there is none any more, another one may have come by now.
  const guard = 'lock.takeover';
  if (!(await create(session, root, guard, mine))) {
    const other = await found(session, guard);
    if (other?.owner !== undefined && (await isAlive(session, tools, other.owner))) return other;
    if (other !== undefined) await removeIfStill(session, guard, other.bytes);
    if (!(await create(session, root, guard, mine))) return { owner: (await found(session, guard))?.owner };
  }
  try {
    const other = await found(session, 'lock');
    if (other?.owner !== undefined && !force && (await isAlive(session, tools, other.owner))) return other;
    if (other !== undefined) await removeIfStill(session, 'lock', other.bytes);
    if (await create(session, root, 'lock', mine)) return undefined;
    const winner = await found(session, 'lock');
    if (winner === undefined) throw new LockstepError('io', `cannot write into ${root}/.lockstep`, { path: root });
    return winner;
  } finally {
    await session.run({ code: `rm -f -- "$Q/.lockstep/${guard}" 2>/dev/null`, limit: 4096 });
  }
}

async function create(session: Session, root: string, name: string, owner: LockOwner): Promise<boolean> {
  const text = Buffer.from(JSON.stringify(owner));
  const input = Buffer.concat([Buffer.from(`${lineOf(name)}\n`), text]);
  const { status, output } = await session.run({ code: `lock ${text.length}`, input, limit: 4096 });
  if (status === 2) throw cannotWrite(root, output);
  return status === 0;
}

async function removeIfStill(session: Session, name: string, bytes: Buffer): Promise<void> {
  const input = Buffer.concat([Buffer.from(`${lineOf(name)}\n${lineOf(`${name}.judged`)}\n`), bytes]);
  await session.run({ code: `unlock ${bytes.length}`, input, limit: 4096 });
}

interface FoundLock {
  bytes: Buffer;
  /** undefined for what is not a lock: nobody can be said to hold it. */
  owner: Record<string, unknown> | undefined;
}

async function found(session: Session, name: string): Promise<FoundLock | undefined> {
  const bytes = await readOwn(session, name);
  return bytes && { bytes, owner: ownerIn(bytes) };
}

function ownerIn(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const owner: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof owner !== 'object' || owner === null) return undefined;
    return 'pid' in owner && 'host' in owner && 'run' in owner ? { ...owner } : undefined;
  } catch {
    return undefined;
  }
}

/** An owner on another machine counts as alive: it cannot be asked. */
async function isAlive(session: Session, tools: Tools, owner: Record<string, unknown>): Promise<boolean> {
  if (owner['host'] !== tools.host) return true;
  if (isOtherBoot(String(owner['boot']), tools.boot)) return false;
  const { pid, start } = owner;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return false;
  const { status, output } = await session.run({ code: `alive ${pid}`, limit: 4096 });
  if (status !== 0) return false;
  const now = output.toString('latin1').trim();
  return now === '' || start === '' || typeof start !== 'string' || now === start;
}

function refusal(root: string, owner: Record<string, unknown> | undefined): GuardError {
  const text = (key: string): string => {
    const value = owner?.[key];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '?';
  };
  const who =
    owner === undefined
      ? 'another run'
      : `another run (pid ${text('pid')} on ${text('host')}, since ${text('since')}: ${text('command')})`;
  return new GuardError('locked', `${root} is in use by ${who}`, {
    path: root,
    hint: 'Wait until it ends. If you are sure that nothing is running, add --force-unlock.',
    option: '--force-unlock',
  });
}
