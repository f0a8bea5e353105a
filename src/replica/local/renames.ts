/** The renames of a batch (apply.ts). */
import fs from 'node:fs';
import { errnoCode } from '../../base/errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { isSafePath, type RelPath } from '../../tree/path.ts';
import type { ApplyStep, Failure, StepResult } from '../replica.ts';
import type { ApplyContext } from './apply.ts';
import { StepError } from './failure.ts';
import { toFs } from './fs-path.ts';
import { nameNew } from './naming.ts';
import { lstatIfPresent, matches, observe } from './stat.ts';
import { changedMeanwhile, verify } from './verify.ts';

type MovesStep = Extract<ApplyStep, { op: 'moves' }>;

/** A rename that its new name does not let happen yet. */
interface WaitingMove {
  move: MovesStep['moves'][number];
  /** The name that it still holds; undefined once parked. */
  from: RelPath | undefined;
  /** Where its file is meanwhile; empty while it still has its old name. */
  parked: string;
}

export class Renames {
  readonly #handles: ApplyContext['handles'];
  readonly #staging: ApplyContext['staging'];
  readonly #history: ApplyContext['history'];
  readonly #granularityNs: bigint;
  readonly #failure: (path: RelPath, error: unknown) => Failure;

  /** @param failure what to make of an error */
  constructor(
    { handles, staging, history, granularityNs }: ApplyContext,
    failure: (path: RelPath, error: unknown) => Failure,
  ) {
    this.#handles = handles;
    this.#staging = staging;
    this.#history = history;
    this.#granularityNs = granularityNs;
    this.#failure = failure;
  }

  /**
   * Renames, in whatever order frees the names; rings go through a parking place in staging, from where a run that dies
   * in between has the next one put the file into history.
   */
  carryOut(step: MovesStep, result: StepResult): void {
    const moved: NonNullable<StepResult['moved']> = [];
    result.moved = moved;
    let waiting: WaitingMove[] = step.moves.map((move) => ({ move, from: move.path, parked: '' }));
    const fail = (path: RelPath, error: unknown): void => void result.failures.push(this.#failure(path, error));
    while (waiting.length > 0) {
      const before = waiting.length;
      const taken = new Set(waiting.flatMap(({ from }) => (from === undefined ? [] : [from])));
      waiting = waiting.filter((item) => {
        if (taken.has(item.move.to) && item.move.to !== item.from) return true;
        try {
          if (!isSafePath(item.move.to)) throw new StepError('failed', 'not a path that may be touched');
          const observed = this.#moveOne(item);
          moved.push({ from: item.move.path, to: item.move.to, observed });
        } catch (error) {
          fail(item.move.to, error);
          if (item.parked !== '') this.#unpark(item.parked, item.move.path, fail);
        }
        return false;
      });
      if (waiting.length === before) {
        // Only rings are left: one of them steps aside.
        const first = waiting[0];
        if (first?.from === undefined) break;
        try {
          if (!this.#park(first)) throw new StepError('failed', 'a ring of renames in a nested mount');
        } catch (error) {
          fail(first.move.to, error);
          if (first.parked !== '') this.#unpark(first.parked, first.move.path, fail);
          waiting.shift();
        }
      }
    }
  }

  #moveOne(item: WaitingMove): Entry | undefined {
    const { move } = item;
    this.#handles.settle();
    const target = this.#handles.locate(move.to);
    if (lstatIfPresent(target) !== undefined) throw new StepError('changed-meanwhile', 'something appeared there');
    if (move.expect.kind === 'dir') {
      // No hard links of directories: looked at, then renamed; an empty one that appears in between is replaced.
      const source = this.#handles.locate(move.path);
      verify(source, move.expect);
      this.#handles.forget(move.path);
      fs.renameSync(toFs(source), toFs(target));
    } else {
      if (item.parked === '' && !this.#park(item)) nameNew(this.#handles.locate(move.path), target);
      else nameNew(item.parked, target);
    }
    if (item.parked !== '') this.#staging.forgetParked(item.parked);
    const observed = observe(target, this.#granularityNs);
    if (observed === undefined) return undefined;
    // A rename changes no content: the record may be trusted as far as the one before. Unless somebody edited it in
    // between: then it is recorded as it was, with an inode that matches nothing, and the next scan sees the edit.
    if (matches(observed, { ...move.expect, ctimeNs: 0n })) return { ...observed, flags: move.expect.flags };
    return { ...move.expect, ino: 0n, ctimeNs: 0n };
  }

  /**
   * Takes a file from its name in one step, whatever is there by then. With `link`
   * and `unlink`, somebody's new file could be what is unlinked, and a kill in between would leave both names.
   *
   * @returns false where staging is on another file system (the file is in a nested mount)
   */
  #park(item: WaitingMove): boolean {
    const { move } = item;
    const source = this.#handles.locate(move.path);
    verify(source, move.expect);
    const place = this.#staging.parkingPlace(move.path);
    try {
      fs.renameSync(toFs(source), place);
    } catch (error) {
      this.#staging.forgetParked(place);
      if (errnoCode(error) === 'EXDEV') return false;
      throw error;
    }
    item.parked = place;
    item.from = undefined;
    // An edit that slipped in comes along; the caller sees it. Another kind of thing is not what is being renamed.
    if (observe(place, 0n)?.kind !== move.expect.kind) throw changedMeanwhile();
    return true;
  }

  #unpark(parked: string, path: RelPath, fail: (path: RelPath, error: unknown) => void): void {
    try {
      nameNew(parked, this.#handles.locate(path));
      this.#staging.forgetParked(parked);
    } catch (error) {
      fail(path, error);
      const entry = observe(parked, 0n);
      if (entry === undefined) return;
      const { to, record } = this.#history.place(path);
      fs.renameSync(parked, toFs(to));
      record(entry, 'recovered');
    }
  }
}
