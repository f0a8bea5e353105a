/**
 * Renames over there, in whatever order frees the names. A directory is renamed in one go; a file is first taken from its
 * name and parked in staging, from where a run that finds us dead puts it into history (recover.ts).
 */
import type { Entry } from '../../tree/entry.ts';
import { baseName, isSafePath, parentPath, type RelPath } from '../../tree/path.ts';
import type { ApplyStep, Failure, StepResult } from '../replica.ts';
import { isAs } from './is-as.ts';
import { appeared, changed, inNestedMount, unfit, verdicts, type Changes } from './changes.ts';
import { expectation, observe, type FarRoot } from './far-root.ts';
import type { FarHistory } from './history.ts';
import { lineInput } from './open.ts';
import { plainReason } from './complaints.ts';
import type { Stager } from './stager.ts';

type Move = Extract<ApplyStep, { op: 'moves' }>['moves'][number];

interface Waiting {
  move: Move;
  /** The name that it still holds; undefined once parked. */
  from: RelPath | undefined;
  /** Its number among the parked ones. */
  parked: string | undefined;
}

export interface MoveContext {
  root: FarRoot;
  changes: Changes;
  history: FarHistory;
  stager: Stager;
}

type Problem = Omit<Failure, 'path'>;

export async function moveAll(context: MoveContext, moves: readonly Move[], result: StepResult): Promise<void> {
  const moved: NonNullable<StepResult['moved']> = [];
  result.moved = moved;
  const fail = (path: RelPath, problem: Problem): void => void result.failures.push({ path, ...problem });
  let waiting: Waiting[] = moves.map((move) => ({ move, from: move.path, parked: undefined }));
  while (waiting.length > 0) {
    const before = waiting.length;
    const taken = new Set(waiting.flatMap(({ from }) => (from === undefined ? [] : [from])));
    const still: Waiting[] = [];
    for (const item of waiting) {
      const { to } = item.move;
      if (taken.has(to) && to !== item.from) {
        still.push(item);
        continue;
      }
      const problem = await moveOne(context, item);
      if (problem === undefined)
        moved.push({ from: item.move.path, to, observed: await seen(context.root, item.move) });
      else {
        fail(to, problem);
        if (item.parked !== undefined) await putBack(context, item, fail);
      }
    }
    waiting = still;
    if (waiting.length < before) continue;
    // Only rings are left: one of them steps aside.
    const [first] = waiting;
    if (first === undefined) return;
    const problem = await park(context, first);
    if (problem === undefined) continue;
    fail(first.move.to, problem);
    if (first.parked !== undefined) await putBack(context, first, fail);
    waiting = waiting.slice(1);
  }
}

async function moveOne(context: MoveContext, item: Waiting): Promise<Problem | undefined> {
  const { root } = context;
  const { move } = item;
  if (!isSafePath(move.to) || !isSafePath(move.path))
    return { why: 'failed', detail: 'not a path that may be touched' };
  const long = unfit(root, move.to);
  if (long !== undefined) return { why: 'failed', detail: long };
  if (move.expect.kind === 'dir') return moveDirectory(context, move);
  if ((await observe(root, [move.to])).size > 0 && move.to !== item.from) return appeared;
  const problem = item.parked === undefined ? await park(context, item) : undefined;
  return problem ?? unpark(context, item.parked ?? '', move.to);
}

async function moveDirectory({ root, changes }: MoveContext, move: Move): Promise<Problem | undefined> {
  const before = lineInput(parentPath(move.to), baseName(move.to));
  const line = { pattern: expectation(root, move.expect), name: baseName(move.path) };
  const outcome = await changes.command('movedir', parentPath(move.path), [line], before);
  if (outcome.isGone) return { why: 'changed-meanwhile', detail: 'a directory above it is not one any more' };
  if (outcome.said === 'there') return appeared;
  if (outcome.said === inNestedMount) return { why: 'failed', detail: inNestedMount };
  if (verdicts([move], outcome, ['v']).size > 0) return changed;
  if (outcome.said !== '') return { why: 'failed', detail: outcome.said };
  return undefined;
}

/** Takes a file from its name in one step, whatever is there by then. */
async function park({ root, changes, stager }: MoveContext, item: Waiting): Promise<Problem | undefined> {
  const { move } = item;
  await stager.prepare();
  const number = stager.freshNumber();
  const line = { pattern: expectation(root, move.expect), name: baseName(move.path) };
  const outcome = await changes.command(`park ${number}`, parentPath(move.path), [line]);
  if (outcome.isGone) return { why: 'changed-meanwhile', detail: 'a directory above it is not one any more' };
  if (verdicts([move], outcome, ['v']).size > 0) return changed;
  const problem: Problem | undefined = outcome.said === '' ? undefined : { why: 'failed', detail: outcome.said };
  // A tool that was killed may have done it all the same.
  if (problem !== undefined && !(await isParked(root, number))) return problem;
  item.parked = number;
  item.from = undefined;
  return problem;
}

async function isParked(root: FarRoot, number: string): Promise<boolean> {
  const input = lineInput(`staging/${root.request.runId}/parked/${number}`);
  return (await root.session.run({ code: 'stillthere', input })).status === 0;
}

/** Gives a parked file a name that nobody has. */
async function unpark({ root }: MoveContext, number: string, to: RelPath): Promise<Problem | undefined> {
  const input = lineInput(parentPath(to), baseName(to));
  const { output } = await root.session.run({ code: `unpark ${number}`, input, limit: 1 << 16 });
  const said = output.toString('utf8').trim();
  if (said === '') return undefined;
  if (said === 'there' || /exists/i.test(said)) return appeared;
  if (said === 'd') return { why: 'changed-meanwhile', detail: 'a directory above it is not one any more' };
  return { why: 'failed', detail: plainReason(said.split(': ').pop() ?? '') };
}

async function putBack(
  context: MoveContext,
  { move, parked = '' }: Waiting,
  fail: (path: RelPath, problem: Problem) => void,
): Promise<void> {
  const problem = await unpark(context, parked, move.path);
  if (problem === undefined) return;
  fail(move.path, problem);
  const { history, root } = context;
  const at = await history.reserve(move.path);
  const from = `staging/${root.request.runId}/parked/${parked}`;
  await root.session.must(
    { code: 'tohistory', input: lineInput(from, history.path(at)) },
    `keep ${move.path} in history`,
  );
  await history.record([{ path: move.path, at, entry: move.expect, reason: 'recovered' }]);
}

/** As it is under its new name. A rename changes no content: the record may be trusted as far as the one before. */
async function seen(root: FarRoot, { to, expect }: Move): Promise<Entry | undefined> {
  const now = (await observe(root, [to])).get(to)?.entry;
  if (now === undefined) return undefined;
  if (isAs(now, { ...expect, ctimeNs: 0n })) return { ...now, flags: expect.flags };
  return { ...expect, ino: 0n, ctimeNs: 0n };
}
