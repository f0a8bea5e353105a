/**
 * Looking at both sides of a live link: at what may have changed, or, where that is not known, at everything.
 *
 * What is not looked at counts as recorded. That may be wrong for a path that could not be settled earlier: those are
 * looked at on both sides (LiveLink), and of a directory that is not on record all is looked at (whole-look.ts). Where it
 * is wrong all the same, `apply` finds another thing than the plan saw, and leaves it alone.
 */
import { append } from '../../base/append.ts';
import { flags, isRacy, isUnknown, sameFingerprint, type Entry } from '../../tree/entry.ts';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { Listing } from '../../tree/listing.ts';
import { isWithin, joinPath, type RelPath } from '../../tree/path.ts';
import { Tree } from '../../tree/tree.ts';
import type { Side } from '../../reconcile/options.ts';
import { explainChanges } from '../../replica/explain-changes.ts';
import type { ScanResult } from '../../replica/replica.ts';
import { watching, type DirtyDirectory, type LookResult } from '../../replica/watching.ts';
import { inputOf, scanBoth, scanSide, type Scans, type ScanTask } from '../scanning.ts';
import { lookWhole } from './whole-look.ts';

const sides = ['a', 'b'] as const;

/** What to do about a side: look at these, or at everything. */
export type SideLook = readonly DirtyDirectory[] | 'everything';

/** The rules in the trees have changed, so that what is in scope must be found out anew. */
export class RulesChanged extends Error {
  override readonly name = 'RulesChanged';
}

/** What looks leave behind for those that follow. */
export class Sight {
  /** Directories that could not be listed. */
  readonly unreadable: Record<Side, Map<RelPath, string>> = { a: new Map(), b: new Map() };
  readonly #ignoredIn: Record<Side, Set<RelPath>> = { a: new Set(), b: new Set() };
  #ignoreFiles: Record<Side, ScanResult['ignoreFiles']> = { a: [], b: [] };
  /** Paths asked for in the look at hand, by side. */
  looked: Record<Side, number> = { a: 0, b: 0 };
  /** Files that were seen in the tick in which they were written: a later edit could look the same. */
  racy: Record<Side, { dir: RelPath; name: string }[]> = { a: [], b: [] };

  /** Both sides, wholly. */
  async everything(task: ScanTask): Promise<Scans> {
    const scans = await scanBoth(task);
    for (const side of sides) this.#keep(side, scans.results[side]);
    return scans;
  }

  /** @throws RulesChanged */
  async some(task: ScanTask, looks: Record<Side, SideLook>): Promise<Scans> {
    this.racy = { a: [], b: [] };
    const look = async (side: Side): Promise<ScanResult> => {
      const asked = looks[side];
      if (asked === 'everything') return this.#scan(side, task);
      return asked.length === 0 ? this.#asRecorded(side, task) : this.#look(side, asked, task);
    };
    const [a, b] = await Promise.all([look('a'), look('b')]);
    const results = { a, b };
    return { results, input: inputOf(results, task) };
  }

  /** A full scan of one side: of a replica that cannot watch. */
  async #scan(side: Side, task: ScanTask): Promise<ScanResult> {
    const result = await scanSide(side, task, this.#ignoreFiles[side]);
    const known = new Map(this.#ignoreFiles[side].map(({ dir, name, text }) => [joinPath(dir, name), text]));
    const isSame = ({ dir, name, text }: { dir: RelPath; name: string; text: string }): boolean =>
      known.get(joinPath(dir, name)) === text;
    if (result.ignoreFiles.length !== known.size || !result.ignoreFiles.every(isSame)) throw new RulesChanged();
    this.#keep(side, result);
    return result;
  }

  #keep(side: Side, result: ScanResult): void {
    this.unreadable[side].clear();
    for (const { path, reason } of result.unreadable) this.unreadable[side].set(path, reason);
    this.#ignoredIn[side].clear();
    for (const dir of result.ignoredIn) this.#ignoredIn[side].add(dir);
    this.#ignoreFiles[side] = result.ignoreFiles;
    this.looked[side] = result.entries;
    this.racy[side] = [...racyIn(result.changed)];
  }

  #asRecorded(side: Side, task: ScanTask): ScanResult {
    this.looked[side] = 0;
    return this.#result(side, task, new Tree(), 0);
  }

  async #look(side: Side, asked: readonly DirtyDirectory[], task: ScanTask): Promise<ScanResult> {
    const replica = task.replicas[side];
    if (replica === undefined) throw new Error('a look at a root that is not open');
    const recorded = task.baseline[side];
    const found = await lookWhole(watching(replica), asked, recorded, task.signal);
    this.looked[side] = found.looked;
    if (found.rulesChanged) throw new RulesChanged();
    const { tree, added, mountsGone } = assemble(found, recorded, task);
    this.#note(side, found);
    const result = this.#result(side, task, tree, added);
    append(result.mountsGone, mountsGone);
    this.racy[side] = found.patches.flatMap(({ dir, listing }) => [...racyOf(dir, new Listing(listing))]);
    append(this.racy[side], racyIn(found.below));
    return result;
  }

  #note(side: Side, found: LookResult): void {
    const unreadable = this.unreadable[side];
    for (const { dir, names } of found.patches) if (names === undefined) unreadable.delete(dir);
    for (const dir of found.below.directories()) unreadable.delete(dir);
    for (const { dir, names, listing } of found.patches) {
      // What is gone, or is no directory, is unreadable no longer.
      const present = new Listing(listing);
      for (const path of unreadable.size === 0 ? [] : [...unreadable.keys()]) {
        const gone = (names ?? []).some(
          (name) => isWithin(path, joinPath(dir, name)) && present.get(name)?.kind !== 'dir',
        );
        if (gone) unreadable.delete(path);
      }
    }
    for (const { path, reason } of found.unreadable) unreadable.set(path, reason);
    for (const dir of found.ignoredIn) this.#ignoredIn[side].add(dir);
  }

  #result(side: Side, task: ScanTask, changed: Tree, added: number): ScanResult {
    return {
      changed,
      unreadable: Array.from(this.unreadable[side], ([path, reason]) => ({ path, reason })),
      ignoredIn: [...this.#ignoredIn[side]],
      ignoreFiles: [],
      entries: Math.max(0, task.baseline[side].entryCount + added),
      bytes: 0,
      unmatchedPatterns: [],
      mountsGone: [],
    };
  }
}

/** Complete listings of the directories that differ from the record, from what was seen of them. */
function assemble(
  found: LookResult,
  recorded: Tree,
  { options }: ScanTask,
): { tree: Tree; added: number; mountsGone: RelPath[] } {
  const tree = new Tree();
  tree.root = found.root;
  const mountsGone: RelPath[] = [];
  let added = 0;
  const set = (dir: RelPath, listing: Listing): void => {
    const before = recorded.listing(dir);
    if (before?.sameEntries(listing.bytes) === true) return;
    tree.setListing(dir, listing);
    added += listing.size - (before?.size ?? 0);
  };
  for (const { dir, names, listing: bytes } of found.patches) {
    const before = recorded.listing(dir);
    const now = new Listing(bytes);
    if (names === undefined) set(dir, before === undefined ? now : explained(dir, trusting(now, before), before));
    else {
      const changes = new Map<string, Entry | undefined>();
      for (const name of names) {
        const entry = before?.get(name);
        changes.set(name, asRecorded(entry, now.get(name)));
        if (entry !== undefined && isMountGone(entry, changes.get(name))) mountsGone.push(joinPath(dir, name));
      }
      set(dir, (before ?? Listing.empty).with(changes));
    }
  }
  for (const [dir, listing] of found.below.listings()) {
    const before = recorded.listing(dir);
    set(dir, before === undefined ? listing : explained(dir, trusting(listing, before), before));
  }
  return { tree, added, mountsGone };

  function explained(dir: RelPath, now: Listing, before: Listing): Listing {
    return explainChanges(dir, now, before, {
      scope: options.scope,
      matcher: new IgnoreMatcher(options.rules),
      mountsGone,
    });
  }
}

/**
 * What was renamed by us a moment ago has a ctime of this very tick, and is on record as the file that it is: it is not to be
 * doubted. An edit in the same tick would have moved its mtime, too.
 */
function asRecorded(before: Entry | undefined, now: Entry | undefined): Entry | undefined {
  if (before === undefined || now === undefined || isRacy(before) || !isRacy(now)) return now;
  return sameFingerprint(before, now) ? before : now;
}

/** `asRecorded` for a complete listing. */
function trusting(now: Listing, before: Listing): Listing {
  const trusted = new Map<string, Entry>();
  for (const { name } of racyOf('', now)) {
    const [known, entry] = [before.get(name), now.get(name)];
    const recorded = asRecorded(known, entry);
    if (recorded !== undefined && recorded !== entry) trusted.set(name, recorded);
  }
  return trusted.size === 0 ? now : now.with(trusted);
}

function isMountGone(before: Entry, now: Entry | undefined): boolean {
  if ((before.flags & flags.mount) === 0) return false;
  return now === undefined || !(isUnknown(now.kind) || (now.flags & flags.mount) !== 0);
}

function* racyIn(tree: Tree): Generator<{ dir: RelPath; name: string }> {
  for (const [dir, listing] of tree.listings()) yield* racyOf(dir, listing);
}

function* racyOf(dir: RelPath, listing: Listing): Generator<{ dir: RelPath; name: string }> {
  for (const [name, entry] of listing.entries()) if (isRacy(entry)) yield { dir, name };
}
