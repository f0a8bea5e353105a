/** One directory that is reached in two ways is one directory: nothing is done to it as if it were two. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { standIns, type StandIns } from '../support/stand-ins.ts';
import { comparable, contents, write } from '../support/tree.ts';

let programs: StandIns;
beforeAll(() => {
  programs = standIns();
  programs.add('ssh', 'for last; do :; done; exec sh -c "$last"');
});
afterAll(() => programs.remove());

async function run(pair: Pair, ...args: string[]): Promise<Ran> {
  const [command = '', ...rest] = args;
  return lockstep([command, '--json', '--state-dir', pair.state, ...rest]);
}

function expectRefused(ran: Ran): void {
  expect(ran.code, ran.stdout + ran.stderr).toBe(3);
  expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'roots-overlap' }]);
}

describe.each(['node', 'sh'])('served by %s', (agent) => {
  it.each(['sync', 'push', 'push --delete', 'push --clean-out-first'])(
    '%s of a directory with itself is refused',
    async (how) =>
      withPair(async (pair) => {
        write(pair.a, { f: 'f', 'd/g': 'g' });
        const before = comparable(pair.a);
        const [command = '', ...options] = how.split(' ');
        expectRefused(await run(pair, command, ...options, '--agent', agent, pair.a, `near:${pair.a}`));
        expect(comparable(pair.a)).toEqual(before);
        expect(fs.existsSync(path.join(pair.a, '.lockstep'))).toBe(false);
      }),
  );

  it('of two remotes that are one, one is kept in step, the other refused', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'f', gone: 'g' });
      write(pair.b, { 'd/b': 'b' });
      const star = async (): Promise<Ran> => run(pair, 'sync', '--agent', agent, pair.a, `near:${pair.b}`, pair.b);
      expectRefused(await star());
      const all = { f: 'f', gone: 'g', d: 'dir', 'd/b': 'b' };
      pair.expectBoth(all);
      fs.rmSync(path.join(pair.a, 'gone'));
      write(pair.b, { f: 'edited' });
      expectRefused(await star());
      // Whichever of the two has the record by now: nothing is lost, and what was edited is on both.
      expect(contents(pair.a)).toEqual(contents(pair.b));
      expect(contents(pair.a)).toMatchObject({ f: 'edited', 'd/b': 'b' });
      pair.expectClean();
    }));
});

it.each([
  ['the same by another name', (pair: Pair) => path.join(pair.dir, 'link')],
  ['inside the other', (pair: Pair) => path.join(pair.b, 'd')],
])('of two remotes here, one of which is %s, one is refused', async (_, second) =>
  withPair(async (pair) => {
    fs.symlinkSync('b', path.join(pair.dir, 'link'));
    write(pair.a, { f: 'f' });
    write(pair.b, { 'd/b': 'b' });
    expectRefused(await run(pair, 'sync', pair.a, pair.b, second(pair)));
    // No round has brought the one into the other.
    expect(fs.existsSync(path.join(pair.b, 'd/d'))).toBe(false);
  }),
);

it('two directories there are two', async () =>
  withPair(async (pair) => {
    write(pair.a, { f: 'f' });
    const c = path.join(pair.dir, 'c');
    fs.mkdirSync(c);
    write(pair.b, { b: 'b' });
    const ran = await run(pair, 'sync', pair.a, `near:${pair.b}`, c);
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    pair.expectBoth({ f: 'f', b: 'b' });
    expect(contents(c)).toEqual({ f: 'f', b: 'b' });
  }));
