/**
 * A link between two open roots: what must be there before a pass (pass.ts) and be put away after the last one. A one-shot
 * run has one session with one pass, live mode one with many.
 */
import { createHash, randomBytes } from 'node:crypto';
import { monotonicMs } from '../base/clock.ts';
import { GuardError, InterruptedError, LockstepError } from '../base/errors.ts';
import { compactStamp } from '../base/format.ts';
import { isMirror, sourceOf, type Mode, type Side } from '../reconcile/options.ts';
import type { Control, OpenedRoot, OpenRequest, Replica, RootProbe } from '../replica/replica.ts';
import type { Tree } from '../tree/tree.ts';
import { Baseline } from './baseline/baseline.ts';
import type { Listener } from './events.ts';
import { accessTo, scanRequestOf, type EarlyRecord } from './foresee.ts';
import { linkIdOf, placeOnHost, type LinkId } from './link-id.ts';
import { Journal } from './journal.ts';
import { metAnew, nothingDeleted } from './meeting.ts';
import type { LinkOptions } from './options.ts';
import type { Report } from './report.ts';
import { checkRoots, type Probes } from './roots.ts';
import { withoutStateDir } from './state-scope.ts';

/** How long a run waits until its data is stored. */
const flushMs = 400;

const sides = ['a', 'b'] as const;

export interface LinkRequest {
  roots: Record<Side, string>;
  /** One agent per root, not opened yet; closed by the session. */
  replicas: Record<Side, Replica>;
  options: LinkOptions;
  listener: Listener;
  signal: AbortSignal;
  /** Sides whose root is locked by another replica of this run (`OpenRequest.joins`). */
  guests?: readonly Side[];
  /** An earlier session of the same run promised it (`Session.keepsUnrecorded`). */
  keepsUnrecorded?: boolean;
  /** Told what the second root is before anything is opened. @throws what is to keep it from that */
  meet?: (remote: RootProbe) => void;
  /** Gives away, once, what was read of the record for a guess at what the roots would be asked. */
  takeRecord?: () => EarlyRecord | undefined;
}

export class Session {
  readonly request: LinkRequest;
  readonly #runId = `${compactStamp(Date.now())}-${randomBytes(4).toString('hex')}`;
  #link: LinkId | undefined;
  #baseline: Baseline | undefined;
  #journal: Journal | undefined;
  #beforeCleanOut: Record<Side, Tree> | undefined;
  /** Something was, or is about to be, recorded. */
  #recording = false;
  #options: LinkOptions;
  /**
   * What was agreed was forgotten, and whoever runs this was told that nothing is deleted: what is not on record stays where it
   * is, also in a mirror, until another run begins.
   */
  keepsUnrecorded: boolean;
  readonly opened: Record<Side, OpenedRoot | undefined> = { a: undefined, b: undefined };
  /** Whether the data of the run before was found to be stored. */
  earlierIsDurable: Promise<boolean> = Promise.resolve(false);
  /** When the roots were last given a new token, by the monotonic clock, ms. */
  #intendedAt = -Infinity;

  constructor(request: LinkRequest) {
    this.request = request;
    this.keepsUnrecorded = request.keepsUnrecorded ?? false;
    this.#options = request.options;
  }

  /** With the patterns that keep the state directory out. */
  get options(): LinkOptions {
    return this.#options;
  }

  /** Goes on by other options: those of the same link, which is not opened anew. */
  adopt(options: LinkOptions): void {
    this.#options = withoutStateDir(options, this.opened);
  }

  get link(): LinkId {
    return opened(this.#link);
  }

  get baseline(): Baseline {
    return opened(this.#baseline);
  }

  get journal(): Journal {
    return opened(this.#journal);
  }

  /** What was agreed before a side that will be emptied made it void: the guards still know the source by it. */
  get beforeCleanOut(): Record<Side, Tree> | undefined {
    return this.#beforeCleanOut;
  }

  /** Of a two-way link, which keeps the roots' identity and a token in them. */
  get marks(): boolean {
    return sourceOf(this.#options.mode) === undefined;
  }

  /** Both roots. @throws LockstepError when one is not open, as in a dry run that would make it */
  get both(): Record<Side, OpenedRoot> {
    return { a: opened(this.opened.a), b: opened(this.opened.b) };
  }

  /**
   * Looks at the roots, locks them, and puts right what a dead run left.
   *
   * @param looksAhead the roots will be scanned once, and not be watched: that may begin while threads are still coming up
   * @throws GuardError, InterruptedError, LockstepError
   */
  async open(report: Report, looksAhead = false): Promise<void> {
    const { roots, replicas, options } = this.request;
    const [a, b] = await Promise.all([replicas.a.probe(roots.a), replicas.b.probe(roots.b)]);
    const probes: Probes = { a, b };
    const link = linkIdOf(placeOf(a), placeOf(b));
    let baseline = this.#loadBaseline(link.id, link.swapped, report);
    checkRoots(roots, probes, options, baseline.exists && !options.rebaseline);
    this.request.meet?.(probes.b);
    if (looksAhead && baseline.exists && !options.cleanOutFirst) this.#lookAhead(probes, baseline);
    await this.#open(probes, report);
    // Another run may have come to its end between the reading and the locks.
    if (!baseline.isCurrent) baseline = this.#loadBaseline(link.id, link.swapped, report);
    this.#options = withoutStateDir(options, this.opened);
    await this.#checkIdentities(link.id, baseline, report);
    this.earlierIsDurable = this.#flushEarlierRun(baseline);
    // A guard may end the run, and the agents with it, before anybody waits for this.
    this.earlierIsDurable.catch(() => undefined);
    const journal = new Journal(options.stateDir, link.id);
    if (!options.dryRun) await this.#recover(journal, link.swapped, report);
    // Planned as if it were empty already; it is emptied when the guards have let the plan pass.
    if (options.cleanOutFirst) {
      if (isAlive(baseline)) this.#beforeCleanOut = { a: baseline.a, b: baseline.b };
      baseline.forget('cleaned out');
    } else if (baseline.lost !== undefined) this.keepsUnrecorded = true;
    this.#link = link;
    this.#baseline = baseline;
    this.#journal = journal;
  }

  /** On the guess that all is as at the last run; a scan that turns out to be another one is made anew. */
  #lookAhead(probes: Probes, baseline: Baseline): void {
    const { replicas, options, signal } = this.request;
    // The second root, if it is on this machine, has a thread; the first may be looked at in this one, and begins at once.
    for (const side of ['b', 'a'] as const) {
      const request = scanRequestOf(side, options, baseline);
      if (probes[side].kind !== 'directory') continue;
      replicas[side].lookAhead?.(probes[side].realPath, request, signal);
    }
  }

  /** Says that something is about to be recorded: `close` then ends the record in good order. */
  begin(): void {
    const { a, b } = this.both;
    const { mode } = this.#options;
    const session = { a: a.session, b: b.session };
    const identity = { a: a.identity, b: b.identity };
    this.baseline.begin({ identity, mode, rules: rulesKey(this.#options) }, session);
    this.#recording = true;
  }

  /** Gives both roots a token (baseline.ts): '' only keeps their identity. */
  async mark(token: string): Promise<void> {
    await Promise.all(sides.map((side) => this.request.replicas[side].token(this.link.id, token)));
  }

  /**
   * Gives both roots a new token, before something is changed: so that a root that is later restored to an older state is
   * known by its token.
   *
   * @param validMs one that was given no longer ago than this will do
   */
  async intend(validMs = 0): Promise<void> {
    if (!this.marks || monotonicMs() - this.#intendedAt < validMs) return;
    await this.mark(this.baseline.intend());
    this.#intendedAt = monotonicMs();
  }

  /** Asks both file systems to store everything written so far. @returns whether they did, shortly */
  async flush(): Promise<boolean> {
    const { replicas } = this.request;
    const done = await Promise.all(
      sides.map(async (side) => this.opened[side] === undefined || replicas[side].flush(flushMs)),
    );
    return done.every(Boolean);
  }

  /** Closes both roots; what goes wrong with it is told. */
  async close(report: Report): Promise<void> {
    const { a, b } = this.request.replicas;
    try {
      if (this.#recording) this.#baseline?.end();
    } finally {
      const closed = await Promise.allSettled([a.close(), b.close()]);
      for (const result of closed) {
        if (result.status === 'rejected') report.warning(`closing a root: ${String(result.reason)}`);
      }
    }
  }

  control(): Control {
    return { signal: this.request.signal };
  }

  #loadBaseline(linkId: string, swapped: boolean, report: Report): Baseline {
    const { options, takeRecord } = this.request;
    const early = takeRecord?.();
    const isThis = early?.link.id === linkId && early.link.swapped === swapped && early.baseline.isCurrent;
    const baseline = isThis ? early.baseline : Baseline.load(options.stateDir, linkId, swapped);
    if (baseline.lost !== undefined) {
      report.warning(`what was agreed at the last run cannot be used, ${baseline.lost.reason}: ${metAnew(options)}`);
    }
    if (options.rebaseline && baseline.exists) {
      baseline.forget('--rebaseline');
      report.notice(`starting anew as asked: ${metAnew(options)}`);
    } else if (baseline.exists && family(baseline.mode) !== family(options.mode)) {
      report.notice(`the mode changed from ${baseline.mode} to ${options.mode}: ${metAnew(options)}`);
      baseline.forget('the mode changed');
    }
    return baseline;
  }

  async #open(probes: Probes, report: Report): Promise<void> {
    const { roots, replicas, options, signal, guests } = this.request;
    if (signal.aborted) throw new InterruptedError();
    const source = sourceOf(options.mode);
    const marks = source === undefined;
    const open = async (side: Side): Promise<void> => {
      const missing = probes[side].kind === 'missing';
      // A dry run writes nothing, so a destination that would be made stands for an empty directory.
      if (options.dryRun && missing) return;
      const request: OpenRequest = {
        root: missing ? roots[side] : probes[side].realPath,
        access: accessTo(side, options),
        marks,
        create: missing,
        runId: this.#runId,
        command: options.command,
        forceUnlock: options.forceUnlock,
        ...(guests?.includes(side) === true ? { joins: true as const } : {}),
      };
      this.opened[side] = await replicas[side].open(request);
    };
    // One after the other, in an order that is the same for every run over the same two roots: two runs that meet
    // head-on cannot each hold one lock.
    const order = placeOf(probes.a) < placeOf(probes.b) ? sides : (['b', 'a'] as const);
    for (const side of order) await open(side);
    for (const side of sides) for (const line of this.opened[side]?.recovered ?? []) report.notice(line);
  }

  /** The roots must be those of the baseline, and not older than it. */
  async #checkIdentities(linkId: string, baseline: Baseline, report: Report): Promise<void> {
    const { roots, replicas, options } = this.request;
    if (!baseline.exists) return;
    for (const side of sides) {
      const opened = this.opened[side];
      const known = baseline.identity[side];
      if (opened === undefined || opened.identity === known) continue;
      // Push never deletes and its source is never written: a new destination is simply filled, if it is not emptied first.
      if (sourceOf(options.mode) !== undefined && !isMirror(options.mode) && !options.cleanOutFirst) {
        report.notice(`${roots[side]} is not the directory of the last run: starting anew`);
        baseline.forget('another root');
        return;
      }
      throw new GuardError('root-replaced', `${roots[side]} is not the directory that was synced before`, {
        path: roots[side],
        hint:
          'Nothing was changed. Is the right disk mounted? If it is meant to be another directory, add --rebaseline: ' +
          `both sides then meet as for the first time, and ${nothingDeleted(options, 'that run')}.`,
        option: '--rebaseline',
      });
    }
    const session = { a: this.opened.a?.session ?? '', b: this.opened.b?.session ?? '' };
    baseline.checkSessions(session);
    if (isAlive(baseline) && sourceOf(options.mode) === undefined) await this.#checkTokens(linkId, baseline, replicas);
    if (baseline.lost !== undefined) {
      report.warning(`${baseline.lost.reason}: ${metAnew(options)}`);
    }
  }

  async #checkTokens(linkId: string, baseline: Baseline, replicas: Record<Side, Replica>): Promise<void> {
    for (const side of sides) {
      if (this.opened[side] === undefined || baseline.acceptsToken(await replicas[side].token(linkId))) continue;
      baseline.forget(`${this.request.roots[side]} or the record of the last run was restored from an older copy`);
      return;
    }
  }

  /** The last run's data is usually stored by now; asking costs little and runs beside the scan. */
  async #flushEarlierRun(baseline: Baseline): Promise<boolean> {
    if (this.request.options.dryRun || baseline.undurableSince === undefined) return false;
    if (Date.now() - baseline.undurableSince < 40_000) return false;
    return this.flush();
  }

  /** Puts right the directory times that a run which died left behind. */
  async #recover(journal: Journal, swapped: boolean, report: Report): Promise<void> {
    const entries = journal.read();
    if (entries.length === 0) return;
    report.notice('the last run was cut off; finishing what it had begun');
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
      if (steps.length === 0 || side === sourceOf(this.request.options.mode)) continue;
      // What is not there (or is no directory) was not begun.
      await this.request.replicas[side].apply(
        { steps, content: undefined, rules: this.request.options.rules },
        this.control(),
      );
    }
    journal.clear();
  }
}

/** Asked anew: what was checked in between may have made it forget. */
function isAlive(baseline: Baseline): boolean {
  return baseline.exists;
}

/** Where a root is, in the whole world. */
function placeOf({ host, realPath }: RootProbe): string {
  return placeOnHost(host, realPath);
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

function rulesKey(options: LinkOptions): string {
  return createHash('sha256').update(JSON.stringify(options.rules)).digest('hex').slice(0, 16);
}

function opened<T>(value: T | undefined): T {
  if (value === undefined) throw new LockstepError('protocol', 'a root is not open');
  return value;
}
