/**
 * A link between two disks in memory: scans, reconciles and carries out plans as link/execute.ts and replica/local/apply.ts
 * do, but at once and without mercy: a step whose expectation does not hold is an error, because nobody interferes.
 */
import { mtimeUs, syncedMode, type Entry } from '../../tree/entry.ts';
import { Listing } from '../../tree/listing.ts';
import { isWithin, joinPath, type RelPath } from '../../tree/path.ts';
import { listingNow, type DigestAnswer, type ReconcileInput } from '../input.ts';
import { otherSide, type ReconcileOptions, type Side } from '../options.ts';
import { moveGroups, type MoveStep, type Plan, type Step, type TreeStep } from '../plan.ts';
import { reconcile, type Reconciled } from '../reconcile.ts';
import { Agreed } from './agreed.ts';
import { Clock, Disk } from './disk.ts';

const sides = ['a', 'b'] as const;
/** As in link/cycle.ts. */
const maxPasses = 6;

export interface LinkSetup {
  foldsNames?: Record<Side, boolean>;
  /** Which side's steps of a phase are done first: they run at the same time, so it must not matter. */
  first?: Side;
}

export class ModelLink {
  readonly clock = new Clock();
  readonly disks: Record<Side, Disk> = { a: new Disk(this.clock, 100n), b: new Disk(this.clock, 900_000n) };
  agreed = new Agreed(this.disks);

  constructor(readonly setup: LinkSetup = {}) {}

  /** Both sides meet as for the first time. */
  forget(): void {
    this.agreed = new Agreed(this.disks);
  }

  /** Scans, and reconciles until nothing needs to be hashed. @returns the plan, and how many digests it took */
  plan(options: ReconcileOptions): Reconciled & { asked: number } {
    const scan = (side: Side): ReconcileInput['a'] =>
      this.disks[side].scan(this.agreed[side], {
        scope: options.scope,
        reportAll: options.checksum,
        foldsNames: this.setup.foldsNames?.[side] ?? false,
      });
    // A copy: steps are told apart by the view while what they came to is being recorded.
    const { a, b, digests } = this.agreed;
    const base = { a: a.clone(), b: b.clone(), digests: new Map(digests) };
    let input: ReconcileInput = { base, a: scan('a'), b: scan('b'), options };
    let asked = 0;
    for (let pass = 0; pass < maxPasses; pass += 1) {
      const reconciled = reconcile(input);
      const { needs } = reconciled.plan;
      if (needs.length === 0) return { ...reconciled, asked };
      asked += needs.length;
      const answers = { a: new Map(input.a.digests), b: new Map(input.b.digests) };
      for (const need of needs) answers[need.side].set(need.path, this.#digest(need.side, need.at, need.expect));
      input = { ...input, a: { ...input.a, digests: answers.a }, b: { ...input.b, digests: answers.b } };
    }
    throw new Error('reconcile never stops asking');
  }

  #digest(side: Side, at: RelPath, expect: Entry): DigestAnswer {
    const node = this.disks[side].get(at);
    if (node?.kind !== 'file' || !matches(this.disks[side].lstat(at), expect)) {
      throw new Error(`a digest of ${side}:${at} was asked for, which is not there`);
    }
    return Buffer.from(node.text);
  }

  /** One whole cycle. */
  sync(options: ReconcileOptions): Reconciled & { asked: number } {
    this.clock.tick();
    const planned = this.plan(options);
    new Execution(this, planned.plan, planned.view).run();
    return planned;
  }
}

type PlainStep = Exclude<Step, TreeStep | MoveStep>;

class Execution {
  readonly #disks: Record<Side, Disk>;
  readonly #agreed: Agreed;
  readonly #link: ModelLink;
  readonly #waiting = new Map<
    RelPath,
    { a: Entry | undefined; b: Entry | undefined; steps: number; digest: Uint8Array | undefined }
  >();
  readonly #closing = {
    a: new Map<RelPath, { mtimeUs: bigint; mode?: number | undefined }>(),
    b: new Map<RelPath, { mtimeUs: bigint; mode?: number | undefined }>(),
  };

  constructor(
    link: ModelLink,
    private readonly plan: Plan,
    private readonly view: ReconcileInput,
  ) {
    this.#link = link;
    this.#disks = link.disks;
    this.#agreed = link.agreed;
  }

  run(): void {
    const { plan } = this;
    this.#prepare();
    // Both sides have these names already: recorded first, so that everything below finds its record.
    for (const move of plan.settledMoves) this.#agreed.recordMoves([move]);
    for (const { side, makes, moves } of moveGroups(plan)) {
      for (const step of makes) this.#do(step);
      this.#moveAll(side, moves);
    }
    this.#recordSettled();
    this.#phase(plan.clear);
    this.#phase(plan.content);
    this.#phase(plan.metadata);
    this.#phase(plan.removals);
    this.#close();
    if (this.#waiting.size > 0) throw new Error(`never recorded: ${[...this.#waiting.keys()].join(', ')}`);
  }

  #prepare(): void {
    const { plan } = this;
    for (const { path, a, b } of plan.agreements) {
      if (this.#waiting.has(path)) throw new Error(`agreed twice: ${path}`);
      this.#waiting.set(path, { a, b, steps: 0, digest: undefined });
    }
    for (const steps of [plan.prepare, plan.clear, plan.content, plan.metadata, plan.removals]) {
      for (const step of steps) this.#expect(step.path);
    }
    for (const move of plan.moves) this.#expect(move.to);
    for (const { side, path, mtimeUs: time } of plan.directoryTimes) {
      this.#closing[side].set(path, { mtimeUs: time });
      this.#expect(path);
    }
    for (const { side, path, source } of plan.prepare) this.#noteClosing(side, path, source, true);
    for (const step of plan.content) {
      if (step.op === 'mkdir') this.#noteClosing(step.side, step.path, step.source, false);
      if (step.op !== 'tree') continue;
      for (const { path, source, listing } of unitsOf(step, this.view)) {
        if (!hasDirectories(listing)) continue;
        if (this.#noteClosing(step.side, path, source, true) && path === step.path) this.#expect(path);
      }
    }
  }

  #expect(path: RelPath): void {
    const outcome = this.#waiting.get(path);
    if (outcome !== undefined) outcome.steps += 1;
  }

  /** @returns whether a closing step was added */
  #noteClosing(side: Side, path: RelPath, source: Entry, always: boolean): boolean {
    const mode = (syncedMode(source) & 0o700) === 0o700 ? undefined : syncedMode(source);
    const known = this.#closing[side].get(path);
    if (known !== undefined) known.mode = mode;
    else if (always || mode !== undefined) {
      this.#closing[side].set(path, { mtimeUs: mtimeUs(source), mode });
      return true;
    }
    return false;
  }

  #recordSettled(): void {
    const rewritten = new Set(this.plan.content.map(({ path }) => path));
    for (const [path, outcome] of this.#waiting) {
      for (const side of sides) {
        // What is about to be replaced was hashed too; that digest says nothing about what will be there.
        if (rewritten.has(path)) break;
        const digest = this.view[side].digests.get(path);
        if (digest instanceof Uint8Array) outcome.digest ??= digest;
      }
      if (outcome.steps > 0) continue;
      this.#waiting.delete(path);
      this.#agreed.record(path, outcome.a, outcome.b, outcome.digest);
    }
  }

  #done(path: RelPath, side: Side, observed: Entry | undefined, digest?: Uint8Array): void {
    const outcome = this.#waiting.get(path);
    if (outcome === undefined) return;
    outcome[side] = observed;
    outcome.digest = digest ?? outcome.digest;
    outcome.steps -= 1;
    if (outcome.steps > 0) return;
    this.#waiting.delete(path);
    this.#agreed.record(path, outcome.a, outcome.b, outcome.digest);
  }

  #phase(steps: readonly (PlainStep | TreeStep)[]): void {
    const first = this.#link.setup.first ?? 'a';
    for (const side of [first, otherSide(first)]) {
      for (const step of steps) {
        if (step.side !== side) continue;
        if (step.op === 'tree') this.#tree(step);
        else this.#do(step);
      }
    }
  }

  // --- renames -----------------------------------------------------------------------------------------------------

  /** All at once: every old name is given up before any new one is taken. */
  #moveAll(side: Side, moves: readonly MoveStep[]): void {
    const disk = this.#disks[side];
    const taken = moves.map((move) => {
      this.#verify(side, move.path, move.expect, 'move');
      const node = disk.take(move.path);
      node.ctimeNs = this.#link.clock.tick();
      return { move, node };
    });
    for (const { move, node } of taken) disk.add(move.to, node);
    this.#agreed.recordMoves(
      moves.filter(({ reason }) => reason === 'renamed').map(({ path, to }) => ({ from: path, to })),
    );
    for (const { move } of taken) {
      const observed = { ...(disk.lstat(move.to) as Entry), flags: move.expect.flags };
      if (this.#waiting.has(move.to)) this.#done(move.to, side, observed);
      else this.#agreed.updateSide(move.to, side, observed);
    }
  }

  // --- content -----------------------------------------------------------------------------------------------------

  #tree(step: TreeStep): void {
    const { side } = step;
    const disk = this.#disks[side];
    for (const { path, source, listing } of unitsOf(step, this.view)) {
      const filledLater = hasDirectories(listing);
      const node = disk.make('dir', { mode: syncedMode(source) | (filledLater ? 0o700 : 0) });
      disk.add(path, node);
      const made: [string, Entry][] = [];
      for (const [name, entry] of listing.entries()) {
        const at = joinPath(path, name);
        if (entry.kind === 'file') this.#create(side, at, at, entry, syncedMode(entry));
        else if (entry.kind === 'symlink') this.#createLink(side, at, entry);
        else continue;
        made.push([name, disk.lstat(at) as Entry]);
      }
      node.mtimeNs = mtimeUs(source) * 1000n;
      const own = Listing.from(made);
      const other = Listing.from(made.map(([name]) => [name, listing.get(name) as Entry]));
      this.#agreed.recordListing(path, side === 'a' ? own : other, side === 'a' ? other : own);
      const observed = disk.lstat(path) as Entry;
      if (path === step.path) this.#done(path, side, observed);
      else this.#agreed.record(path, ...(side === 'a' ? ([observed, source] as const) : ([source, observed] as const)));
    }
  }

  #create(side: Side, path: RelPath, from: RelPath, source: Entry, mode: number): void {
    const other = this.#disks[otherSide(side)];
    const read = other.get(from);
    if (!matches(other.lstat(from), source)) throw new Error(`the source of ${side}:${path} is not as planned`);
    const disk = this.#disks[side];
    const given = { text: read?.text ?? '', size: read?.size ?? 0, mode, mtimeNs: mtimeUs(source) * 1000n };
    disk.add(path, disk.make('file', given));
  }

  #createLink(side: Side, path: RelPath, source: Entry): void {
    const disk = this.#disks[side];
    disk.add(path, disk.make('symlink', { target: source.target ?? '', mtimeNs: mtimeUs(source) * 1000n }));
  }

  #do(step: PlainStep): void {
    const { side, path } = step;
    const disk = this.#disks[side];
    switch (step.op) {
      case 'mkdir':
        disk.add(path, disk.make('dir', { mode: syncedMode(step.source) | 0o700 }));
        break;
      case 'put':
      case 'link':
        this.#verify(side, path, step.expect, step.op);
        if (step.expect !== undefined) {
          if (step.keep) this.#keep(side, path);
          disk.remove(path);
        }
        if (step.op === 'put') this.#create(side, path, step.from, step.source, step.mode);
        else this.#createLink(side, path, step.source);
        break;
      case 'meta': {
        this.#verify(side, path, step.expect, 'meta');
        if (step.mode !== undefined) disk.chmod(path, step.mode | (step.expect.mode & ~0o1777));
        if (step.mtimeUs !== undefined) disk.utimes(path, step.mtimeUs * 1000n);
        break;
      }
      case 'remove':
        this.#verify(side, path, step.expect, 'remove');
        if ((disk.get(path)?.children.size ?? 0) > 0) throw new Error(`${side}:${path} is to be removed and not empty`);
        if (step.keep) this.#keep(side, path);
        disk.remove(path);
        break;
    }
    const digest = step.op === 'put' ? Buffer.from(disk.get(path)?.text ?? '') : undefined;
    this.#done(path, side, disk.lstat(path), digest);
  }

  #keep(side: Side, path: RelPath): void {
    const node = this.#disks[side].get(path);
    if (node?.kind === 'file') this.#disks[side].history.add(node.text);
  }

  #verify(side: Side, path: RelPath, expect: Entry | undefined, what: string): void {
    if (matches(this.#disks[side].lstat(path), expect)) return;
    throw new Error(`${what} of ${side}:${path}: it is not as the plan expects`);
  }

  #close(): void {
    for (const side of sides) {
      const disk = this.#disks[side];
      const deepestFirst = [...this.#closing[side]].sort(([x], [y]) => y.split('/').length - x.split('/').length);
      for (const [path, { mtimeUs: time, mode }] of deepestFirst) {
        if (disk.get(path)?.kind !== 'dir') throw new Error(`the time of ${side}:${path}, which is no directory`);
        if (mode !== undefined) disk.chmod(path, mode);
        disk.utimes(path, time * 1000n);
        const observed = disk.lstat(path) as Entry;
        if (this.#waiting.has(path)) this.#done(path, side, observed);
        else this.#agreed.updateSide(path, side, observed, mode !== undefined);
      }
    }
  }
}

/** As `matches` in replica/local/stat.ts. */
function matches(now: Entry | undefined, expect: Entry | undefined): boolean {
  if (now === undefined || expect === undefined) return now === expect;
  if (now.kind !== expect.kind || (expect.ino !== 0n && now.ino !== expect.ino)) return false;
  if (now.kind === 'dir') return true;
  if (now.kind === 'symlink') return now.target === expect.target;
  if (now.size !== expect.size || now.mtimeNs !== expect.mtimeNs) return false;
  return expect.ctimeNs === 0n || now.ctimeNs === expect.ctimeNs;
}

interface Unit {
  path: RelPath;
  source: Entry;
  listing: Listing;
}

/** As `unitsOf` in link/actions.ts: the directories of a tree step, parents first. */
function* unitsOf(step: TreeStep, view: ReconcileInput): Generator<Unit> {
  yield* unitsBelow(step.path, step.source, otherSide(step.side), view);
}

function* unitsBelow(path: RelPath, source: Entry, from: Side, view: ReconcileInput): Generator<Unit> {
  const { scope } = view.options;
  const copied = [...(listingNow(view, from, path) ?? Listing.empty).entries()].filter(([name, { kind }]) => {
    const at = joinPath(path, name);
    if (scope.length > 0 && !scope.some((limit) => isWithin(at, limit) || isWithin(limit, at))) return false;
    if (view[from].unreadable.has(at)) return false;
    return kind === 'file' || kind === 'dir' || kind === 'symlink';
  });
  const listing = Listing.from(copied);
  yield { path, source, listing };
  for (const [name, entry] of copied) {
    if (entry.kind === 'dir') yield* unitsBelow(joinPath(path, name), entry, from, view);
  }
}

function hasDirectories(listing: Listing): boolean {
  return [...listing.directories()].length > 0;
}
