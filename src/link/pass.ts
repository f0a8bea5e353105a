/**
 * One pass over an open link: scan → reconcile → guard → apply → record. Each step is a function of its own; this file is
 * their order.
 */
import { InterruptedError, LockstepError, reasonOf } from '../base/errors.ts';
import { compactStamp } from '../base/format.ts';
import type { DigestAnswer, ReconcileInput } from '../reconcile/input.ts';
import { otherSide, sides, sourceOf, type ReconcileOptions, type Side } from '../reconcile/options.ts';
import type { DigestNeed, Plan } from '../reconcile/plan.ts';
import { reconcile, type Reconciled } from '../reconcile/reconcile.ts';
import type { OpenedRoot } from '../replica/replica.ts';
import type { RelPath } from '../tree/path.ts';
import { actionsOf, weightOf } from './actions.ts';
import { atomicMatcher } from './atomic.ts';
import { cleanOutActions, doubtfulInSource, lostByCleanOut, unknownInSource, type CleanOut } from './clean-out.ts';
import { checkPlan, type GuardView } from './guards.ts';
import type { Report } from './report.ts';
import { reportScans, type Scans, type ScanTask } from './scanning.ts';
import type { Session } from './session.ts';

/** Files hashed per request: answers come in pieces that can be cancelled. */
const digestBatch = 2000;
/** Each pass answers all questions of the one before; more than this means that the sides never hold still. */
const maxRounds = 6;

/** Clocks that differ by less are taken for equal: the way of a message cannot be told from it. */
const minOffsetMs = 1000;

export interface PassRequest {
  session: Session;
  report: Report;
  /** Finds out how the sides are now. */
  scan: (task: ScanTask) => Promise<Scans>;
  /** Only some paths are looked at. */
  isPartial: boolean;
  /** The first pass of its session: what opening found still holds. */
  isFirst: boolean;
  /** Deletions that passes just before this one carried to a side: the guards count them along. */
  deletedBefore: Record<Side, number>;
  /** A token that the roots were given no longer ago than this is not renewed, ms. */
  tokenValidMs: number;
}

/**
 * @returns whether there was anything to do
 * @throws GuardError before anything is written; InterruptedError; LockstepError
 */
export async function runPass(request: PassRequest): Promise<boolean> {
  return new Pass(request).run();
}

class Pass {
  readonly #session: Session;
  readonly #report: Report;
  readonly #request: PassRequest;

  constructor(request: PassRequest) {
    this.#request = request;
    this.#session = request.session;
    this.#report = request.report;
  }

  async run(): Promise<boolean> {
    const { options, baseline } = this.#session;
    const scans = await this.#scan();
    const { plan, view } = await this.#reconcile(scans);
    const cleanOut = this.#cleanOutOf(scans);
    // A dry run shows what a guard stops, so that one can judge whether it is right.
    if (options.dryRun) this.#foretell(plan, view, scans, cleanOut);
    await this.#guard(plan, view, scans, cleanOut);
    if (options.dryRun) return false;
    this.#tellPlan(plan, view, scans);

    const { isFirst } = this.#request;
    if (isFirst && (await this.#session.earlierIsDurable)) baseline.markDurable();
    if (cleanOut !== undefined) await this.#cleanOut(cleanOut);
    return this.#apply(plan, view, scans);
  }

  async #scan(): Promise<Scans> {
    const { opened, baseline, options } = this.#session;
    const { replicas, roots, signal, options: given } = this.#session.request;
    const { isFirst } = this.#request;
    const reconcileOptions: ReconcileOptions = {
      mode: options.mode,
      onConflict: options.onConflict,
      deletes: options.deletes,
      skipDeletion: options.skipDeletion,
      backup: options.backup,
      force: options.force,
      keepUnrecorded: this.#session.keepsUnrecorded,
      scope: options.scope,
      isAtomic: atomicMatcher(options.atomic),
      ...clocks(opened),
      conflictStamp: compactStamp(Date.now()).replace(/\.\d+Z$/, 'Z'),
      // A look at some paths goes by what they look like: everything is compared by the looks at everything.
      checksum: options.checksum && !this.#request.isPartial,
    };
    const source = sourceOf(options.mode);
    const scans = await this.#request.scan({
      emptied: isFirst && options.cleanOutFirst && source !== undefined ? otherSide(source) : undefined,
      recordedOfSource: source === undefined ? undefined : this.#session.beforeCleanOut?.[source],
      replicas: {
        a: opened.a === undefined ? undefined : replicas.a,
        b: opened.b === undefined ? undefined : replicas.b,
      },
      opened,
      fresh: { a: isFirst && (opened.a?.created ?? true), b: isFirst && (opened.b?.created ?? true) },
      baseline,
      options,
      reconcileOptions,
      report: this.#report,
      signal,
    });
    reportScans(scans, given, roots, this.#report);
    return scans;
  }

  /** Reconciles until nothing needs to be hashed any more. */
  async #reconcile(scans: Scans): Promise<Reconciled> {
    let input = scans.input;
    for (let round = 0; round < maxRounds; round += 1) {
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
      const control = { ...this.#session.control(), onProgress };
      const results = await this.#session.request.replicas[side].digest(requests, control);
      for (const [index, answer] of results.entries()) answers.set(batch[index]?.path ?? '', answer);
    }
    return answers;
  }

  async #guard(plan: Plan, view: ReconcileInput, scans: Scans, cleanOut: CleanOut | undefined): Promise<void> {
    const { opened, options } = this.#session;
    const { deletedBefore, isFirst } = this.#request;
    const { actions, bytes: incoming } = weightOf(plan, view);
    this.#report.expectTotal(actions, incoming.a + incoming.b);
    checkPlan(
      plan,
      {
        roots: this.#session.request.roots,
        input: view,
        scans: scans.results,
        recorded: (side) => this.#recorded(side, scans, cleanOut),
        incoming,
        // Later it is not known: then each path finds out for itself.
        freeBytes: isFirst ? { a: opened.a?.freeBytes ?? 0, b: opened.b?.freeBytes ?? 0 } : { a: 0, b: 0 },
        deletedBefore,
        cleanOut: cleanOut === undefined ? undefined : await this.#guardedOf(cleanOut, view),
      },
      options,
    );
  }

  #recorded(side: Side, scans: Scans, cleanOut: CleanOut | undefined): number {
    const { baseline, beforeCleanOut } = this.#session;
    if (cleanOut?.side === side) return cleanOut.standing.entryCount;
    if (cleanOut !== undefined && beforeCleanOut !== undefined) return beforeCleanOut[side].entryCount;
    return baseline.exists ? baseline[side].entryCount : scans.results[side].entries;
  }

  async #guardedOf(cleanOut: CleanOut, view: ReconcileInput): Promise<GuardView['cleanOut']> {
    const unread = unknownInSource(cleanOut, view) ?? (await this.#unreadFile(cleanOut, view));
    return { side: cleanOut.side, lost: [...lostByCleanOut(cleanOut, view)], unread };
  }

  /** Whether a file can be read shows when it is; after the cleaning out that would be too late. */
  async #unreadFile(cleanOut: CleanOut, view: ReconcileInput): Promise<RelPath | undefined> {
    const source = otherSide(cleanOut.side);
    const answers = await this.#digests(source, [...doubtfulInSource(cleanOut, view)]);
    return [...answers].find(([, answer]) => answer === 'unreadable')?.[0];
  }

  #tellPlan(plan: Plan, view: ReconcileInput, scans: Scans): void {
    for (const conflict of plan.conflicts) this.#report.conflict(conflict);
    const unreadable = new Set(
      sides.flatMap((side) => scans.results[side].unreadable.map(({ path }) => `${side}${path}`)),
    );
    for (const skip of plan.skips) if (!unreadable.has(`${skip.side}${skip.path}`)) this.#report.skip(skip);
    if (!this.#session.options.dryRun) return;
    for (const action of actionsOf(plan, view)) this.#report.action(action);
  }

  // --- doing -------------------------------------------------------------------------------------------------------

  /** Only at first: after that the destination is like any other. */
  #cleanOutOf({ standing }: Scans): CleanOut | undefined {
    const source = sourceOf(this.#session.options.mode);
    if (standing === undefined || source === undefined) return undefined;
    return { side: otherSide(source), standing: standing.changed };
  }

  /** What a run would do, in its order. */
  #foretell(plan: Plan, view: ReconcileInput, scans: Scans, cleanOut: CleanOut | undefined): void {
    if (cleanOut !== undefined && cleanOut.standing.entryCount > 0) {
      const root = this.#session.request.roots[cleanOut.side];
      this.#report.notice(`${root} would be emptied first; what is in it would go to its .lockstep/history`);
      for (const action of cleanOutActions(cleanOut, new Set())) this.#report.action(action);
    }
    this.#tellPlan(plan, view, scans);
  }

  async #cleanOut(cleanOut: CleanOut): Promise<void> {
    const { replicas, roots } = this.#session.request;
    const { side } = cleanOut;
    const { removed, failures } = await replicas[side].cleanOut(this.#session.control());
    for (const { path, why, detail } of failures) this.#report.skip({ path, side, why, detail });
    for (const action of cleanOutActions(cleanOut, new Set(failures.map(({ path }) => path)))) {
      this.#report.action(action);
    }
    if (removed > 0) this.#report.notice(`${roots[side]} was emptied; what was in it is in its .lockstep/history`);
  }

  async #apply(plan: Plan, view: ReconcileInput, scans: Scans): Promise<boolean> {
    const session = this.#session;
    const { baseline, journal, options } = session;
    const { replicas, signal } = session.request;
    const opened = session.both;
    if (session.marks && !baseline.exists) {
      baseline.checkPlace();
      // The record must never name a root whose identity is not on its disk yet.
      await session.mark('');
    }
    session.begin();
    for (const side of sides) baseline.vouch(side, scans.results[side].complete ?? []);
    if (isIdle(plan)) {
      // An empty source makes an empty destination; a root that was made for nothing would go again.
      const made = this.#request.isFirst ? sides.find((side) => opened[side].created) : undefined;
      if (made !== undefined)
        await replicas[made].apply({ steps: [], content: undefined, rules: options.rules }, session.control());
      return false;
    }
    await session.intend(this.#request.tokenValidMs);
    const { swapped } = session.link;
    // Not loaded before there is something to do: see replica/local/deeds.ts.
    const { execute } = await import('./execute.ts');
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
    return true;
  }
}

/** Old versions go by their age, so also after runs that kept none. What cannot be pruned is no reason to fail. */
export async function pruneHistories(session: Session, report: Report): Promise<void> {
  const { roots, replicas } = session.request;
  const { mode, retention } = session.options;
  for (const side of sides) {
    if (side === sourceOf(mode)) continue;
    try {
      await replicas[side].prune(retention);
    } catch (error) {
      if (error instanceof InterruptedError) throw error;
      report.warning(`old versions in ${roots[side]} could not be removed: ${reasonOf(error)}`);
    }
  }
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

function isIdle(plan: Plan): boolean {
  const { prepare, moves, settledMoves, clear, content, metadata, removals, directoryTimes, agreements } = plan;
  return [prepare, moves, settledMoves, clear, content, metadata, removals, directoryTimes, agreements].every(
    (list) => list.length === 0,
  );
}
