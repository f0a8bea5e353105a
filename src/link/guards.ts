/** Guards that look at the plan (DESIGN §7): all or nothing, before anything is written. */
import { GuardError } from '../base/errors.ts';
import { formatBytes, plural } from '../base/format.ts';
import type { ReconcileInput } from '../reconcile/input.ts';
import { listingNow } from '../reconcile/input.ts';
import { otherSide, type Side } from '../reconcile/options.ts';
import type { Plan, RemoveStep } from '../reconcile/plan.ts';
import type { ScanResult } from '../replica/replica.ts';
import { ancestorsOf, type RelPath } from '../tree/path.ts';
import { nothingDeleted } from './meeting.ts';
import type { LinkOptions, MaxDelete } from './options.ts';

/** What the guards look at, besides the plan. */
export interface GuardView {
  roots: Record<Side, string>;
  input: ReconcileInput;
  scans: Record<Side, ScanResult>;
  /** Entries that the baseline records for each side. */
  recorded: (side: Side) => number;
  /** Bytes of content that the plan brings to each side. */
  incoming: Record<Side, number>;
  freeBytes: Record<Side, number>;
  /** Deletions just before that belong to these: what is deleted bit by bit, in live mode, is deleted all the same. */
  deletedBefore: Record<Side, number>;
  /** Of `--clean-out-first`: what it takes away beside the plan, and what of the source could not be read. */
  cleanOut: { side: Side; lost: readonly { path: RelPath }[]; unread: RelPath | undefined } | undefined;
}

/** By default this many deletions pass unasked, whatever their share. */
const smallNumber = 25;
/** A root with fewer recorded entries may become empty without anybody thinking of a lost mount. */
const emptiedFrom = 4;

export function checkPlan(plan: Plan, view: GuardView, options: LinkOptions): void {
  checkMounts(view, options);
  checkUnread(view);
  checkDeletions(plan, view, options);
  checkSpace(view);
}

function checkMounts(view: GuardView, options: LinkOptions): void {
  for (const side of ['a', 'b'] as const) {
    const [gone] = view.scans[side].mountsGone;
    if (gone === undefined) continue;
    throw new GuardError('mount-gone', `${view.roots[side]}: ${gone} was a mounted file system and is not any more`, {
      path: gone,
      hint: `Mount it again. If it is gone for good, add --rebaseline: ${nothingDeleted(options, 'that run')}.`,
      option: '--rebaseline',
    });
  }
}

/** What could not be read may well be there: what stands for it on the other side would go with the rest. */
function checkUnread({ cleanOut, roots }: GuardView): void {
  if (cleanOut?.unread === undefined) return;
  const [source, target] = [roots[otherSide(cleanOut.side)], roots[cleanOut.side]];
  throw new GuardError(
    'root-unreadable',
    `${source}: ${cleanOut.unread} cannot be read, and ${target} would be emptied`,
    {
      path: cleanOut.unread,
      hint: 'Nothing was changed. Check its permissions; or leave it out with --exclude, and it goes over there as well.',
    },
  );
}

function checkDeletions(plan: Plan, view: GuardView, options: LinkOptions): void {
  if (options.maxDelete.kind === 'off') return;
  for (const side of ['a', 'b'] as const) {
    const cleared = view.cleanOut?.side === side ? view.cleanOut.lost : [];
    const removals: readonly { path: RelPath }[] = [...deletionsOf(plan, side), ...cleared];
    if (removals.length === 0) continue;
    const from = otherSide(side);
    const proceed = 'If that is right, run again with --max-delete off';
    const nothing = view.deletedBefore[side] > 0 ? 'The rest was not touched.' : 'Nothing was changed.';
    const before = view.deletedBefore[side];
    const total = view.recorded(side) + before;
    const count = removals.length + before;
    if (view.scans[from].entries === 0 && view.recorded(from) >= emptiedFrom) {
      throw new GuardError(
        'root-emptied',
        `${view.roots[from]} is empty; it held ${plural(view.recorded(from), 'entry', 'entries')} at the last run`,
        {
          path: view.roots[from],
          hint: `${nothing} Is a disk not mounted? ${proceed}.`,
          option: '--max-delete off',
        },
      );
    }
    const emptied = emptiedTopLevel(removals, view.input, from);
    // Whoever empties a side means to: without a limit of their own, only what a lost source looks like stops them.
    const isMeant = cleared.length > 0 && options.maxDelete.kind === 'default' && view.scans[from].entries > 0;
    const limit = isMeant ? Infinity : limitOf(options.maxDelete, total);
    if (emptied === undefined && count <= limit) continue;
    // What looks like a lost mount is not let through by a number that may stand in a script.
    const orSoMany = emptied === undefined ? ` (or --max-delete ${count})` : '';
    const what = emptied === undefined ? '' : ` (all of ${emptied}/ is gone on the other side)`;
    throw new GuardError(
      'too-many-deletions',
      `${plural(count, 'deletion')} of ${total.toLocaleString('en-US')} would be carried to ${view.roots[side]}${what}`,
      {
        path: view.roots[side],
        hint: `${nothing} Look with --dry-run. ${proceed}${orSoMany}.`,
        option: `--max-delete ${emptied === undefined ? count : 'off'}`,
      },
    );
  }
}

/** What makes way for a whole directory of the other side is replaced, not deleted: an atomic one (A18) above all. */
function deletionsOf(plan: Plan, side: Side): RemoveStep[] {
  const trees = new Set(
    plan.content.filter((step) => step.op === 'tree' && step.side === side).map(({ path }) => path),
  );
  const isReplaced = (path: RelPath): boolean => [...ancestorsOf(path), path].some((at) => trees.has(at));
  const cleared = plan.clear.filter(({ path }) => trees.size === 0 || !isReplaced(path));
  return [...plan.removals, ...cleared].filter((step) => step.side === side);
}

/** How many deletions pass. */
function limitOf(maxDelete: MaxDelete, total: number): number {
  switch (maxDelete.kind) {
    case 'default':
      return Math.max(smallNumber - 1, Math.floor(total / 2));
    case 'count':
      return maxDelete.count;
    case 'percent':
      return Math.floor((total * maxDelete.percent) / 100);
    case 'off':
      return Infinity;
  }
}

/** A top-level directory that still stands but is empty now, as a nested mount point whose disk is gone does. */
function emptiedTopLevel(removals: readonly { path: string }[], input: ReconcileInput, from: Side): string | undefined {
  const perTop = new Map<string, number>();
  for (const { path } of removals) {
    const slash = path.indexOf('/');
    if (slash > 0) perTop.set(path.slice(0, slash), (perTop.get(path.slice(0, slash)) ?? 0) + 1);
  }
  for (const [top, count] of perTop) {
    if (count < smallNumber) continue;
    const there = listingNow(input, from, '')?.get(top);
    if (there?.kind === 'dir' && listingNow(input, from, top)?.size === 0) return top;
  }
  return undefined;
}

function checkSpace(view: GuardView): void {
  for (const side of ['a', 'b'] as const) {
    const [need, free] = [view.incoming[side], view.freeBytes[side]];
    if (free === 0 || need <= free) continue;
    throw new GuardError(
      'no-space',
      `${view.roots[side]} has ${formatBytes(free)} free; ${formatBytes(need)} would be written`,
      {
        path: view.roots[side],
        hint: 'Nothing was changed. Make room (old versions are in .lockstep/history) and run again.',
      },
    );
  }
}
