/**
 * Staging: where content waits, complete, until it is renamed to its real name. Belongs to one run; whatever a dead run
 * left is cleaned up by the next one.
 */
import fs from 'node:fs';
import { errnoCode } from '../../base/errors.ts';
import { encodeName } from '../../tree/path.ts';
import { pathOfParked } from '../parked-path.ts';
import { HistoryWriter } from './history/keep.ts';
import type { OwnDirectory } from './own-directory.ts';
import { readOwnBytes } from './read.ts';
import { lstatIfPresent, observe } from './stat.ts';
import { toFs } from './fs-path.ts';

const stagingDirectory = 'staging';
const parkedDirectory = 'parked';

export class Staging {
  readonly #own: OwnDirectory;
  readonly #runId: string;
  #path: string | undefined;
  #parking: string | undefined;
  #count = 0;

  constructor(own: OwnDirectory, runId: string) {
    this.#own = own;
    this.#runId = runId;
  }

  /** A path in staging at which nothing exists yet. */
  fresh(kind: string): string {
    this.#count += 1;
    return `${this.#prefix()}/${kind}${this.#count}`;
  }

  /** A place for a user's file that is half-way through a rename: should this run die, the next one keeps it. */
  parkingPlace(name: string): string {
    this.#parking ??= this.#own.ensure(stagingDirectory, this.#runId, parkedDirectory);
    this.#count += 1;
    const place = `${this.#parking}/${this.#count}`;
    try {
      fs.writeFileSync(`${place}.name`, encodeName(name));
    } catch (error) {
      // On a full disk: it is kept under a number then.
      if (errnoCode(error) !== 'ENOSPC' && errnoCode(error) !== 'EDQUOT') throw error;
      this.forgetParked(place);
    }
    return place;
  }

  forgetParked(place: string): void {
    fs.rmSync(`${place}.name`, { force: true });
  }

  /** Removes this run's staging, but for what is parked still: that found no other place, and the next run saves it. */
  clear(): void {
    this.#path = undefined;
    this.#parking = undefined;
    const isParked = this.#own
      .list(stagingDirectory, this.#runId, parkedDirectory)
      .some((name) => !name.endsWith('.name'));
    if (!isParked) {
      this.#own.remove(stagingDirectory, this.#runId);
      return;
    }
    for (const name of this.#own.list(stagingDirectory, this.#runId)) {
      if (name !== parkedDirectory) this.#own.remove(stagingDirectory, this.#runId, name);
    }
  }

  #prefix(): string {
    if (this.#path === undefined) {
      this.#own.ensure(stagingDirectory, this.#runId);
      this.#path = `${this.#own.plainPath}/${stagingDirectory}/${this.#runId}`;
    }
    return this.#path;
  }
}

/**
 * Cleans up after runs that died: their staged copies are worthless, but a parked file may be the only one of its kind and
 * goes to history. Called with the root's lock held, so every other run's staging is a dead one's.
 *
 * @returns a line for the user per file that was saved
 */
export function recoverStaging(own: OwnDirectory, runId: string): string[] {
  const saved: string[] = [];
  for (const dead of own.list(stagingDirectory)) {
    if (dead === runId) continue;
    saved.push(...saveParked(own, dead, runId));
    own.remove(stagingDirectory, dead);
  }
  return saved;
}

function saveParked(own: OwnDirectory, dead: string, runId: string): string[] {
  const saved: string[] = [];
  const names = own.list(stagingDirectory, dead, parkedDirectory);
  if (names.length === 0) return saved;
  const history = new HistoryWriter(own, runId);
  try {
    for (const name of names.filter((candidate) => !candidate.endsWith('.name'))) {
      const parked = `${own.path}/${stagingDirectory}/${dead}/${parkedDirectory}/${name}`;
      const isNamed = lstatIfPresent(`${parked}.name`)?.isFile() === true;
      const path = pathOfParked(isNamed ? readOwnBytes(`${parked}.name`) : undefined, name);
      const entry = observe(parked, 0n);
      // With a second name it has been renamed already, or has never been the only one of its kind.
      if (entry === undefined || (entry.kind !== 'dir' && (lstatIfPresent(parked)?.nlink ?? 0n) > 1n)) continue;
      const { to, record } = history.place(path);
      fs.renameSync(toFs(parked), toFs(to));
      record(entry, 'recovered');
      saved.push(`${path}: a run died while renaming it; it is kept in history`);
    }
  } finally {
    history.close();
  }
  return saved;
}
