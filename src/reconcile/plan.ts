/** What reconcile decides: plain data, shown by `--dry-run`, carried out by a replica's `apply`. */
import type { Entry } from '../tree/entry.ts';
import type { RelPath } from '../tree/path.ts';
import type { Side } from './options.ts';

/** Why a step is taken; logged with every deletion and overwrite. */
export type Reason =
  | 'created' // new on the other side
  | 'edited' // changed on the other side
  | 'deleted' // deleted on the other side
  | 'renamed' // renamed on the other side
  | 'type-changed' // the other side put another kind of thing there
  | 'conflict' // both sides changed; this version lost
  | 'mirrored' // the far side's own doing, undone by mirror or --force
  | 'metadata' // permission bits or mtime only
  | 'clean-out'; // --clean-out-first

interface StepBase {
  /** The side that the step changes. */
  side: Side;
  path: RelPath;
  reason: Reason;
}

/** Copies a directory that the side does not have, with everything in it that is in scope on the other side. */
export interface TreeStep extends StepBase {
  op: 'tree';
  source: Entry;
}

/** Makes an empty directory, to be filled by further steps. */
export interface MkdirStep extends StepBase {
  op: 'mkdir';
  source: Entry;
}

/** A directory that a rename leads into. */
export interface PrepareStep extends MkdirStep {
  /** So many of the plan's moves come before it: names are as they are by then. */
  after: number;
}

/** Creates or replaces a file with the content of `from` on the other side. */
export interface PutStep extends StepBase {
  op: 'put';
  from: RelPath;
  /** The other side's file as it must still be while it is read; ctimeNs 0 when a planned rename will change it first. */
  source: Entry;
  /** What must be here just before, undefined for nothing. */
  expect: Entry | undefined;
  mode: number;
  /** The replaced version goes to history. */
  keep: boolean;
}

/** Creates or replaces a symlink. */
export interface LinkStep extends StepBase {
  op: 'link';
  from: RelPath;
  source: Entry;
  expect: Entry | undefined;
  keep: boolean;
}

/** Sets permission bits, mtime, or both. */
export interface MetaStep extends StepBase {
  op: 'meta';
  expect: Entry;
  mode?: number;
  mtimeUs?: bigint;
}

/** Removes a file, a symlink, or a directory that must be empty by then. */
export interface RemoveStep extends StepBase {
  op: 'remove';
  expect: Entry;
  keep: boolean;
}

/** Renames within the side; several of one plan may form chains and rings. */
export interface MoveStep extends StepBase {
  op: 'move';
  to: RelPath;
  expect: Entry;
}

export type Step = TreeStep | MkdirStep | PutStep | LinkStep | MetaStep | RemoveStep | MoveStep;

/** What a directory's mtime is to be once everything in it is done; nobody's content, so never a conflict. */
export interface DirectoryTime {
  side: Side;
  path: RelPath;
  mtimeUs: bigint;
  /** Only puts right what other steps in the directory disturb; not an action of its own. */
  restores: boolean;
}

/** Both sides changed the same path. */
export interface Conflict {
  path: RelPath;
  /** What the two versions differ in. */
  what: 'content' | 'kind' | 'metadata' | 'directory';
  /** Who won, `both` when both are kept under two names, `open` when nothing was touched. */
  winner: Side | 'both' | 'open';
  /** For people: why it is open. */
  detail?: string;
}

/** A path about which nothing was done although the sides may differ. */
export interface Skip {
  path: RelPath;
  side: Side;
  why: SkipReason;
  detail?: string;
}

export type SkipReason =
  | 'unreadable'
  | 'special'
  | 'newer-far-side' // push: the far side differs by its own doing and the policy lets it
  | 'would-delete' // it, or what is in it, would have to go, and that is not allowed
  | 'kept-ignored' // a deleted directory stays because ignored things are in it
  | 'name-clash'
  | 'changed-meanwhile' // not what the plan saw any more
  | 'source-changed' // changed while being read
  | 'no-space'
  | 'failed';

/** A path whose recorded state changes without a step: both sides already agree, or one-sidedly keep what they have. */
export interface Agreement {
  path: RelPath;
  a: Entry | undefined;
  b: Entry | undefined;
}

/** A file whose content must be hashed before it can be decided. */
export interface DigestNeed {
  side: Side;
  /** The path that the answer is to be filed under. */
  path: RelPath;
  /** Where the file is until the planned renames are done. */
  at: RelPath;
  expect: Entry;
}

/** Steps are carried out in this order, each phase on both sides before the next (DESIGN §6.7). */
export interface Plan {
  /** Directories that renames need, parents first, each just before its rename: it may lie in what an earlier one brought. */
  prepare: PrepareStep[];
  moves: MoveStep[];
  /** Renames that both sides show already; recorded before anything else. */
  settledMoves: { from: RelPath; to: RelPath }[];
  /** Removals that make room for another kind of thing, children first. */
  clear: RemoveStep[];
  /** Directories and content, parents first. */
  content: (TreeStep | MkdirStep | PutStep | LinkStep)[];
  metadata: MetaStep[];
  /** Deletions, children first. */
  removals: RemoveStep[];
  /** Children first. */
  directoryTimes: DirectoryTime[];
  agreements: Agreement[];
  conflicts: Conflict[];
  skips: Skip[];
  needs: DigestNeed[];
}

export function emptyPlan(): Plan {
  return {
    prepare: [],
    moves: [],
    settledMoves: [],
    clear: [],
    content: [],
    metadata: [],
    removals: [],
    directoryTimes: [],
    agreements: [],
    conflicts: [],
    skips: [],
    needs: [],
  };
}

/** What is renamed at once, and the directories to be made just before. */
export interface MoveGroup {
  side: Side;
  makes: PrepareStep[];
  moves: MoveStep[];
}

/**
 * A plan's renames in the order in which they are carried out: directories one after the other, as they were planned, because a
 * later one may lie inside an earlier one; then the files of each side all at once, because they may form rings.
 */
export function moveGroups({ prepare, moves }: Plan): MoveGroup[] {
  const waiting = [...prepare];
  const take = (side: Side, upTo: number): PrepareStep[] => {
    const due = waiting.filter((step) => step.side === side && step.after <= upTo);
    for (const step of due) waiting.splice(waiting.indexOf(step), 1);
    return due;
  };
  const groups: MoveGroup[] = [];
  const files = new Map<Side, MoveStep[]>();
  for (const [at, move] of moves.entries()) {
    const { side } = move;
    if (move.expect.kind === 'dir') groups.push({ side, makes: take(side, at), moves: [move] });
    else files.set(side, [...(files.get(side) ?? []), move]);
  }
  for (const [side, own] of files) groups.push({ side, makes: take(side, Infinity), moves: own });
  return groups;
}

/** All steps; by and large in the order in which they are carried out. */
export function* allSteps(plan: Plan): Generator<Step> {
  yield* plan.prepare;
  yield* plan.moves;
  yield* plan.clear;
  yield* plan.content;
  yield* plan.metadata;
  yield* plan.removals;
}
