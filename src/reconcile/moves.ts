/**
 * Finding renames (DESIGN §6.6): what vanished under one name and appeared under another, told by inode, or by content.
 *
 * A rename that is found is planned as a rename on the other side and then *taken as done*: baseline and the other side
 * are given to the merge as they will be after it, so that edits on top need no special case.
 *
 * A rename is only taken where the other side still has the old name as agreed and nothing under the new one. Anything
 * less clear is left to the ordinary rules, which copy and delete: slower, never wrong.
 */
import { isRacy, isUnknown, sameFingerprint, type Entry } from '../tree/entry.ts';
import { Listing, NameCursor } from '../tree/listing.ts';
import { ancestorsOf, baseName, isWithin, joinPath, parentPath, rebasePath, type RelPath } from '../tree/path.ts';
import { preorder } from '../tree/preorder.ts';
import type { Tree } from '../tree/tree.ts';
import type { ContentQuestions } from './content.ts';
import { entryNow, listingNow, subtreeNow, type ReconcileInput } from './input.ts';
import { otherSide, type Mode, type Side } from './options.ts';
import type { MoveStep, PrepareStep } from './plan.ts';

export interface PlannedMoves {
  /** The input as it will be once the moves are done. */
  input: ReconcileInput;
  prepare: PrepareStep[];
  moves: MoveStep[];
  /** Renames that both sides show already: only the record has yet to follow. */
  settled: { from: RelPath; to: RelPath }[];
}

/** Content is compared to find a rename without an inode only from this size on; smaller files are as soon copied. */
const minBytesForContentMatch = 64 * 1024;
/** So many candidates of one size are not worth hashing. */
const maxCandidatesPerSize = 3;

/** The sides whose renames are carried to the other. Push never takes a name away from the far side. */
function renamingSides(mode: Mode): readonly Side[] {
  switch (mode) {
    case 'two-way':
      return ['a', 'b'];
    case 'mirror':
      return ['a'];
    case 'pull-mirror':
      return ['b'];
    case 'push':
    case 'pull':
    case 'additive':
      return [];
  }
}

export function planMoves(input: ReconcileInput, questions: ContentQuestions): PlannedMoves {
  const planned: PlannedMoves = { input, prepare: [], moves: [], settled: [] };
  const { mode, skipDeletion } = input.options;
  const finders = renamingSides(mode)
    .filter((side) => !skipDeletion.includes(otherSide(side)))
    .map((side) => new MoveFinder(planned, side, questions));
  // A file goes where its directory is by then, whichever side renamed which.
  for (const finder of finders) finder.findDirectories();
  for (const finder of finders) finder.findFiles();
  return planned;
}

interface Known {
  path: RelPath;
  entry: Entry;
}

/** Finds the renames that one side made, and adds them to the plan. */
class MoveFinder {
  readonly #planned: PlannedMoves;
  readonly #side: Side;
  readonly #target: Side;
  readonly #questions: ContentQuestions;
  #owned = false;

  constructor(planned: PlannedMoves, side: Side, questions: ContentQuestions) {
    this.#planned = planned;
    this.#side = side;
    this.#target = otherSide(side);
    this.#questions = questions;
  }

  get #input(): ReconcileInput {
    return this.#planned.input;
  }

  findDirectories(): void {
    // Each round may uncover renames inside what was just renamed; names form a tree, so a few rounds do.
    for (let round = 0; round < 8; round += 1) {
      const gone = new Map<bigint, Known>();
      for (const known of this.#gone()) if (known.entry.kind === 'dir') gone.set(known.entry.ino, known);
      if (gone.size === 0) return;
      const appeared = this.#appeared('dir').sort((x, y) => depth(x.path) - depth(y.path));
      let found = false;
      for (const { path, entry } of appeared) {
        const from = gone.get(entry.ino)?.path;
        if (from === undefined) continue;
        if (this.#isDoneOnBothSides(from, path)) this.#acceptDone(from, path);
        else if (this.#mayMoveDirectory(from, path)) this.#accept([{ from, to: path }]);
        else continue;
        gone.delete(entry.ino);
        found = true;
      }
      if (!found) return;
    }
  }

  findFiles(): void {
    const byInode = new Map<bigint, Known>();
    const bySize = new Map<number, Known[]>();
    for (const known of this.#gone()) {
      if (known.entry.kind !== 'file') continue;
      byInode.set(known.entry.ino, known);
      bySize.set(known.entry.size, [...(bySize.get(known.entry.size) ?? []), known]);
    }
    if (byInode.size === 0) return;
    let candidates: { from: RelPath; to: RelPath }[] = [];
    const used = new Set<RelPath>();
    for (const { path, entry } of this.#appeared('file')) {
      const match = this.#matchFile(path, entry, byInode, bySize, used);
      if (match === undefined) continue;
      used.add(match);
      candidates.push({ from: match, to: path });
    }
    // A name still taken on the other side is free only if its holder moves away too (chains and rings).
    for (let before = -1; before !== candidates.length;) {
      before = candidates.length;
      const leaving = new Set(candidates.map(({ from }) => from));
      candidates = candidates.filter(({ to }) => this.#now(this.#target, to) === undefined || leaving.has(to));
    }
    if (candidates.length > 0) this.#accept(candidates);
  }

  #matchFile(
    path: RelPath,
    entry: Entry,
    byInode: ReadonlyMap<bigint, Known>,
    bySize: ReadonlyMap<number, readonly Known[]>,
    used: ReadonlySet<RelPath>,
  ): RelPath | undefined {
    const sameInode = byInode.get(entry.ino);
    const isSame = sameInode?.entry.size === entry.size && sameInode.entry.mtimeNs === entry.mtimeNs;
    const sameSize = entry.size >= minBytesForContentMatch ? (bySize.get(entry.size) ?? []) : [];
    const candidates = isSame ? [sameInode] : sameSize.length <= maxCandidatesPerSize ? sameSize : [];
    for (const { path: from } of candidates) {
      if (used.has(from) || from === path || !this.#mayMoveFile(from, path)) continue;
      const there = this.#now(this.#target, from);
      if (there === undefined) continue;
      // Inodes are reused at once and mtimes come out of archives: only equal content makes it a rename.
      if (this.#questions.sameContent(this.#side, path, entry, from, there) === 'same') return from;
    }
    return undefined;
  }

  /** Everything recorded on this side that is no longer what stands under its name, with all that was below it. */
  *#gone(): Generator<Known> {
    const base = this.#input.base[this.#side];
    for (const [dir, listing] of this.#input[this.#side].changed.listings()) {
      const recorded = base.listing(dir);
      if (recorded === undefined) continue;
      recorded.shareNames(listing);
      const present = new NameCursor(listing);
      for (const [index, name] of recorded.names.entries()) {
        const now = present.indexOf(name);
        if (now >= 0 && (isUnknown(listing.kind(now)) || recorded.sameInode(index, listing, now))) continue;
        yield* withContents({ path: joinPath(dir, name), entry: recorded.entry(index) }, base);
      }
    }
  }

  /** Everything of a kind on this side that is not what was recorded under its name. */
  #appeared(kind: 'file' | 'dir'): Known[] {
    const base = this.#input.base[this.#side];
    const found: Known[] = [];
    for (const [dir, listing] of this.#input[this.#side].changed.listings()) {
      const recorded = base.listing(dir) ?? Listing.empty;
      recorded.shareNames(listing);
      const before = new NameCursor(recorded);
      for (const [index, name] of listing.names.entries()) {
        if (listing.kind(index) !== kind) continue;
        const known = before.indexOf(name);
        if (known >= 0 && listing.sameInode(index, recorded, known)) continue;
        found.push({ path: joinPath(dir, name), entry: listing.entry(index) });
      }
    }
    return found;
  }

  /**
   * A run that was killed between a rename and its record leaves both sides renamed, and so do two users with one idea.
   * Without the record following, everything inside would meet for the first time, and what was deleted come back.
   */
  #isDoneOnBothSides(from: RelPath, to: RelPath): boolean {
    const recorded = this.#input.base[this.#target].get(from);
    const there = this.#now(this.#target, to);
    if (recorded?.kind !== 'dir' || there?.kind !== 'dir' || there.ino !== recorded.ino) return false;
    if (this.#now(this.#target, from) !== undefined || !this.#inScope(from, to)) return false;
    return this.#sharesChildren(from, to, this.#side) && this.#sharesChildren(from, to, this.#target);
  }

  #acceptDone(from: RelPath, to: RelPath): void {
    this.#ownInput();
    const { base } = this.#input;
    for (const tree of [base.a, base.b]) {
      const recorded = tree.get(from);
      tree.moveSubtree(from, to);
      tree.patch(parentPath(from), new Map([[baseName(from), undefined]]));
      if (recorded !== undefined) setKeepingSubtree(tree, to, recorded);
    }
    this.#carryRecordedDigests([{ from, to }]);
    this.#planned.settled.push({ from, to });
  }

  #mayMoveDirectory(from: RelPath, to: RelPath): boolean {
    const target = this.#input[this.#target];
    if (isWithin(to, from) || isWithin(from, to) || !this.#inScope(from, to)) return false;
    if (this.#isInsideAtomic(from) || this.#isInsideAtomic(to)) return false;
    const recorded = this.#input.base[this.#target].get(from);
    const there = this.#now(this.#target, from);
    // Another directory under the old name is not the one that was agreed on, and not the one that was renamed.
    if (recorded?.kind !== 'dir' || there?.kind !== 'dir' || there.ino !== recorded.ino) return false;
    if (this.#now(this.#target, to) !== undefined) return false;
    // Renaming would carry along what Lockstep must not touch.
    for (const dir of [...target.ignoredIn, ...target.unreadable]) if (isWithin(dir, from)) return false;
    return this.#parentsAllow(to) && this.#sharesChildren(from, to);
  }

  #mayMoveFile(from: RelPath, to: RelPath): boolean {
    const recorded = this.#input.base[this.#target].get(from);
    const now = this.#now(this.#target, from);
    if (recorded === undefined || now === undefined || !this.#inScope(from, to)) return false;
    if (this.#isInsideAtomic(from) || this.#isInsideAtomic(to)) return false;
    return sameFingerprint(recorded, now) && !isRacy(recorded) && this.#parentsAllow(to);
  }

  /** An inode alone proves little (they are reused at once): the new directory must hold some of the old one's children. */
  #sharesChildren(from: RelPath, to: RelPath, side = this.#side): boolean {
    const before = this.#input.base[side].listing(from) ?? Listing.empty;
    const after = this.#input[side].changed.listing(to) ?? Listing.empty;
    if (before.size === 0) return after.size === 0;
    for (const [name, entry] of after.entries()) if (before.get(name)?.ino === entry.ino) return true;
    return false;
  }

  /**
   * Every directory above the new name is one on the target, or was never there and can be made. One that the target has
   * deleted or renamed is its own change: made anew, it would hide that change, and bring back what was deleted with it.
   */
  #parentsAllow(to: RelPath): boolean {
    return ancestorsOf(to).every((dir) => {
      if (dir === '') return true;
      const there = this.#now(this.#target, dir);
      if (there !== undefined) return there.kind === 'dir';
      return this.#input.base[this.#target].get(dir) === undefined && this.#now(this.#side, dir)?.kind === 'dir';
    });
  }

  /** What happens in an atomic directory happens at once, and renames come first: they would be seen on their own. */
  #isInsideAtomic(path: RelPath): boolean {
    return ancestorsOf(path).some((dir) => dir !== '' && this.#input.options.isAtomic(dir));
  }

  #inScope(...paths: RelPath[]): boolean {
    const { scope } = this.#input.options;
    return scope.length === 0 || paths.every((path) => scope.some((limit) => isWithin(path, limit)));
  }

  #now(side: Side, path: RelPath): Entry | undefined {
    return entryNow(this.#input, side, path);
  }

  /** Plans the moves and makes baseline and target look as if they were done. */
  #accept(moves: readonly { from: RelPath; to: RelPath }[]): void {
    this.#ownInput();
    const { base } = this.#input;
    const changed = this.#input[this.#target].changed;
    for (const { to } of moves) this.#prepareParents(to);
    const carried = moves.map(({ from, to }) => ({
      from,
      to,
      entry: this.#now(this.#target, from),
      base: { a: base.a.get(from), b: base.b.get(from) },
    }));
    for (const { from, to } of moves) {
      for (const dir of [parentPath(from), parentPath(to)]) {
        if (changed.listing(dir) === undefined) {
          changed.setListing(dir, listingNow(this.#input, this.#target, dir) ?? Listing.empty);
        }
      }
    }
    for (const { from, to } of moves) {
      // What differs from its record may lie deep inside what does not.
      changed.moveListings(subtreeNow(this.#input, this.#target, from), from, to);
      for (const tree of [base.a, base.b]) tree.moveSubtree(from, to);
    }
    for (const tree of [changed, base.a, base.b]) {
      for (const { from } of moves) tree.patch(parentPath(from), new Map([[baseName(from), undefined]]));
    }
    this.#carryRecordedDigests(moves);
    for (const { from, to, entry, base: recorded } of carried) {
      if (entry === undefined) continue;
      if (entry.kind === 'file') this.#carryDigest(to);
      setKeepingSubtree(changed, to, entry);
      if (recorded.a !== undefined) setKeepingSubtree(base.a, to, recorded.a);
      if (recorded.b !== undefined) setKeepingSubtree(base.b, to, recorded.b);
      this.#planned.moves.push({ op: 'move', side: this.#target, path: from, to, expect: entry, reason: 'renamed' });
    }
  }

  /** A digest on record belongs to the file, not to its name. */
  #carryRecordedDigests(moves: readonly { from: RelPath; to: RelPath }[]): void {
    const { base } = this.#input;
    if (base.digests.size === 0) return;
    const digests = new Map(base.digests);
    const carried = [...base.digests].flatMap(([path, digest]) => {
      const move = moves.find(({ from }) => isWithin(path, from));
      if (move === undefined) return [];
      digests.delete(path);
      return [[rebasePath(path, move.from, move.to), digest] as const];
    });
    for (const [path, digest] of carried) digests.set(path, digest);
    this.#planned.input = { ...this.#input, base: { ...base, digests } };
    this.#questions.input = this.#planned.input;
  }

  /** The two files were just found equal: the merge must not ask the target for a name that it does not have yet. */
  #carryDigest(to: RelPath): void {
    const digest = this.#input[this.#side].digests.get(to);
    if (digest === undefined) return;
    const target = this.#input[this.#target];
    const digests = new Map(target.digests).set(to, digest);
    this.#planned.input = { ...this.#input, [this.#target]: { ...target, digests } };
    this.#questions.input = this.#planned.input;
  }

  #prepareParents(to: RelPath): void {
    const changed = this.#input[this.#target].changed;
    for (const dir of ancestorsOf(to)) {
      if (dir === '' || this.#now(this.#target, dir) !== undefined) continue;
      const source = this.#now(this.#side, dir);
      if (source === undefined) continue;
      const after = this.#planned.moves.length;
      this.#planned.prepare.push({ op: 'mkdir', side: this.#target, path: dir, source, reason: 'created', after });
      const parent = parentPath(dir);
      if (changed.listing(parent) === undefined) {
        changed.setListing(parent, listingNow(this.#input, this.#target, parent) ?? Listing.empty);
      }
      setKeepingSubtree(changed, dir, { ...source, ino: 0n, flags: 0 });
      changed.setListing(dir, Listing.empty);
    }
  }

  /** The trees are shared with the caller until the first change. */
  #ownInput(): void {
    if (this.#owned) return;
    this.#owned = true;
    const { base, a, b } = this.#input;
    this.#planned.input = {
      ...this.#input,
      base: { ...base, a: base.a.clone(), b: base.b.clone() },
      a: { ...a, changed: a.changed.clone() },
      b: { ...b, changed: b.changed.clone() },
    };
  }
}

/** Where a path is on a side before the moves are carried out. */
export function pathBeforeMoves(moves: readonly MoveStep[], side: Side, path: RelPath): RelPath {
  let at = path;
  let fileFound = false;
  for (const move of [...moves].reverse()) {
    if (move.side !== side || !isWithin(at, move.to)) continue;
    // Files move all at once (they may form rings), after the directories, which move one after the other.
    if (move.expect.kind !== 'dir' && fileFound) continue;
    fileFound ||= move.expect.kind !== 'dir';
    at = rebasePath(at, move.to, move.path);
  }
  return at;
}

/** Something recorded and all that was recorded below it. */
function withContents(top: Known, base: Tree): Generator<Known> {
  return preorder(top, ({ path, entry: { kind } }) => {
    const listing = kind === 'dir' ? base.listing(path) : undefined;
    return Array.from(listing?.entries() ?? [], ([name, entry]) => ({ path: joinPath(path, name), entry }));
  });
}

/** Sets one entry without dropping the listings below it. */
function setKeepingSubtree(tree: Tree, path: RelPath, entry: Entry): void {
  const dir = parentPath(path);
  const listing = tree.listing(dir) ?? Listing.empty;
  tree.setListing(dir, listing.with(new Map([[baseName(path), entry]])));
}

function depth(path: RelPath): number {
  return ancestorsOf(path).length;
}
