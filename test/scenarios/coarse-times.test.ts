/**
 * SCENARIOS 70: a file system that keeps times in steps of two seconds, as FAT does. No such one can be mounted everywhere,
 * so the calls that set times below B are made to lose what FAT would lose; once it also says that it is FAT, once it is
 * one of which nothing is known.
 */
import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { eventsOf, notInShell, type Ran } from '../support/cli.ts';
import { injecting, until, type Injection } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, file, write } from '../support/tree.ts';

beforeEach(notInShell);

const fat = 0x4d44;
/** Even; times of the test lie about it. */
const base = 1_600_000_000;

function coarse(pair: Pair, isKnown: boolean): Record<string, string> {
  const below = (of: string): string => `
    const at = ${of};
    if (at !== ${JSON.stringify(pair.b)} && !at.startsWith(${JSON.stringify(`${pair.b}/`)})) return;`;
  const byPath = below('path.join(fs.realpathSync(path.dirname(String(args[0]))), path.basename(String(args[0])))');
  const byDescriptor = below("fs.readlinkSync('/proc/self/fd/' + args[0])");
  const cut = 'args[2] = Math.floor(Number(args[2]) / 2) * 2;';
  const every = { match: /./, nth: 'every' } as const;
  const injections: Injection[] = [
    { ...every, call: 'futimesSync', run: `${byDescriptor} ${cut}` },
    { ...every, call: 'utimesSync', run: `${byPath} ${cut}` },
  ];
  if (isKnown) {
    const run = `${below('fs.realpathSync(args[0])')} return Object.assign(result, { type: ${fat} });`;
    injections.push({ ...every, call: 'statfsSync', when: 'after', run });
  }
  return injecting(pair.dir, ...injections);
}

for (const isKnown of [true, false]) {
  describe(`70: times in steps of two seconds on B, ${isKnown ? 'which says so' : 'which nothing tells'}`, () => {
    const expectRests = async (run: (...args: string[]) => Promise<Ran>): Promise<void> => {
      const ran = await run();
      expect([ran.code, eventsOf(ran, 'action'), eventsOf(ran, 'conflict')], ran.stdout).toEqual([0, [], []]);
    };
    /** What was written within the same step of the clock is not trusted: one more run, in a later step, looks at it. */
    const settle = async (run: (...args: string[]) => Promise<Ran>): Promise<void> => {
      const written = Date.now();
      await until(() => Date.now() > written + 2000);
      await expectRests(run);
    };
    const prepared = async (
      act: (pair: Pair, run: (...args: string[]) => Promise<Ran>) => Promise<void>,
    ): Promise<void> =>
      withPair(async (pair) => {
        const env = coarse(pair, isKnown);
        const run = async (...args: string[]): Promise<Ran> => pair.run('sync', args, { env });
        write(pair.a, {
          odd: file('o', { mtime: base + 1.5 }),
          even: file('e', { mtime: base }),
          'd/fine': file('n', { mtime: base + 3.987654 }),
        });
        expect((await run()).code).toBe(0);
        expect(fs.statSync(path.join(pair.b, 'odd')).mtimeMs).toBe(base * 1000);
        await settle(run);
        await act(pair, run);
      });
    it('nothing is synced again and again, not even when the record is lost', async () =>
      prepared(async (pair, run) => {
        await expectRests(run);
        fs.rmSync(pair.state, { recursive: true });
        const met = await run();
        expect([met.code, eventsOf(met, 'conflict')], met.stdout).toEqual([0, []]);
        expect(eventsOf(met, 'action').filter(({ op }) => op !== 'metadata')).toEqual([]);
        await expectRests(run);
        // What A had finer stays finer there.
        expect(fs.statSync(path.join(pair.a, 'odd')).mtimeMs).toBe(base * 1000 + 1500);
      }));

    it('edits and touches of either side are carried once', async () =>
      prepared(async (pair, run) => {
        write(pair.a, { odd: file('edited on a', { mtime: base + 11 }) });
        write(pair.b, { even: file('edited on b', { mtime: base + 20 }) });
        fs.utimesSync(path.join(pair.a, 'd/fine'), base + 31, base + 31);
        const ran = await run();
        expect([ran.code, eventsOf(ran, 'conflict')], ran.stdout).toEqual([0, []]);
        const expected = { odd: 'edited on a', even: 'edited on b', d: 'dir', 'd/fine': 'n' };
        pair.expectBoth(expected);
        await settle(run);
        fs.rmSync(path.join(pair.a, 'odd'));
        expect((await run()).code).toBe(0);
        expect(contents(pair.b)).not.toHaveProperty('odd');
        await expectRests(run);
      }));

    it('of two edits the newer wins where that can be told', async () =>
      prepared(async (pair, run) => {
        write(pair.a, { odd: file('a, newer', { mtime: base + 15 }), even: file('a', { mtime: base + 11 }) });
        // Written at 11.9, perhaps.
        write(pair.b, { odd: file('b', { mtime: base + 10 }), even: file('b, a little later', { mtime: base + 10 }) });
        const ran = await run();
        expect(contents(pair.b)['odd']).toBe('a, newer');
        if (isKnown) {
          expect(ran.code).toBe(2);
          expect(eventsOf(ran, 'conflict')).toContainEqual(expect.objectContaining({ path: 'even', winner: 'open' }));
          expect([contents(pair.a)['even'], contents(pair.b)['even']]).toEqual(['a', 'b, a little later']);
        }
        pair.expectKept('a', 'b', 'a, newer', 'b, a little later');
      }));
  });
}

describe('70: right after a run, in the same step of two seconds of a B that says that it is FAT', () => {
  /** B also gives its ctimes in such steps, as FAT does. */
  function coarseAltogether(pair: Pair): Record<string, string> {
    const cut = `
      if (typeof result?.ctimeNs === 'bigint') {
        result.ctimeNs -= result.ctimeNs % 2_000_000_000n;
        result.ctimeMs = result.ctimeNs / 1_000_000n;
      } else if (result !== undefined) result.ctimeMs -= result.ctimeMs % 2000;`;
    const inB = (of: string): string => `
      let dir;
      try { dir = ${of}; } catch { return; }
      if (!(dir + '/').startsWith(${JSON.stringify(`${pair.b}/`)})) return;`;
    const every = { match: /./, nth: 'every', when: 'after' } as const;
    const statfs = `${inB('fs.realpathSync(args[0])')} return Object.assign(result, { type: ${fat} });`;
    return injecting(
      pair.dir,
      { ...every, call: 'statfsSync', run: statfs },
      { ...every, call: 'lstatSync', run: `${inB('fs.realpathSync(path.dirname(String(args[0])))')} ${cut}` },
      { ...every, call: 'fstatSync', run: `${inB("fs.readlinkSync('/proc/self/fd/' + args[0])")} ${cut}` },
    );
  }

  /** Files named alone and in a directory that is new, with times that lie long back, are on both sides since a moment. */
  async function fresh(act: (pair: Pair, run: () => Promise<Ran>) => Promise<void>): Promise<void> {
    await withPair(async (pair) => {
      await pair.agreed({ other: 'o' });
      const env = coarseAltogether(pair);
      const run = async (): Promise<Ran> => pair.run('sync', ['--max-delete', 'off'], { env });
      for (const name of ['alone', 'alone2', 'd/f', 'd/g']) write(pair.a, { [name]: file('1', { mtime: base }) });
      // So that what follows falls into the same step.
      await until(() => Date.now() % 2000 < 100);
      const ran = await run();
      expect([ran.code, eventsOf(ran, 'conflict')], ran.stdout).toEqual([0, []]);
      await act(pair, run);
    });
  }

  it('what is deleted on A does not come back', async () =>
    fresh(async (pair, run) => {
      for (const name of ['alone', 'd/f']) fs.rmSync(path.join(pair.a, name));
      const ran = await run();
      expect([ran.code, eventsOf(ran, 'conflict')], ran.stdout).toEqual([0, []]);
      pair.expectBoth({ other: 'o', alone2: '1', d: 'dir', 'd/g': '1' });
    }));

  it('what is edited on A is no conflict', async () =>
    fresh(async (pair, run) => {
      write(pair.a, { alone: file('2', { mtime: base + 10 }), 'd/f': file('2', { mtime: base + 10 }) });
      const ran = await run();
      expect([ran.code, eventsOf(ran, 'conflict')], ran.stdout).toEqual([0, []]);
      pair.expectBoth({ other: 'o', alone: '2', alone2: '1', d: 'dir', 'd/f': '2', 'd/g': '1' });
    }));

  it('an edit on B that shows in no time is seen once the clock has moved on', async () =>
    fresh(async (pair, run) => {
      for (const name of ['alone', 'd/f']) {
        fs.writeFileSync(path.join(pair.b, name), '2');
        fs.utimesSync(path.join(pair.b, name), base, base);
      }
      const edited = Date.now();
      await until(() => Date.now() > edited + 2000);
      const ran = await run();
      expect([ran.code, eventsOf(ran, 'conflict')], ran.stdout).toEqual([0, []]);
      pair.expectBoth({ other: 'o', alone: '2', alone2: '1', d: 'dir', 'd/f': '2', 'd/g': '1' });
    }));
});
