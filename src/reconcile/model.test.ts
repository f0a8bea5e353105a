/**
 * Reconcile against a slow, obvious model: random trees, random edits, any mode and policy; the plan is carried out by a
 * file system in memory (model/), and what DESIGN promises is checked on what is there afterwards.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syncedMode, mtimeUs } from '../tree/entry.ts';
import { isWithin, parentPath, rebasePath, type RelPath } from '../tree/path.ts';
import type { Tree } from '../tree/tree.ts';
import { apply, edit, Texts, type Edit } from './model/edits.ts';
import { isIgnoredName } from './model/disk.ts';
import { ModelLink } from './model/link.ts';
import { pathBeforeMoves } from './moves.ts';
import {
  backupPolicies,
  conflictPolicies,
  defaultReconcileOptions,
  isMirror,
  modes,
  otherSide,
  sourceOf,
  type ConflictPolicy,
  type Mode,
  type ReconcileOptions,
  type Side,
} from './options.ts';
import { allSteps, type MoveStep, type Plan, type RemoveStep } from './plan.ts';

const numRuns = Number(process.env['LOCKSTEP_MODEL_RUNS'] ?? 700);
const seed = Number(process.env['LOCKSTEP_MODEL_SEED'] ?? 20261121);
const sides = ['a', 'b'] as const;

/** A whole story: what the trees were when the sides first met, and what happened before each further run. */
interface Story {
  start: Edit[];
  rounds: Edit[][];
  options: ReconcileOptions;
  first: Side;
}

const options: fc.Arbitrary<ReconcileOptions> = fc
  .record({
    mode: fc.oneof(
      { weight: 3, arbitrary: fc.constant<Mode>('two-way') },
      { weight: 2, arbitrary: fc.constantFrom(...modes) },
    ),
    onConflict: fc.constantFrom(...conflictPolicies),
    deletes: fc.oneof(
      { weight: 3, arbitrary: fc.constant('lose' as const) },
      { weight: 1, arbitrary: fc.constant('win' as const) },
    ),
    skipDeletion: fc.oneof(
      { weight: 8, arbitrary: fc.constant<Side[]>([]) },
      { weight: 1, arbitrary: fc.constantFrom<Side[]>(['a'], ['b']) },
    ),
    backup: fc.oneof(
      { weight: 6, arbitrary: fc.constant('conflicts' as const) },
      { weight: 1, arbitrary: fc.constantFrom(...backupPolicies) },
    ),
    force: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.boolean() }),
    keepUnrecorded: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.boolean() }),
    checksum: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.boolean() }),
    atomic: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.boolean() }),
  })
  .map(({ atomic, ...given }) => ({
    ...defaultReconcileOptions,
    ...given,
    conflictStamp: 'T',
    isAtomic: (path: RelPath): boolean => atomic && path.endsWith('d'),
  }));

const story: fc.Arbitrary<Story> = fc.record({
  start: fc.array(edit, { maxLength: 14 }),
  rounds: fc.array(fc.array(edit, { minLength: 1, maxLength: 7 }), { minLength: 1, maxLength: 3 }),
  options,
  first: fc.constantFrom<Side>('a', 'b'),
});

/** Everything two sides can share of a path, as text. */
function describePath(link: ModelLink, side: Side, path: RelPath, withTime = false): string {
  const node = link.disks[side].get(path);
  const entry = link.disks[side].lstat(path);
  if (node === undefined || entry === undefined) return '–';
  const time = withTime ? ` ${String(mtimeUs(entry))}` : '';
  if (node.kind === 'symlink') return `-> ${node.target}`;
  return `${node.kind} ${node.kind === 'file' ? node.text : ''} ${syncedMode(entry).toString(8)}${time}`;
}

function paths(link: ModelLink): RelPath[] {
  return [...new Set(sides.flatMap((side) => [...link.disks[side].walk()].map(([path]) => path)))].sort();
}

function stateOf(link: ModelLink, side: Side): Record<string, string> {
  return Object.fromEntries([...link.disks[side].walk()].map(([path]) => [path, describePath(link, side, path, true)]));
}

/** What may rightly differ: open conflicts, what was skipped and said so, and what is not looked at. */
function isExcused(path: RelPath, plan: Plan, link: ModelLink): boolean {
  if (path.split('/').some(isIgnoredName)) return true;
  const open = plan.conflicts.filter(({ winner }) => winner === 'open').map((conflict) => conflict.path);
  const skipped = plan.skips.map((skip) => skip.path);
  if ([...open, ...skipped].some((other) => isWithin(path, other) || isWithin(other, path))) return true;
  return sides.some((side) => link.disks[side].get(path)?.kind === 'special');
}

interface Before {
  states: Record<Side, Record<string, string>>;
  /** Contents, and where each was. */
  texts: Map<string, { side: Side; path: RelPath }[]>;
  agreed: Map<RelPath, string>;
  /** What is on record of each side. */
  recorded: Record<Side, Tree>;
}

function remember(link: ModelLink): Before {
  const texts = new Map<string, { side: Side; path: RelPath }[]>();
  for (const side of sides) {
    for (const [path, node] of link.disks[side].walk()) {
      if (node.kind === 'file' && node.size > 0)
        texts.set(node.text, [...(texts.get(node.text) ?? []), { side, path }]);
    }
  }
  const { a, b } = link.agreed;
  return {
    states: { a: stateOf(link, 'a'), b: stateOf(link, 'b') },
    texts,
    agreed: new Map(link.agreed.texts),
    recorded: { a: a.clone(), b: b.clone() },
  };
}

/** G1: every content still exists, unless it is the agreed version of a path that the other side has moved on from. */
function checkNothingLost(link: ModelLink, before: Before, plan: Plan, { backup }: ReconcileOptions): void {
  if (backup === 'off') return;
  const left = new Set<string>();
  for (const side of sides) {
    for (const [, node] of link.disks[side].walk()) left.add(node.text);
    for (const text of link.disks[side].history) left.add(text);
  }
  for (const [text, places] of before.texts) {
    if (left.has(text)) continue;
    const superseded =
      backup !== 'all' &&
      places.every(({ side, path }) => {
        const moves = plan.moves.filter(({ reason }) => reason === 'renamed');
        // What this side renamed was agreed under its old name; what the other renamed is under its new one now.
        if (before.agreed.get(pathBeforeMoves(moves, otherSide(side), path)) !== text) return false;
        const there = link.disks[otherSide(side)].get(pathAfterMoves(moves, side, path));
        return there?.kind === 'file' || there?.kind === 'symlink';
      });
    if (!superseded) throw new Error(`${text} is lost; it was at ${JSON.stringify(places)}`);
  }
}

function pathAfterMoves(moves: readonly MoveStep[], side: Side, path: RelPath): RelPath {
  let at = path;
  for (const move of moves) {
    if (move.side !== side || !isWithin(at, move.path)) continue;
    at = rebasePath(at, move.path, move.to);
    // Files move all at once.
    if (move.expect.kind !== 'dir') break;
  }
  return at;
}

/** G2: what is in scope and settled is alike on both sides. */
function checkAlike(link: ModelLink, plan: Plan, given: ReconcileOptions): void {
  const { mode, skipDeletion } = given;
  const source = sourceOf(mode);
  for (const path of paths(link)) {
    if (isExcused(path, plan, link)) continue;
    const [a, b] = [describePath(link, 'a', path), describePath(link, 'b', path)];
    if (a === b) continue;
    // Modes that do not delete leave what only one side has.
    if (source !== undefined && !isMirror(mode) && (source === 'a' ? a : b) === '–') continue;
    if (skipDeletion.length > 0 && (a === '–' || b === '–')) continue;
    // Permission bits that the far side changed by itself are left to it.
    if (
      source !== undefined &&
      !isMirror(mode) &&
      !given.force &&
      a.slice(0, a.lastIndexOf(' ')) === b.slice(0, b.lastIndexOf(' '))
    )
      continue;
    // A directory that is kept for something ignored in it.
    if (
      [...link.disks[a === '–' ? 'b' : 'a'].walk(path, link.disks[a === '–' ? 'b' : 'a'].get(path))].some(([at]) =>
        at.split('/').some(isIgnoredName),
      )
    )
      continue;
    throw new Error(`${path} differs: "${a}" and "${b}"`);
  }
}

function checkOneWay(link: ModelLink, before: Before, plan: Plan, given: ReconcileOptions): void {
  const source = sourceOf(given.mode);
  if (source === undefined) return;
  expect(stateOf(link, source), 'the source is only read').toEqual(before.states[source]);
  for (const step of allSteps(plan)) expect(step.side).not.toBe(source);
  if (isMirror(given.mode) || given.force) return;
  const target = otherSide(source);
  for (const path of Object.keys(before.states[target])) {
    if (link.disks[target].get(path) === undefined) throw new Error(`a one-way mode deleted ${path}`);
  }
}

/** What is removed so that it can come over as a whole again. */
function isReplaced(step: RemoveStep, { content }: Plan, { isAtomic }: ReconcileOptions): boolean {
  return content.some(
    ({ op, side, path }) => op === 'tree' && side === step.side && isAtomic(path) && isWithin(step.path, path),
  );
}

/** What was promised when a record was forgotten: nothing goes that is not on record by now. */
function checkUnrecordedStays(before: Before, plan: Plan, given: ReconcileOptions): void {
  const source = sourceOf(given.mode);
  if (source === undefined || !given.keepUnrecorded) return;
  for (const step of [...plan.clear, ...plan.removals]) {
    const path = pathBeforeMoves(plan.moves, step.side, step.path);
    if (before.recorded[source].get(path) !== undefined || isReplaced(step, plan, given)) continue;
    throw new Error(`${step.path} is deleted, of which there is no record`);
  }
}

/**
 * Nothing makes way, nor goes, where deletions are not carried; and two-way nothing of which the two sides never agreed makes
 * way for something of another kind.
 */
function checkNothingDeleted(before: Before, plan: Plan, given: ReconcileOptions): void {
  const { mode, skipDeletion } = given;
  const { a, b } = before.recorded;
  const cleared = new Set(plan.clear.map(({ side, path }) => `${side}${path}`));
  for (const step of [...plan.clear, ...plan.removals]) {
    if (isReplaced(step, plan, given)) continue;
    const { side, path } = step;
    if (mode === 'additive' || skipDeletion.includes(side)) throw new Error(`${side}:${path} is deleted`);
    const isTop = cleared.has(`${side}${path}`) && !cleared.has(`${side}${parentPath(path)}`);
    if (sourceOf(mode) !== undefined || !isTop) continue;
    // Under the name that it had before it was renamed on either side, or on both.
    const settled = plan.settledMoves.filter(({ to }) => to === path).map(({ from }) => from);
    const names = [path, ...settled, ...sides.map((moved) => pathBeforeMoves(plan.moves, moved, path))];
    if (names.some((name) => a.get(name) !== undefined && b.get(name) !== undefined)) continue;
    throw new Error(`${side}:${path} makes way, and was never agreed on`);
  }
}

/** G3: another run has nothing to do, and nothing to ask. */
function checkIdle(link: ModelLink, given: ReconcileOptions, plan: Plan): void {
  link.clock.tick(1000n);
  const again = link.plan(given);
  expect([...allSteps(again.plan)], 'a second run does nothing').toEqual([]);
  expect(again.plan.directoryTimes, 'a second run sets no times').toEqual([]);
  const settled = plan.skips.length === 0 && plan.conflicts.every(({ winner }) => winner !== 'open');
  if (!settled) return;
  expect(again.plan.conflicts).toEqual([]);
  // What was racy when it was recorded is looked at once more, and recorded as certain.
  if (hasRacy(link)) return;
  expect(again.plan.agreements, 'a second run records nothing').toEqual([]);
  if (!given.checksum) expect(again.asked, 'a second run hashes nothing').toBe(0);
}

function hasRacy(link: ModelLink): boolean {
  return sides.some((side) =>
    [...link.agreed[side].listings()].some(([, listing]) =>
      [...listing.entries()].some(([, { flags }]) => (flags & 1) !== 0),
    ),
  );
}

function playAndCheck({ start, rounds, options: given, first }: Story): ModelLink {
  const link = new ModelLink({ first });
  const texts = new Texts();
  // Most stories start from one tree: made on the side that is read, or by both where changes flow both ways.
  for (const made of start) apply(link, { ...made, side: sourceOf(given.mode) ?? 'a' }, texts);
  for (const round of [[], ...rounds]) {
    for (const made of round) apply(link, made, texts);
    const before = remember(link);
    const { plan } = link.sync(given);
    checkOneWay(link, before, plan, given);
    checkUnrecordedStays(before, plan, given);
    checkNothingDeleted(before, plan, given);
    checkNothingLost(link, before, plan, given);
    checkAlike(link, plan, given);
    checkIdle(link, given, plan);
  }
  return link;
}

describe('any story of edits', () => {
  it('loses nothing, ends alike, and then rests', () => {
    fc.assert(
      fc.property(story, (told) => {
        playAndCheck(told);
      }),
      { numRuns, seed },
    );
  });

  it('comes out the same with the sides swapped', () => {
    fc.assert(
      fc.property(story, (told) => {
        const [link, mirrored] = [play(told), play(swapped(told))];
        for (const side of sides) {
          const [there, here] = [swapNames(contentsOf(mirrored, otherSide(side))), contentsOf(link, side)];
          // Of two versions of one age a's keeps the name: somebody's has to.
          if (told.options.onConflict === 'both')
            expect(Object.values(there).sort()).toEqual(Object.values(here).sort());
          else expect(there).toEqual(here);
        }
      }),
      { numRuns, seed },
    );
  });

  it('has nothing to do where equal trees lost their baseline', () => {
    fc.assert(
      fc.property(story, (told) => {
        const { options: given, ...rest } = told;
        const link = play({ ...rest, options: { ...given, mode: 'mirror', skipDeletion: [], keepUnrecorded: false } });
        const equal = paths(link).every((path) => describePath(link, 'a', path) === describePath(link, 'b', path));
        fc.pre(equal);
        link.forget();
        link.clock.tick(1000n);
        const { plan } = link.plan({ ...given });
        expect([...allSteps(plan)].filter((step) => step.op !== 'meta' || step.mtimeUs === undefined)).toEqual([]);
        expect(plan.conflicts).toEqual([]);
      }),
      { numRuns: Math.ceil(numRuns / 3), seed },
    );
  });
});

function play({ start, rounds, options: given, first }: Story): ModelLink {
  const link = new ModelLink({ first });
  const texts = new Texts();
  for (const round of [start, ...rounds]) {
    for (const made of round) apply(link, made, texts);
    const { plan } = link.sync(given);
    // The names of copies kept beside a winner tell the sides apart: from here on edits would pick other paths.
    if (plan.conflicts.some(({ winner }) => winner === 'both')) break;
  }
  return link;
}

function swapped({ start, rounds, options: given, first }: Story): Story {
  const swapEdit = (made: Edit): Edit => ({ ...made, side: otherSide(made.side) });
  const policies: Partial<Record<ConflictPolicy, ConflictPolicy>> = { local: 'remote', remote: 'local' };
  const mirroredModes: Partial<Record<Mode, Mode>> = {
    push: 'pull',
    pull: 'push',
    mirror: 'pull-mirror',
    'pull-mirror': 'mirror',
  };
  return {
    start: start.map(swapEdit),
    rounds: rounds.map((round) => round.map(swapEdit)),
    first: otherSide(first),
    options: {
      ...given,
      mode: mirroredModes[given.mode] ?? given.mode,
      onConflict: policies[given.onConflict] ?? given.onConflict,
      skipDeletion: given.skipDeletion.map(otherSide),
      clockOffsetNs: -given.clockOffsetNs,
    },
  };
}

function contentsOf(link: ModelLink, side: Side): Record<string, string> {
  return Object.fromEntries([...link.disks[side].walk()].map(([path]) => [path, describePath(link, side, path)]));
}

function swapNames(contents: Record<string, string>): Record<string, string> {
  const swap = (path: string): string =>
    path.replaceAll(/conflict-(local|remote)/g, (_, side) => `conflict-${side === 'local' ? 'remote' : 'local'}`);
  return Object.fromEntries(Object.entries(contents).map(([path, text]) => [swap(path), text]));
}
