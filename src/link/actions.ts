/** What a run does or would do, path by path: the one vocabulary of `--dry-run`, `-v` and `--json`. */
import { isUnknown, type Entry, type Kind } from '../tree/entry.ts';
import { Listing } from '../tree/listing.ts';
import { isWithin, joinPath, type RelPath } from '../tree/path.ts';
import { preorder } from '../tree/preorder.ts';
import { foldName } from '../reconcile/names.ts';
import { listingNow, type ReconcileInput } from '../reconcile/input.ts';
import { otherSide, type Side } from '../reconcile/options.ts';
import { allSteps, type Plan, type Reason, type Step, type TreeStep } from '../reconcile/plan.ts';

export interface Action {
  op: 'create' | 'replace' | 'delete' | 'rename' | 'metadata';
  /** The side that changes. */
  side: Side;
  path: RelPath;
  /** Renames: the new path. */
  to?: RelPath;
  kind: Kind;
  /** Content bytes that the action brings. */
  bytes: number;
  reason: Reason;
}

/** The actions of a plan, in order. */
export function* actionsOf(plan: Plan, view: ReconcileInput): Generator<Action> {
  for (const step of allSteps(plan)) yield* actionsOfStep(step, view);
  for (const { side, path, restores } of plan.directoryTimes) {
    if (!restores) yield { op: 'metadata', side, path, kind: 'dir', bytes: 0, reason: 'metadata' };
  }
}

/** How many actions a plan has, and the bytes they bring to each side: without making one for each file of a new tree. */
export function weightOf(plan: Plan, view: ReconcileInput): { actions: number; bytes: Record<Side, number> } {
  const weight = { actions: 0, bytes: { a: 0, b: 0 } };
  for (const step of allSteps(plan)) {
    if (step.op !== 'tree') {
      weight.actions += 1;
      weight.bytes[step.side] += actionOfStep(step).bytes;
      continue;
    }
    for (const { listing } of unitsOf(step, view)) {
      weight.actions += 1;
      for (let i = 0; i < listing.size; i += 1) {
        if (listing.kind(i) === 'dir') continue;
        weight.actions += 1;
        weight.bytes[step.side] += listing.sizeOf(i);
      }
    }
  }
  for (const { restores } of plan.directoryTimes) if (!restores) weight.actions += 1;
  return weight;
}

export function* actionsOfStep(step: Step, view: ReconcileInput): Generator<Action> {
  if (step.op !== 'tree') {
    yield actionOfStep(step);
    return;
  }
  for (const unit of unitsOf(step, view)) yield* actionsOfUnit(step, unit.path, unit.listing);
}

function* actionsOfUnit(step: TreeStep, dir: RelPath, listing: Listing): Generator<Action> {
  const { side, reason } = step;
  yield { op: 'create', side, path: dir, kind: 'dir', bytes: 0, reason };
  for (const [name, entry] of listing.entries()) {
    if (entry.kind !== 'dir') yield createAction(step, joinPath(dir, name), entry);
  }
}

export function createAction(step: Pick<TreeStep, 'side' | 'reason'>, path: RelPath, entry: Entry): Action {
  return { op: 'create', side: step.side, path, kind: entry.kind, bytes: entry.size, reason: step.reason };
}

export function actionOfStep(step: Exclude<Step, TreeStep>): Action {
  const { side, path, reason } = step;
  switch (step.op) {
    case 'mkdir':
      return { op: 'create', side, path, kind: 'dir', bytes: 0, reason };
    case 'put':
    case 'link': {
      const op = step.expect === undefined ? 'create' : 'replace';
      return { op, side, path, kind: step.source.kind, bytes: step.source.size, reason };
    }
    case 'meta':
      return { op: 'metadata', side, path, kind: step.expect.kind, bytes: 0, reason };
    case 'remove':
      return { op: 'delete', side, path, kind: step.expect.kind, bytes: 0, reason };
    case 'move':
      return { op: 'rename', side, path, to: step.to, kind: step.expect.kind, bytes: 0, reason };
  }
}

/** One directory of a tree step: what of it is copied, and what had to be left out. */
export interface TreeUnit {
  path: RelPath;
  source: Entry;
  /** Files, links and sub-directories that are copied. */
  listing: Listing;
  left: { path: RelPath; why: 'special' | 'unreadable' | 'name-clash' }[];
}

/** The directories of a tree step, parents first. */
export function unitsOf(step: TreeStep, view: ReconcileInput): Generator<TreeUnit> {
  const from = otherSide(step.side);
  return preorder(unitAt(step.path, step.source, from, view), (unit) => unitsIn(unit, from, view));
}

function* unitsIn({ path, listing }: TreeUnit, from: Side, view: ReconcileInput): Generator<TreeUnit> {
  for (const name of listing.directories()) {
    const entry = listing.get(name);
    if (entry !== undefined) yield unitAt(joinPath(path, name), entry, from, view);
  }
}

function unitAt(path: RelPath, source: Entry, from: Side, view: ReconcileInput): TreeUnit {
  const known = listingNow(view, from, path);
  // Decoded names are kept by a listing; those of a whole tree would weigh more than the tree.
  const whole = known === undefined ? undefined : new Listing(known.bytes);
  const unit: TreeUnit = { path, source, listing: whole ?? Listing.empty, left: [] };
  if (whole === undefined) unit.left.push({ path, why: 'unreadable' });
  else if (view[from].unreadable.size > 0 || needsFilter(whole, view)) filterUnit(unit, whole, from, view);
  return unit;
}

function needsFilter(listing: Listing, view: ReconcileInput): boolean {
  if (view.a.foldsNames || view.b.foldsNames || view.options.scope.length > 0) return true;
  for (let i = 0; i < listing.size; i += 1) if (isUnknown(listing.kind(i))) return true;
  return false;
}

function filterUnit(unit: TreeUnit, whole: Listing, from: Side, view: ReconcileInput): void {
  const target = view[otherSide(from)];
  const { scope } = view.options;
  const taken = new Set<string>();
  const kept: [string, Entry][] = [];
  for (const [name, entry] of whole.entries()) {
    const path = joinPath(unit.path, name);
    const folded = target.foldsNames ? foldName(name) : name;
    if (scope.length > 0 && !scope.some((limit) => isWithin(path, limit) || isWithin(limit, path))) continue;
    if (entry.kind === 'special' || entry.kind === 'unreadable') unit.left.push({ path, why: entry.kind });
    else if (entry.kind === 'ignored') continue;
    else if (view[from].unreadable.has(path)) unit.left.push({ path, why: 'unreadable' });
    else if (taken.has(folded)) unit.left.push({ path, why: 'name-clash' });
    else kept.push([name, entry]);
    taken.add(folded);
  }
  unit.listing = Listing.from(kept);
}
