/** Opening a root over there: as replica/local does it, with the same files in the same places. */
import { randomBytes } from 'node:crypto';
import { GuardError, LockstepError } from '../../base/errors.ts';
import { encodeName } from '../../tree/path.ts';
import type { OpenedRoot, OpenRequest, RootProbe } from '../replica.ts';
import { cannotWrite } from './cannot-write.ts';
import { readRecords, type FarRoot } from './far-root.ts';
import { takeLock } from './lock.ts';
import { lineOf } from './names.ts';
import { readOwn } from './read-own.ts';
import type { Found } from './records.ts';
import { recoverPartials, recoverStaging } from './recover.ts';
import type { Session } from './session.ts';
import type { Tools } from './tools.ts';
import { decodeName } from '../../tree/path.ts';

/** As in replica/local/platform.ts: file systems whose time stamps step with the kernel's clock tick, and FAT. */
const tickTypes = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e]);
const fatTypes = new Set([0x4d44, 0x2011bab0]);

export interface FarPlace {
  session: Session;
  tools: Tools;
  name: string;
  clock: { offsetMs: number; uncertaintyMs: number };
}

export interface Identity {
  id: string;
  /** Made up just now, and on disk only once it was kept. */
  isNew: boolean;
}

export interface FarOpened {
  root: FarRoot;
  identity: Identity;
  /** The topmost directory that was made for a missing root, until there is something to keep it for. */
  madeFrom: string | undefined;
  opened: OpenedRoot;
}

export async function probeFar({ session }: Pick<FarPlace, 'session'>, path: string): Promise<RootProbe> {
  const output = await session.must({ code: 'probe', input: lineInput(path), limit: 1 << 16 }, 'look at the root');
  const text = decodeName(output);
  const [inode = '', kind = '', home = ''] = text.split('\n', 3);
  const realPath = text.split('\n').slice(3).join('\n');
  if (!realPath.startsWith('/')) session.broken(`the path ${JSON.stringify(realPath)}`);
  const dangerous = isDangerous(realPath, home);
  switch (kind) {
    case 'directory':
      if (!/^\d{1,20}:\d{1,20}$/.test(inode)) session.broken('no inode of the root');
      return { kind, realPath, inode, dangerous };
    case 'missing':
      return { kind, realPath, inode: '', dangerous };
    case 'other':
      return { kind, realPath, inode: '', dangerous: false };
    case 'dangling':
      return { kind: 'missing', realPath, inode: '', dangerous };
    case 'unreadable':
      return { kind, realPath, inode: '', dangerous: false, reason: 'permission denied' };
    default:
      return session.broken('a root of no known kind');
  }
}

/** @param root where it is, when it is to be made; else `request.root` */
export async function openFar(place: FarPlace, request: OpenRequest): Promise<FarOpened> {
  const { session, tools, name, clock } = place;
  const writes = request.access === 'write';
  const madeFrom = request.create && writes ? await make(session, request.root) : undefined;
  const { status } = await session.run({ code: 'open', input: lineInput(request.root) });
  if (status !== 0) {
    throw new GuardError('root-unreadable', `${request.root} cannot be read`, {
      path: request.root,
      hint: 'Check its permissions, or run as a user who may read it.',
    });
  }
  const [self] = await rootEntry(session);
  if (self?.entry.kind !== 'dir') throw new LockstepError('io', `${name} is not a directory any more`);
  const root: FarRoot = {
    session,
    tools,
    name,
    path: request.root,
    dev: self.dev,
    request,
    granularityNs: 1_000_000_000n,
    clockOffsetMs: clock.offsetMs,
    folds: false,
    hardLinks: true,
    stagers: 0,
    unpacking: 0,
    cpioFailed: false,
    archiveBuffers: [],
    leftPartials: [],
  };
  const recovered: string[] = [];
  await checkOwn(session, request.root);
  if (writes) {
    const made = await session.run({ code: 'own', limit: 1 << 16 });
    if (made.status !== 0) throw cannotWrite(request.root, made.output);
    await takeLock(session, tools, request, request.root);
    await session.run({ code: `LOCK=${request.runId}` });
    root.hardLinks = (await session.run({ code: 'hard', limit: 64 })).output.toString('latin1') === '1';
    recovered.push(...(await recoverStaging(root)));
    root.leftPartials = await recoverPartials(root);
  }
  const system = await systemOf(root);
  root.folds = system.folds;
  const identity = await identityOf(session, self, request, writes);
  return {
    root,
    identity,
    madeFrom,
    opened: {
      identity: identity.id,
      capabilities: {
        foldsNames: system.folds,
        granularityNs:
          tools.touch === 'fine' && tools.tar !== 'plain' && !system.isFat
            ? 1000n
            : system.isFat
              ? 2_000_000_000n
              : 1_000_000_000n,
        hostPath: undefined,
        clock,
      },
      freeBytes: system.freeBytes,
      created: madeFrom !== undefined,
      recovered,
      session: system.session,
    },
  };
}

async function rootEntry(session: Session): Promise<Found[]> {
  const found: Found[] = [];
  await readRecords({ session }, { code: 'rootentry' }, (one) => found.push(one));
  return found;
}

/** @returns the topmost directory that had to be made, undefined when the root was there */
async function make(session: Session, root: string): Promise<string | undefined> {
  const { status, output } = await session.run({ code: 'make', input: lineInput(root), limit: 1 << 16 });
  const text = decodeName(output);
  if (status === 0) return text === '' ? undefined : text;
  const reason = text.trim().split(': ').pop() ?? '';
  throw new LockstepError('io', `cannot make ${root}: ${reason.toLowerCase()}`, {
    path: root,
    hint: 'Check the permissions of the directory above it.',
  });
}

async function checkOwn(session: Session, root: string): Promise<void> {
  const { status, output } = await session.run({ code: 'sound', limit: 256 });
  if (status === 0) return;
  const path = `${root === '/' ? '' : root}/${decodeName(output)}`;
  throw new LockstepError('state', `${path} is not a directory`, {
    path,
    hint: 'Lockstep keeps its history and staging there, and follows no symbolic link to it: rename or remove it.',
  });
}

async function systemOf(
  root: FarRoot,
): Promise<{ folds: boolean; freeBytes: number; isFat: boolean; session: string }> {
  const { session, tools } = root;
  const dev = BigInt(root.dev);
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const { output } = await session.run({ code: `system ${major}:${minor}`, limit: 4096 });
  const [statfs = '', folds = '', sequence = ''] = output.toString('latin1').split('\n');
  const match = /^([0-9a-f]{1,16}) (\d{1,19}) (\d{1,12})$/.exec(statfs);
  const type = Number.parseInt(match?.[1] ?? '0', 16);
  const isFat = fatTypes.has(type);
  if (isFat) root.granularityNs = 2_000_000_000n;
  else if (tickTypes.has(type) && tools.seesFractions) root.granularityNs = 10_000_000n;
  const free = Number(match?.[2] ?? 0) * Number(match?.[3] ?? 0);
  return {
    folds: folds === '1',
    freeBytes: Number.isSafeInteger(free) ? free : Number.MAX_SAFE_INTEGER,
    isFat,
    session: `${tools.boot}/${dev}/${sequence.trim()}`,
  };
}

async function identityOf(session: Session, self: Found, request: OpenRequest, writes: boolean): Promise<Identity> {
  if (!request.marks) return { id: `${self.dev}:${self.entry.ino}`, isNew: false };
  const known = (await readOwn(session, 'id', 4096))?.toString('latin1').trim() ?? '';
  if (/^[0-9a-f]{32}$/.test(known)) return { id: known, isNew: false };
  return writes ? { id: randomBytes(16).toString('hex'), isNew: true } : { id: '', isNew: false };
}

/** Replaces a small file of ours. @param name below `.lockstep`; its directory is made */
export async function writeOwn(session: Session, name: string, text: string): Promise<void> {
  const slash = name.lastIndexOf('/');
  await session.must({ code: 'own', limit: 1 << 16 }, 'write into .lockstep');
  if (slash > 0) await session.must({ code: 'place', input: lineInput(name.slice(0, slash)) }, 'write into .lockstep');
  const bytes = Buffer.from(text);
  const input = Buffer.concat([lineInput(name), bytes]);
  await session.must({ code: `put ${bytes.length}`, input, limit: 1 << 16 }, `write .lockstep/${name}`);
}

export function lineInput(...names: string[]): Buffer {
  return Buffer.from(names.map((name) => `${lineOf(name)}\n`).join(''), 'latin1');
}

/** `/` and home directories: places that nobody means to mirror into. */
function isDangerous(path: string, home: string): boolean {
  if (['/', '/root', '/home', '/Users'].includes(path) || (home !== '' && path === home)) return true;
  const parent = path.slice(0, path.lastIndexOf('/'));
  return parent === '/home' || parent === '/Users';
}

/** How long a path may be for the far shell to get there. */
export function isTooLong(root: FarRoot, path: string): boolean {
  // No character has more bytes: of most paths that is known without a look.
  if (3 * (root.path.length + path.length) + 64 <= 4096) return false;
  return encodeName(root.path).length + encodeName(path).length + 64 > 4096;
}
