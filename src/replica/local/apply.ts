/**
 * The only code that touches user files (DESIGN §6), with naming.ts and renames.ts.
 *
 * Invariants, each stated again where it is held:
 *  - nothing is ever half-written under its real name: content is staged whole, then named (naming.ts);
 *  - a target is looked at just before it is touched, and left alone when it is not what the plan saw (verify.ts);
 *  - what is created replaces nothing: `link(2)` and `rename(2)` of a new directory fail where something stands;
 *  - what is replaced or removed is first safe under another name, and seen to be what was planned, before it is let go;
 *  - every path succeeds or fails on its own; a failure is a value, with its path and reason.
 */
import { append } from '../../base/append.ts';
import fs from 'node:fs';
import { errnoCode, unreachable } from '../../base/errors.ts';
import { flags, mtimeUs, recordedAs, syncedMode, timeSet, type Entry, type Made } from '../../tree/entry.ts';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { Listing } from '../../tree/listing.ts';
import { isSafePath, type RelPath } from '../../tree/path.ts';
import type { Reason } from '../../reconcile/plan.ts';
import type { ApplyBatch, ApplyStep, Failure, StepResult, UnitStep } from '../replica.ts';
import { maxGrainToWaitNs, wantsDigest, type Content } from './content.ts';
import type { Copied } from './copy.ts';
import { openNoFollow, pathOfHandle, type DirHandles } from './dir-handles.ts';
import { toFs } from './fs-path.ts';
import type { HistoryWriter } from './history/keep.ts';
import { removeDirectoryIfOnly } from './perishable.ts';
import { DeltaMismatchError, failureOf, StepError } from './failure.ts';
import { linkOrCopy, nameNew, renameOrCopy, unshare } from './naming.ts';
import { Renames } from './renames.ts';
import { makeSymlink, type StagedUnit } from './stage-unit.ts';
import type { Staging } from './staging.ts';
import { grainNow, isWithinGrain, lstatIfPresent, matches, observe } from './stat.ts';
import type { Work } from './slices.ts';
import { setTimes } from './utime.ts';
import { changedMeanwhile, verify } from './verify.ts';

export interface ApplyContext {
  handles: DirHandles;
  staging: Staging;
  history: HistoryWriter;
  granularityNs: bigint;
}

/** A file of no more than this is staged without a look at its target: 64 KiB. */
const minBytesToLookFirst = 1 << 16;

type StepOf<Op extends ApplyStep['op']> = Extract<ApplyStep, { op: Op }>;

/** A directory built in staging, waiting for the clock to move on before it is named. */
interface WaitingUnit {
  step: UnitStep;
  staged: StagedUnit;
  result: StepResult;
}

/** Something done, to be looked at once the clock has moved on. */
interface Unobserved {
  result: StepResult;
  path: RelPath;
  made: Made;
}

/** @param staged the batch's new directories, already built in staging, by path */
export function applyBatch(
  context: ApplyContext,
  batch: ApplyBatch,
  content: Content,
  staged: ReadonlyMap<RelPath, StagedUnit>,
): Work<StepResult[]> {
  return new Applier(context, batch, content, staged).run();
}

class Applier {
  readonly #handles: DirHandles;
  readonly #staging: Staging;
  readonly #history: HistoryWriter;
  readonly #granularityNs: bigint;
  readonly #batch: ApplyBatch;
  readonly #matcher: IgnoreMatcher;
  readonly #results: StepResult[] = [];
  readonly #waiting: WaitingUnit[] = [];
  readonly #unobserved: Unobserved[] = [];
  readonly #staged: ReadonlyMap<RelPath, StagedUnit>;
  readonly #content: Content;
  readonly #renames: Renames;
  #bytes = 0;
  /** The disk is full: no more content is tried in this batch. */
  #full: string | undefined;
  #lastChangeMs = 0;

  constructor(context: ApplyContext, batch: ApplyBatch, content: Content, staged: ReadonlyMap<RelPath, StagedUnit>) {
    this.#staged = staged;
    this.#content = content;
    this.#handles = context.handles;
    this.#staging = context.staging;
    this.#history = context.history;
    this.#granularityNs = context.granularityNs;
    this.#batch = batch;
    this.#matcher = new IgnoreMatcher(batch.rules);
    this.#renames = new Renames(context, (path, error) => this.#failure(path, error));
  }

  *run(): Work<StepResult[]> {
    for (const [index, step] of this.#batch.steps.entries()) {
      const result: StepResult = {
        step: index,
        path: step.path,
        observed: undefined,
        failures: [],
        bytes: 0,
        kept: false,
      };
      this.#results.push(result);
      this.#settleHandles();
      yield* this.#one(step, result);
      this.#nameWaiting(false);
      yield { entries: index + 1, bytes: this.#bytes, path: step.path };
    }
    yield* this.#settle();
    this.#nameWaiting(true);
    this.#observeAll();
    return this.#results;
  }

  *#one(step: ApplyStep, result: StepResult): Work<void> {
    try {
      if (!isSafePath(step.path) && !(step.path === '' && (step.op === 'directory-time' || step.op === 'meta'))) {
        throw new StepError('failed', 'not a path that may be touched');
      }
      yield* this.#carryOut(step, result);
    } catch (error) {
      if (error instanceof DeltaMismatchError) result.wantsWhole = true;
      result.failures.push(this.#failure(step.path, error));
      result.observed = undefined;
    }
  }

  *#carryOut(step: ApplyStep, result: StepResult): Work<void> {
    switch (step.op) {
      case 'unit': {
        this.#unit(step, result);
        return;
      }
      case 'put':
        return yield* this.#put(step, result);
      case 'mkdir': {
        this.#mkdir(step, result);
        return;
      }
      case 'link': {
        this.#link(step, result);
        return;
      }
      case 'meta': {
        this.#meta(step, result);
        return;
      }
      case 'remove': {
        this.#remove(step, result);
        return;
      }
      case 'moves': {
        this.#renames.carryOut(step, result);
        this.#changed();
        return;
      }
      case 'directory-time': {
        this.#directoryTime(step, result);
        return;
      }
      case 'group':
        return yield* this.#group(step, result);
      default:
        return unreachable(step);
    }
  }

  #failure(path: RelPath, error: unknown): Failure {
    const failure = failureOf(path, error);
    if (failure.why === 'no-space') this.#full = failure.detail;
    return failure;
  }

  // --- new directories ---------------------------------------------------------------------------------------------

  /** A directory built in staging (stage-unit.ts) gets its name when the clock allows, in `#nameWaiting`. */
  #unit(step: UnitStep, result: StepResult): void {
    const staged = this.#staged.get(step.path);
    if (staged === undefined) throw new StepError('failed', 'it was not staged');
    append(result.failures, staged.failures);
    result.bytes = staged.bytes;
    if (staged.full !== undefined) this.#full = staged.full;
    if (staged.path !== undefined) this.#waiting.push({ step, staged, result });
  }

  /**
   * Names the staged directories whose last write lies a clock tick back (all of them once `#settle` has waited). A later
   * edit of any file in them then has another ctime than the one recorded: no record is born racy (DESIGN §3.5).
   */
  #nameWaiting(all: boolean): void {
    const grainMs = Number(this.#granularityNs) / 1e6;
    for (let unit = this.#waiting[0]; unit !== undefined; unit = this.#waiting[0]) {
      if (!all && Date.now() - unit.staged.lastWriteMs <= grainMs) return;
      this.#waiting.shift();
      this.#settleHandles();
      try {
        this.#nameUnit(unit);
      } catch (error) {
        if (unit.staged.path !== undefined) fs.rmSync(unit.staged.path, { recursive: true, force: true });
        unit.result.failures = [this.#failure(unit.step.path, error)];
        unit.result.observed = undefined;
        delete unit.result.listing;
      }
    }
  }

  #nameUnit(unit: WaitingUnit): void {
    const { path, source } = unit.step;
    const target = this.#handles.locate(path);
    // rename(2) would replace an empty directory; anything else in the way makes it fail by itself.
    if (lstatIfPresent(target) !== undefined) throw new StepError('changed-meanwhile', 'something appeared there');
    const mode = syncedMode(source);
    const staged = unit.staged.path ?? '';
    fs.chmodSync(staged, mode | 0o700);
    setTimes(staged, mtimeUs(source));
    const made = fs.lstatSync(staged, { bigint: true });
    fs.renameSync(staged, toFs(target));
    // An owner may only rename a directory that he may write to: what the source denies itself is set afterwards.
    const isShut = (mode & 0o700) !== 0o700 && !unit.step.filledLater;
    if (isShut) this.#setMode(target, mode);
    unit.result.listing = this.#withRacyFlags(unit.staged);
    if (unit.staged.digests.length > 0) unit.result.digests = unit.staged.digests;
    const observed = observe(target, this.#granularityNs);
    const madeMode = isShut ? {} : { mode: Number(made.mode) & 0o7777 };
    unit.result.observed = observed && recordedAs(observed, { mtimeNs: made.mtimeNs, ...madeMode });
    this.#changed();
  }

  /** What was made so lately that a further edit might not show (a coarse clock is not waited for) says so. */
  #withRacyFlags({ listing, lastWriteMs }: StagedUnit): Uint8Array {
    const grain = grainNow(this.#granularityNs);
    if (BigInt(lastWriteMs) * 1_000_000n < grain.fromNs) return listing;
    const entries = [...new Listing(listing).entries()].map(([name, entry]): [string, Entry] => {
      const isRacy = entry.kind === 'file' && isWithinGrain(entry, grain);
      return [name, isRacy ? { ...entry, flags: entry.flags | flags.racy } : entry];
    });
    return Listing.from(entries).bytes;
  }

  #mkdir(step: StepOf<'mkdir'>, result: StepResult): void {
    const target = this.#handles.locate(step.path);
    fs.mkdirSync(toFs(target), { mode: 0o700 });
    // Without write and search permission it could not be filled; what the source denies itself is set at the end.
    this.#setMode(target, syncedMode(step.source) | 0o700);
    this.#changed();
    result.observed = observe(target, this.#granularityNs);
  }

  // --- content -----------------------------------------------------------------------------------------------------

  *#put(step: StepOf<'put'>, result: StepResult): Work<void> {
    // A stale plan should cost nothing; but a few bytes cost no more than the look. The one that counts comes before the rename.
    const staged = yield* this.#stagePut(step, result, step.source.size > minBytesToLookFirst);
    this.#commitPut(step, staged, result);
  }

  /** @param looks whether what stands there is looked at before the bytes are moved, too */
  *#stagePut(step: StepOf<'put'>, result: StepResult, looks: boolean): Work<{ path: string; copied: Copied }> {
    this.#refuseWhenFull();
    if (looks) verify(this.#handles.locate(step.path), step.expect);
    const path = this.#staging.fresh('f');
    const copied = yield* this.#copy(path, step);
    result.bytes += copied.bytes;
    if (copied.digest !== undefined) result.digest = copied.digest;
    return { path, copied };
  }

  #commitPut(step: StepOf<'put'>, staged: { path: string; copied: Copied }, result: StepResult): void {
    try {
      const target = this.#handles.locate(step.path);
      if (step.expect === undefined) nameNew(staged.path, target);
      else this.#nameOver(staged.path, target, step.path, step.expect, step, result);
    } catch (error) {
      fs.rmSync(staged.path, { force: true });
      throw error;
    }
    const { ino, bytes, mtimeNs, mode } = staged.copied;
    this.#done(result, step.path, { ino, size: bytes, mtimeNs, mode });
  }

  #link(step: StepOf<'link'>, result: StepResult): void {
    const target = this.#handles.locate(step.path);
    verify(target, step.expect);
    const staged = this.#staging.fresh('l');
    const made = makeSymlink(staged, step.source);
    try {
      if (step.expect === undefined) nameNew(staged, target);
      else this.#nameOver(staged, target, step.path, step.expect, step, result);
    } catch (error) {
      fs.rmSync(staged, { force: true });
      throw error;
    }
    this.#done(result, step.path, { ino: made.ino, target: made.target ?? '' });
  }

  *#copy(to: string, { path, from, source, mode }: StepOf<'put'>): Work<Copied> {
    const copied = yield* this.#content.fetch({
      to,
      path,
      from,
      source,
      mode,
      digest: wantsDigest(source, this.#granularityNs),
    });
    this.#bytes += copied.bytes;
    return copied;
  }

  /**
   * Replaces what stands at the target. The old version is first linked under a second name and seen to be the planned
   * one; then the staged one is renamed over; then the old version is looked at once more: an edit that slipped in between
   * went into it, so it is kept and reported.
   */
  #nameOver(
    staged: string,
    target: string,
    path: RelPath,
    expect: Entry,
    how: { keep: boolean; reason: Reason },
    result: StepResult,
  ): void {
    // Before it is verified: whoever gives it another name after this moves its ctime.
    const names = lstatIfPresent(target)?.nlink ?? 0n;
    verify(target, expect);
    const place = how.keep ? this.#history.place(path) : { to: this.#staging.fresh('o'), record: undefined };
    const linked = linkOrCopy(target, place.to);
    // The link changed the ctime; everything else must be as planned. (A copy has an inode and time of its own.)
    const isPlanned = (old: Entry | undefined): boolean =>
      linked ? matches(old, { ...expect, ctimeNs: 0n }) : old?.size === expect.size;
    const isOurs = (): boolean => {
      const now = lstatIfPresent(target);
      if (now?.ino !== expect.ino) return false;
      // One name more than before is ours. Two: another link of a star is about to replace it as well. (Not all file systems count.)
      if (linked) return now.nlink <= names + 1n;
      // A copy took its time, and leaves the original as it was.
      return matches(observe(target, 0n), expect);
    };
    if (!isPlanned(observe(place.to, 0n)) || !isOurs()) {
      fs.rmSync(toFs(place.to), { force: true });
      throw changedMeanwhile();
    }
    try {
      fs.renameSync(toFs(staged), toFs(target));
    } catch (error) {
      // Over a network it may have been done all the same: then this is the last name of the old one.
      if (!how.keep || lstatIfPresent(target)?.ino === expect.ino) fs.rmSync(toFs(place.to), { force: true });
      else place.record?.(expect, how.reason);
      throw error;
    }
    this.#changed();
    place.record?.(expect, how.reason);
    result.kept = how.keep;
    const after = observe(place.to, 0n);
    const edited = !isPlanned(after);
    if (!how.keep) {
      if (edited && after !== undefined) this.#keepAfterAll(place.to, path, after, result);
      else if (after !== undefined) fs.unlinkSync(toFs(place.to));
    } else if (edited) {
      throw new StepError('changed-meanwhile', 'edited while it was replaced; that edit is in history');
    } else if (linked) unshare(place.to, this.#staging.fresh('u'));
  }

  #keepAfterAll(
    from: string,
    path: RelPath,
    entry: Entry,
    result: StepResult,
    detail = 'edited while it was replaced; that edit is in history',
  ): void {
    // Parked first: history may have no room for it, and staging goes with this run.
    const parked = this.#staging.parkingPlace(path);
    fs.renameSync(toFs(from), toFs(parked));
    const { to, record } = this.#history.place(path);
    fs.renameSync(toFs(parked), toFs(to));
    this.#staging.forgetParked(parked);
    record(entry, 'conflict');
    result.kept = true;
    throw new StepError('changed-meanwhile', detail);
  }

  /** All of a directory's steps, or none: everything is staged and looked at before the first name changes (A18). */
  *#group(step: StepOf<'group'>, result: StepResult): Work<void> {
    const staged = new Map<ApplyStep, { path: string; copied: Copied }>();
    const leaving = new Set<RelPath>();
    try {
      for (const inner of step.steps) {
        this.#settleHandles();
        const [failed] = this.#staged.get(inner.path)?.failures ?? [];
        if (failed !== undefined) throw new StepError(failed.why, failed.detail);
        if (inner.op === 'put') staged.set(inner, yield* this.#stagePut(inner, result, !leaving.has(inner.path)));
        else if (inner.op === 'remove') {
          verify(this.#handles.locate(inner.path), inner.expect);
          leaving.add(inner.path);
        }
      }
    } catch (error) {
      this.#dropStaged(step.steps, staged);
      if (error instanceof DeltaMismatchError) throw error;
      const { why, detail } = this.#failure(step.path, error);
      throw new StepError(why, `nothing in it was changed: ${detail}`);
    }
    result.inner = [];
    for (const [index, inner] of step.steps.entries()) {
      const own: StepResult = {
        step: index,
        path: inner.path,
        observed: undefined,
        failures: [],
        bytes: 0,
        kept: false,
      };
      result.inner.push(own);
      try {
        this.#settleHandles();
        if (inner.op !== 'unit' && this.#waiting.length > 0) {
          // New directories come before what points into them (git's objects before its refs).
          yield* this.#settle();
          this.#nameWaiting(true);
        }
        const ready = staged.get(inner);
        if (inner.op === 'put' && ready !== undefined) this.#commitPut(inner, ready, own);
        else yield* this.#carryOut(inner, own);
      } catch (error) {
        own.failures.push(this.#failure(inner.path, error));
        const after = step.steps.slice(index + 1);
        // What could not make room would be mixed with what is to come in its place.
        if (inner.op === 'remove' && after.some(({ op }) => op !== 'remove')) {
          this.#dropStaged(after, staged);
          return;
        }
      }
    }
  }

  #dropStaged(steps: readonly ApplyStep[], staged: ReadonlyMap<ApplyStep, { path: string }>): void {
    for (const step of steps) {
      const copied = staged.get(step)?.path;
      if (copied !== undefined) fs.rmSync(copied, { force: true });
      const built = step.op === 'unit' ? this.#staged.get(step.path)?.path : undefined;
      if (built !== undefined) fs.rmSync(built, { recursive: true, force: true });
    }
  }

  // --- metadata ----------------------------------------------------------------------------------------------------

  #meta(step: StepOf<'meta'>, result: StepResult): void {
    const target = this.#handles.locate(step.path);
    const handle = openNoFollow(target);
    try {
      // On the handle: the name may be given to something else at any moment, the handle stays what was verified.
      const held = pathOfHandle(handle, target);
      verify(target, step.expect);
      const now = fs.fstatSync(handle, { bigint: true });
      if (now.ino !== lstatIfPresent(target)?.ino) throw changedMeanwhile();
      // Setting a time hides an edit that goes before it.
      const { expect } = step;
      if (expect.kind === 'file' && (now.size !== BigInt(expect.size) || now.mtimeNs !== expect.mtimeNs)) {
        throw changedMeanwhile();
      }
      if (step.mode !== undefined) {
        const setIds = step.expect.mode & ~0o1777;
        fs.chmodSync(held, step.mode | setIds);
      }
      if (step.mtimeUs !== undefined) setTimes(held, step.mtimeUs);
      const { ino, size, kind } = step.expect;
      const found = fs.fstatSync(handle, { bigint: true });
      const made = { ino, mode: Number(found.mode) & 0o7777 };
      const { mtimeUs: asked } = step;
      const mtimeNs = asked === undefined ? step.expect.mtimeNs : timeSet(found.mtimeNs, asked, this.#granularityNs);
      this.#done(result, step.path, kind === 'file' ? { ...made, size, mtimeNs } : made);
    } finally {
      fs.closeSync(handle);
    }
  }

  #setMode(target: string, mode: number): void {
    const handle = openNoFollow(target);
    try {
      fs.chmodSync(pathOfHandle(handle, target), mode);
    } finally {
      fs.closeSync(handle);
    }
  }

  #directoryTime(step: StepOf<'directory-time'>, result: StepResult): void {
    const target = step.path === '' ? `${this.#handles.rootPrefix}/.` : this.#handles.locate(step.path);
    const handle = openNoFollow(target);
    try {
      if (!fs.fstatSync(handle).isDirectory()) throw changedMeanwhile();
      if (step.mode !== undefined) fs.chmodSync(pathOfHandle(handle, target), step.mode);
      setTimes(pathOfHandle(handle, target), step.mtimeUs);
    } finally {
      fs.closeSync(handle);
    }
    const found = observe(target, this.#granularityNs);
    result.observed =
      found && recordedAs(found, { mtimeNs: timeSet(found.mtimeNs, step.mtimeUs, this.#granularityNs) });
  }

  // --- removing and renaming ---------------------------------------------------------------------------------------

  #remove(step: StepOf<'remove'>, result: StepResult): void {
    const target = this.#locateIfPresent(step.path);
    // Somebody else was quicker.
    if (target === undefined) return;
    const now = verify(target, step.expect);
    if (now === undefined) return;
    if (now.kind === 'dir') {
      this.#removeDirectory(step, target, now);
      result.kept = step.keep;
      return;
    }
    // Renamed aside first, so that whatever was in fact there is in hand when it is looked at.
    const place = step.keep ? this.#history.place(step.path) : { to: this.#staging.fresh('r'), record: undefined };
    let renamed: boolean;
    try {
      renamed = renameOrCopy(target, place.to);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT' && lstatIfPresent(target) === undefined) return;
      throw error;
    }
    const removed = observe(place.to, 0n);
    const asPlanned = renamed ? matches(removed, { ...step.expect, ctimeNs: 0n }) : removed?.size === step.expect.size;
    if (!asPlanned) {
      this.#putBack(place, target, step.path, result);
      throw changedMeanwhile();
    }
    this.#changed();
    if (step.keep) {
      place.record?.(step.expect, step.reason);
      result.kept = true;
    } else fs.unlinkSync(toFs(place.to));
  }

  /** Undoes a removal that caught something else; if that cannot be (its name is taken by now), it goes to history. */
  #putBack(
    aside: { to: string; record: ReturnType<HistoryWriter['place']>['record'] | undefined },
    target: string,
    path: RelPath,
    result: StepResult,
  ): void {
    try {
      nameNew(aside.to, target);
    } catch {
      const entry = observe(aside.to, 0n);
      if (entry === undefined) return;
      const detail = 'replaced while it was removed; the earlier one is kept in history';
      if (aside.record === undefined) return this.#keepAfterAll(aside.to, path, entry, result, detail);
      aside.record(entry, 'conflict');
      result.kept = true;
      throw new StepError('changed-meanwhile', detail);
    }
  }

  /** undefined when nothing is there any more, its directory included. */
  #locateIfPresent(path: RelPath): string | undefined {
    try {
      const target = this.#handles.locate(path);
      return lstatIfPresent(target) === undefined ? undefined : target;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** rmdir only: what is still in it was not planned to go (DESIGN §6.5). */
  #removeDirectory(step: StepOf<'remove'>, target: string, now: Entry): void {
    this.#handles.forget(step.path);
    try {
      fs.rmdirSync(toFs(target));
    } catch (error) {
      const code = errnoCode(error);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      const left = removeDirectoryIfOnly(target, step.path, this.#matcher);
      if (left.length > 0) throw new StepError('kept-ignored', `still holds ${describe(left)}`);
    }
    this.#changed();
    if (step.keep) this.#history.keepDirectory(step.path, now, step.reason);
  }

  // --- looking -----------------------------------------------------------------------------------------------------

  #refuseWhenFull(): void {
    if (this.#full !== undefined) throw new StepError('no-space', this.#full);
  }

  /** Between two steps, of which none has a path of another: directories that are let go of must not add up (dir-handles.ts). */
  #settleHandles(): void {
    this.#handles.settle();
    this.#history.settle();
  }

  #changed(): void {
    this.#lastChangeMs = Date.now();
  }

  #done(result: StepResult, path: RelPath, made: Unobserved['made']): void {
    this.#changed();
    this.#unobserved.push({ result, path, made });
  }

  /** Waits until the clock has moved on from the last change, so that what is observed now shows every later one. */
  *#settle(): Work<void> {
    const last = Math.max(this.#lastChangeMs, ...this.#waiting.map((unit) => unit.staged.lastWriteMs));
    const grainMs = Number(this.#granularityNs) / 1e6;
    if (this.#unobserved.length + this.#waiting.length === 0) return;
    if (this.#granularityNs > maxGrainToWaitNs) return;
    for (;;) {
      const left = last + grainMs + 1 - Date.now();
      if (left <= 0 || left > grainMs + 1) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.min(left, 5));
      yield { entries: this.#results.length, bytes: this.#bytes, path: '' };
    }
  }

  /** What was really set is read back (DESIGN §3.5). */
  #observeAll(): void {
    for (const { result, path, made } of this.#unobserved) {
      // The event loop gets no turn before all have been looked at, in as many directories.
      this.#handles.settle();
      let entry: Entry | undefined;
      try {
        entry = observe(this.#handles.locate(path), this.#granularityNs);
      } catch (error) {
        result.failures.push(this.#failure(path, error));
        continue;
      }
      if (entry === undefined) {
        result.failures.push({ path, why: 'changed-meanwhile', detail: 'removed as soon as it was there' });
        continue;
      }
      result.observed = recordedAs(entry, made);
    }
  }
}

function describe(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
