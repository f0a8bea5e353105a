/** An opened root over there, and what everything in this room needs to know of it. */
import { LockstepError } from '../../base/errors.ts';
import type { Entry } from '../../tree/entry.ts';
import type { RelPath } from '../../tree/path.ts';
import type { OpenRequest } from '../replica.ts';
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
  /** Files can have two names there. */
  hardLinks: boolean;
  /** How many things have been put into staging by themselves so far (stager.ts). */
  stagers: number;
}

/** Paths looked at in one command. */
const lookBatch = 4000;

/** The pattern of what must stand at a path before it is touched. */
export function expectation(root: FarRoot, expect: Entry): string {
  return patternOf(expect, root.dev, root.tools.seesFractions);
}

/** Looks at paths now. Racy entries are marked as in a scan. */
export async function observe(root: FarRoot, paths: readonly RelPath[]): Promise<Map<RelPath, Found>> {
  const found = new Map<RelPath, Found>();
  for (let at = 0; at < paths.length; at += lookBatch) {
    // The root comes last. Who does not tell of it has not looked at all before it either: none of that may pass for gone.
    const list = listOf([...paths.slice(at, at + lookBatch), ''], root.tools.xargs);
    const command = { code: `looklinks ${list.length}`, input: list };
    let last: Found | undefined;
    await readTimed(root, command, (one, markIfRacy) => {
      markIfRacy(one.entry);
      last = one;
      found.set(one.path, one);
    });
    if (last?.path !== '') throw lookCut(root);
  }
  if (!paths.includes('')) found.delete('');
  return found;
}

function lookCut({ session, name }: FarRoot): LockstepError {
  const error = new LockstepError('connection', `${name}: not all that was asked about was looked at over there`, {
    hint: 'Is the root still there? Run again: what was done is recorded, the rest follows.',
  });
  session.fail(error);
  return error;
}

/** Runs a command whose answer is the time and then records. */
export async function readTimed(
  root: FarRoot,
  command: { code: string; input?: Uint8Array },
  each: (found: Found, markIfRacy: (entry: Entry) => void) => void,
): Promise<string> {
  const { session, granularityNs } = root;
  let first: string | undefined = '';
  let [from, to] = [0n, 0n];
  const mark = (entry: Entry): void => markRacy(entry, from, to);
  const reader = new RecordReader(session.record, (found) => each(found, mark));
  const sink = (piece: Buffer): void => {
    let rest = piece;
    if (first !== undefined) {
      const end = rest.indexOf(10);
      first += rest.toString('latin1', 0, end < 0 ? rest.length : end);
      if (first.length > 200) throw new BadRecordError('a time without an end');
      if (end < 0) return;
      const { ms, stepMs } = readClock(first);
      if (!Number.isFinite(ms) || ms <= 0) throw new BadRecordError('a time that is none');
      first = undefined;
      from = BigInt(Math.floor(ms)) * 1_000_000n - granularityNs;
      to = BigInt(Math.ceil(ms + stepMs)) * 1_000_000n + granularityNs + commandNs;
      rest = rest.subarray(end + 1);
    }
    reader.push(rest);
  };
  await guarded(session, async () => {
    await session.run({ ...command, sink });
    reader.finish();
  });
  return reader.errors;
}

/** A command takes its time: entries that are this much ahead of its beginning may have been made during it. */
const commandNs = 60_000_000_000n;

/** Runs a command whose answer is records. @returns what the tools complained of */
export async function readRecords(
  { session }: Pick<FarRoot, 'session'>,
  command: { code: string; input?: Uint8Array },
  each: (found: Found) => void,
): Promise<string> {
  const reader = new RecordReader(session.record, each);
  await guarded(session, async () => {
    await session.run({ ...command, sink: (piece) => reader.push(piece) });
    reader.finish();
  });
  return reader.errors;
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
