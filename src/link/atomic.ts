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

/** Sorts steps into groups by the atomic directory that they lie in; whole new directories need no group. */
export function groupAtomic<Task>(
  content: readonly Item<Task>[],
  removals: readonly Item<Task>[],
  isAtomic: (path: RelPath) => boolean,
): { grouped: AtomicGroup<Task>[]; rest: Item<Task>[] } {
  const groups = new Map<string, AtomicGroup<Task>>();
  const rest: Item<Task>[] = [];
  const known = new Map<RelPath, boolean>();
  const atomicAbove = (path: RelPath): RelPath | undefined =>
    ancestorsOf(path).find((dir) => {
      let atomic = known.get(dir);
      if (atomic === undefined) known.set(dir, (atomic = dir !== '' && isAtomic(dir)));
      return atomic;
    });
  for (const [items, leaveRest] of [[content, true] as const, [removals, false] as const]) {
    for (const item of items) {
      const path = atomicAbove(item.task.step.path);
      if (path === undefined) {
        if (leaveRest) rest.push(item);
        continue;
      }
      const key = `${item.side}${path}`;
      const group = groups.get(key) ?? { side: item.side, path, items: [] };
      group.items.push(item);
      groups.set(key, group);
    }
  }
  const grouped = [...groups.values()];
  for (const group of grouped) group.items.sort((x, y) => rank(x.task.step) - rank(y.task.step));
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
