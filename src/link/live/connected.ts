/** A live link as long as it is connected: its session, what is being watched, and passes over what may have changed. */
import { monotonicMs } from '../../base/clock.ts';
import { InterruptedError } from '../../base/errors.ts';
import { isMirror, sourceOf, type Mode, type Side } from '../../reconcile/options.ts';
import { DirtySet } from '../../replica/dirty-set.ts';
import { canWatch, type DirtyDirectory, type WatchEvent } from '../../replica/watching.ts';
import { baseName, joinPath, parentPath, type RelPath } from '../../tree/path.ts';
import type { LinkEvent, Listener, PassSummary } from '../events.ts';
import { pruneHistories, runPass } from '../pass.ts';
import { Report } from '../report.ts';
import type { ScanTask, Scans } from '../scanning.ts';
import { Session, type LinkRequest } from '../session.ts';
import { RulesChanged, Sight, type SideLook } from './looking.ts';
import { Pending, type Timing } from './pending.ts';
import { UnsettledPaths } from './unsettled.ts';

const sides = ['a', 'b'] as const;

/** A root that was given a token no longer ago than this needs no new one: passes of one burst share it (baseline.ts). */
const tokenValidMs = 10_000;
/** What was written a moment ago is looked at again when the clock has moved on. */
const racyMs = 30;
/** Deletions count as one deed, for the guards, when they come within this time. */
const deletionsMs = 60_000;

export interface LiveSettings {
  timing: Timing;
  /** How often directories, and replicas, that cannot be watched are looked at. */
  pollMs: number;
}

/** The sides on which changes are somebody's affair: push never looks at what the far side does. */
function watchedSides(mode: Mode): readonly Side[] {
  const source = sourceOf(mode);
  return source === undefined || isMirror(mode) ? sides : [source];
}

export class Connected {
  readonly session: Session;
  readonly pending: Pending;
  readonly unsettled = new UnsettledPaths();
  readonly #listener: Listener;
  readonly #sight = new Sight();
  readonly #settings: LiveSettings;
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>[] = [];
  /** Watched sides that do not tell: looked at wholly, now and then. */
  readonly polled: Side[] = [];
  /** How many directories are polled, as it was told last. */
  readonly #polledTold = { a: 0, b: 0 };
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #isFirst = true;
  #deletions: { at: number; side: Side; count: number }[] = [];
  /** Called when something that may be somebody's change is told of. */
  onChange: () => void = () => undefined;
  /** When something was last done, monotonic ms; and how often. */
  lastDoneAt = -Infinity;
  done = 0;

  constructor(request: LinkRequest, settings: LiveSettings) {
    this.#listener = request.listener;
    this.session = new Session(request);
    this.#settings = settings;
    this.pending = new Pending(settings.timing);
  }

  /** Opens both roots and begins to watch; the first look at everything must follow. */
  async open(): Promise<void> {
    const { request } = this.session;
    await this.session.open(new Report(request.listener, false));
    for (const side of watchedSides(request.options.mode)) {
      const replica = request.replicas[side];
      if (canWatch(replica)) {
        const signal = AbortSignal.any([request.signal, this.#stop.signal]);
        this.#watching.push(this.#take(side, replica.watch({ pollMs: this.#settings.pollMs }, { signal })));
      } else this.polled.push(side);
    }
  }

  /** Looks at everything. @param signal ends the look, without harm, when something else is more urgent */
  async check(cause: PassSummary['cause'], signal?: AbortSignal): Promise<PassSummary> {
    const scan = async (task: ScanTask): Promise<Scans> =>
      this.#sight.everything(signal === undefined ? task : { ...task, signal: AbortSignal.any([task.signal, signal]) });
    return this.#pass(cause, scan, undefined);
  }

  /** Looks at what is due, and wholly at the sides named. @returns undefined when everything must be looked at */
  async sync(whole: readonly Side[]): Promise<PassSummary | undefined> {
    const due = this.pending.take(monotonicMs());
    if (due.lost !== undefined) return undefined;
    // A look at everything on one side may find whatever they wait for.
    const both = whole.length > 0 ? this.unsettled.all() : [...this.unsettled.concernedBy([...due.a, ...due.b])];
    const looks: Record<Side, SideLook> = { a: due.a, b: due.b };
    const looked = new DirtySet();
    for (const side of sides) {
      const set = new DirtySet();
      set.addAll(due[side]);
      for (const path of both) set.add(parentPath(path), baseName(path));
      if (set.lost !== undefined) return undefined;
      const wanted = [...set.directories()];
      // A replica that cannot watch cannot be asked for some paths either.
      const cannotLook = wanted.length > 0 && !canWatch(this.session.request.replicas[side]);
      looks[side] = whole.includes(side) || cannotLook ? 'everything' : wanted;
      looked.addAll(set.directories());
    }
    if (looks.a.length + looks.b.length === 0) return this.#nothing();
    try {
      const scan = async (task: ScanTask): Promise<Scans> => this.#sight.some(task, looks);
      return await this.#pass(whole.length > 0 ? 'poll' : 'changes', scan, looked);
    } catch (error) {
      if (error instanceof RulesChanged) return undefined;
      throw error;
    }
  }

  /** Waits until something is due, or a time has come. @throws whatever the watching ended with; InterruptedError */
  async wait(until: number): Promise<'changes' | 'time'> {
    const { signal } = this.session.request;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (signal.aborted) throw new InterruptedError();
      const now = monotonicMs();
      const dueAt = this.pending.dueAt ?? Infinity;
      if (dueAt <= now) return 'changes';
      if (until <= now) return 'time';
      await this.#woken(Math.min(dueAt, until) - now);
    }
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Removes old versions from both histories. */
  async prune(): Promise<void> {
    await pruneHistories(this.session, new Report(this.#listener, false));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.session.close(new Report(this.#listener, false));
    await Promise.allSettled(this.#watching);
  }

  // --- passes ------------------------------------------------------------------------------------------------------

  async #pass(
    cause: PassSummary['cause'],
    scan: (task: ScanTask) => Promise<Scans>,
    looked: DirtySet | undefined,
  ): Promise<PassSummary> {
    const wrote = { a: new Set<RelPath>(), b: new Set<RelPath>() };
    const report = new Report((event) => {
      noteWritten(event, wrote);
      this.#listener(event);
    }, false);
    const isFirst = this.#isFirst;
    const applied = await runPass({
      session: this.session,
      report,
      scan,
      isPartial: looked !== undefined,
      isFirst,
      deletedBefore: this.#deletedLately(),
      tokenValidMs,
    });
    this.#isFirst = false;
    const now = monotonicMs();
    for (const side of sides) this.pending.wrote(side, wrote[side], now);
    this.#lookAgain(report, looked, now);
    const summary = report.end();
    for (const side of sides) {
      const count = summary.actions[side].delete;
      if (count > 0) this.#deletions.push({ at: now, side, count });
    }
    if (applied) {
      this.done += 1;
      this.lastDoneAt = now;
    }
    return { cause, looked: { ...this.#sight.looked }, summary };
  }

  #nothing(): PassSummary {
    return { cause: 'changes', looked: { a: 0, b: 0 }, summary: new Report(this.#listener, false).end() };
  }

  /** Files that were seen in the tick in which they were written, and what did not succeed. */
  #lookAgain(report: Report, looked: DirtySet | undefined, now: number): void {
    for (const side of watchedSides(this.session.options.mode)) {
      for (const { dir, name } of this.#sight.racy[side]) this.pending.later(side, dir, name, now + racyMs);
    }
    for (const { path, afterMs } of this.unsettled.update(report.unsettled, looked)) {
      for (const side of sides) this.pending.later(side, parentPath(path), baseName(path), now + afterMs);
    }
  }

  #deletedLately(): Record<Side, number> {
    const from = monotonicMs() - deletionsMs;
    this.#deletions = this.#deletions.filter(({ at }) => at >= from);
    const total = { a: 0, b: 0 };
    for (const { side, count } of this.#deletions) total[side] += count;
    return total;
  }

  // --- watching ----------------------------------------------------------------------------------------------------

  async #take(side: Side, events: AsyncGenerator<WatchEvent, void, undefined>): Promise<void> {
    try {
      for await (const event of events) this.#told(side, event);
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    } finally {
      this.wake();
    }
  }

  #told(side: Side, event: WatchEvent): void {
    const { roots } = this.session.request;
    const now = monotonicMs();
    switch (event.type) {
      case 'dirty':
        if (this.pending.note(side, inScope(event.directories, this.session.options.scope), now)) this.onChange();
        break;
      case 'lost':
        this.pending.lose(event.reason, now);
        break;
      case 'polled': {
        const { directories, reason } = event;
        // Their number goes up and down with the tree: it is told when it is another story.
        const told = this.#polledTold[side];
        if (directories > 0 && told > 0 && directories <= told * 2) break;
        this.#polledTold[side] = directories;
        const message =
          directories === 0
            ? `${roots[side]}: all directories are watched again`
            : `${roots[side]}: ${directories.toLocaleString('en-US')} directories cannot be watched and are looked at ` +
              `every ${this.#settings.pollMs / 1000} s instead (${reason})`;
        this.#listener({ type: directories === 0 ? 'notice' : 'warning', message });
      }
    }
    this.wake();
  }

  async #woken(withinMs: number): Promise<void> {
    const { signal } = this.session.request;
    const wake = (): void => this.wake();
    signal.addEventListener('abort', wake, { once: true });
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        // A timer takes no more than 24 days, and a laptop may sleep that long: it is asked anew at least every hour.
        timer = setTimeout(resolve, Math.min(Math.max(0, withinMs), 3_600_000));
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
    }
  }
}

/** What is outside of `--path` is nobody's affair, whatever an agent tells. */
function inScope(directories: readonly DirtyDirectory[], scope: readonly RelPath[]): readonly DirtyDirectory[] {
  if (scope.length === 0) return directories;
  return directories.filter(({ dir }) =>
    scope.some(
      (limit) => dir === '' || dir === limit || dir.startsWith(`${limit}/`) || `${limit}/`.startsWith(`${dir}/`),
    ),
  );
}

/** Paths of which events will come because of what was done: the path, its directory, and that one's entry. */
function noteWritten(event: LinkEvent, wrote: Record<Side, Set<RelPath>>): void {
  if (event.type !== 'action') return;
  const { side, path, to } = event.action;
  for (const at of to === undefined ? [path] : [path, to]) {
    const dir = parentPath(at);
    wrote[side].add(at).add(dir);
    if (at !== '') wrote[side].add(joinPath(dir, baseName(dir)));
    wrote[side].add(joinPath(at, baseName(at)));
  }
}
