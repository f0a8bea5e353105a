/**
 * Keeping a link in step as long as it is wanted: the loop over the states of state.ts. Each state does one thing and says
 * what came of it; what goes wrong is told, waited out, and followed by a look at everything.
 */
import { monotonicMs } from '../../base/clock.ts';
import { GuardError, InterruptedError, LockstepError } from '../../base/errors.ts';
import type { LinkEvent, Listener, PassSummary } from '../events.ts';
import type { LinkOptions } from '../options.ts';
import type { LinkRequest } from '../session.ts';
import { Connected, type LiveSettings } from './connected.ts';
import { backoffMs, initialState, nextState, type CheckReason, type LiveInput, type LiveState } from './state.ts';
import { Told } from './told.ts';
import { Totals, type LiveSummary } from './totals.ts';
import { withAnswer } from './answer.ts';

/** After a guard stopped it: how often it is looked whether what the guard saw is over. */
const haltedMs = 10_000;
/** The full check gives way to changes; when it has done so this often it is made all the same. */
const maxPostponed = 20;
const postponedMs = 3000;
/** Idle for so long: the roots get a new token, then what was written is stored, then the record is made compact. */
const idle = { tokenMs: 1000, storeMs: 2000, compactMs: 5000 };
const storeEveryMs = 10_000;
const pruneEveryMs = 3_600_000;

export interface LiveOptions extends LiveSettings {
  /** How often everything is looked at, in case events were lost. */
  rescanMs: number;
}

export type Connection = Pick<LinkRequest, 'roots' | 'replicas' | 'guests' | 'meet' | 'takeRecord'>;

export interface LiveRequest {
  /** Makes replicas for both roots; called again after a connection was lost. */
  connect: (signal: AbortSignal) => Promise<Connection>;
  options: LinkOptions;
  live: LiveOptions;
  listener: Listener;
  /** Ends it, in good order. */
  signal: AbortSignal;
  /** Goes on trying also when it has never been in step: one of several remotes. */
  endures: boolean;
}

export class LiveLink {
  readonly #request: LiveRequest;
  readonly #totals = new Totals();
  readonly #told: Told;
  #options: LinkOptions;
  #state: LiveState = initialState;
  #connected: Connected | undefined;
  #wasInStep = false;
  /** What was promised when a record was forgotten holds for all of the run, whatever the line does. */
  #keepsUnrecorded = false;
  #answer: GuardError | undefined;
  #wake: (() => void) | undefined;
  #nextCheckAt = 0;
  #postponed = 0;
  #nextPollAt = Infinity;
  #stored = { done: 0, at: -Infinity };
  #tokenFor = 0;
  #compactFor = 0;
  #prunedAt = -Infinity;

  constructor(request: LiveRequest) {
    this.#request = request;
    this.#options = request.options;
    this.#told = new Told(
      (event) => request.listener(event),
      (path, why) => this.#connected?.unsettled.isPassing(path, why) ?? false,
    );
  }

  get state(): LiveState {
    return this.#state;
  }

  /**
   * Runs until the signal is aborted.
   *
   * @throws GuardError, LockstepError when it fails before it was in step for the first time, unless it `endures`
   */
  async run(): Promise<LiveSummary> {
    try {
      while (this.#state.name !== 'ended') this.#enter(nextState(this.#state, await this.#step()));
    } finally {
      await this.#disconnect();
    }
    return this.#totals.end(this.#told.counts);
  }

  /** Answers a guard that halted the link: go on this once, as its message proposed. @returns whether one did */
  proceed(): boolean {
    if (this.#state.name !== 'halted') return false;
    this.#answer = this.#state.error;
    this.#wake?.();
    return true;
  }

  #enter(next: LiveState): void {
    const before = this.#state;
    this.#state = next;
    // Every change makes these two: what is told of is what the passes did.
    if (next.name === 'syncing' || (next.name === 'watching' && before.name === 'syncing')) return;
    if (isSameHalt(before, next)) return;
    this.#request.listener({ type: 'state', state: next });
  }

  async #step(): Promise<LiveInput> {
    try {
      if (this.#request.signal.aborted) return { type: 'stop' };
      return await this.#act(this.#state);
    } catch (error) {
      if (this.#request.signal.aborted) return { type: 'stop' };
      return this.#problem(error);
    }
  }

  async #act(state: LiveState): Promise<LiveInput> {
    switch (state.name) {
      case 'connecting':
        return this.#connect();
      case 'checking':
        return this.#check(state.why);
      case 'watching':
        return this.#watch();
      case 'syncing':
        return this.#sync();
      case 'halted':
        return this.#pause(haltedMs);
      case 'waiting':
        return this.#pause(state.retryInMs);
      case 'ended':
        return { type: 'stop' };
    }
  }

  /** @throws what is no matter of waiting: a defect, or a failure of the very first attempt */
  async #problem(error: unknown): Promise<LiveInput> {
    if (!(error instanceof LockstepError)) throw error;
    if (!this.#wasInStep && !this.#request.endures) throw error;
    await this.#disconnect();
    // Another run that holds the lock is waited out, like a line that is down.
    if (error instanceof GuardError && error.code !== 'locked') return { type: 'guarded', error };
    const attempt = 'attempt' in this.#state ? this.#state.attempt : 0;
    return { type: 'failed', error, retryInMs: backoffMs(attempt, Math.random()) };
  }

  // --- states ------------------------------------------------------------------------------------------------------

  async #connect(): Promise<LiveInput> {
    const { connect, signal, live } = this.#request;
    const { roots, replicas, guests } = await connect(signal);
    const options = this.#answer === undefined ? this.#options : withAnswer(this.#options, this.#answer);
    this.#connected = new Connected(
      {
        roots,
        replicas,
        options,
        listener: (event) => this.#hear(event),
        signal,
        keepsUnrecorded: this.#keepsUnrecorded,
        ...(guests === undefined ? {} : { guests }),
      },
      live,
    );
    await this.#connected.open();
    this.#keepsUnrecorded = this.#connected.session.keepsUnrecorded;
    this.#nextPollAt = this.#connected.polled.length > 0 ? monotonicMs() + live.pollMs : Infinity;
    this.#tokenFor = 0;
    this.#compactFor = 0;
    this.#stored = { done: 0, at: -Infinity };
    return { type: 'connected' };
  }

  async #check(why: CheckReason): Promise<LiveInput> {
    const connected = this.#open();
    const urgent = new AbortController();
    if (why === 'rescan' && this.#postponed < maxPostponed) connected.onChange = () => urgent.abort();
    // Those that come from now on are of things that the look may have passed already.
    else connected.pending.clear();
    try {
      this.#passed(await connected.check(why, why === 'rescan' ? urgent.signal : undefined));
    } catch (error) {
      if (!urgent.signal.aborted || !(error instanceof InterruptedError)) throw error;
      this.#postponed += 1;
      this.#nextCheckAt = monotonicMs() + postponedMs;
      return { type: 'in-step' };
    } finally {
      connected.onChange = () => undefined;
    }
    if (!this.#wasInStep || this.#answer !== undefined) this.#settleDown(connected);
    this.#postponed = 0;
    this.#nextCheckAt = monotonicMs() + this.#request.live.rescanMs;
    return { type: 'in-step' };
  }

  /** What was asked for once has been done: from now on it is an ordinary link. */
  #settleDown(connected: Connected): void {
    this.#wasInStep = true;
    this.#answer = undefined;
    this.#options = { ...this.#options, rebaseline: false, forceUnlock: false, cleanOutFirst: false };
    connected.session.adopt(this.#options);
  }

  async #watch(): Promise<LiveInput> {
    const connected = this.#open();
    for (;;) {
      const now = monotonicMs();
      if (this.#nextCheckAt <= now) return { type: 'check', why: 'rescan' };
      if (this.#nextPollAt <= now) return { type: 'changes' };
      const housework = await this.#keepHouse(connected, now);
      const until = Math.min(this.#nextCheckAt, this.#nextPollAt, housework);
      if ((await connected.wait(until)) === 'changes') return { type: 'changes' };
    }
  }

  async #sync(): Promise<LiveInput> {
    const connected = this.#open();
    const isPoll = this.#nextPollAt <= monotonicMs();
    const startedAt = monotonicMs();
    const pass = await connected.sync(isPoll ? connected.polled : []);
    if (isPoll) {
      // However long a look takes over there, most of the time is left to others.
      const took = monotonicMs() - startedAt;
      this.#nextPollAt = monotonicMs() + Math.max(this.#request.live.pollMs, 5 * took);
    }
    if (pass === undefined) return { type: 'check', why: 'lost' };
    this.#passed(pass);
    return { type: 'in-step' };
  }

  async #pause(ms: number): Promise<LiveInput> {
    const { signal } = this.#request;
    const wake = (): void => this.#wake?.();
    signal.addEventListener('abort', wake, { once: true });
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, ms);
        if (signal.aborted) resolve();
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      this.#wake = undefined;
    }
    return { type: 'retry' };
  }

  // --- beside ------------------------------------------------------------------------------------------------------

  /** What is done when nothing else is. @returns when there is more of it to do */
  async #keepHouse(connected: Connected, now: number): Promise<number> {
    const { session, done, lastDoneAt } = connected;
    const due: number[] = [];
    /** @returns whether it is time */
    const isTime = (at: number): boolean => {
      if (at > now) due.push(at);
      return at <= now;
    };
    if (this.#tokenFor !== done && isTime(lastDoneAt + idle.tokenMs)) {
      this.#tokenFor = done;
      await session.intend();
    }
    if (this.#stored.done !== done && isTime(Math.max(lastDoneAt + idle.storeMs, this.#stored.at + storeEveryMs))) {
      this.#stored = { done, at: now };
      this.#store(connected, done);
    }
    if (this.#compactFor !== done && isTime(lastDoneAt + idle.compactMs)) {
      this.#compactFor = done;
      session.baseline.compact();
    }
    if (isTime(Math.max(this.#prunedAt + pruneEveryMs, lastDoneAt + idle.compactMs))) {
      this.#prunedAt = now;
      await connected.prune();
    }
    return Math.min(Infinity, ...due);
  }

  /** Has everything stored; nobody waits for it. What fails shows in the next pass. */
  #store({ session }: Connected, done: number): void {
    session.flush().then(
      (stored) => {
        const isCurrent = this.#connected?.session === session && this.#connected.done === done;
        if (stored && isCurrent && this.#state.name === 'watching') session.baseline.markDurable();
      },
      () => undefined,
    );
  }

  #passed(pass: PassSummary): void {
    this.#totals.add(pass.summary);
    this.#told.passed(this.#open().unsettled);
    this.#request.listener({ type: 'pass', pass });
  }

  #hear(event: LinkEvent): void {
    this.#told.hear(event);
  }

  #open(): Connected {
    if (this.#connected === undefined) throw new Error('the link is not connected');
    return this.#connected;
  }

  async #disconnect(): Promise<void> {
    const connected = this.#connected;
    this.#connected = undefined;
    if (connected === undefined) return;
    try {
      // So that a copy of a root made while it was live is told from what it became.
      if (connected.done > this.#tokenFor) await connected.session.intend();
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
    } finally {
      await connected.close();
    }
  }
}

/** Halted for what it was halted for before. */
function isSameHalt(before: LiveState, next: LiveState): boolean {
  return before.name === 'halted' && next.name === 'connecting';
}
