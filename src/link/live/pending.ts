/**
 * What may have changed on the two sides and has not been looked at yet, and when it is to be (DESIGN C2).
 *
 *  - After a quiet time the first change goes almost at once: just long enough for a file that is truncated to be written.
 *  - What follows is gathered until it is quiet for a moment, but no longer than `maxWaitMs`.
 *  - A file that is told of again and again is growing: it waits until it rests, again not for ever.
 *  - What we wrote ourselves comes back as events; they are looked at, because something else may hide among them, but they
 *    do not count as somebody's change: the next real one still goes at once.
 *
 * Times are of a monotonic clock, ms, given by the caller.
 */
import { DirtySet } from '../../replica/dirty-set.ts';
import type { DirtyDirectory } from '../../replica/watching.ts';
import type { Side } from '../../reconcile/options.ts';
import { joinPath, type RelPath } from '../../tree/path.ts';

export interface Timing {
  /** The first change after a quiet time waits so long. */
  firstMs: number;
  quietMs: number;
  maxWaitMs: number;
  settleMs: number;
}

/** Told of again after this, a path was not written in one go. */
const oneGoMs = 8;
/** A growing file is sent as it is after so long, the second time after twice that, and so on. */
const holdMs = 2000;
const maxHoldMs = 30_000;
/** Our own writes are looked at when there is nothing better to do. */
const echoMs = 50;
/** So many of them are looked at along with somebody's change: more would keep it waiting… */
const echoesAlong = 100;
/** …and then they wait, while changes keep coming, so long at most. */
const echoPatienceMs = 1000;
/** So long after a pass events may still be of what it wrote. */
const echoLastsMs = 300;
/** With more paths than this in mind nothing is known of single ones. */
const maxTracked = 20_000;

interface Track {
  firstAt: number;
  lastAt: number;
  /** When it was found to be growing, since it was last sent. */
  heldFrom: number | undefined;
  /** How often it was sent while it grew. */
  sent: number;
}

/** Something to look at again at a time. */
interface Later {
  at: number;
  dir: RelPath;
  name: string | undefined;
  /** It may as well be looked at earlier, with something else. */
  early: boolean;
}

export interface Due {
  a: DirtyDirectory[];
  b: DirtyDirectory[];
  /** Everything must be looked at, and why. */
  lost: string | undefined;
}

export class Pending {
  readonly #timing: Timing;
  readonly #dirty: Record<Side, DirtySet> = { a: new DirtySet(), b: new DirtySet() };
  readonly #tracks: Record<Side, Map<RelPath, Track>> = { a: new Map(), b: new Map() };
  /** Growing files, which wait until then. */
  readonly #held: Record<Side, Map<RelPath, number>> = { a: new Map(), b: new Map() };
  readonly #later: Record<Side, Map<RelPath, Later>> = { a: new Map(), b: new Map() };
  /** The earliest of `#later`; Infinity when there is none. */
  #laterAt = Infinity;
  readonly #written: Record<Side, Map<RelPath, number>> = { a: new Map(), b: new Map() };
  /** When what is gathered is to be looked at; undefined when nothing is. */
  #dueAt: number | undefined;
  #firstAt = 0;
  #isFirst = false;
  #lastAt = -Infinity;
  #lost: string | undefined;

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** Hints came from a side. @returns whether any may be somebody's change */
  note(side: Side, directories: readonly DirtyDirectory[], now: number): boolean {
    const hints = directories.flatMap(({ dir, names }) => (names ?? [undefined]).map((name) => ({ dir, name })));
    // What comes together belongs together: the old name of a renamed directory may be one that we wrote in.
    const foreign = hints.some(({ dir, name }) => !this.#isEcho(side, dir, name, now));
    for (const { dir, name } of hints) {
      if (foreign) {
        this.#track(side, dir, name, now);
        this.#dirty[side].add(dir, name);
        this.#lost ??= this.#dirty[side].lost;
      } else this.#remember(side, dir, name, now + echoMs, true);
    }
    if (foreign) this.#gather(now);
    return foreign;
  }

  /** What changed is not known: everything will be looked at. */
  lose(reason: string, now: number): void {
    this.#lost ??= reason;
    this.#gather(now);
  }

  /** Looks again at something, whatever happens, at a time. */
  later(side: Side, dir: RelPath, name: string | undefined, at: number): void {
    this.#remember(side, dir, name, at, false);
  }

  #remember(side: Side, dir: RelPath, name: string | undefined, at: number, early: boolean): void {
    const later = this.#later[side];
    const key = name === undefined ? `${dir}/` : joinPath(dir, name);
    const known = later.get(key);
    if (known !== undefined && known.at <= at) return;
    if (later.size >= maxTracked) {
      this.#lost ??= 'more has changed than can be kept in mind';
      return;
    }
    later.set(key, { at, dir, name, early });
    this.#laterAt = Math.min(this.#laterAt, at);
  }

  /** A pass wrote these paths on a side: events about them are our own, those that came meanwhile and those of a while. */
  wrote(side: Side, paths: Iterable<RelPath>, now: number): void {
    const written = this.#written[side];
    for (const [path, until] of written) if (until < now) written.delete(path);
    for (const path of paths) {
      if (written.size >= maxTracked) return;
      written.set(path, now + echoLastsMs);
      this.#knowAsEcho(side, path, now);
    }
  }

  /** What was told of a path before it was known to be ours. It is looked at all the same, as any echo. */
  #knowAsEcho(side: Side, path: RelPath, now: number): void {
    const { dir, name } = split(path);
    const isGrowing = this.#held[side].has(path);
    if (isGrowing || this.#later[side].size >= maxTracked || !this.#dirty[side].takeName(dir, name)) return;
    this.#tracks[side].delete(path);
    this.#remember(side, dir, name, now + echoMs, true);
  }

  /** When there will be something to look at; undefined: not as far as is known. */
  get dueAt(): number | undefined {
    // Nothing is gained by waiting with a look at everything, which takes in whatever comes meanwhile.
    if (this.#lost !== undefined) return this.#dueAt ?? -Infinity;
    const gathered = this.#dueAt !== undefined && this.#hasUnheld() ? this.#dueAt : Infinity;
    const at = Math.min(gathered, this.#laterAt, ...this.#held.a.values(), ...this.#held.b.values());
    return at === Infinity ? undefined : at;
  }

  /** Takes what is due. */
  take(now: number): Due {
    const lost = this.#lost;
    const due: Due = { a: [], b: [], lost };
    if (lost !== undefined) {
      this.clear();
      return due;
    }
    for (const side of ['a', 'b'] as const) {
      const taken = new DirtySet();
      if (this.#dueAt !== undefined && now >= this.#dueAt) taken.addAll(this.#dirty[side].take().directories);
      this.#settleHeld(side, taken, now);
      due[side] = [...taken.directories()];
    }
    const isGathered = this.#dueAt !== undefined && now >= this.#dueAt;
    if (isGathered) this.#dueAt = undefined;
    this.#takeLater(due, now, isGathered);
    this.#forgetOld(now);
    return due;
  }

  /** Everything is about to be looked at. */
  clear(): void {
    for (const side of ['a', 'b'] as const) {
      this.#dirty[side].clear();
      this.#tracks[side].clear();
      this.#held[side].clear();
      this.#later[side].clear();
    }
    this.#laterAt = Infinity;
    this.#lost = undefined;
    this.#dueAt = undefined;
  }

  #gather(now: number): void {
    const { firstMs, quietMs, maxWaitMs } = this.#timing;
    const isCalm = now - this.#lastAt >= Math.max(quietMs, 2 * firstMs);
    this.#lastAt = now;
    if (this.#dueAt === undefined) {
      this.#firstAt = now;
      this.#isFirst = isCalm;
      this.#dueAt = now + (isCalm ? firstMs : quietMs);
    } else if (!this.#isFirst) this.#dueAt = Math.min(now + quietMs, this.#firstAt + maxWaitMs);
  }

  #track(side: Side, dir: RelPath, name: string | undefined, now: number): void {
    if (name === undefined) return;
    const tracks = this.#tracks[side];
    const path = joinPath(dir, name);
    const track = tracks.get(path);
    if (track === undefined) {
      if (tracks.size < maxTracked) tracks.set(path, { firstAt: now, lastAt: now, heldFrom: undefined, sent: 0 });
      return;
    }
    const grows = now - track.firstAt > oneGoMs && now - track.lastAt < this.#timing.settleMs;
    if (grows) {
      track.heldFrom ??= now;
      const most = track.heldFrom + Math.min(holdMs * 2 ** track.sent, maxHoldMs);
      this.#held[side].set(path, Math.min(now + this.#timing.settleMs, most));
    }
    track.lastAt = now;
  }

  #isEcho(side: Side, dir: RelPath, name: string | undefined, now: number): boolean {
    const until = this.#written[side].get(name === undefined ? dir : joinPath(dir, name));
    return until !== undefined && until >= now;
  }

  #hasUnheld(): boolean {
    for (const side of ['a', 'b'] as const) {
      const held = this.#held[side];
      for (const { dir, names } of this.#dirty[side].directories()) {
        if (names === undefined || held.size === 0) return true;
        if (!names.every((name) => held.has(joinPath(dir, name)))) return true;
      }
    }
    return false;
  }

  /** Growing files that are not due go back, those that are come along. */
  #settleHeld(side: Side, taken: DirtySet, now: number): void {
    for (const [path, until] of this.#held[side]) {
      const { dir, name } = split(path);
      if (until > now) {
        if (taken.takeName(dir, name)) this.#dirty[side].add(dir, name);
        continue;
      }
      this.#held[side].delete(path);
      if (this.#dirty[side].takeName(dir, name)) taken.add(dir, name);
      const track = this.#tracks[side].get(path);
      if (track === undefined) continue;
      track.heldFrom = undefined;
      // Sent although it goes on growing: the next time it waits longer.
      track.sent = now - track.lastAt < this.#timing.settleMs ? track.sent + 1 : 0;
    }
  }

  #takeLater(due: Due, now: number, withEarly: boolean): void {
    if (this.#laterAt > now && !withEarly) return;
    this.#laterAt = Infinity;
    for (const side of ['a', 'b'] as const) {
      const set = new DirtySet();
      set.addAll(due[side]);
      const isCrowd = withEarly && this.#later[side].size > echoesAlong;
      const told = new Set(due[side].map(({ dir }) => dir));
      for (const [key, { at, dir, name, early }] of this.#later[side]) {
        // In a directory of which somebody's change is told it may be half of a rename.
        const isInCrowd = early && isCrowd && !told.has(dir);
        const mustWait = isInCrowd ? now < at + echoPatienceMs : at > now && !(early && withEarly);
        if (mustWait) {
          this.#laterAt = Math.min(this.#laterAt, at);
          continue;
        }
        this.#later[side].delete(key);
        set.add(dir, name);
      }
      // Too many together, of which it has dropped all.
      due.lost ??= set.lost;
      due[side] = [...set.directories()];
    }
  }

  #forgetOld(now: number): void {
    for (const side of ['a', 'b'] as const) {
      for (const [path, { lastAt }] of this.#tracks[side]) {
        // In the order in which they were first told of: most of what is old comes first.
        if (now - lastAt > holdMs && !this.#held[side].has(path)) this.#tracks[side].delete(path);
      }
    }
  }
}

function split(path: RelPath): { dir: RelPath; name: string } {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? { dir: '', name: path } : { dir: path.slice(0, slash), name: path.slice(slash + 1) };
}
