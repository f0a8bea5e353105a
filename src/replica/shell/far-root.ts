/** An opened root over there, and what everything in this room needs to know of it. */
import { LockstepError } from '../../base/errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { decodeName, type RelPath } from '../../tree/path.ts';
import type { OpenRequest } from '../replica.ts';
import { complaintOf, isGone } from './complaints.ts';
import { listOf } from './names.ts';
import { BadRecordError, markRacy, patternOf, RecordReader, type Found } from './records.ts';
import type { Session } from './session.ts';
import { readClock, type Tools } from './tools.ts';

export interface FarRoot {
  session: Session;
  tools: Tools;
  /** Of the root, for messages. */
  name: string;
  /** The root's physical path over there. */
  path: string;
  /** Its device. */
  dev: number;
  request: OpenRequest;
  /** Tick of the clock that stamps its files, as far as it can be seen from here. */
  granularityNs: bigint;
  /** How far its clock is ahead of ours, ms. */
  clockOffsetMs: number;
  /** Its file system takes letters of either case for the same. */
  folds: boolean;
  /** Files can have two names there. */
  hardLinks: boolean;
  /** How many things have been put into staging by themselves so far (stager.ts). */
  stagers: number;
  /** Archives that are sent and not answered. */
  unpacking: number;
  /** Its `cpio` has failed over an archive: others are made for `tar`. */
  cpioFailed: boolean;
  /** Memory for archives, used over and over: so much that is new each time would have the garbage collector at work. */
  archiveBuffers: Buffer[];
  /** What earlier runs left of large files (partials.ts). */
  leftPartials: { name: string; entry: Entry }[];
}

/** Paths looked at in one command. */
const lookBatch = 4000;
/** Behind them the root itself, which is always there: a look that was cut short does not come to it. */
const lookEnd = '.';

/** The pattern of what must stand at a path before it is touched. */
export function expectation(root: FarRoot, expect: Entry): string {
  return patternOf(expect, root.dev, root.tools.seesFractions);
}

/** Nobody could look at it: it is not as anything was, and not gone. */
export const unknown: Entry = { kind: 'unreadable', mode: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, flags: 0 };

/** Looks at paths now; what could not be looked at is `unreadable`. Racy entries are marked as in a scan. */
export async function observe(root: FarRoot, paths: readonly RelPath[]): Promise<Map<RelPath, Found>> {
  const found = new Map<RelPath, Found>();
  for (let at = 0; at < paths.length; at += lookBatch) {
    const list = listOf([...paths.slice(at, at + lookBatch), lookEnd], root.tools.xargs);
    const command = { code: `looklinks ${list.length}`, input: list };
    const complaints = await readTimed(root, command, (one, markIfRacy) => {
      markIfRacy(one.entry);
      found.set(one.path, one);
    });
    for (const line of complaints.split('\n')) {
      const complaint = complaintOf(line);
      if (complaint === undefined || isGone(complaint.reason)) continue;
      const path = decodeName(Buffer.from(complaint.shown.slice(2), 'latin1'));
      if (!found.has(path)) found.set(path, { path, dev: root.dev, entry: unknown });
    }
    if (!found.delete(lookEnd)) throw cutShort(root.session, 'stat ended too early');
  }
  return found;
}

/** Runs a command whose answer is the time and then records. @throws as `readRecords` */
export async function readTimed(
  root: FarRoot,
  command: { code: string; input?: Uint8Array },
  each: (found: Found, markIfRacy: (entry: Entry) => void) => void,
): Promise<string> {
  const { session, granularityNs } = root;
  const asked = performance.now();
  let since = 0n;
  let first: string | undefined = '';
  let [from, to] = [0n, 0n];
  // What is told of now was looked at at most so long after the clock was: it takes no longer over there than here. Times
  // beyond that were set by hand (replica/local/stat.ts).
  const mark = (entry: Entry): void => markRacy(entry, from, to + since);
  const reader = new RecordReader(session.record, (found) => each(found, mark));
  const sink = (piece: Buffer): void => {
    let rest = piece;
    since = BigInt(Math.ceil((performance.now() - asked) * 1e6));
    if (first !== undefined) {
      const end = rest.indexOf(10);
      first += rest.toString('latin1', 0, end < 0 ? rest.length : end);
      if (first.length > 200) throw new BadRecordError('a time without an end');
      if (end < 0) return;
      const { ms, stepMs } = readClock(first);
      if (!Number.isFinite(ms) || ms <= 0) throw new BadRecordError('a time that is none');
      first = undefined;
      from = BigInt(Math.floor(ms)) * 1_000_000n - granularityNs;
      to = BigInt(Math.ceil(ms + stepMs)) * 1_000_000n + granularityNs;
      rest = rest.subarray(end + 1);
    }
    reader.push(rest);
  };
  await guarded(session, async () => {
    const { status } = await session.run({ ...command, sink });
    reader.finish();
    mustBeWhole(session, status, reader.errors);
  });
  return reader.errors;
}

/**
 * Runs a command whose answer is records.
 *
 * @returns what the tools complained of
 * @throws LockstepError `io` when one was killed: what was not told of would be taken for something that is not there
 */
export async function readRecords(
  { session }: Pick<FarRoot, 'session'>,
  command: { code: string; input?: Uint8Array },
  each: (found: Found) => void,
): Promise<string> {
  const reader = new RecordReader(session.record, each);
  await guarded(session, async () => {
    const { status } = await session.run({ ...command, sink: (piece) => reader.push(piece) });
    reader.finish();
    mustBeWhole(session, status, reader.errors);
  });
  return reader.errors;
}

function mustBeWhole(session: Session, status: number, errors: string): void {
  const killed = /^(?:find|stat) was killed \(\d+\)$/m.exec(errors);
  if (killed !== null) throw cutShort(session, killed[0]);
  if (status !== 0) throw cutShort(session, `a tool ended with ${status}`);
}

/** The answer may not be all there is. */
export function cutShort({ name }: Session, detail: string): LockstepError {
  return new LockstepError('io', `${name}: what is there could not be looked at as a whole: ${detail}`, {
    hint: 'What was done is recorded. Run again when there is memory enough over there.',
  });
}

/** What cannot be read as records ends the session. */
export async function guarded<T>(session: Session, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof BadRecordError) session.broken(error.message);
    throw error;
  }
}
