/**
 * Carrying out a batch over there (DESIGN §6), a few commands for many steps. What holds while something is changed is said in
 * program-apply.ts, which changes it; here is decided what, in which order, and what came of it.
 *
 * Everything is in staging, and has been looked at there, before the first name changes. While names are given to one batch the
 * next one is being staged already, in a directory of its own: nothing in the root is touched by that. What a command came to is told by
 * what stands there afterwards: a name was given if it leads to the inode that was staged.
 */
import { append } from '../../base/append.ts';
import { unreachable } from '../../base/errors.ts';
import { mtimeUs, recordedAs, syncedMode, timeSet, type Entry, type Made } from '../../tree/entry.ts';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { Listing } from '../../tree/listing.ts';
import { baseName, isSafePath, isValidName, joinPath, parentPath, type RelPath } from '../../tree/path.ts';
import type { ApplyBatch, ApplyStep, Control, Failure, FileDigest, StepResult } from '../replica.ts';
import { wantedContent } from '../wanted-content.ts';
import { isAs } from './is-as.ts';
import { Changes, unfit } from './changes.ts';
import type { ContentTask, Received } from './content-in.ts';
import { observe, type FarRoot } from './far-root.ts';
import type { FarHistory } from './history.ts';
import type { Found } from './records.ts';
import { lookSettled } from './look-settled.ts';
import { Stager } from './stager.ts';
import { touchedUs } from './touch-time.ts';

/** So many directories are looked at before their times are set. */
const worthLooking = 32;

type StepOf<Op extends ApplyStep['op']> = Extract<ApplyStep, { op: Op }>;
type UnitStep = StepOf<'unit'>;
type Named = StepOf<'put'> | StepOf<'link'>;

/** Steps with their results. */
interface Task<Step extends ApplyStep = ApplyStep> {
  step: Step;
  result: StepResult;
}

/** Brings the content of a batch's files into staging. @returns what became of each, in their order */
export type Bring = (stager: Stager, task: ContentTask) => Promise<Received[]>;

/** Which batches are under way, at one root. */
export class FarApplies {
  /** All that every earlier batch stages has been sent. Never rejects. */
  #sent: Promise<unknown> = Promise.resolve();
  /** Every earlier batch is done. Never rejects. */
  #done: Promise<unknown> = Promise.resolve();

  /** Carries out a batch, after those that came before. @param bring undefined: nothing in it has content */
  async run(
    root: FarRoot,
    history: FarHistory,
    batch: ApplyBatch,
    control: Control,
    bring: Bring | undefined,
  ): Promise<StepResult[]> {
    const [sent, done] = [this.#sent, this.#done];
    const applier = new FarApplier(root, history, batch, control);
    const sending = sent.then(async () => applier.send(bring, done));
    // The far side answers in order: what is sent of the next batch meanwhile is done behind this one's being looked at.
    const staging = sending.then(async () => applier.look());
    const applying = Promise.all([staging, done]).then(async () => applier.finish());
    this.#sent = sending.catch(() => undefined);
    this.#done = Promise.all([done, applying.catch(() => undefined)]);
    return applying;
  }

  /** Ends when nothing is under way any more. */
  async rest(): Promise<void> {
    await this.#done;
  }
}

class FarApplier {
  readonly #root: FarRoot;
  readonly #batch: ApplyBatch;
  readonly #control: Control;
  readonly #stager: Stager;
  readonly #changes: Changes;
  /** Where in staging each path's new thing is. */
  readonly #places = new Map<RelPath, string>();
  /** Units that lie inside another one of the batch: they are named with it. */
  readonly #inside = new Set<UnitStep>();
  readonly #received = new Map<RelPath, Received>();
  /** What is in staging, by place. */
  #staged: ReadonlyMap<string, Found> = new Map();
  /** To be looked at at the end, with what we made of it. */
  readonly #unobserved: Unobserved[] = [];
  #entries = 0;

  constructor(root: FarRoot, history: FarHistory, batch: ApplyBatch, control: Control) {
    this.#root = root;
    this.#batch = batch;
    this.#control = control;
    this.#stager = new Stager(root);
    this.#changes = new Changes(root, history, this.#stager);
  }

  async finish(): Promise<StepResult[]> {
    const tasks = this.#batch.steps.map((step, index): Task => ({ step, result: emptyResult(index, step.path) }));
    await this.#carryOut(tasks, false);
    // Losing its second name, in staging, moves a file's ctime: only after that it is as it will be seen from now on.
    await this.#stager.clear();
    await this.#observeAll();
    return tasks.map(({ result }) => result);
  }

  // --- staging -----------------------------------------------------------------------------------------------------

  /** Sends what is to be in staging. @param earlier ends when what was to be done before is done */
  async send(bring: Bring | undefined, earlier: Promise<unknown>): Promise<void> {
    const containers = [{ steps: this.#batch.steps }, ...this.#batch.steps.filter((step) => step.op === 'group')];
    const units: { step: UnitStep; place: string }[] = [];
    const links: { place: string; source: Entry }[] = [];
    for (const { steps } of containers) {
      const inContainer = new Map<RelPath, string>();
      const baskets = new Map<RelPath, string>();
      const basket = async (kind: string, dir: RelPath): Promise<string> => {
        const key = `${kind}/${dir}`;
        let name = baskets.get(key);
        if (name === undefined) {
          name = this.#stager.fresh();
          baskets.set(key, name);
          await this.#stager.prepare();
          await this.#stager.dir(name, 0o700, undefined);
        }
        return name;
      };
      for (const step of steps) {
        // One name that is too long for a `tar` costs all that follows it in the archive.
        if (!isSafePath(step.path) || unfit(this.#root, step.path) !== undefined) continue;
        const parent = parentPath(step.path);
        if (step.op === 'unit') {
          const outer = inContainer.get(parent);
          const place = `${outer ?? (await basket('u', parent))}/${baseName(step.path)}`;
          if (outer !== undefined) this.#inside.add(step);
          inContainer.set(step.path, place);
          this.#places.set(step.path, place);
          units.push({ step, place });
          await this.#stager.dir(place, syncedMode(step.source) | 0o700, undefined);
          for (const [name, entry] of new Listing(step.listing).entries()) {
            if (entry.kind !== 'symlink' || !isValidName(name)) continue;
            if (unfit(this.#root, joinPath(step.path, name)) !== undefined) continue;
            links.push({ place: `${place}/${name}`, source: entry });
          }
        } else if (step.op === 'put' || step.op === 'link') {
          const place = `${await basket('p', parent)}/${baseName(step.path)}`;
          this.#places.set(step.path, place);
          if (step.op === 'link') links.push({ place, source: step.source });
        }
      }
    }
    if (this.#places.size === 0) return;
    if (bring !== undefined) await this.#receive(bring, earlier);
    for (const { place, source } of links) {
      await this.#stager.link(place, source.target ?? '', mtimeUs(source));
    }
    // Filling them moved their times; deepest first, so that none is moved again.
    for (const { step, place } of units.reverse()) {
      await this.#stager.dir(place, syncedMode(step.source) | 0o700, mtimeUs(step.source));
    }
    await this.#stager.send();
  }

  /** Waits for what was sent, and looks at what has become of it. */
  async look(): Promise<void> {
    if (this.#places.size === 0) return;
    await this.#stager.settle();
    this.#staged = await lookSettled(this.#root.granularityNs, async () => this.#stager.look());
  }

  async #receive(bring: Bring, earlier: Promise<unknown>): Promise<void> {
    const wanted = [...wantedContent(this.#batch.steps)];
    const modes = new Map(
      this.#batch.steps
        .flatMap((step) => (step.op === 'group' ? step.steps : [step]))
        .flatMap((step) => (step.op === 'put' ? [[step.path, step.mode] as const] : [])),
    );
    const received = await bring(this.#stager, {
      wanted,
      earlier,
      signal: this.#control.signal,
      placeOf: ({ to, source }) => {
        if (unfit(this.#root, to) !== undefined) return undefined;
        const inUnit = this.#places.get(parentPath(to));
        const name = this.#places.get(to) ?? (inUnit === undefined ? undefined : `${inUnit}/${baseName(to)}`);
        return name === undefined ? undefined : { name, mode: modes.get(to) ?? syncedMode(source) };
      },
      onBytes: (bytes) => this.#control.onProgress?.({ entries: this.#entries, bytes, path: '' }),
    });
    for (const [index, { to }] of wanted.entries()) {
      const one = received[index];
      if (one !== undefined) this.#received.set(to, one);
    }
  }

  // --- steps -------------------------------------------------------------------------------------------------------

  /** @param inOrder names are given in just this order: the inside of a group */
  async #carryOut(tasks: readonly Task[], inOrder: boolean): Promise<void> {
    for (let at = 0; at < tasks.length;) {
      const first = tasks[at];
      if (first === undefined) return;
      const kind = blockOf(first.step);
      let end = at + 1;
      while (end < tasks.length && sameBlock(kind, tasks[end], inOrder ? first : undefined)) end += 1;
      const block = tasks.slice(at, end).filter((task) => this.#isAllowed(task));
      await this.#block(kind, block);
      at = end;
      this.#entries += block.length;
      this.#control.onProgress?.({ entries: this.#entries, bytes: 0, path: first.step.path });
    }
  }

  #isAllowed({ step, result }: Task): boolean {
    const isRoot = step.path === '' && (step.op === 'directory-time' || step.op === 'meta');
    const problem = unfit(this.#root, step.path);
    if ((isSafePath(step.path) || isRoot) && problem === undefined) return true;
    result.failures.push({ path: step.path, why: 'failed', detail: problem ?? 'not a path that may be touched' });
    return false;
  }

  async #block(kind: Block, tasks: readonly Task[]): Promise<void> {
    const of = <Op extends ApplyStep['op']>(op: Op): Task<StepOf<Op>>[] =>
      tasks.filter((task): task is Task<StepOf<Op>> => task.step.op === op);
    switch (kind) {
      case 'make':
        await this.#changes.mkdirs(of('mkdir'));
        for (const { step, result } of of('mkdir')) {
          if (result.failures.length === 0) this.#unobserved.push({ result, path: step.path, made: {} });
        }
        await this.#nameUnits(of('unit'));
        await this.#namePuts(
          tasks.filter((task): task is Task<Named> => task.step.op === 'put' || task.step.op === 'link'),
        );
        return;
      case 'remove':
        return this.#changes.remove(of('remove'), new IgnoreMatcher(this.#batch.rules));
      case 'meta':
        await this.#changes.meta(of('meta'));
        for (const { step, result } of of('meta')) {
          if (result.failures.length > 0) continue;
          const { ino, size, mtimeNs, kind: what } = step.expect;
          // A time that was set is seen to be the one that was asked for (#observeAll).
          const made = what === 'file' ? { ino, size, mtimeNs } : { ino };
          this.#unobserved.push({ result, path: step.path, made, askedUs: step.mtimeUs });
        }
        return;
      case 'directory-time':
        await this.#changes.directoryTimes(await this.#notAsWanted(of('directory-time')));
        for (const { step, result } of of('directory-time')) {
          if (result.failures.length > 0) continue;
          this.#unobserved.push({ result, path: step.path, made: {}, askedUs: step.mtimeUs });
        }
        return;
      case 'moves':
        for (const { step, result } of of('moves')) await this.#changes.moves(step.moves, result);
        return;
      case 'group':
        for (const task of of('group')) await this.#group(task);
        return;
      default:
        return unreachable(kind);
    }
  }

  /** Those whose time or permission bits are still to be set: most were staged as they are to be. */
  async #notAsWanted(tasks: readonly Task<StepOf<'directory-time'>>[]): Promise<Task<StepOf<'directory-time'>>[]> {
    // A `touch` for each costs less than another look.
    if (tasks.length < worthLooking) return [...tasks];
    const { touch } = this.#root.tools;
    const now = await observe(
      this.#root,
      tasks.map(({ step }) => step.path),
    );
    return tasks.filter(({ step }) => {
      const entry = now.get(step.path)?.entry;
      const isSo =
        entry?.kind === 'dir' &&
        entry.mtimeNs === touchedUs(touch, step.mtimeUs) * 1000n &&
        (step.mode === undefined || syncedMode(entry) === step.mode);
      return !isSo;
    });
  }

  /** All of a directory's steps, or none: everything is staged and looked at before the first name changes (A18). */
  async #group({ step, result }: Task<StepOf<'group'>>): Promise<void> {
    const problem = await this.#groupProblem(step);
    if (problem !== undefined) {
      result.failures.push({
        path: step.path,
        why: problem.why,
        detail: `nothing in it was changed: ${problem.detail}`,
      });
      return;
    }
    const inner = step.steps.map((one, index): Task => ({ step: one, result: emptyResult(index, one.path) }));
    result.inner = [];
    for (const [at, task] of inner.entries()) {
      // Consecutive names in one directory go together, everything else one by one.
      result.inner.push(task.result);
      const next = inner[at + 1];
      const isLast = next === undefined || !(blockOf(task.step) === 'make' && blockOf(next.step) === 'make');
      if (!isLast) continue;
      const start = firstOfRun(inner, at);
      await this.#carryOut(inner.slice(start, at + 1), true);
      // What could not make room would be mixed with what is to come in its place.
      const failed = inner
        .slice(start, at + 1)
        .some((one) => one.step.op === 'remove' && one.result.failures.length > 0);
      if (failed && inner.slice(at + 1).some((one) => one.step.op !== 'remove')) return;
    }
  }

  async #groupProblem(step: StepOf<'group'>): Promise<Omit<Failure, 'path'> | undefined> {
    const expects: { path: RelPath; expect: Entry | undefined }[] = [];
    const leaving = new Set(step.steps.flatMap((one) => (one.op === 'remove' ? [one.path] : [])));
    for (const one of step.steps) {
      const long = unfit(this.#root, one.path);
      if (long !== undefined) return { why: 'failed', detail: long };
      if (one.op === 'unit') {
        const [failed] = this.#stagedUnit(one).failures;
        if (failed !== undefined) return failed;
      } else if (one.op === 'put' || one.op === 'link') {
        const problem = this.#stagedProblem(one);
        if (problem !== undefined) return problem;
        if (!leaving.has(one.path)) expects.push({ path: one.path, expect: one.expect });
      } else if (one.op === 'remove') expects.push({ path: one.path, expect: one.expect });
    }
    const now = await observe(
      this.#root,
      expects.map(({ path }) => path),
    );
    const changed = expects.find(({ path, expect }) => !isAs(now.get(path)?.entry, expect));
    if (changed === undefined) return undefined;
    return { why: 'changed-meanwhile', detail: 'it is not what it was when it was looked at' };
  }

  // --- names -------------------------------------------------------------------------------------------------------

  async #nameUnits(tasks: readonly Task<UnitStep>[]): Promise<void> {
    if (tasks.length === 0) return;
    const ready: Task<UnitStep>[] = [];
    const units = tasks.map(({ step }) => this.#stagedUnit(step));
    await this.#removeFailed(tasks, units);
    for (const [index, task] of tasks.entries()) {
      const { step, result } = task;
      const staged = units[index] ?? this.#stagedUnit(step);
      append(result.failures, staged.failures);
      result.bytes = staged.bytes;
      if (!staged.isThere) continue;
      result.listing = Listing.from(staged.made).bytes;
      if (staged.digests.length > 0) result.digests = staged.digests;
      if (!this.#inside.has(step)) ready.push(task);
    }
    await this.#changes.name(
      ready.map(({ step }) => ({ path: step.path, place: this.#places.get(step.path) ?? '' })),
      true,
    );
    const paths = tasks.filter(({ result }) => result.listing !== undefined).map(({ step }) => step.path);
    const now = await observe(this.#root, paths);
    const rest = new Map<RelPath, { path: RelPath; mode: number; mtimeUs?: bigint }>();
    for (const [index, { step, result }] of tasks.entries()) {
      if (result.listing === undefined) continue;
      const made = this.#staged.get(this.#places.get(step.path) ?? '')?.entry;
      const found = now.get(step.path)?.entry;
      if (found === undefined || found.ino !== made?.ino) {
        const why = this.#changes.whyNot(step.path, found);
        result.failures = [{ path: step.path, ...why }];
        delete result.listing;
        delete result.digests;
        continue;
      }
      const mode = syncedMode(step.source);
      // Only its owner's own bits made it possible to fill and to rename it: what the source denies itself is set now.
      const isShut = (mode & 0o700) !== 0o700 && !step.filledLater;
      // A `tar` that ends at the first file for which there is no room has not come to the directories themselves.
      const isCut = (units[index]?.failures.length ?? 0) > 0;
      result.observed = recordedAs(
        found,
        isCut ? {} : { mtimeNs: made.mtimeNs, ...(isShut ? {} : { mode: made.mode }) },
      );
      if (!isShut && !isCut) continue;
      const time = isCut ? { mtimeUs: mtimeUs(step.source) } : {};
      rest.set(step.path, { path: step.path, mode: step.filledLater ? mode | 0o700 : mode, ...time });
    }
    if (rest.size === 0) return;
    await this.#changes.dressDirectories([...rest.values()]);
    const again = await observe(this.#root, [...rest.keys()]);
    for (const { step, result } of tasks) {
      const found = again.get(step.path)?.entry;
      if (found === undefined) continue;
      const askedUs = rest.get(step.path)?.mtimeUs;
      const mtimeNs = askedUs === undefined ? result.observed?.mtimeNs : this.#timeSet(found, askedUs);
      result.observed = recordedAs(found, { mtimeNs: mtimeNs ?? found.mtimeNs });
    }
  }

  /** What arrived in part must not get a name with its directory. */
  async #removeFailed(tasks: readonly Task<UnitStep>[], units: readonly { failures: Failure[] }[]): Promise<void> {
    const touched: UnitStep[] = [];
    const names: string[] = [];
    for (const [index, { step }] of tasks.entries()) {
      const place = this.#places.get(step.path) ?? '';
      for (const { path } of units[index]?.failures ?? []) {
        const name = `${place}/${baseName(path)}`;
        if (path === step.path || !this.#staged.has(name)) continue;
        names.push(name);
        touched.push(step);
      }
    }
    if (names.length === 0) return;
    await this.#stager.drop(names);
    for (const step of new Set(touched)) {
      const place = this.#places.get(step.path) ?? '';
      await this.#stager.dir(place, syncedMode(step.source) | 0o700, mtimeUs(step.source));
    }
    await this.#stager.settle();
    const left = new Map<string, Found>(this.#staged);
    for (const name of names) left.delete(name);
    this.#staged = left;
  }

  /** What is in staging of a new directory. */
  #stagedUnit(step: UnitStep): {
    isThere: boolean;
    made: [string, Entry][];
    digests: FileDigest[];
    failures: Failure[];
    bytes: number;
  } {
    const place = this.#places.get(step.path) ?? '';
    const unit = {
      isThere: false,
      made: [] as [string, Entry][],
      digests: [] as FileDigest[],
      failures: [] as Failure[],
      bytes: 0,
    };
    if (this.#staged.get(place)?.entry.kind !== 'dir') {
      unit.failures.push({ path: step.path, ...this.#stager.why() });
      return unit;
    }
    unit.isThere = true;
    for (const [name, source] of new Listing(step.listing).entries()) {
      if (source.kind !== 'file' && source.kind !== 'symlink') continue;
      const path = joinPath(step.path, name);
      const received = this.#received.get(path);
      const made = this.#staged.get(`${place}/${name}`)?.entry;
      const long = unfit(this.#root, path);
      const problem = !isValidName(name)
        ? notAName
        : long === undefined
          ? this.#problemOf(source, received, made)
          : ({ why: 'failed', detail: long } as const);
      if (problem !== undefined || made === undefined) {
        unit.failures.push({ path, ...(problem ?? this.#stager.why()) });
        continue;
      }
      unit.made.push([name, made]);
      unit.bytes += made.size;
      if (received?.ok === true && received.digest !== undefined) unit.digests.push({ name, digest: received.digest });
    }
    return unit;
  }

  #problemOf(
    source: Entry,
    received: Received | undefined,
    made: Entry | undefined,
  ): Omit<Failure, 'path'> | undefined {
    if (source.kind === 'file') {
      if (received === undefined) return { why: 'failed', detail: 'there is no source to copy it from' };
      if (!received.ok) return received.failure;
      if (made?.kind !== 'file' || made.size !== source.size) return this.#stager.why();
      return undefined;
    }
    return made?.kind === 'symlink' && made.target === source.target ? undefined : this.#stager.why();
  }

  #stagedProblem(step: Named): Omit<Failure, 'path'> | undefined {
    const made = this.#staged.get(this.#places.get(step.path) ?? '')?.entry;
    return this.#problemOf(step.source, this.#received.get(step.path), made);
  }

  async #namePuts(tasks: readonly Task<Named>[]): Promise<void> {
    if (tasks.length === 0) return;
    const ready: Task<Named>[] = [];
    for (const task of tasks) {
      const { step, result } = task;
      const problem = this.#stagedProblem(step);
      if (problem === undefined) ready.push(task);
      else result.failures.push({ path: step.path, ...problem });
    }
    const placed = ({ step }: Task<Named>): { path: RelPath; place: string } => ({
      path: step.path,
      place: this.#places.get(step.path) ?? '',
    });
    await this.#changes.name(ready.filter(({ step }) => step.expect === undefined).map(placed), false);
    await this.#changes.replace(
      ready.flatMap((task) =>
        task.step.expect === undefined
          ? []
          : [
              {
                ...placed(task),
                expect: task.step.expect,
                keep: task.step.keep,
                reason: task.step.reason,
                result: task.result,
              },
            ],
      ),
      (path) => this.#staged.get(this.#places.get(path) ?? '')?.entry.ino,
    );
    const open = ready.filter(({ result }) => result.failures.length === 0);
    const now = await observe(
      this.#root,
      open.map(({ step }) => step.path),
    );
    for (const { step, result } of open) {
      const made = this.#staged.get(this.#places.get(step.path) ?? '')?.entry;
      const found = now.get(step.path)?.entry;
      if (made === undefined || found?.ino !== made.ino) {
        result.failures.push({ path: step.path, ...this.#changes.whyNot(step.path, found) });
        continue;
      }
      const received = this.#received.get(step.path);
      if (step.op === 'put') {
        result.bytes += made.size;
        if (received?.ok === true && received.digest !== undefined) result.digest = received.digest;
        this.#unobserved.push({
          result,
          path: step.path,
          made: { ino: made.ino, size: made.size, mtimeNs: made.mtimeNs, mode: made.mode },
        });
      } else {
        this.#unobserved.push({ result, path: step.path, made: { ino: made.ino, target: made.target ?? '' } });
      }
    }
  }

  // --- looking -----------------------------------------------------------------------------------------------------

  #timeSet({ mtimeNs }: Entry, askedUs: bigint): bigint {
    const { granularityNs, tools } = this.#root;
    return timeSet(mtimeNs, touchedUs(tools.touch, askedUs), granularityNs);
  }

  /** What was really set is read back (DESIGN §3.5). */
  async #observeAll(): Promise<void> {
    if (this.#unobserved.length === 0) return;
    const paths = this.#unobserved.map(({ path }) => path);
    const now = await lookSettled(this.#root.granularityNs, async () => observe(this.#root, paths));
    for (const { result, path, made, askedUs } of this.#unobserved) {
      const entry = now.get(path)?.entry;
      if (entry === undefined || entry.kind === 'unreadable') {
        const detail = entry === undefined ? 'removed as soon as it was there' : 'it cannot be looked at any more';
        result.failures.push({ path, why: 'changed-meanwhile', detail });
        continue;
      }
      result.observed = recordedAs(
        entry,
        askedUs === undefined ? made : { ...made, mtimeNs: this.#timeSet(entry, askedUs) },
      );
    }
  }
}

const notAName = { why: 'failed', detail: 'not a name' } as const;

/** Something done, to be looked at at the end. */
interface Unobserved {
  result: StepResult;
  path: RelPath;
  made: Made;
  /** Its mtime was set to this, microseconds. */
  askedUs?: bigint | undefined;
}

type Block = 'make' | 'remove' | 'meta' | 'directory-time' | 'moves' | 'group';

function blockOf({ op }: ApplyStep): Block {
  return op === 'unit' || op === 'put' || op === 'link' || op === 'mkdir' ? 'make' : op;
}

function sameBlock(kind: Block, task: Task | undefined, first: Task | undefined): boolean {
  if (task === undefined || blockOf(task.step) !== kind) return false;
  if (first === undefined || kind !== 'make') return true;
  return task.step.op === first.step.op && parentPath(task.step.path) === parentPath(first.step.path);
}

function firstOfRun(tasks: readonly Task[], end: number): number {
  let start = end;
  const isMake = (task: Task | undefined): boolean => task !== undefined && blockOf(task.step) === 'make';
  while (start > 0 && isMake(tasks[start - 1]) && isMake(tasks[end])) start -= 1;
  return start;
}

function emptyResult(step: number, path: RelPath): StepResult {
  return { step, path, observed: undefined, failures: [], bytes: 0, kept: false };
}
