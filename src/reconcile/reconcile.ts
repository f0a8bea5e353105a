/**
 * The three-way merge (DESIGN §5): from what was agreed and what each side looks like now, to a plan. Pure.
 *
 * The walk visits only directories that differ from the record on some side, so a cycle's work follows the change and not
 * the tree. Where a decision hangs on content that metadata cannot settle, the plan comes back with `needs`: the caller
 * has them hashed and reconciles again with the answers. A plan with needs must not be carried out.
 */
import { append } from '../base/append.ts';
import { flags, isRacy, isUnknown, mtimeUs, sameFingerprint, syncedMode, type Entry } from '../tree/entry.ts';
import { Listing, NameCursor } from '../tree/listing.ts';
import { ancestorsOf, baseName, isWithin, joinPath, parentPath, type RelPath } from '../tree/path.ts';
import { conflictPath } from './conflict-name.ts';
import { ContentQuestions, type Answer } from './content.ts';
import { directoryTimes } from './directory-times.ts';
import { entryNow, listingNow, type Quad, type ReconcileInput } from './input.ts';
import { mergeMetadata } from './metadata.ts';
import { pathBeforeMoves, planMoves, type PlannedMoves } from './moves.ts';
import { clashingNames } from './names.ts';
import { isMirror, otherSide, sides, sourceOf, type ReconcileOptions, type Side } from './options.ts';
import { emptyPlan, type Conflict, type MkdirStep, type MoveStep, type Plan, type Reason } from './plan.ts';
import { newerOf, settle, type Verdict } from './settle.ts';
import { Steps, type Fate } from './steps.ts';
import { beyondIndex, hasMore, newestChange, subtreesDiffer, unionOfNames } from './subtrees.ts';

/**
 * Deciding a directory: yields the walks of directories below and is given their fates. Run by `finish`, so that the depth
 * of a tree (Linux allows any) is not the depth of the stack.
 */
type Walk = Generator<Walk, Fate, Fate>;

/** A path that is a directory on one side and something else on the other. */
interface Kinds {
  quad: Quad;
  dirSide: Side;
  changed: Record<Side, boolean>;
  /** By the times of the two. */
  verdict: Verdict;
}

export interface Reconciled {
  plan: Plan;
  /** The input as it will be once the planned renames are done: what the other steps refer to. */
  view: ReconcileInput;
}

export function reconcile(input: ReconcileInput): Reconciled {
  return new Reconciler(input).run();
}

class Reconciler {
  readonly #plan: Plan = emptyPlan();
  readonly #questions: ContentQuestions;
  readonly #options: ReconcileOptions;
  readonly #source: Side | undefined;
  readonly #moved: PlannedMoves;
  /** As it will be once the renames are done. */
  readonly #input: ReconcileInput;
  readonly #steps: Steps;
  /** Directories to walk, each with those of its sub-directories that must be visited. */
  #visit = new Map<RelPath, Set<string>>();

  constructor(input: ReconcileInput) {
    this.#options = input.options;
    this.#source = sourceOf(input.options.mode);
    this.#questions = new ContentQuestions(input);
    // A rename is planned first and taken as done in base and sides; what differs beyond it is merged on top.
    this.#moved = planMoves(input, this.#questions);
    this.#input = this.#moved.input;
    this.#steps = new Steps(this.#plan, this.#input);
  }

  run(): Reconciled {
    const moved = this.#moved;
    append(this.#plan.prepare, moved.prepare);
    append(this.#plan.moves, moved.moves);
    append(this.#plan.settledMoves, moved.settled);
    for (const step of moved.prepare) this.#steps.touch(step.side, step.path);
    for (const step of moved.moves) {
      this.#steps.touch(step.side, step.path);
      this.#steps.touch(step.side, step.to);
    }
    this.#collectVisits();
    this.#mergeRoot();
    this.#restoreTimesAfter(moved.moves);
    this.#allowForOwnDoing(moved.moves);
    for (const need of this.#questions.needs) {
      this.#plan.needs.push({ ...need, at: pathBeforeMoves(moved.moves, need.side, need.path) });
    }
    return { plan: this.#plan, view: this.#input };
  }

  /**
   * A rename moves a file's ctime, and so does replacing or removing another name of it (a hard link): what is done with
   * it in the same run goes by the rest of what was seen.
   */
  #allowForOwnDoing(moves: readonly MoveStep[]): void {
    const renamed = { a: new Set<RelPath>(), b: new Set<RelPath>() };
    for (const { side, to, expect } of moves) if (expect.kind !== 'dir') renamed[side].add(to);
    const touched = inodesTouched(this.#plan);
    const { moves: all, clear, content, metadata, removals } = this.#plan;
    for (const step of [...all, ...clear, ...content, ...metadata, ...removals]) {
      const own = touched[step.side];
      if ('expect' in step && step.expect !== undefined) {
        const isShared = (own.get(step.expect.ino) ?? 0) > 1;
        const isRenamed = step.op !== 'move' && renamed[step.side].has(step.path);
        if (isShared || isRenamed) step.expect = { ...step.expect, ctimeNs: 0n };
      }
      const other = otherSide(step.side);
      if ('from' in step && (renamed[other].has(step.from) || touched[other].has(step.source.ino))) {
        step.source = { ...step.source, ctimeNs: 0n };
      }
    }
  }

  /**
   * A rename disturbs the times of the directories that it leaves and enters. Where the merge compared the two sides'
   * directories it has seen to that; one that is copied whole, or left in dispute, gets its time back here.
   */
  #restoreTimesAfter(moves: readonly MoveStep[]): void {
    if (moves.length === 0) return;
    const { directoryTimes, clear, removals } = this.#plan;
    const settled = new Set([...directoryTimes, ...clear, ...removals].map(({ side, path }) => `${side}${path}`));
    for (const { side, path, to } of moves) {
      for (const dir of [parentPath(path), parentPath(to)]) {
        const entry = entryNow(this.#input, side, dir);
        if (entry?.kind !== 'dir' || settled.has(`${side}${dir}`)) continue;
        settled.add(`${side}${dir}`);
        this.#steps.restoreTime(side, dir, entry);
      }
    }
  }

  #collectVisits(): void {
    const { a, b } = this.#input;
    const dirs = new Set([
      ...a.changed.directories(),
      ...b.changed.directories(),
      ...this.#steps.touched.a,
      ...this.#steps.touched.b,
    ]);
    for (const dir of dirs) {
      this.#visit.set(dir, this.#visit.get(dir) ?? new Set());
      let child = dir;
      for (const parent of ancestorsOf(dir).reverse()) {
        const children = this.#visit.get(parent) ?? new Set();
        const known = children.has(baseName(child));
        this.#visit.set(parent, children.add(baseName(child)));
        if (known) break;
        child = parent;
      }
    }
  }

  #mergeRoot(): void {
    const { a, b, base } = this.#input;
    const quad: Quad = {
      path: '',
      base: { a: base.a.root, b: base.b.root },
      now: { a: a.changed.root ?? base.a.root, b: b.changed.root ?? base.b.root },
    };
    if (this.#visit.size > 0) finish(this.#visitDirectory('', { a: true, b: true }));
    this.#mergeDirectoryItself(quad);
  }

  /**
   * Decides every path of a directory that may differ.
   *
   * @param present on which sides it is a directory now; where it is not, its children count as absent
   */
  *#visitDirectory(dir: RelPath, present: { a: boolean; b: boolean }): Walk {
    const now = {
      a: present.a ? listingNow(this.#input, 'a', dir) : Listing.empty,
      b: present.b ? listingNow(this.#input, 'b', dir) : Listing.empty,
    };
    if (now.a === undefined || now.b === undefined) {
      // Unreadable: nothing may be concluded about anything below, on either side.
      return 'stays';
    }
    const base = {
      a: this.#input.base.a.listing(dir) ?? Listing.empty,
      b: this.#input.base.b.listing(dir) ?? Listing.empty,
    };
    const visits = this.#visit.get(dir);
    const asRecorded = now.a === base.a && now.b === base.b;
    const names = asRecorded ? [...(visits ?? [])].sort() : unionOfNames(now.a, now.b, base.a, base.b);
    const clashing = clashingNames(names, this.#input);
    const find = {
      now: { a: new NameCursor(now.a), b: new NameCursor(now.b) },
      base: { a: new NameCursor(base.a), b: new NameCursor(base.b) },
    };
    let fate: Fate = 'gone';
    for (const name of names) {
      const index = { a: find.now.a.indexOf(name), b: find.now.b.indexOf(name) };
      const recorded = { a: find.base.a.indexOf(name), b: find.base.b.indexOf(name) };
      if (
        !(visits?.has(name) ?? false) &&
        !this.#options.checksum &&
        isSettled(now.a, index.a, base.a, recorded.a) &&
        isSettled(now.b, index.b, base.b, recorded.b)
      ) {
        fate = combine(fate, index.a >= 0 && index.b >= 0 ? 'kept' : index.a < 0 && index.b < 0 ? 'gone' : 'stays');
        continue;
      }
      const path = joinPath(dir, name);
      if (!this.#inScope(path)) {
        fate = combine(fate, 'stays');
        continue;
      }
      const quad: Quad = {
        path,
        base: { a: entryAt(base.a, recorded.a), b: entryAt(base.b, recorded.b) },
        now: { a: entryAt(now.a, index.a), b: entryAt(now.b, index.b) },
      };
      if (clashing.has(name) && (quad.now.a === undefined || quad.now.b === undefined)) {
        const side = quad.now.a === undefined ? 'b' : 'a';
        this.#plan.skips.push({ path, side, why: 'name-clash', detail: `clashes with "${clashing.get(name) ?? ''}"` });
        fate = combine(fate, 'stays');
        continue;
      }
      const decided = this.#decide(quad);
      fate = combine(fate, typeof decided === 'string' ? decided : yield decided);
    }
    return fate;
  }

  #inScope(path: RelPath): boolean {
    const { scope } = this.#options;
    return scope.length === 0 || scope.some((limit) => isWithin(path, limit) || isWithin(limit, path));
  }

  #decide(quad: Quad): Fate | Walk {
    const { a, b } = quad.now;
    for (const side of sides) {
      const entry = quad.now[side];
      if (entry !== undefined && isUnknown(entry.kind)) return this.#leaveUnknown(quad, side, entry);
    }
    if (a === undefined && b === undefined) {
      this.#steps.agree(quad, undefined, undefined);
      return 'gone';
    }
    if (a?.kind === 'dir' && b?.kind === 'dir') return this.#mergeDirectories(quad);
    if (a?.kind === 'dir' && b === undefined) return this.#oneDirectory(quad, 'a', a);
    if (b?.kind === 'dir' && a === undefined) return this.#oneDirectory(quad, 'b', b);
    if (a?.kind === 'dir' || b?.kind === 'dir') return this.#directoryAgainstOther(quad);
    return this.#source === undefined ? this.#mergeLeaves(quad) : this.#imposeLeaf(quad, this.#source);
  }

  /** DESIGN §5, first rule: nothing is done here, and nothing is inferred. */
  #leaveUnknown(quad: Quad, side: Side, entry: Entry): Fate {
    if (entry.kind === 'ignored') {
      // It left the scope: forgotten, so that it is met for the first time should it come back.
      if (quad.base.a !== undefined || quad.base.b !== undefined) this.#steps.agree(quad, undefined, undefined);
    } else {
      const why = entry.kind === 'special' ? 'special' : 'unreadable';
      this.#plan.skips.push({ path: quad.path, side, why });
    }
    return 'stays';
  }

  // --- files and symlinks ------------------------------------------------------------------------------------------

  /** Both directions: neither side is a directory, at least one is there. */
  #mergeLeaves(quad: Quad): Fate {
    const { a, b } = quad.now;
    if (a === undefined || b === undefined) return this.#oneLeaf(quad, a === undefined ? 'b' : 'a');

    const changed = { a: this.#questions.sinceBase(quad, 'a'), b: this.#questions.sinceBase(quad, 'b') };
    const stuck = this.#stuck(quad, changed.a, changed.b);
    if (stuck !== undefined) return stuck;
    if (changed.a === 'same' && changed.b === 'same') return this.#onlyMetadata(quad);
    if (changed.b === 'same') return this.#steps.propagate(quad, 'a', 'edited', quad.base.a === undefined);
    if (changed.a === 'same') return this.#steps.propagate(quad, 'b', 'edited', quad.base.b === undefined);

    const equal = this.#questions.acrossSides(quad);
    const stillStuck = this.#stuck(quad, equal);
    if (stillStuck !== undefined) return stillStuck;
    // Both sides equal: agreed, whatever the baseline says.
    if (equal === 'same') return this.#onlyMetadata(quad);
    // An edit here and a chmod there: both survive.
    const chmod = { a: this.#questions.onlyModeChanged(quad, 'a'), b: this.#questions.onlyModeChanged(quad, 'b') };
    if (chmod.a !== chmod.b) {
      const side = chmod.a ? 'a' : 'b';
      // What cannot be read (and may have been made so by just that chmod) is not replaced.
      const digest = this.#questions.digest(side, quad.path, side === 'a' ? a : b);
      const unread = digest instanceof Uint8Array ? undefined : this.#stuck(quad, digest);
      return unread ?? this.#steps.propagate(quad, otherSide(side), 'edited', true);
    }
    const what = a.kind === b.kind ? 'content' : 'kind';
    return this.#conflict(
      quad,
      what,
      settle(this.#options, a.mtimeNs, b.mtimeNs),
      newerOf(this.#options, a.mtimeNs, b.mtimeNs) ?? 'a',
    );
  }

  /** Two-way: a file or symlink that only `side` has. */
  #oneLeaf(quad: Quad, side: Side): Fate {
    const other = otherSide(side);
    const deletedThere = quad.base[other] !== undefined;
    if (!deletedThere && quad.base[side] === undefined) return this.#steps.propagate(quad, side, 'created', false);
    const changed = this.#questions.sinceBase(quad, side);
    const stuck = this.#stuck(quad, changed);
    if (stuck !== undefined) return stuck;
    // A moved ctime alone is no edit that would win over a deletion, as long as history keeps what it may stand for.
    const isDoubt = this.#options.backup !== 'off' && this.#questions.onlyCtimeMoved(quad, side);
    const edited = (changed === 'different' && !isDoubt) || metadataDiffers(quad.base[side], quad.now[side]);
    if (!deletedThere) {
      // Agreed to exist here alone: that stays so until it is edited.
      return edited ? this.#steps.propagate(quad, side, 'edited', false) : this.#keepOneSided(quad, side);
    }
    if (edited && this.#options.deletes === 'lose') return this.#steps.propagate(quad, side, 'edited', false);
    return this.#carryDeletion(quad, side, edited ? 'conflict' : 'deleted');
  }

  /** The other side deleted what `side` has. */
  #carryDeletion(quad: Quad, side: Side, reason: Reason): Fate {
    if (this.#options.mode === 'additive') return this.#steps.propagate(quad, side, 'created', false);
    if (this.#options.skipDeletion.includes(side)) return this.#keepOneSided(quad, side);
    return this.#steps.propagate(quad, otherSide(side), reason, true);
  }

  #keepOneSided(quad: Quad, side: Side): Fate {
    const one: Quad['now'] = { a: undefined, b: undefined, [side]: quad.now[side] };
    if (isRecorded(quad, one)) return 'stays';
    const entry = quad.now[side];
    // A racy record says nothing without a digest, and there is no other side to compare with the next time.
    if (entry?.kind === 'file' && isRacy(entry)) this.#questions.digest(side, quad.path, entry);
    this.#steps.agree(quad, one.a, one.b);
    return 'stays';
  }

  /** One-way modes: the source's state is what the other side should have. Neither is a directory. */
  #imposeLeaf(quad: Quad, source: Side): Fate {
    const target = otherSide(source);
    const [have, want] = [quad.now[target], quad.now[source]];
    if (have === undefined) return this.#steps.propagate(quad, source, 'created', false);
    if (want === undefined) return this.#extraOnTarget(quad, target);

    const changed = this.#questions.sinceBase(quad, target);
    const equal = this.#questions.acrossSides(quad);
    const stuck = this.#stuck(quad, equal) ?? (equal === 'different' ? this.#stuck(quad, changed) : undefined);
    if (stuck !== undefined) return stuck;
    if (equal === 'same') return this.#onlyMetadata(quad);
    // What is on record for the far side alone may be its own doing: the two were never agreed on.
    const agreed = quad.base[source] !== undefined;
    if (agreed && changed === 'same') return this.#steps.propagate(quad, source, 'edited', false);
    if (agreed && this.#questions.onlyModeChanged(quad, target))
      return this.#steps.propagate(quad, source, 'edited', true);
    return this.#targetDiffersByItsOwn(quad, source, have.kind === want.kind ? 'content' : 'kind', want, have);
  }

  /** The far side has what the source does not. */
  #extraOnTarget(quad: Quad, target: Side): Fate {
    if (!isMirror(this.#options.mode) || this.#options.skipDeletion.includes(target)) {
      if (quad.base.a !== undefined || quad.base.b !== undefined) this.#keepOneSided(quad, target);
      return 'stays';
    }
    const known = quad.base[otherSide(target)] !== undefined;
    if (!known && this.#options.keepUnrecorded) return this.#keepUnrecorded(quad.path, target);
    return this.#steps.propagate(quad, otherSide(target), known ? 'deleted' : 'mirrored', true);
  }

  /** What was agreed was forgotten: it may be what a guard protected, so it is named, and goes in another run. */
  #keepUnrecorded(path: RelPath, target: Side): Fate {
    return this.#wouldDelete(path, target, 'there is no record of it: this run keeps it');
  }

  /** One-way, and the far side was changed over there (or the two meet for the first time): DESIGN §5, modes. */
  #targetDiffersByItsOwn(quad: Quad, source: Side, what: Conflict['what'], want: Entry, have: Entry): Fate {
    if (isMirror(this.#options.mode) || this.#options.force)
      return this.#steps.propagate(quad, source, 'mirrored', true);
    const times = source === 'a' ? ([want, have] as const) : ([have, want] as const);
    const verdict = settle(this.#options, times[0].mtimeNs, times[1].mtimeNs);
    if (verdict === otherSide(source)) {
      const detail = this.#options.onConflict === 'newer' ? 'the far side is newer' : 'left to the far side';
      this.#plan.skips.push({ path: quad.path, side: verdict, why: 'newer-far-side', detail });
      return 'stays';
    }
    // `both` in a one-way mode keeps the far side's version over there, beside the source's.
    return this.#conflict(quad, what, verdict, source);
  }

  // --- conflicts ---------------------------------------------------------------------------------------------------

  #conflict(quad: Quad, what: Conflict['what'], verdict: Verdict, preferred: Side): Fate {
    const { path } = quad;
    if (verdict === 'open') {
      const detail = this.#options.onConflict === 'manual' ? 'left for you to settle' : 'neither is newer';
      this.#plan.conflicts.push({ path, what, winner: 'open', detail });
      return 'stays';
    }
    if (verdict === 'both') {
      this.#keepBoth(quad, preferred, what);
      return 'kept';
    }
    this.#plan.conflicts.push({ path, what, winner: verdict });
    return this.#steps.propagate(quad, verdict, 'conflict', true);
  }

  /** The loser is renamed aside on its own side, and both versions go to both sides (one-way: the target keeps both). */
  #keepBoth(quad: Quad, preferred: Side, what: Conflict['what']): void {
    // A directory always keeps the name: only files and links are cheap to rename aside and copy.
    const winner = quad.now.a?.kind === 'dir' ? 'a' : quad.now.b?.kind === 'dir' ? 'b' : preferred;
    const loser = otherSide(winner);
    const [won, lost] = [quad.now[winner], quad.now[loser]];
    if (won === undefined || lost === undefined) return;
    const dir = parentPath(quad.path);
    // A name that is on record is not free either: what has become of it is decided (and recorded) in the same run.
    const known = sides.flatMap((side) => [listingNow(this.#input, side, dir), this.#input.base[side].listing(dir)]);
    const aside = conflictPath(quad.path, loser, this.#options.conflictStamp, (name) =>
      known.some((listing) => listing !== undefined && listing.indexOf(name) >= 0),
    );
    this.#plan.conflicts.push({ path: quad.path, what, winner: 'both', detail: `also kept as ${baseName(aside)}` });
    this.#steps.touch(loser, quad.path);
    this.#plan.moves.push({ op: 'move', side: loser, path: quad.path, to: aside, expect: lost, reason: 'conflict' });
    const emptied: Quad = { ...quad, now: { ...quad.now, [loser]: undefined } };
    this.#steps.propagate(emptied, winner, 'conflict', false);
    if (this.#source !== undefined) return;
    // The rename changes the ctime, so the reader goes by the rest.
    const renamed: Entry = { ...lost, ctimeNs: 0n };
    const copy: Quad = {
      path: aside,
      base: { a: undefined, b: undefined },
      now: { a: loser === 'a' ? renamed : undefined, b: loser === 'b' ? renamed : undefined },
    };
    this.#steps.propagate(copy, loser, 'conflict', false);
  }

  // --- directories -------------------------------------------------------------------------------------------------

  *#mergeDirectories(quad: Quad): Walk {
    if (this.#visit.has(quad.path) || quad.base.a?.kind !== 'dir' || quad.base.b?.kind !== 'dir') {
      if (this.#options.isAtomic(quad.path) && this.#atomicConflict(quad)) return 'kept';
      yield this.#visitDirectory(quad.path, { a: true, b: true });
    }
    // Nothing is done about what cannot be read: the bits that lock it are not carried over either.
    if (sides.some((side) => this.#input[side].unreadable.has(quad.path))) return 'kept';
    this.#mergeDirectoryItself(quad);
    return 'kept';
  }

  /** Permission bits and mtime of a directory that both sides have. */
  #mergeDirectoryItself(quad: Quad): void {
    const { a, b } = quad.now;
    if (a === undefined || b === undefined) return;
    const merged = mergeMetadata(quad, this.#input, this.#source);
    append(this.#plan.metadata, merged.steps);
    if (merged.conflict !== undefined) this.#plan.conflicts.push(merged.conflict);
    const isOpen = merged.conflict?.winner === 'open';
    const touched = { a: this.#steps.touched.a.has(quad.path), b: this.#steps.touched.b.has(quad.path) };
    const times = directoryTimes({ quad, input: this.#input, source: this.#source, touched });
    for (const side of sides) {
      const time = times[side];
      // While the bits are in dispute the directory is left alone; only our own traces in it are covered.
      if (time === undefined || (isOpen && !touched[side])) continue;
      const restores = touched[side] || this.#input[side].fresh;
      this.#plan.directoryTimes.push({ side, path: quad.path, mtimeUs: time, restores });
    }
    const recorded = merged.steps.length > 0 || times.a !== undefined || times.b !== undefined;
    if (!isOpen && (recorded || !isRecorded(quad, quad.now))) this.#steps.agree(quad, a, b);
  }

  /** A directory that only `side` has. */
  #oneDirectory(quad: Quad, side: Side, entry: Entry): Fate | Walk {
    const other = otherSide(side);
    if (this.#source === other) return this.#extraDirectory(quad, side);
    const recordedHere = quad.base[side]?.kind === 'dir';
    const deletedThere = quad.base[other] !== undefined;
    if (this.#source === side || !recordedHere) return this.#steps.propagate(quad, side, 'created', false);
    if (deletedThere && this.#options.mode === 'additive') return this.#steps.propagate(quad, side, 'created', false);
    return this.#deletedDirectory(quad, side, entry);
  }

  /** One-way: the far side has a directory that the source does not. */
  #extraDirectory(quad: Quad, target: Side): Fate | Walk {
    if (!isMirror(this.#options.mode) || this.#options.skipDeletion.includes(target)) {
      if (quad.base.a !== undefined || quad.base.b !== undefined) this.#keepOneSided(quad, target);
      return 'stays';
    }
    const known = quad.base[otherSide(target)] !== undefined;
    if (!known && this.#options.keepUnrecorded) return this.#keepUnrecorded(quad.path, target);
    const entry = quad.now[target];
    return entry === undefined ? 'gone' : this.#deletedDirectory(quad, target, entry);
  }

  /**
   * Deleted on the other side (or never there, in a mirror): what is unchanged in it goes, what is new or edited inside
   * stays and takes the directory back with it, what is unknown or ignored keeps the directory where it is.
   */
  *#deletedDirectory(quad: Quad, side: Side, entry: Entry): Walk {
    const other = otherSide(side);
    const { path } = quad;
    if (this.#input[side].unreadable.has(path)) {
      this.#plan.skips.push({ path, side, why: 'unreadable', detail: 'cannot be listed, so it is not deleted' });
      return 'stays';
    }
    const placeholder = this.#plan.content.length;
    const inside = yield this.#visitEverything(path, side);
    // What is new in it is carried over even where deletions are not.
    const fate = inside === 'gone' && this.#options.skipDeletion.includes(side) ? 'stays' : inside;
    const mode = quad.base[side];
    const edited = mode?.kind === 'dir' && syncedMode(mode) !== syncedMode(entry) && this.#source === undefined;
    if (fate === 'kept' || (edited && fate === 'gone' && this.#options.deletes === 'lose')) {
      const made: MkdirStep = { op: 'mkdir', side: other, path, source: entry, reason: 'edited' };
      this.#plan.content.splice(placeholder, 0, made);
      this.#steps.touch(other, path);
      this.#steps.restoreTime(other, path, entry);
      if (this.#steps.touched[side].has(path)) this.#steps.restoreTime(side, path, entry);
      this.#steps.agree(quad, entry, entry);
      return 'kept';
    }
    if (fate === 'stays') {
      if (quad.base[other] !== undefined || this.#source !== undefined) {
        const detail = 'deleted on the other side, kept for what Lockstep does not touch in it';
        if (!this.#options.skipDeletion.includes(side)) {
          this.#plan.skips.push({ path, side, why: 'kept-ignored', detail });
        }
      }
      if (this.#steps.touched[side].has(path)) this.#steps.restoreTime(side, path, entry);
      this.#keepOneSided(quad, side);
      return 'stays';
    }
    const known = quad.base[other] !== undefined || this.#source === undefined;
    this.#steps.remove(side, path, entry, known ? 'deleted' : 'mirrored', this.#plan.removals);
    this.#steps.agree(quad, undefined, undefined);
    return 'gone';
  }

  /** Visits a directory that only `side` has, whether or not anything in it changed. */
  *#visitEverything(path: RelPath, side: Side): Walk {
    const children = this.#visit.get(path) ?? new Set<string>();
    for (const listing of [listingNow(this.#input, side, path), this.#input.base[side].listing(path)]) {
      for (const name of listing?.names ?? []) children.add(name);
    }
    for (const name of this.#input.base[otherSide(side)].listing(path)?.names ?? []) children.add(name);
    this.#visit.set(path, children);
    const fate = yield this.#visitDirectory(path, { a: side === 'a', b: side === 'b' });
    return this.#input[side].ignoredIn.has(path) && fate === 'gone' ? 'stays' : fate;
  }

  /** One side has a directory where the other has a file or symlink. */
  #directoryAgainstOther(quad: Quad): Fate {
    const dirSide: Side = quad.now.a?.kind === 'dir' ? 'a' : 'b';
    const leafSide = otherSide(dirSide);
    const [dir, leaf] = [quad.now[dirSide], quad.now[leafSide]];
    if (dir === undefined || leaf === undefined) return 'gone';
    const leafChanged = this.#questions.sinceBase(quad, leafSide);
    const stuck = this.#stuck(quad, leafChanged);
    if (stuck !== undefined) return stuck;
    const newest = newestChange(this.#input, dirSide, quad.path);
    const dirChanged = quad.base[dirSide]?.kind !== 'dir' || newest !== undefined;
    const changed = { [dirSide]: dirChanged, [leafSide]: leafChanged === 'different' } as Record<Side, boolean>;
    const time = { [dirSide]: newest ?? dir.mtimeNs, [leafSide]: leaf.mtimeNs } as Record<Side, bigint>;
    const kinds: Kinds = { quad, dirSide, changed, verdict: settle(this.#options, time.a, time.b) };
    return this.#source === undefined ? this.#mergeKinds(kinds) : this.#imposeKind(kinds, this.#source);
  }

  /** Two-way. What makes way for something of another kind is deleted: where that must not be, both are kept. */
  #mergeKinds({ quad, dirSide, changed, verdict }: Kinds): Fate {
    if (!changed.a && !changed.b) return 'stays';
    const haveMet = quad.base.a !== undefined && quad.base.b !== undefined;
    if (haveMet && changed.a !== changed.b) {
      const winner = changed.a ? 'a' : 'b';
      if (this.#carriesDeletions(otherSide(winner))) return this.#steps.propagate(quad, winner, 'type-changed', true);
      return this.#wouldDelete(quad.path, otherSide(winner), 'it is of another kind on the other side');
    }
    const loser = verdict === 'a' || verdict === 'b' ? otherSide(verdict) : undefined;
    if (loser === undefined || (haveMet && this.#carriesDeletions(loser)))
      return this.#conflict(quad, 'kind', verdict, dirSide);
    // Nothing may be deleted, at a first meeting above all. That the path never met counts, not that the link did: a later
    // run must not delete what the first one could not. What cannot be read cannot take the name on the other side.
    if (this.#input[dirSide].unreadable.has(quad.path)) return 'stays';
    return this.#conflict(quad, 'kind', 'both', dirSide);
  }

  /** One-way. */
  #imposeKind({ quad, dirSide, changed, verdict }: Kinds, source: Side): Fate {
    const target = otherSide(source);
    const wins = isMirror(this.#options.mode) || this.#options.force;
    if (changed[target] && this.#options.keepUnrecorded) return this.#keepUnrecorded(quad.path, target);
    if (!this.#carriesDeletions(target))
      return this.#wouldDelete(quad.path, target, 'it is of another kind at the source');
    if (!wins && target === dirSide)
      return this.#wouldDelete(quad.path, target, 'a directory is in the way; --force or --delete replaces it');
    if (wins || !changed[target]) return this.#steps.propagate(quad, source, 'type-changed', true);
    if (verdict === target) {
      this.#plan.skips.push({ path: quad.path, side: target, why: 'newer-far-side' });
      return 'stays';
    }
    return this.#conflict(quad, 'kind', verdict, dirSide);
  }

  /** Whether anything may be deleted on a side because of what the other one has. */
  #carriesDeletions(side: Side): boolean {
    return this.#options.mode !== 'additive' && !this.#options.skipDeletion.includes(side);
  }

  #wouldDelete(path: RelPath, side: Side, detail: string): Fate {
    this.#plan.skips.push({ path, side, why: 'would-delete', detail });
    return 'stays';
  }

  /**
   * A directory taken as one thing that both sides changed: one conflict, one winner, never a mixture.
   *
   * @returns false when at most one side changed it, so that ordinary merging cannot mix
   */
  #atomicConflict(quad: Quad): boolean {
    const newest = { a: newestChange(this.#input, 'a', quad.path), b: newestChange(this.#input, 'b', quad.path) };
    if (newest.a === undefined || newest.b === undefined) return false;
    const before = this.#questions.needs.length;
    if (!subtreesDiffer(this.#input, this.#questions, quad.path)) return this.#questions.needs.length > before;
    const target = this.#source === undefined ? undefined : otherSide(this.#source);
    if (target !== undefined && this.#options.keepUnrecorded && hasMore(this.#input, target, quad.path)) {
      this.#keepUnrecorded(quad.path, target);
      return true;
    }
    const wins = isMirror(this.#options.mode) || this.#options.force ? this.#source : undefined;
    let verdict = wins ?? beyondIndex(this.#input, quad.path) ?? settle(this.#options, newest.a, newest.b);
    // There is no way to keep two directories under one name and call it settled.
    if (verdict === 'both') verdict = settle(this.#options, newest.a, newest.b, 'newer');
    if (target !== undefined && (wins === undefined || !this.#carriesDeletions(target))) {
      const why = verdict === target ? 'newer-far-side' : 'would-delete';
      if (verdict === target || (verdict === this.#source && hasMore(this.#input, target, quad.path))) {
        this.#plan.skips.push({
          path: quad.path,
          side: target,
          why,
          detail: 'it was changed there too, and is one thing',
        });
        return true;
      }
    }
    const loser = verdict === 'a' || verdict === 'b' ? otherSide(verdict) : undefined;
    if (loser !== undefined && !this.#carriesDeletions(loser) && hasMore(this.#input, loser, quad.path)) {
      const detail = 'files of one would have to be deleted';
      this.#plan.conflicts.push({ path: quad.path, what: 'directory', winner: 'open', detail });
      return true;
    }
    this.#plan.conflicts.push({ path: quad.path, what: 'directory', winner: verdict });
    if (loser === undefined) return true;
    const [won, lost] = [quad.now[otherSide(loser)], quad.now[loser]];
    if (won === undefined || lost === undefined || !this.#steps.clearSubtree(loser, quad.path, lost, 'conflict'))
      return true;
    this.#plan.content.push({ op: 'tree', side: loser, path: quad.path, source: won, reason: 'conflict' });
    this.#steps.touch(loser, quad.path);
    this.#steps.agree(quad, quad.now.a, quad.now.b);
    return true;
  }

  /** Same content on both sides: what is left to merge is permission bits and mtime. */
  #onlyMetadata(quad: Quad): Fate {
    const merged = mergeMetadata(quad, this.#input, this.#source);
    append(this.#plan.metadata, merged.steps);
    if (merged.conflict !== undefined) this.#plan.conflicts.push(merged.conflict);
    // With --checksum every file comes by here; what is recorded so already is not recorded again.
    const recorded =
      merged.steps.length === 0 && isRecorded(quad, quad.now) && !sides.some((side) => isRacyNow(quad, side));
    if (merged.conflict?.winner !== 'open' && !recorded) this.#steps.agree(quad, quad.now.a, quad.now.b);
    return 'kept';
  }

  /** A path that cannot be decided in this pass: waiting for a digest, or unreadable. */
  #stuck(quad: Quad, ...answers: Answer[]): Fate | undefined {
    if (answers.includes('unreadable')) {
      const side = typeof this.#input.a.digests.get(quad.path) === 'string' ? 'a' : 'b';
      this.#plan.skips.push({ path: quad.path, side, why: 'unreadable' });
      return 'stays';
    }
    return answers.includes('unknown') ? 'stays' : undefined;
  }
}

function entryAt(listing: Listing, index: number): Entry | undefined {
  return index < 0 ? undefined : listing.entry(index);
}

/** As recorded to the byte, and the record can be trusted: nothing to decide here. */
function isSettled(now: Listing, index: number, base: Listing, recorded: number): boolean {
  if (index < 0 || recorded < 0) return index < 0 && recorded < 0;
  if ((base.flagsOf(recorded) & flags.racy) !== 0) return false;
  return (now === base && index === recorded) || now.sameRecord(index, base, recorded);
}

function combine(a: Fate, b: Fate): Fate {
  if (a === 'kept' || b === 'kept') return 'kept';
  return a === 'stays' || b === 'stays' ? 'stays' : 'gone';
}

function metadataDiffers(base: Entry | undefined, now: Entry | undefined): boolean {
  if (base === undefined || now === undefined) return true;
  if (now.kind === 'symlink') return false;
  return syncedMode(base) !== syncedMode(now) || mtimeUs(base) !== mtimeUs(now);
}

/** What would be recorded is on record already. */
function isRecorded(quad: Quad, entries: Quad['now']): boolean {
  return sides.every((side) => {
    const [base, entry] = [quad.base[side], entries[side]];
    if (base === undefined || entry === undefined) return base === entry;
    return sameFingerprint(base, entry) && base.flags === entry.flags;
  });
}

/** A record of it would be racy: the digest, known by now, is worth recording with it. */
function isRacyNow(quad: Quad, side: Side): boolean {
  const now = quad.now[side];
  return now !== undefined && isRacy(now);
}

/** How many steps touch each file that there is by now, by side and inode: they move the ctime of all its names. */
export function inodesTouched({ moves, clear, content, metadata, removals }: Plan): Record<Side, Map<bigint, number>> {
  const touched = { a: new Map<bigint, number>(), b: new Map<bigint, number>() };
  for (const step of [...moves, ...clear, ...content, ...metadata, ...removals]) {
    if (!('expect' in step) || step.expect?.kind !== 'file') continue;
    const own = touched[step.side];
    own.set(step.expect.ino, (own.get(step.expect.ino) ?? 0) + 1);
  }
  return touched;
}

/** Runs a walk and those that it leads to, on a stack of its own. */
function finish(walk: Walk): Fate {
  const open = [walk];
  let fate: Fate = 'gone';
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const { done, value } = top.next(fate);
    if (done === true) {
      fate = value;
      open.pop();
    } else open.push(value);
  }
  return fate;
}
