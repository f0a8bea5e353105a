/** The commands that change something over there (program-apply.ts), for many paths at once, and what they came to. */
import type { Entry } from '../../tree/entry.ts';
import type { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { baseName, joinPath, maybeOwn, parentPath, type RelPath } from '../../tree/path.ts';
import type { Reason } from '../../reconcile/plan.ts';
import type { ApplyStep, Failure, StepResult } from '../replica.ts';
import { expectation, observe, readRecords, type FarRoot } from './far-root.ts';
import type { FarHistory, Kept } from './history.ts';
import { lineOf } from './names.ts';
import { lineInput, isTooLong } from './open.ts';
import { plainReason } from './complaints.ts';
import type { Stager } from './stager.ts';
import { moveAll } from './moves.ts';
import { touchTime } from './touch-time.ts';

type StepOf<Op extends ApplyStep['op']> = Extract<ApplyStep, { op: Op }>;

interface Task<Step> {
  step: Step;
  result: StepResult;
}

/** Something staged that is to get its name. */
export interface Placed {
  path: RelPath;
  /** In staging; its directory there holds only what goes to the same directory. */
  place: string;
}

export interface Replacing extends Placed {
  expect: Entry;
  keep: boolean;
  reason: Reason;
  result: StepResult;
}

/** Names of one directory in one command: what the far shell handles well. */
const groupNames = 64;

/** What one command came to. */
export interface Outcome {
  /** The directory is not there, or not where it should be. */
  isGone: boolean;
  /** By the letter of its line: a digit a name. */
  digits: ReadonlyMap<string, string>;
}

export class Changes {
  readonly #root: FarRoot;
  readonly #history: FarHistory;
  readonly #stager: Stager;
  /** What tools complained of, by directory. */
  readonly #said = new Map<RelPath, string>();
  readonly #gone = new Set<RelPath>();

  constructor(root: FarRoot, history: FarHistory, stager: Stager) {
    this.#root = root;
    this.#history = history;
    this.#stager = stager;
  }

  /** Why a path does not have what it was to get. @param found what it has instead */
  whyNot(path: RelPath, found: Entry | undefined): Omit<Failure, 'path'> {
    const dir = parentPath(path);
    const said = this.#said.get(dir);
    if (this.#gone.has(dir)) return goneDirectory;
    if (found !== undefined && (said === undefined || /exists|overwrite/i.test(said))) return appeared;
    if (said !== undefined) return { why: /no space|quota/.test(said) ? 'no-space' : 'failed', detail: said };
    return this.#stager.why();
  }

  /** Gives new names. What came of it is seen by looking. */
  async name(items: readonly Placed[], areDirectories: boolean): Promise<void> {
    const groups = grouped(items, ({ path, place }) => `${parentPath(path)}\0${parentPath(place)}`);
    await Promise.all(
      groups.map(async (group) => {
        const [first] = group;
        if (first === undefined) return;
        const dir = parentPath(first.path);
        const command = `${areDirectories ? 'newdirs' : 'new'} ${parentPath(first.place)} ${group.length}`;
        await this.command(
          command,
          dir,
          group.map(({ path }) => ({ pattern: '*', name: baseName(path) })),
        );
      }),
    );
  }

  /** Replaces; what failed is in the results. @param staged the inode that a path was to get */
  async replace(items: readonly Replacing[], staged: (path: RelPath) => bigint | undefined): Promise<void> {
    const asides = new Map<string, string>();
    const places = new Map<Replacing, string>();
    for (const item of items) {
      const at = item.keep ? await this.#history.reserve(item.path) : await this.#aside(asides, parentPath(item.path));
      places.set(item, at);
    }
    const asideOf = (item: Replacing): string =>
      item.keep ? parentPath(this.#history.path(places.get(item) ?? '')) : (places.get(item) ?? '');
    const groups = grouped(items, (item) => [parentPath(item.path), parentPath(item.place), asideOf(item)].join('\0'));
    const kept: Kept[] = [];
    await Promise.all(
      groups.map(async (group) => {
        const [first] = group;
        if (first === undefined) return;
        const aside = asideOf(first);
        const command = `over ${parentPath(first.place)} ${group.length}`;
        const lines = group.map((item) => this.#line(item.path, item.expect));
        const outcome = await this.command(command, parentPath(first.path), lines, lineInput(aside));
        const seen = verdicts(group, outcome, ['v', 'w', 'x', 'a']);
        for (const item of group) {
          const failed = seen.get(item);
          if (failed === 'gone') fail(item.result, goneDirectory);
          else if (failed === 'w' && outcome.said !== '') fail(item.result, { why: 'failed', detail: outcome.said });
          else if (failed === 'v' || failed === 'w' || failed === 'x')
            fail(item.result, await this.#changedOrMount(item.path, item.expect));
        }
        const done = group.filter((item) => !['gone', 'v', 'w', 'x'].includes(seen.get(item) ?? ''));
        const now = await observe(
          this.#root,
          done.map(({ path }) => path),
        );
        for (const [index, item] of done.entries()) {
          const there = now.get(item.path)?.entry.ino;
          const has = there === staged(item.path);
          const at = places.get(item) ?? '';
          if (!has && item.keep && there === item.expect.ino) {
            // It did not get there: the second name of the old one goes again. Of one that has lost its first name, to
            // somebody who saved in this moment, it is the last.
            await this.#forget(this.#history.path(at));
          } else if (item.keep) {
            kept.push({ path: item.path, at, entry: item.expect, reason: item.reason });
            item.result.kept = true;
            if (seen.get(item) === 'a') fail(item.result, editedMeanwhile);
          } else if (seen.get(item) === 'a') {
            await this.#keepAfterAll(item.path, placesOf(aside, item.path, index), item.expect, item.result);
            fail(item.result, editedMeanwhile);
          }
        }
      }),
    );
    await this.#history.record(kept);
    await this.#stager.drop([...asides.values()]);
  }

  async mkdirs(tasks: readonly Task<StepOf<'mkdir'>>[]): Promise<void> {
    if (tasks.length === 0) return;
    const input = Buffer.concat(
      tasks.map(({ step }) => {
        // Without write and search permission it could not be filled; what the source denies itself is set at the end.
        const mode = Buffer.from(`${((step.source.mode & 0o1777) | 0o700).toString(8)}\n`);
        return Buffer.concat([mode, lineInput(parentPath(step.path), baseName(step.path))]);
      }),
    );
    const { output } = await this.#root.session.run({ code: `newdir ${tasks.length}`, input });
    this.#failNumbered(output, tasks, (said) => (/exists/i.test(said) ? appeared : undefined));
  }

  async directoryTimes(tasks: readonly Task<StepOf<'directory-time'>>[]): Promise<void> {
    if (tasks.length === 0) return;
    const { tools, session } = this.#root;
    const input = Buffer.concat(
      tasks.map(({ step }) => {
        const words = `${step.mode?.toString(8) ?? '-'} ${touchTime(tools.touch, step.mtimeUs)}\n`;
        return Buffer.concat([Buffer.from(words), lineInput(step.path)]);
      }),
    );
    const { output } = await session.run({ code: `dirs ${tasks.length}`, input });
    this.#failNumbered(output, tasks, () => undefined);
  }

  /** Permission bits and times of directories that are ours. */
  async dressDirectories(items: readonly { path: RelPath; mode: number; mtimeUs?: bigint }[]): Promise<void> {
    const { session, tools } = this.#root;
    const input = Buffer.concat(
      items.map(({ path, mode, mtimeUs }) => {
        const time = mtimeUs === undefined ? '-' : touchTime(tools.touch, mtimeUs);
        return Buffer.concat([Buffer.from(`${mode.toString(8)} ${time}\n`), lineInput(path)]);
      }),
    );
    await session.run({ code: `dirs ${items.length}`, input });
  }

  async meta(tasks: readonly Task<StepOf<'meta'>>[]): Promise<void> {
    const wanted = ({ step }: Task<StepOf<'meta'>>): string => {
      const mode = step.mode === undefined ? '-' : (step.mode | (step.expect.mode & ~0o1777)).toString(8);
      const time = step.mtimeUs === undefined ? '-' : touchTime(this.#root.tools.touch, step.mtimeUs);
      return `${mode} ${time}`;
    };
    const own = tasks.filter(({ step }) => step.path !== '');
    const groups = grouped(own, (task) => `${parentPath(task.step.path)}\0${wanted(task)}`);
    await Promise.all(
      groups.map(async (group) => {
        const [first] = group;
        if (first === undefined) return;
        const dir = parentPath(first.step.path);
        const lines = group.map(({ step }) => this.#line(step.path, step.expect));
        const outcome = await this.command(`meta ${group.length} ${wanted(first)}`, dir, lines);
        const seen = verdicts(group, outcome, ['v']);
        for (const task of group) {
          const failed = seen.get(task);
          if (failed === 'gone') fail(task.result, goneDirectory);
          else if (failed !== undefined)
            fail(task.result, await this.#changedOrMount(task.step.path, task.step.expect));
          else if (outcome.said !== '') fail(task.result, { why: 'failed', detail: outcome.said });
        }
      }),
    );
    for (const { step, result } of tasks.filter((task) => task.step.path === '')) {
      const [mode = '-', time = '-'] = wanted({ step, result }).split(' ');
      const input = Buffer.concat([Buffer.from(`${mode} ${time}\n`), lineInput('')]);
      const { output } = await this.#root.session.run({ code: 'dirs 1', input });
      this.#failNumbered(output, [{ step, result }], () => undefined);
    }
  }

  /** Files and links first, then directories, deepest first: each only once nothing is in it. */
  async remove(tasks: readonly Task<StepOf<'remove'>>[], matcher: IgnoreMatcher): Promise<void> {
    const isDir = ({ step }: Task<StepOf<'remove'>>): boolean => step.expect.kind === 'dir';
    await this.#removeFiles(tasks.filter((task) => !isDir(task)));
    const dirs = tasks.filter(isDir);
    const depths = new Map<number, Task<StepOf<'remove'>>[]>();
    for (const task of dirs) {
      const depth = task.step.path.split('/').length;
      depths.set(depth, [...(depths.get(depth) ?? []), task]);
    }
    for (const depth of [...depths.keys()].sort((a, b) => b - a)) {
      await this.#removeDirectories(depths.get(depth) ?? [], matcher);
    }
  }

  async moves(moves: StepOf<'moves'>['moves'], result: StepResult): Promise<void> {
    await moveAll({ root: this.#root, changes: this, history: this.#history, stager: this.#stager }, moves, result);
  }

  /** Runs a command for names in one directory. */
  async command(
    code: string,
    dir: RelPath,
    lines: readonly { pattern: string; name: string }[],
    before: Uint8Array = new Uint8Array(0),
  ): Promise<Outcome & { said: string }> {
    const text = lines.map(({ pattern, name }) => `${pattern}\n${lineOf(name)}\n`).join('');
    const input = [before, lineInput(dir), Buffer.from(text, 'latin1')];
    const { output } = await this.#root.session.run({ code, input, limit: 1 << 20 });
    const digits = new Map<string, string>();
    let isGone = false;
    let said = '';
    for (const line of output.toString('utf8').split('\n')) {
      if (line === 'd') isGone = true;
      else if (/^[vwxa] [01]*$/.test(line)) digits.set(line.charAt(0), line.slice(2));
      else if (line.startsWith('! '))
        said = said === '' ? plainReason(line.split(': ').pop()?.replace('! ', '') ?? '') : said;
      else if (line !== '') said = said === '' ? plainReason(line.split(': ').pop() ?? '') : said;
    }
    if (/cross-device/i.test(said)) said = inNestedMount;
    if (isGone) this.#gone.add(dir);
    if (said !== '') this.#said.set(dir, said);
    return { isGone, digits, said };
  }

  #line(path: RelPath, expect: Entry): { pattern: string; name: string } {
    return { pattern: expectation(this.#root, expect), name: baseName(path) };
  }

  async #removeFiles(tasks: readonly Task<StepOf<'remove'>>[]): Promise<void> {
    const asides = new Map<string, string>();
    const places = new Map<Task<StepOf<'remove'>>, string>();
    for (const task of tasks) {
      const { path, keep } = task.step;
      places.set(task, keep ? await this.#history.reserve(path) : await this.#aside(asides, parentPath(path)));
    }
    const asideOf = (task: Task<StepOf<'remove'>>): string =>
      task.step.keep ? parentPath(this.#history.path(places.get(task) ?? '')) : (places.get(task) ?? '');
    const groups = grouped(tasks, (task) => `${parentPath(task.step.path)}\0${asideOf(task)}`);
    const kept: Kept[] = [];
    await Promise.all(
      groups.map(async (group) => {
        const [first] = group;
        if (first === undefined) return;
        const aside = asideOf(first);
        const lines = group.map(({ step }) => this.#line(step.path, step.expect));
        const dir = parentPath(first.step.path);
        const outcome = await this.command(`aside ${group.length}`, dir, lines, lineInput(aside));
        const seen = verdicts(group, outcome, ['v', 'w']);
        const taken = group.filter((task) => !['gone', 'v'].includes(seen.get(task) ?? ''));
        const now = await observe(
          this.#root,
          group.map(({ step }) => step.path),
        );
        for (const task of group) {
          const { step, result } = task;
          const failed = seen.get(task);
          const there = now.get(step.path)?.entry;
          if (failed === undefined) {
            if (!step.keep) continue;
            kept.push({ path: step.path, at: places.get(task) ?? '', entry: step.expect, reason: step.reason });
            result.kept = true;
          } else if (failed === 'v' || failed === 'gone') {
            // Somebody else was quicker, or it is something else by now.
            if (there !== undefined) fail(result, await this.#changedOrMount(step.path, step.expect));
          } else if (outcome.said !== '' && there !== undefined && there.ino === step.expect.ino) {
            fail(result, { why: 'failed', detail: outcome.said });
          } else {
            const places = placesOf(aside, step.path, taken.indexOf(task));
            await this.#keepAfterAll(step.path, places, step.expect, result);
            fail(result, changed);
          }
        }
      }),
    );
    await this.#history.record(kept);
    await this.#stager.drop([...asides.values()]);
  }

  async #removeDirectories(tasks: readonly Task<StepOf<'remove'>>[], matcher: IgnoreMatcher): Promise<void> {
    const groups = grouped(tasks, ({ step }) => parentPath(step.path));
    const kept: Kept[] = [];
    await Promise.all(
      groups.map(async (group) => {
        const [first] = group;
        if (first === undefined) return;
        const lines = group.map(({ step }) => this.#line(step.path, step.expect));
        const outcome = await this.command(`rmdirs ${group.length}`, parentPath(first.step.path), lines);
        const seen = verdicts(group, outcome, ['v']);
        const now = await observe(
          this.#root,
          group.map(({ step }) => step.path),
        );
        for (const task of group) {
          const { step, result } = task;
          const isThere = now.get(step.path) !== undefined;
          if (isThere && seen.get(task) !== undefined) {
            fail(result, await this.#changedOrMount(step.path, step.expect));
            continue;
          }
          if (isThere) {
            const problem = await this.#removeWithRest(step.path, matcher, outcome.said);
            if (problem !== undefined) {
              fail(result, problem);
              continue;
            }
          }
          if (!step.keep || seen.get(task) !== undefined) continue;
          const at = await this.#history.keepDirectory(step.path);
          kept.push({ path: step.path, at, entry: step.expect, reason: step.reason });
          result.kept = true;
        }
      }),
    );
    await this.#history.record(kept);
  }

  /** A directory that is not empty goes if all that is left in it may go with it. @returns why it stays */
  async #removeWithRest(
    path: RelPath,
    matcher: IgnoreMatcher,
    said: string,
  ): Promise<Omit<Failure, 'path'> | undefined> {
    const left: { name: string; isDir: boolean }[] = [];
    await readRecords(this.#root, { code: 'within', input: lineInput(path) }, (found) => {
      if (found.path === '' || found.path.includes('/')) return;
      left.push({ name: found.path, isDir: found.entry.kind === 'dir' });
    });
    const kept = left.filter(({ name, isDir }) => !matcher.isPerishable(joinPath(path, name), isDir));
    if (kept.length > 0) {
      const names = kept.map(({ name }) => name).sort();
      const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
      return { why: 'kept-ignored', detail: `still holds ${names.slice(0, 3).join(', ')}${more}` };
    }
    if (left.length === 0) return { why: 'failed', detail: said === '' ? 'it could not be removed' : said };
    await this.command(
      `purge ${left.length}`,
      path,
      left.map(({ name }) => ({ pattern: '*', name })),
    );
    await this.command('rmdirs 1', parentPath(path), [{ pattern: '4*', name: baseName(path) }]);
    const now = await observe(this.#root, [path]);
    return now.size === 0 ? undefined : { why: 'kept-ignored', detail: 'something new appeared in it' };
  }

  /** What was caught by mistake, and has lost its name, goes to history. */
  async #keepAfterAll(path: RelPath, places: readonly string[], expect: Entry, result: StepResult): Promise<void> {
    const { session } = this.#root;
    let from: string | undefined;
    for (const place of places) {
      const { status } = await session.run({ code: 'stillthere', input: lineInput(place) });
      if (status !== 0) continue;
      from = place;
      break;
    }
    if (from === undefined) return;
    const at = await this.#history.reserve(path);
    await session.must(
      { code: 'tohistory', input: lineInput(from, this.#history.path(at)) },
      `keep ${path} in history`,
    );
    await this.#history.record([{ path, at, entry: expect, reason: 'conflict' }]);
    result.kept = true;
  }

  async #forget(own: string): Promise<void> {
    await this.#root.session.run({ code: 'rmown', input: lineInput(own), limit: 1 << 16 });
  }

  /** A directory in staging for the old versions of one directory's files. */
  async #aside(asides: Map<string, string>, dir: RelPath): Promise<string> {
    let name = asides.get(dir);
    if (name === undefined) {
      await this.#stager.prepare();
      name = this.#stager.fresh('o');
      await this.#root.session.must({ code: 'mkdirs 1', input: lineInput(name) }, 'make a directory in staging');
      asides.set(dir, name);
    }
    return `staging/${this.#root.request.runId}/${name}`;
  }

  async #changedOrMount(path: RelPath, expect: Entry): Promise<Omit<Failure, 'path'>> {
    const found = (await observe(this.#root, [path])).get(path);
    if (found !== undefined && found.dev !== this.#root.dev && found.entry.ino === expect.ino) {
      return { why: 'failed', detail: inNestedMount };
    }
    return changed;
  }

  #failNumbered(
    output: Buffer,
    tasks: readonly Task<ApplyStep>[],
    special: (said: string) => Omit<Failure, 'path'> | undefined,
  ): void {
    for (const line of output.toString('utf8').split('\n')) {
      const match = /^(\d{1,9}) (.*)$/.exec(line);
      if (match === null) continue;
      const task = tasks[Number(match[1])];
      if (task === undefined) this.#root.session.broken('the number of a step that is none');
      const said = plainReason((match[2] ?? '').split(': ').pop() ?? '');
      fail(task.result, said === 'gone' ? goneDirectory : (special(said) ?? { why: 'failed', detail: said }));
    }
  }
}

/** Names are given by `ln` and `mv`, and neither goes across its border. */
export const inNestedMount = 'it is in a nested mount, where a plain shell changes nothing';

/** What each item failed at: the first of the given lines that has a 0 for it. */
export function verdicts<T>(
  items: readonly T[],
  { isGone, digits }: Outcome,
  letters: readonly string[],
): Map<T, string> {
  const failed = new Map<T, string>();
  if (isGone) for (const item of items) failed.set(item, 'gone');
  let left = [...items];
  for (const letter of isGone ? [] : letters) {
    const line = digits.get(letter);
    // Without a line, a tool or the shell failed before it: nothing may be taken for verified.
    if (line?.length !== left.length) {
      if (left.length > 0 && letter !== 'a') for (const item of left) failed.set(item, letter);
      break;
    }
    for (const [index, item] of left.entries()) if (line.charAt(index) !== '1') failed.set(item, letter);
    left = left.filter((item) => !failed.has(item));
  }
  return failed;
}

/** Items of one key together, no more than a command takes. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  const all: T[][] = [];
  for (const item of items) {
    const key = keyOf(item);
    let group = groups.get(key);
    if (group === undefined || group.length >= groupNames) {
      group = [];
      groups.set(key, group);
      all.push(group);
    }
    group.push(item);
  }
  return all;
}

/** Where something may be that was caught by mistake: what lies in staging is parked (`hold` in program-apply.ts). */
function placesOf(aside: string, path: RelPath, index: number): string[] {
  const inAside = `${aside}/${baseName(path)}`;
  const staged = /^(staging\/[^/]+)\/([^/]+)\/([^/]+)$/.exec(aside);
  if (staged === null) return [inAside];
  const [, staging = '', own = '', name = ''] = staged;
  return [`${staging}/parked/${own}-${name}-${index}`, inAside];
}

export function fail(result: StepResult, failure: Omit<Failure, 'path'>): void {
  if (result.failures.length === 0) result.failures.push({ path: result.path, ...failure });
}

export function unfit(root: FarRoot, path: RelPath): string | undefined {
  const [top = ''] = path.split('/', 1);
  if (root.folds && maybeOwn(top)) return `the file system over there takes ${top} for Lockstep's own directory`;
  return isTooLong(root, path) ? 'its path is too long for the shell over there' : undefined;
}

export const changed = { why: 'changed-meanwhile', detail: 'it is not what it was when it was looked at' } as const;
export const appeared = { why: 'changed-meanwhile', detail: 'something appeared there' } as const;
const goneDirectory = { why: 'changed-meanwhile', detail: 'a directory above it is not one any more' } as const;
const editedMeanwhile = {
  why: 'changed-meanwhile',
  detail: 'edited while it was replaced; that edit is in history',
} as const;
