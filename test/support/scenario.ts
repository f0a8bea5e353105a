/**
 * Tables of scenarios: each row a directory of its own in one pair, all rows synced by the same few runs, every row and
 * every oracle a test of its own. So a row costs next to nothing, and a hundred of them share the price of starting
 * the command line.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clockDoubtMs, type Ran } from './cli.ts';
import {
  dryRun,
  expectLocality,
  expectNoLoss,
  expectRest,
  expectTold,
  expectTruth,
  mirror,
  moment,
  other,
  sides,
  told,
  withoutStamps,
  type Moment,
  type Side,
  type Told,
} from './oracles.ts';
import { Pair } from './pair.ts';
import { contents, write, type TreeSpec } from './tree.ts';

/** What a person does in a root: things to write, or anything else. */
export type Change = TreeSpec | ((root: string) => void);

export interface Expected {
  /** Contents of A after the run; of B too, unless given apart. */
  a: Record<string, string>;
  b?: Record<string, string>;
  /** What the run does, says, and leaves, as `told` writes it; none by default. */
  actions?: string[];
  conflicts?: string[];
  skips?: string[];
  /** Contents that are in a history afterwards. */
  kept?: string[];
}

export type Policy = 'newer' | 'both' | 'manual';
export const policies: readonly Policy[] = ['newer', 'both', 'manual'];

export interface Row {
  /** Number in SCENARIOS.md, and what it is about. */
  row: string;
  /** On both sides at the last run (O). */
  agreed?: TreeSpec;
  a?: Change;
  b?: Change;
  /** By policy where it matters; by which root plays A where even that does. */
  expect: Expected | Record<Policy, Expected | ((mirrored: boolean) => Expected)>;
  /** Whatever else must hold. */
  check?: (facts: Facts) => void;
}

/** A row after its run. The roles A and B, whichever root plays them. */
export interface Facts {
  roots: Record<Side, string>;
  before: Record<Side, Record<string, string>>;
  after: Record<Side, Record<string, string>>;
  told: Told;
  /** Directory that belongs to neither root. */
  outside: string;
}

/** In every row's directory, and never touched. */
const bystander = 'bystander';

class Batch {
  readonly pair = new Pair();
  readonly outside = path.join(this.pair.dir, 'outside');
  agreed: Record<string, string> = {};
  before!: Moment;
  after!: Moment;
  predicted!: Ran;
  ran!: Ran;

  constructor(
    readonly rows: readonly Row[],
    readonly mirrored: boolean,
    readonly args: readonly string[],
  ) {}

  async run(): Promise<void> {
    const { pair, rows } = this;
    write(this.outside, { canary: 'untouched', f: 'outside f' });
    for (const { row, agreed } of rows) write(path.join(pair.a, dirOf(row)), { [bystander]: row, ...agreed });
    const first = await pair.sync(...this.args);
    expect(first.code, first.stdout + first.stderr).toBe(0);
    this.agreed = contents(pair.a);
    const roots = this.roots();
    for (const side of sides) {
      tick(pair.dir, clockDoubtMs);
      for (const row of rows) {
        const change = row[side];
        const root = path.join(roots[side], dirOf(row.row));
        if (typeof change === 'function') change(root);
        else if (change !== undefined) write(root, change);
      }
    }
    this.before = moment(pair);
    this.predicted = await dryRun(pair, this.args);
    this.ran = await pair.sync(...this.args);
    this.after = moment(pair);
  }

  /** Which root plays which role. */
  roots(): Record<Side, string> {
    const { a, b } = this.pair;
    return this.mirrored ? { a: b, b: a } : { a, b };
  }

  /** What a run told of a row, as if not mirrored. */
  told(ran: Ran, row: string): Told {
    const given = told(ran, dirOf(row));
    return this.mirrored ? mirror(given) : given;
  }

  /** A row's part of a snapshot, by role. */
  part<T>(of: Record<Side, Record<string, T>>, row: string): Record<Side, Record<string, T>> {
    const below = `${dirOf(row)}/`;
    const cut = (all: Record<string, T>): Record<string, T> =>
      Object.fromEntries(
        Object.entries(all)
          .filter(([name]) => name.startsWith(below) && name !== below + bystander)
          .map(([name, value]) => [name.slice(below.length), value]),
      );
    return this.mirrored ? { a: cut(of.b), b: cut(of.a) } : { a: cut(of.a), b: cut(of.b) };
  }

  checkRow(row: Row, policy: Policy): void {
    const chosen = 'a' in row.expect ? row.expect : row.expect[policy];
    const expected = typeof chosen === 'function' ? chosen(this.mirrored) : chosen;
    const result = this.told(this.ran, row.row);
    const is = this.part(this.after.contents, row.row);
    const files = this.mirrored ? swapNames : (tree: Record<string, string>): Record<string, string> => tree;
    expect({
      a: files(withoutStamps(is.a)),
      b: files(withoutStamps(is.b)),
      actions: result.actions,
      conflicts: result.conflicts,
      skips: result.skips,
    }).toEqual({
      a: expected.a,
      b: expected.b ?? expected.a,
      actions: [...(expected.actions ?? [])].sort(),
      conflicts: expected.conflicts ?? [],
      skips: expected.skips ?? [],
    });
    expect(this.told(this.predicted, row.row), 'G6').toEqual(result);
    expectNoLoss(this.agreed, this.before, this.after, dirOf(row.row));
    const history = this.part(this.after.history, row.row);
    const kept = Object.values({ ...history.a, ...history.b }).flat();
    for (const text of expected.kept ?? []) expect(kept).toContain(text);
    const roots = this.roots();
    row.check?.({
      roots: { a: path.join(roots.a, dirOf(row.row)), b: path.join(roots.b, dirOf(row.row)) },
      before: this.part(this.before.fingerprints, row.row),
      after: this.part(this.after.fingerprints, row.row),
      told: result,
      outside: this.outside,
    });
  }
}

/** Registers the tests of a table: every row under every policy, straight and mirrored (G5), with all oracles. */
export function scenarios(title: string, rows: readonly Row[], args: readonly string[] = []): void {
  for (const policy of policies) {
    for (const mirrored of [false, true]) {
      describe(`${title}, --on-conflict ${policy}${mirrored ? ', mirrored' : ''}`, () => {
        const batch = new Batch(rows, mirrored, ['--on-conflict', policy, '--max-delete', 'off', ...args]);
        beforeAll(async () => batch.run());
        afterAll(() => batch.pair.remove());

        for (const row of rows) it(row.row, () => batch.checkRow(row, policy));
        it('G4: whatever no action names is untouched', () => expectLocality(batch.ran, batch.before, batch.after));
        it('G8: nothing outside the roots was touched', () => {
          expect(contents(batch.outside)).toEqual({ canary: 'untouched', f: 'outside f' });
        });
        it('G9: every difference that is left was told', () => expectTold(batch.pair, batch.ran));
        it('G10: the baseline claims nothing that is not so', () => expectTruth(batch.pair));
        it('G3: the next run does nothing', async () => {
          await expectRest(batch.pair, batch.ran, batch.args);
          batch.pair.expectClean();
        });
      });
    }
  }
}

/** A scenario that needs a pair for itself, once as it stands and once with the sides exchanged (G5). */
export function bothWays(
  title: string,
  act: (
    pair: Pair,
    roots: Record<Side, string>,
    told: (ran: Ran) => Told,
    skip: (reason: string) => never,
  ) => Promise<void>,
): void {
  for (const mirrored of [false, true]) {
    it(mirrored ? `${title} (mirrored)` : title, async (context) => {
      const pair = new Pair();
      try {
        const roots = mirrored ? { a: pair.b, b: pair.a } : { a: pair.a, b: pair.b };
        const toldOf = (ran: Ran): Told => (mirrored ? mirror(told(ran)) : told(ran));
        await act(pair, roots, toldOf, (reason) => context.skip(reason));
      } finally {
        pair.remove();
      }
    });
  }
}

/**
 * Returns when the file system's clock has moved on, so that what comes next has later times than what came before.
 *
 * @param ms by more than so much
 */
export function tick(dir: string, ms = 0): void {
  const probe = path.join(dir, 'tick');
  const time = (): bigint => {
    fs.writeFileSync(probe, '');
    return fs.statSync(probe, { bigint: true }).ctimeNs;
  };
  const until = time() + BigInt(ms) * 1_000_000n;
  while (time() <= until) if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  fs.rmSync(probe);
}

/** Which of the two roles a conflict copy's name speaks of. */
function swapNames(tree: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tree).map(([name, text]) => [
      name.replace(/\.conflict-([ab])/g, (_, side: Side) => `.conflict-${other(side)}`),
      text,
    ]),
  );
}

/** `16 in place` → `16-in-place`: the directory of a row. */
function dirOf(row: string): string {
  return `r${row.replace(/[^A-Za-z0-9]+/g, '-')}`;
}
