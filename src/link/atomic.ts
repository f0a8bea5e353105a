/**
 * Directories that are taken as one thing, `.git` above all (feature A18): their steps are staged whole, and then named in
 * an order in which every moment is a valid state of the directory.
 */
import type { ApplyStep } from '../replica/replica.ts';
import { IgnoreMatcher } from '../tree/ignore/matcher.ts';
import { noRules } from '../tree/ignore/rules.ts';
import { ancestorsOf, baseName, type RelPath } from '../tree/path.ts';
import type { Side } from '../reconcile/options.ts';

/** Tells whether a directory is atomic by patterns of the grammar of ignore rules. */
export function atomicMatcher(patterns: readonly string[]): (path: RelPath) => boolean {
  if (patterns.length === 0) return () => false;
  const matcher = new IgnoreMatcher({ ...noRules, patterns });
  return (path) => matcher.ignores(path, true);
}

interface Item<Task> {
  side: Side;
  task: Task & { step: ApplyStep };
}

export interface AtomicGroup<Task> {
  side: Side;
  path: RelPath;
  items: Item<Task>[];
}

/** Steps by phase; what belongs to no atomic directory stays in them. */
export interface Phases<Task> {
  clear: Item<Task>[];
  content: Item<Task>[];
  removals: Item<Task>[];
}

/**
 * Sorts steps into groups by the atomic directory that they lie in. One that is replaced as a whole is a group with what
 * replaces it, so that it stands until all of that is staged; one that is new needs no group.
 */
export function groupAtomic<Task>(
  phases: Phases<Task>,
  isAtomic: (path: RelPath) => boolean,
): { grouped: AtomicGroup<Task>[]; rest: Phases<Task> } {
  const groups = new Map<string, AtomicGroup<Task>>();
  const known = new Map<RelPath, boolean>();
  const isKnownAtomic = (dir: RelPath): boolean => {
    let atomic = known.get(dir);
    if (atomic === undefined) known.set(dir, (atomic = dir !== '' && isAtomic(dir)));
    return atomic;
  };
  const replaced = new Set<string>();
  for (const { side, task } of phases.clear) {
    const { step } = task;
    if (step.op === 'remove' && step.expect.kind === 'dir' && isKnownAtomic(step.path)) replaced.add(side + step.path);
  }
  const take = (items: readonly Item<Task>[]): Item<Task>[] =>
    items.filter((item) => {
      const { side } = item;
      const { path } = item.task.step;
      const atomic = ancestorsOf(path).find(isKnownAtomic) ?? (replaced.has(side + path) ? path : undefined);
      if (atomic === undefined) return true;
      const group = groups.get(side + atomic) ?? { side, path: atomic, items: [] };
      group.items.push(item);
      groups.set(side + atomic, group);
      return false;
    });
  const clear = take(phases.clear);
  const clearing = new Set<unknown>([...groups.values()].flatMap(({ items }) => items));
  const rest = { clear, content: take(phases.content), removals: take(phases.removals) };
  const rankOf = (item: Item<Task>): number => (clearing.has(item) ? -1 : rank(item.task.step));
  const grouped = [...groups.values()];
  // What makes room comes first, in its own order: children before parents.
  for (const group of grouped) group.items.sort((x, y) => rankOf(x) - rankOf(y));
  return { grouped, rest };
}

/**
 * What nothing points to yet comes first, what points to it later, what is not pointed to any more last. For git: objects
 * before refs, refs before HEAD and index; for anything else: new things before changed ones before removals.
 */
function rank(step: ApplyStep): number {
  if (step.op === 'remove') return 9;
  if (step.op === 'mkdir' || step.op === 'unit') return 0;
  if (/(^|\/)objects\//.test(step.path)) return 1;
  const isPointer = ['HEAD', 'index', 'ORIG_HEAD', 'FETCH_HEAD'].includes(baseName(step.path));
  if (isPointer) return 7;
  if (/(^|\/)(refs\/|packed-refs$)/.test(step.path)) return 5;
  return step.op === 'put' && step.expect === undefined ? 2 : 3;
}
