/**
 * Carrying out a plan: its steps in phases, each phase on both sides at once, in batches; every batch's results are
 * recorded before the next is sent, so that a run that dies has lost at most the record of one batch.
 */
import { mtimeUs, syncedMode, type Entry } from '../tree/entry.ts';
import { Listing } from '../tree/listing.ts';
import { isWithin, joinPath, type RelPath } from '../tree/path.ts';
import type { ReconcileInput } from '../reconcile/input.ts';
import { otherSide, type Side } from '../reconcile/options.ts';
import { moveGroups, type Plan, type Step, type TreeStep } from '../reconcile/plan.ts';
import { inodesTouched } from '../reconcile/reconcile.ts';
import type { ApplyStep, Failure, OpenedRoot, Replica, StepResult, UnitStep } from '../replica/replica.ts';
import { applyWithContent } from './content.ts';
import { withLike } from './similar.ts';
import { actionOfStep, createAction, unitsOf, type TreeUnit } from './actions.ts';
import { groupAtomic, type AtomicGroup } from './atomic.ts';
import type { Baseline } from './baseline/baseline.ts';
import { FailedRenames, type Unmet } from './failed-renames.ts';
import type { Journal, JournalEntry } from './journal.ts';
import type { LinkOptions } from './options.ts';
import { Outcomes } from './outcomes.ts';
import type { Report } from './report.ts';

/** Files per batch: few enough to lose and to hold little, enough that a batch's own cost does not show. */
const batchFiles = 6_000;
/** A file on its own costs as much as so many in a new directory: staged, looked at, kept, named, looked at again. */
const putWeight = 4;
/** Content per batch, bytes. */
const batchBytes = 256 << 20;

export interface Execution {
  plan: Plan;
  view: ReconcileInput;
  replicas: Record<Side, Replica>;
  opened: Record<Side, OpenedRoot>;
  options: LinkOptions;
  baseline: Baseline;
  journal: Journal;
  /** The roots stand in the other order than in the link's files. */
  swapped: boolean;
  report: Report;
  signal: AbortSignal;
}

/** A step on its way, with what is to be done with its result. */
interface Task {
  step: ApplyStep;
  files: number;
  bytes: number;
  finish: (result: StepResult) => void;
}

interface SidedTask {
  side: Side;
  task: Task;
}

export async function execute(execution: Execution): Promise<void> {
  await new Executor(execution).run();
}

/** Directories whose time (and mode) a run sets at its end, by side. */
type Closing = Record<Side, Map<RelPath, { mtimeUs: bigint; mode: number | undefined; restores: boolean }>>;

class Executor {
  readonly #execution: Execution;
  readonly #failedRenames = new FailedRenames();
  readonly #outcomes: Outcomes;
  readonly #closing: Closing = { a: new Map(), b: new Map() };
  /** Files with a name that a step touches, by inode. */
  readonly #touched: Record<Side, ReadonlyMap<bigint, number>>;
  readonly #progress = { entries: 0, bytes: 0, running: { a: 0, b: 0 } };

  constructor(execution: Execution) {
    this.#execution = execution;
    this.#outcomes = new Outcomes(execution.baseline, execution.plan.agreements, this.#failedRenames);
    this.#touched = inodesTouched(execution.plan);
  }

  async run(): Promise<void> {
    const { plan, baseline, journal } = this.#execution;
    this.#prepare();
    journal.write(this.#journalEntries());
    await this.#moves();
    this.#outcomes.settled((path) => this.#knownDigest(path));
    const { clear, content, removals } = this.#grouped();
    await this.#phase(clear);
    await this.#phase(content);
    await this.#phase(plan.metadata.map((step) => this.#task(step)));
    await this.#phase(removals);
    await this.#phase(this.#closingTasks());
    baseline.flush();
    journal.clear();
  }

  /** Counts the steps that each path waits for, and collects the directories to close. */
  #prepare(): void {
    const { plan, view } = this.#execution;
    for (const steps of [plan.prepare, plan.clear, plan.content, plan.metadata, plan.removals]) {
      for (const step of steps) this.#outcomes.expect(step.path);
    }
    for (const move of plan.moves) this.#outcomes.expect(move.to);
    for (const { side, path, mtimeUs: time, restores } of plan.directoryTimes) {
      this.#closing[side].set(path, { mtimeUs: time, mode: undefined, restores });
      this.#outcomes.expect(path);
    }
    for (const step of plan.prepare) this.#noteClosing(step.side, step.path, step.source, true);
    for (const step of plan.content) {
      if (step.op === 'mkdir') this.#noteClosing(step.side, step.path, step.source, false);
      if (step.op !== 'tree') continue;
      for (const unit of unitsOf(step, view)) {
        // One that denies its owner something gets its mode after its name (apply.ts): a kill in between must not leave it open.
        const isShut = (syncedMode(unit.source) & 0o700) !== 0o700;
        if (!isFilledLater(unit.listing) && !isShut) continue;
        const expected = unit.path === step.path;
        this.#noteClosing(step.side, unit.path, unit.source, true);
        if (expected) this.#outcomes.expect(unit.path);
      }
    }
  }

  /** A directory that we make gets its time, and a mode that would have been in our way, at the end. */
  #noteClosing(side: Side, path: RelPath, source: Entry, always: boolean): void {
    const mode = (syncedMode(source) & 0o700) === 0o700 ? undefined : syncedMode(source);
    const known = this.#closing[side].get(path);
    if (known !== undefined) known.mode = mode;
    else if (always || mode !== undefined) {
      this.#closing[side].set(path, { mtimeUs: mtimeUs(source), mode, restores: true });
    }
  }

  #journalEntries(): JournalEntry[] {
    const { swapped } = this.#execution;
    return (['a', 'b'] as const).flatMap((side) =>
      [...this.#closing[side]].map(([path, { mtimeUs: time, mode }]) => ({
        side: swapped ? otherSide(side) : side,
        path,
        mtimeUs: time.toString(),
        ...(mode === undefined ? {} : { mode }),
      })),
    );
  }

  #knownDigest(path: RelPath): Uint8Array | undefined {
    const { view } = this.#execution;
    for (const side of ['a', 'b'] as const) {
      const digest = view[side].digests.get(path);
      if (digest instanceof Uint8Array) return digest;
    }
    return undefined;
  }

  // --- renames -----------------------------------------------------------------------------------------------------

  async #moves(): Promise<void> {
    const { plan, baseline } = this.#execution;
    for (const move of plan.settledMoves) baseline.recordMoves([move]);
    for (const { side, makes, moves } of moveGroups(plan)) {
      await this.#phase(makes.map((step) => this.#task(step)));
      const possible = this.#possibleMoves(side, moves);
      const [first] = possible;
      if (first === undefined) continue;
      const finish = (result: StepResult): void => this.#finishMoves(side, possible, result);
      const task = { step: { op: 'moves' as const, path: first.path, moves: possible }, files: 1, bytes: 0, finish };
      await this.#phase([{ side, task }]);
    }
  }

  /** Without those that an earlier one, failed, has made impossible. */
  #possibleMoves(side: Side, moves: Plan['moves']): Plan['moves'] {
    return moves.filter(({ path, to }) => {
      const unmet = this.#failedRenames.on(side, path) ?? this.#failedRenames.on(side, to);
      if (unmet === undefined) return true;
      this.#failedRenames.add(side, path, to, unmet.why);
      this.#outcomes.failed(to);
      this.#execution.report.left(path, unmet.why);
      this.#fail(side, [{ path: to, ...unmet }]);
      return false;
    });
  }

  #finishMoves(side: Side, moves: readonly Plan['moves'][number][], result: StepResult): void {
    const { baseline, report } = this.#execution;
    const moved = new Map(result.moved?.map((item) => [item.to, item]));
    const renamed: { from: RelPath; to: RelPath }[] = [];
    for (const move of moves) {
      const done = moved.get(move.to);
      if (done === undefined) {
        const why = result.failures.find(({ path }) => path === move.to)?.why ?? 'failed';
        this.#failedRenames.add(side, move.path, move.to, why);
        this.#outcomes.failed(move.to);
        // Neither is what is still under the old name as recorded.
        report.left(move.path, why);
        continue;
      }
      if (move.expect.kind === 'dir') this.#failedRenames.renamed(side, move.path, move.to);
      if (move.reason === 'renamed') renamed.push({ from: move.path, to: move.to });
      report.action(actionOfStep(move));
    }
    if (renamed.length > 0) baseline.recordMoves(renamed);
    for (const { to, observed } of moved.values()) {
      if (this.#outcomes.has(to)) this.#outcomes.done(to, side, observed);
      // Nothing else is to be done there: only the rename itself left its mark on the entry.
      else if (observed !== undefined) baseline.updateSide(to, side, observed);
    }
    this.#fail(side, result.failures);
  }

  // --- content -----------------------------------------------------------------------------------------------------

  *#contentTasks(): Generator<{ side: Side; task: Task }> {
    for (const step of this.#execution.plan.content) {
      if (step.op === 'tree') yield* this.#treeTasks(step);
      else yield this.#task(step);
    }
  }

  *#treeTasks(step: TreeStep): Generator<{ side: Side; task: Task }> {
    for (const unit of unitsOf(step, this.#execution.view)) {
      for (const { path, why } of unit.left) this.#execution.report.skip({ path, side: otherSide(step.side), why });
      const filledLater = isFilledLater(unit.listing);
      const { path, source, listing } = unit;
      const touched = this.#touched[otherSide(step.side)];
      const moving = new Map<string, Entry>();
      let bytes = 0;
      for (const [name, entry] of listing.entries()) {
        bytes += entry.size;
        // What is done to another name of the file in this run moves its ctime: it goes by the rest.
        if (entry.kind === 'file' && touched.has(entry.ino)) moving.set(name, { ...entry, ctimeNs: 0n });
      }
      const expected = moving.size === 0 ? listing : listing.with(moving);
      // A copy of its own: a view would take the whole tree's memory along when it is sent. It vouches for nothing over there.
      const apply: UnitStep = {
        op: 'unit',
        path,
        source,
        listing: expected.withMark(0).bytes,
        filledLater,
        reason: step.reason,
      };
      const finish = (result: StepResult): void => this.#finishUnit(step, unit, result);
      yield { side: step.side, task: { step: apply, files: listing.size + 1, bytes, finish } };
    }
  }

  #finishUnit(step: TreeStep, unit: TreeUnit, result: StepResult): void {
    const { baseline, report } = this.#execution;
    const { side } = step;
    this.#fail(side, result.failures);
    if (result.observed === undefined || result.listing === undefined) {
      this.#outcomes.failed(unit.path);
      // Its parent's record must not name it, and its own parts cannot be made.
      return;
    }
    const made = new Listing(result.listing);
    // Usually all of it was made: then the source's bytes, which are in memory anyway, are the record.
    const whole = made.size === unit.listing.size;
    const source = whole
      ? unit.listing
      : Listing.from([...made.names].flatMap((name) => pair(name, unit.listing.get(name))));
    const [a, b] = side === 'a' ? [made, source] : [source, made];
    baseline.recordListings([{ dir: unit.path, a, b, digests: result.digests ?? [] }]);
    if (unit.path === step.path) this.#outcomes.done(unit.path, side, result.observed);
    else baseline.record(unit.path, ...bySide(side, result.observed, unit.source));
    report.action({ op: 'create', side, path: unit.path, kind: 'dir', bytes: 0, reason: step.reason });
    for (const [name, entry] of made.entries()) {
      report.action(createAction(step, joinPath(unit.path, name), entry));
    }
    report.summary.bytes += result.bytes;
  }

  /** Steps inside an atomic directory become one group per side (feature A18), at the end of the content. */
  #grouped(): { clear: SidedTask[]; content: Iterable<SidedTask>; removals: SidedTask[] } {
    const { plan, options, view } = this.#execution;
    const clear = plan.clear.map((step) => this.#task(step));
    const removals = plan.removals.map((step) => this.#task(step));
    if (options.atomic.length === 0) return { clear, content: this.#contentTasks(), removals };
    const { grouped, rest } = groupAtomic(
      { clear, content: [...this.#contentTasks()], removals },
      view.options.isAtomic,
    );
    const groups = grouped.map((group) => this.#groupTask(group));
    return { clear: rest.clear, content: [...rest.content, ...groups], removals: rest.removals };
  }

  #groupTask({ side, path, items }: AtomicGroup<Task>): SidedTask {
    const finish = (result: StepResult): void => {
      this.#fail(side, result.failures);
      if (result.inner === undefined) this.#leaveAsItIs(side, path);
      const why = result.failures[0]?.why ?? 'failed';
      items.forEach(({ task }, index) => {
        const inner = result.inner?.[index];
        if (inner !== undefined) return task.finish(inner);
        this.#outcomes.failed(task.step.path);
        this.#execution.report.left(task.step.path, why);
      });
    };
    const files = items.reduce((sum, { task }) => sum + task.files, 0);
    const bytes = items.reduce((sum, { task }) => sum + task.bytes, 0);
    return {
      side,
      task: { step: { op: 'group', path, steps: items.map(({ task }) => task.step) }, files, bytes, finish },
    };
  }

  /** Nothing in a directory was changed after all: its times are not set either. */
  #leaveAsItIs(side: Side, dir: RelPath): void {
    for (const path of [...this.#closing[side].keys()]) {
      if (!isWithin(path, dir)) continue;
      this.#closing[side].delete(path);
      this.#outcomes.failed(path);
    }
  }

  // --- plain steps -------------------------------------------------------------------------------------------------

  #task(step: Exclude<Step, TreeStep>): { side: Side; task: Task } {
    const { side } = step;
    const bytes = step.op === 'put' ? step.source.size : 0;
    const finish = (result: StepResult): void => this.#finishStep(step, result);
    if (step.op === 'move') {
      return { side, task: { step: { op: 'moves', path: step.path, moves: [step] }, files: 1, bytes, finish } };
    }
    return { side, task: { step, files: step.op === 'put' ? putWeight : 1, bytes, finish } };
  }

  #finishStep(step: Exclude<Step, TreeStep>, result: StepResult): void {
    const { report } = this.#execution;
    report.summary.bytes += result.bytes;
    if (result.kept) report.summary.kept += 1;
    if (result.failures.length > 0) {
      this.#outcomes.failed(step.path);
      this.#fail(step.side, result.failures);
      return;
    }
    // Making room is only the first half: what comes in its place decides what is recorded.
    this.#outcomes.done(step.path, step.side, result.observed, result.digest);
    report.action(actionOfStep(step));
  }

  #fail(side: Side, failures: readonly Failure[]): void {
    for (const { path, why, detail } of failures) {
      const ofSource = why === 'unreadable' || why === 'source-changed';
      this.#execution.report.skip({ path, side: ofSource ? otherSide(side) : side, why, detail });
    }
  }

  // --- closing directories -----------------------------------------------------------------------------------------

  #closingTasks(): { side: Side; task: Task }[] {
    const tasks: { side: Side; task: Task }[] = [];
    for (const side of ['a', 'b'] as const) {
      // Deepest first: setting a child's mode changes nothing above it, but a parent's may forbid reaching the child.
      for (const [path, closing] of [...this.#closing[side]].reverse().sort(([x], [y]) => depthOf(y) - depthOf(x))) {
        const { mode, restores } = closing;
        const step = {
          op: 'directory-time',
          path,
          mtimeUs: closing.mtimeUs,
          ...(mode === undefined ? {} : { mode }),
        } as const;
        const finish = (result: StepResult): void => this.#finishClosing(side, path, restores, result);
        tasks.push({ side, task: { step, files: 1, bytes: 0, finish } });
      }
    }
    return tasks;
  }

  #finishClosing(side: Side, path: RelPath, restores: boolean, result: StepResult): void {
    const { baseline, report } = this.#execution;
    if (result.failures.length > 0) {
      this.#outcomes.failed(path);
      // A directory that could not be made has been told already.
      if (!restores) this.#fail(side, result.failures);
      return;
    }
    if (!restores) report.action({ op: 'metadata', side, path, kind: 'dir', bytes: 0, reason: 'metadata' });
    if (this.#outcomes.has(path)) this.#outcomes.done(path, side, result.observed);
    else if (result.observed !== undefined) {
      baseline.updateSide(path, side, result.observed);
    }
  }

  // --- batches -----------------------------------------------------------------------------------------------------

  /**
   * Runs tasks of both sides, each side's in order, the sides at the same time. One batch is always sent ahead, so that
   * the agents need not wait while results are being recorded. What a failed rename has made impossible is not sent.
   */
  async #phase(tasks: Iterable<SidedTask>): Promise<void> {
    const { baseline } = this.#execution;
    let running: Promise<void> = Promise.resolve();
    for (const queues of batchesOf(this.#possible(tasks))) {
      const next = Promise.all([this.#batch('a', queues.a), this.#batch('b', queues.b)]).then(() => {
        baseline.flush();
      });
      // Awaited below, or by the next round; until then a failure must not count as unhandled.
      next.catch(() => undefined);
      await running;
      running = next;
    }
    await running;
  }

  *#possible(tasks: Iterable<SidedTask>): Generator<SidedTask> {
    for (const sided of tasks) {
      const { side, task } = sided;
      const unmet = this.#unmet(side, task.step);
      if (unmet === undefined) yield sided;
      else {
        const { path } = task.step;
        const failures = [{ path, ...unmet }];
        task.finish({ step: 0, path, observed: undefined, failures, bytes: 0, kept: false });
      }
    }
  }

  /** Content comes from the same path on the other side, so a rename that failed there is in its way, too. */
  #unmet(side: Side, { op, path }: ApplyStep): Unmet | undefined {
    return op === 'directory-time' ? this.#failedRenames.on(side, path) : this.#failedRenames.onEither(path);
  }

  async #batch(side: Side, tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return;
    const { replicas, opened, options, signal, report, view } = this.#execution;
    const onProgress = ({ bytes }: { bytes: number }): void => {
      this.#progress.running[side] = bytes;
      this.#tell();
    };
    const hostPath = sharedHostPath(opened, side);
    const steps = tasks.map(({ step }) => (hostPath === undefined ? withLike(step, side, view) : step));
    const results = await applyWithContent(
      { steps, rules: options.rules },
      { to: replicas[side], from: replicas[otherSide(side)], hostPath },
      { signal, onProgress },
    );
    this.#progress.running[side] = 0;
    for (const [index, result] of results.entries()) {
      this.#progress.bytes += result.bytes;
      tasks[index]?.finish(result);
    }
    this.#progress.entries = report.summary.total;
    this.#tell();
  }

  #tell(): void {
    const { entries, bytes, running } = this.#progress;
    this.#execution.report.progress('applying', entries, bytes + running.a + running.b);
  }
}

/** Where the other side's files are on this machine, if both sides are on it. */
function sharedHostPath(opened: Record<Side, OpenedRoot>, side: Side): string | undefined {
  const other = opened[otherSide(side)].capabilities.hostPath;
  return opened[side].capabilities.hostPath === undefined ? undefined : other;
}

/** Cuts tasks into batches; a full one on one side takes along what has gathered on the other. */
function* batchesOf(tasks: Iterable<{ side: Side; task: Task }>): Generator<Record<Side, Task[]>> {
  let queues: Record<Side, Task[]> = { a: [], b: [] };
  let [files, bytes] = [0, 0];
  for (const { side, task } of tasks) {
    queues[side].push(task);
    files += task.files;
    bytes += task.bytes;
    if (files < batchFiles && bytes < batchBytes) continue;
    yield queues;
    queues = { a: [], b: [] };
    [files, bytes] = [0, 0];
  }
  if (queues.a.length + queues.b.length > 0) yield queues;
}

function isFilledLater(listing: Listing): boolean {
  for (let i = 0; i < listing.size; i += 1) if (listing.kind(i) === 'dir') return true;
  return false;
}

function pair(name: string, entry: Entry | undefined): [string, Entry][] {
  return entry === undefined ? [] : [[name, entry]];
}

function bySide(side: Side, own: Entry, other: Entry): [a: Entry, b: Entry] {
  return side === 'a' ? [own, other] : [other, own];
}

function depthOf(path: RelPath): number {
  return path === '' ? 0 : path.split('/').length;
}
