/**
 * One cycle of a link between two roots: open → scan → reconcile → guard → apply → commit. Each step is a function of its
 * own; this file is their order and what must be undone when one of them fails.
 */
import { createHash, randomBytes } from 'node:crypto';
import { GuardError, InterruptedError, LockstepError, reasonOf } from '../base/errors.ts';
import { compactStamp } from '../base/format.ts';
import type { DigestAnswer, ReconcileInput } from '../reconcile/input.ts';
import { isMirror, otherSide, sourceOf, type Mode, type ReconcileOptions, type Side } from '../reconcile/options.ts';
import type { DigestNeed, Plan } from '../reconcile/plan.ts';
import { reconcile, type Reconciled } from '../reconcile/reconcile.ts';
import type { Control, OpenedRoot, OpenRequest, Replica, RootProbe } from '../replica/replica.ts';
import { actionsOf } from './actions.ts';
import { atomicMatcher } from './atomic.ts';
import { Baseline } from './baseline/baseline.ts';
import type { Listener, Summary } from './events.ts';
import { execute } from './execute.ts';
import { checkPlan } from './guards.ts';
import { Journal } from './journal.ts';
import type { LinkOptions } from './options.ts';
import { Report } from './report.ts';
import { checkRoots, type Probes } from './roots.ts';
import { reportScans, scanBoth, type Scans } from './scanning.ts';
import { withoutStateDir } from './state-scope.ts';

/** After a run that wrote no more than this, it waits (shortly) until the data is stored, see baseline.ts. */
const flushBytes = 64 << 20;
const flushMs = 400;
/** Files hashed per request: answers come in pieces that can be cancelled. */
const digestBatch = 2000;
/** Each pass answers all questions of the one before; more than this means that the sides never hold still. */
const maxPasses = 6;

/** Clocks that differ by less are taken for equal: the way of a message cannot be told from it. */
const minOffsetMs = 1000;

const sides = ['a', 'b'] as const;

export interface CycleRequest {
  roots: Record<Side, string>;
  /** One agent per root, not opened yet; closed by the cycle. */
  replicas: Record<Side, Replica>;
  options: LinkOptions;
  listener: Listener;
  signal: AbortSignal;
}

/** Runs one cycle. @throws GuardError before anything is written; InterruptedError; LockstepError */
export async function runCycle(request: CycleRequest): Promise<Summary> {
  const cycle = new Cycle(request);
  try {
    return await cycle.run();
  } finally {
    await cycle.close();
  }
}

class Cycle {
  #request: CycleRequest;
  /** As the user gave them. */
  readonly #given: LinkOptions;
  readonly #report: Report;
  readonly #runId = `${compactStamp(Date.now())}-${randomBytes(4).toString('hex')}`;
  #baseline: Baseline | undefined;
  #opened: Record<Side, OpenedRoot | undefined> = { a: undefined, b: undefined };

  constructor(request: CycleRequest) {
    this.#request = request;
    this.#given = request.options;
    this.#report = new Report(request.listener, request.options.dryRun);
  }

  async run(): Promise<Summary> {
    const { roots, replicas, options } = this.#request;
    const [a, b] = await Promise.all([replicas.a.probe(roots.a), replicas.b.probe(roots.b)]);
    const probes: Probes = { a, b };
    const link = linkOf(probes);
    const baseline = this.#loadBaseline(link.id, link.swapped);
    checkRoots(roots, probes, options, baseline.exists && !options.rebaseline);
    await this.#open(probes);
    this.#request = { ...this.#request, options: withoutStateDir(options, this.#opened) };
    await this.#checkIdentities(link.id, baseline);
    const durable = this.#flushEarlierRun(baseline);
    // A guard may end the run, and the agents with it, before anybody waits for this.
    durable.catch(() => undefined);
    const journal = new Journal(options.stateDir, link.id);
    if (!options.dryRun) await this.#recover(journal, link.swapped);
    // Planned as if it were empty already; it is emptied when the guards have let the plan pass.
    if (options.cleanOutFirst) baseline.forget('cleaned out');

    const scans = await this.#scan(baseline);
    const { plan, view } = await this.#reconcile(scans);
    // A dry run shows what a guard stops, so that one can judge whether it is right.
    if (options.dryRun) this.#tellPlan(plan, view, scans);
    this.#guard(plan, view, scans, baseline);
    if (options.dryRun) return this.#report.end();
    this.#tellPlan(plan, view, scans);

    if (await durable) baseline.markDurable();
    if (options.cleanOutFirst) await this.#cleanOut();
    await this.#apply(plan, view, baseline, journal, link);
    await this.#finish(baseline);
    return this.#report.end();
  }

  async close(): Promise<void> {
    const { a, b } = this.#request.replicas;
    try {
      this.#baseline?.end();
    } finally {
      const closed = await Promise.allSettled([a.close(), b.close()]);
      for (const result of closed) {
        if (result.status === 'rejected') this.#report.warning(`closing a root: ${String(result.reason)}`);
      }
    }
  }

  // --- opening -----------------------------------------------------------------------------------------------------

  #loadBaseline(linkId: string, swapped: boolean): Baseline {
    const { options } = this.#request;
    const baseline = Baseline.load(options.stateDir, linkId, swapped);
    if (baseline.lost !== undefined) {
      this.#report.warning(
        `what was agreed at the last run cannot be used: ${baseline.lost.reason}. ` +
          'Both sides meet as for the first time: nothing is deleted.',
      );
    }
    if (options.rebaseline && baseline.exists) {
      baseline.forget('--rebaseline');
      this.#report.notice('starting anew as asked: both sides meet as for the first time, nothing is deleted');
    } else if (baseline.exists && family(baseline.mode) !== family(options.mode)) {
      this.#report.notice(
        `the mode changed from ${baseline.mode} to ${options.mode}: both sides meet as for the first time, nothing is deleted`,
      );
      baseline.forget('the mode changed');
    }
    return baseline;
  }

  async #open(probes: Probes): Promise<void> {
    const { roots, replicas, options, signal } = this.#request;
    if (signal.aborted) throw new InterruptedError();
    const source = sourceOf(options.mode);
    const marks = source === undefined;
    const open = async (side: Side): Promise<void> => {
      const missing = probes[side].kind === 'missing';
      // A dry run writes nothing, so a destination that would be made stands for an empty directory.
      if (options.dryRun && missing) return;
      const request: OpenRequest = {
        root: missing ? roots[side] : probes[side].realPath,
        access: options.dryRun || side === source ? 'read' : 'write',
        marks,
        create: missing,
        runId: this.#runId,
        command: options.command,
        forceUnlock: options.forceUnlock,
      };
      this.#opened[side] = await replicas[side].open(request);
    };
    // One after the other, in an order that is the same for every run over the same two roots: two runs that meet
    // head-on cannot each hold one lock.
    const order = placeOf(probes.a) < placeOf(probes.b) ? sides : (['b', 'a'] as const);
    for (const side of order) await open(side);
    for (const side of sides) for (const line of this.#opened[side]?.recovered ?? []) this.#report.notice(line);
  }

  /** The roots must be those of the baseline, and not older than it. */
  async #checkIdentities(linkId: string, baseline: Baseline): Promise<void> {
    const { roots, replicas, options } = this.#request;
    if (!baseline.exists) return;
    for (const side of sides) {
      const opened = this.#opened[side];
      const known = baseline.identity[side];
      if (opened === undefined || opened.identity === known) continue;
      // Push never deletes and its source is never written: a new destination is simply filled.
      if (sourceOf(options.mode) !== undefined && !isMirror(options.mode)) {
        this.#report.notice(`${roots[side]} is not the directory of the last run: starting anew`);
        baseline.forget('another root');
        return;
      }
      throw new GuardError('root-replaced', `${roots[side]} is not the directory that was synced before`, {
        path: roots[side],
        hint:
          'Nothing was changed. Is the right disk mounted? If it is meant to be another directory, add --rebaseline: ' +
          'both sides then meet as for the first time, and nothing is deleted.',
        option: '--rebaseline',
      });
    }
    const session = { a: this.#opened.a?.session ?? '', b: this.#opened.b?.session ?? '' };
    baseline.checkSessions(session);
    if (isAlive(baseline) && sourceOf(options.mode) === undefined) await this.#checkTokens(linkId, baseline, replicas);
    if (baseline.lost !== undefined) {
      this.#report.warning(`${baseline.lost.reason}: both sides meet as for the first time, nothing is deleted`);
    }
  }

  async #checkTokens(linkId: string, baseline: Baseline, replicas: Record<Side, Replica>): Promise<void> {
    for (const side of sides) {
      if (this.#opened[side] === undefined || baseline.acceptsToken(await replicas[side].token(linkId))) continue;
      baseline.forget(`${this.#request.roots[side]} or the record of the last run was restored from an older copy`);
      return;
    }
  }

  /** The last run's data is usually stored by now; asking costs little and runs beside the scan. */
  async #flushEarlierRun(baseline: Baseline): Promise<boolean> {
    if (this.#request.options.dryRun || baseline.undurableSince === undefined) return false;
    if (Date.now() - baseline.undurableSince < 40_000) return false;
    return this.#flush();
  }

  async #flush(): Promise<boolean> {
    const { a, b } = this.#request.replicas;
    const done = await Promise.all(
      sides.map(async (side) => this.#opened[side] === undefined || (side === 'a' ? a : b).flush(flushMs)),
    );
    return done.every(Boolean);
  }

  /** Puts right the directory times that a run which died left behind. */
  async #recover(journal: Journal, swapped: boolean): Promise<void> {
    const entries = journal.read();
    if (entries.length === 0) return;
    this.#report.notice('the last run was cut off; finishing what it had begun');
    for (const side of sides) {
      const wanted: Side = swapped ? (side === 'a' ? 'b' : 'a') : side;
      const steps = entries
        .filter((entry) => entry.side === wanted)
        .map(({ path, mtimeUs, mode }) => ({
          op: 'directory-time' as const,
          path,
          mtimeUs: BigInt(mtimeUs),
          ...(mode === undefined ? {} : { mode }),
        }));
      if (steps.length === 0 || side === sourceOf(this.#request.options.mode)) continue;
      // What is not there (or is no directory) was not begun.
      await this.#request.replicas[side].apply(
        { steps, content: undefined, rules: this.#request.options.rules },
        this.#control(),
      );
    }
    journal.clear();
  }

  async #cleanOut(): Promise<void> {
    const { options, replicas, roots } = this.#request;
    const source = sourceOf(options.mode);
    if (source === undefined) return;
    const target = otherSide(source);
    const { removed, failures } = await replicas[target].cleanOut(this.#control());
    for (const { path, why, detail } of failures) this.#report.skip({ path, side: target, why, detail });
    if (removed > 0) this.#report.notice(`${roots[target]} was emptied; what was in it is in its .lockstep/history`);
  }

  #control(): Control {
    return { signal: this.#request.signal };
  }

  // --- deciding ----------------------------------------------------------------------------------------------------

  async #scan(baseline: Baseline): Promise<Scans> {
    const { replicas, options, signal } = this.#request;
    const reconcileOptions: ReconcileOptions = {
      mode: options.mode,
      onConflict: options.onConflict,
      deletes: options.deletes,
      skipDeletion: options.skipDeletion,
      backup: options.backup,
      force: options.force,
      scope: options.scope,
      isAtomic: atomicMatcher(options.atomic),
      ...clocks(this.#opened),
      conflictStamp: compactStamp(Date.now()).replace(/\.\d+Z$/, 'Z'),
      checksum: options.checksum,
    };
    const source = sourceOf(options.mode);
    const scans = await scanBoth({
      emptied: options.cleanOutFirst && source !== undefined ? otherSide(source) : undefined,
      replicas: {
        a: this.#opened.a === undefined ? undefined : replicas.a,
        b: this.#opened.b === undefined ? undefined : replicas.b,
      },
      opened: this.#opened,
      fresh: { a: this.#opened.a?.created ?? true, b: this.#opened.b?.created ?? true },
      baseline,
      options,
      reconcileOptions,
      report: this.#report,
      signal,
    });
    reportScans(scans, this.#given, this.#request.roots, this.#report);
    return scans;
  }

  /** Reconciles until nothing needs to be hashed any more. */
  async #reconcile(scans: Scans): Promise<Reconciled> {
    let input = scans.input;
    for (let pass = 0; pass < maxPasses; pass += 1) {
      const reconciled = reconcile(input);
      const { needs } = reconciled.plan;
      if (needs.length === 0) return reconciled;
      const [a, b] = await Promise.all([this.#digests('a', needs), this.#digests('b', needs)]);
      input = {
        ...input,
        a: { ...input.a, digests: new Map([...input.a.digests, ...a]) },
        b: { ...input.b, digests: new Map([...input.b.digests, ...b]) },
      };
    }
    throw new LockstepError('io', 'the files keep changing while they are being compared', {
      hint: 'Nothing was changed. Run again when they rest.',
    });
  }

  async #digests(side: Side, needs: readonly DigestNeed[]): Promise<Map<string, DigestAnswer>> {
    const own = needs.filter((need) => need.side === side);
    const answers = new Map<string, DigestAnswer>();
    for (let start = 0; start < own.length; start += digestBatch) {
      const batch = own.slice(start, start + digestBatch);
      const requests = batch.map(({ at, expect }) => ({ path: at, expect }));
      const onProgress = (progress: { entries: number; bytes: number }): void =>
        this.#report.progress('comparing', start + progress.entries, progress.bytes);
      const control = { signal: this.#request.signal, onProgress };
      const results = await this.#request.replicas[side].digest(requests, control);
      for (const [index, answer] of results.entries()) answers.set(batch[index]?.path ?? '', answer);
    }
    return answers;
  }

  #guard(plan: Plan, view: ReconcileInput, scans: Scans, baseline: Baseline): void {
    const { roots, options } = this.#request;
    const incoming = { a: 0, b: 0 };
    let entries = 0;
    for (const action of actionsOf(plan, view)) {
      incoming[action.side] += action.bytes;
      entries += 1;
    }
    this.#report.expectTotal(entries, incoming.a + incoming.b);
    checkPlan(
      plan,
      {
        roots,
        input: view,
        scans: scans.results,
        recorded: (side) => (baseline.exists ? baseline[side].entryCount : scans.results[side].entries),
        incoming,
        freeBytes: { a: this.#opened.a?.freeBytes ?? 0, b: this.#opened.b?.freeBytes ?? 0 },
      },
      options,
    );
  }

  #tellPlan(plan: Plan, view: ReconcileInput, scans: Scans): void {
    for (const conflict of plan.conflicts) this.#report.conflict(conflict);
    const unreadable = new Set(
      sides.flatMap((side) => scans.results[side].unreadable.map(({ path }) => `${side}${path}`)),
    );
    for (const skip of plan.skips) if (!unreadable.has(`${skip.side}${skip.path}`)) this.#report.skip(skip);
    if (!this.#request.options.dryRun) return;
    for (const action of actionsOf(plan, view)) this.#report.action(action);
  }

  // --- doing -------------------------------------------------------------------------------------------------------

  async #apply(plan: Plan, view: ReconcileInput, baseline: Baseline, journal: Journal, link: Link): Promise<void> {
    const { replicas, options, signal } = this.#request;
    const opened = bothOpened(this.#opened);
    const session = { a: opened.a.session, b: opened.b.session };
    const identity = { a: opened.a.identity, b: opened.b.identity };
    const marks = sourceOf(options.mode) === undefined;
    const mark = async (token: string): Promise<unknown> =>
      Promise.all(sides.map((side) => replicas[side].token(link.id, token)));
    if (marks && !baseline.exists) {
      baseline.checkPlace();
      // The record must never name a root whose identity is not on its disk yet.
      await mark('');
    }
    baseline.begin({ identity, mode: options.mode, rules: rulesKey(options) }, session);
    this.#baseline = baseline;
    if (isIdle(plan)) {
      // An empty source makes an empty destination; a root that was made for nothing would go again.
      const made = sides.find((side) => opened[side].created);
      if (made !== undefined)
        await replicas[made].apply({ steps: [], content: undefined, rules: options.rules }, this.#control());
      return;
    }
    // Before anything is changed, so that a root that is later restored to an older state is known by its token.
    if (marks) await mark(baseline.intend());
    const { swapped } = link;
    await execute({
      plan,
      view,
      replicas,
      opened,
      options,
      baseline,
      journal,
      swapped,
      report: this.#report,
      signal,
    });
  }

  async #finish(baseline: Baseline): Promise<void> {
    const { summary } = this.#report;
    if (summary.total > 0) {
      baseline.flush();
      if (summary.bytes <= flushBytes && (await this.#flush())) baseline.markDurable();
    }
    await this.#prune();
  }

  /** Old versions go by their age, so also after runs that kept none. What cannot be pruned is no reason to fail. */
  async #prune(): Promise<void> {
    const { options, replicas, roots } = this.#request;
    for (const side of sides) {
      if (side === sourceOf(options.mode)) continue;
      try {
        await replicas[side].prune(options.retention);
      } catch (error) {
        this.#report.warning(`old versions in ${roots[side]} could not be removed: ${reasonOf(error)}`);
      }
    }
  }
}

/** Asked anew: what was checked in between may have made it forget. */
function isAlive(baseline: Baseline): boolean {
  return baseline.exists;
}

/** Where a root is, in the whole world. */
function placeOf({ host, realPath }: RootProbe): string {
  return host === undefined ? realPath : `${host} ${realPath}`;
}

interface Link {
  /** Names the link's files in the state directory. */
  id: string;
  /** The roots were given in the other order than the files have them. */
  swapped: boolean;
}

/** A link is its two roots, in whatever order they are named. */
function linkOf(probes: Probes): Link {
  const paths = [placeOf(probes.a), placeOf(probes.b)];
  const sorted = [...paths].sort();
  const id = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 32);
  return { id, swapped: sorted[0] !== paths[0] };
}

/** Modes that read each other's baselines: the same flow, with or without deletions. */
function family(mode: string): string {
  const known = mode as Mode;
  switch (known) {
    case 'two-way':
    case 'additive':
      return 'both';
    case 'push':
    case 'mirror':
      return 'a';
    case 'pull':
    case 'pull-mirror':
      return 'b';
    default:
      return '';
  }
}

function bothOpened(opened: Record<Side, OpenedRoot | undefined>): Record<Side, OpenedRoot> {
  const { a, b } = opened;
  if (a === undefined || b === undefined) throw new LockstepError('protocol', 'a root is not open');
  return { a, b };
}

/** How far b's clock is ahead of a's, and which differences between two times mean nothing. */
function clocks(
  opened: Record<Side, OpenedRoot | undefined>,
): Pick<ReconcileOptions, 'clockOffsetNs' | 'clockUncertaintyNs' | 'timeStepNs'> {
  const [a, b] = [opened.a?.capabilities.clock, opened.b?.capabilities.clock];
  const ns = (ms: number): bigint => BigInt(Math.round(ms * 1e6));
  const uncertaintyMs = (a?.uncertaintyMs ?? 0) + (b?.uncertaintyMs ?? 0);
  const offsetMs = (b?.offsetMs ?? 0) - (a?.offsetMs ?? 0);
  return {
    // What may be nothing but the way of a message is not an offset: machines that keep time agree to milliseconds.
    clockOffsetNs: Math.abs(offsetMs) <= Math.max(uncertaintyMs, minOffsetMs) ? 0n : ns(offsetMs),
    timeStepNs: granularity(opened) + 1n,
    clockUncertaintyNs: granularity(opened) + (Math.abs(offsetMs) <= minOffsetMs ? 0n : ns(uncertaintyMs)),
  };
}

function granularity(opened: Record<Side, OpenedRoot | undefined>): bigint {
  const [a, b] = [opened.a?.capabilities.granularityNs ?? 1000n, opened.b?.capabilities.granularityNs ?? 1000n];
  // A time stored in steps of g may be off by almost g; equal steps compare exactly.
  return (a > b ? a : b) - 1n;
}

function rulesKey(options: LinkOptions): string {
  return createHash('sha256').update(JSON.stringify(options.rules)).digest('hex').slice(0, 16);
}

function isIdle(plan: Plan): boolean {
  const { prepare, moves, settledMoves, clear, content, metadata, removals, directoryTimes, agreements } = plan;
  return [prepare, moves, settledMoves, clear, content, metadata, removals, directoryTimes, agreements].every(
    (list) => list.length === 0,
  );
}
