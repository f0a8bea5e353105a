/** Things that happen between two file calls of a run, and what could have been lost by them. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bothHere, eventsOf, lockstep } from '../support/cli.ts';
import { injecting } from '../support/inject.ts';
import { withPair } from '../support/pair.ts';
import { contents, history, write } from '../support/tree.ts';

describe.runIf(bothHere)('at the worst moment', () => {
  it('a directory that is renamed while it is read has not lost what is in it', async () =>
    withPair(async (pair) => {
      const tree = { 'p/d/1': '1', 'p/d/2': '2', 'p/d/3': '3', other: 'o' };
      await pair.agreed(tree);
      write(pair.a, { 'p/d/1': 'edited' });
      const [from, to] = [path.join(pair.a, 'p/d'), path.join(pair.a, 'p/e')];
      // Of a directory that is looked into by names: the first of them is there no more.
      const run = `if (fs.existsSync('${from}')) fs.renameSync('${from}', '${to}');`;
      const env = injecting(pair.dir, { call: 'readdirSync', match: /\/a\/p\/d\b/, when: 'after', run, nth: 'every' });
      const ran = await pair.run('sync', ['--max-delete', 'off'], { env });
      expect(fs.existsSync(to)).toBe(true);
      expect(eventsOf(ran, 'action'), ran.stdout).toEqual([]);
      expect(contents(pair.b)).toMatchObject(tree);
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth({ p: 'dir', 'p/e': 'dir', 'p/e/1': 'edited', 'p/e/2': '2', 'p/e/3': '3', other: 'o' });
    }));

  it.each(['push', 'sync'] as const)(
    'an ignore file that cannot be read ignores everything beside it, %s',
    async (command) =>
      withPair(async (pair) => {
        write(pair.a, { 'sub/.gitignore': 'secret\n', 'sub/f': 'f', 'sub/secret': 'mine', other: 'o' });
        const args = ['--gitignore', ...(command === 'push' ? ['--delete'] : [])];
        expect((await pair.run(command, args)).code).toBe(0);
        write(pair.b, { 'sub/secret': 'theirs' });
        write(pair.a, { other: 'edited', 'sub/f': 'edited' });
        const before = contents(pair.b);
        const run = "throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });";
        const env = injecting(pair.dir, { call: 'readFileSync', match: /\/a\/sub\/\.gitignore/, run, nth: 'every' });
        const ran = await pair.run(command, args, { env });
        expect([ran.code, eventsOf(ran, 'skip')], ran.stdout).toMatchObject([2, [{ path: 'sub', why: 'unreadable' }]]);
        expect(contents(pair.b)).toEqual({ ...before, other: 'edited' });
        const root = injecting(pair.dir, { call: 'readFileSync', match: /\/a\/\.gitignore/, run, nth: 'every' });
        write(pair.a, { '.gitignore': 'secret\n' });
        const refused = await pair.run(command, args, { env: root });
        expect(refused.code).toBe(1);
        expect(eventsOf(refused, 'error')[0]?.['message']).toMatch(/a\/\.gitignore cannot be read/);
        expect((await pair.run(command, args)).code).toBe(0);
        expect(contents(pair.b)).toMatchObject({
          'sub/f': 'edited',
          'sub/secret': 'theirs',
        });
      }),
  );

  it('an edit made while the old version is copied, where it cannot be linked, is not replaced', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'old' });
      write(pair.a, { f: 'new' });
      const env = injecting(
        pair.dir,
        {
          call: 'linkSync',
          match: /\/f \S*\/(?:staging|history)\//,
          run: "throw Object.assign(new Error('EPERM'), { code: 'EPERM' });",
          nth: 'every',
        },
        { call: 'copyFileSync', match: /\/b\/f|\/f /, when: 'after', run: `fs.writeFileSync('${pair.b}/f', 'OLD');` },
      );
      const ran = await pair.run('sync', [], { env });
      expect(fs.readFileSync(path.join(pair.b, 'f'), 'utf8'), ran.stdout).toBe('OLD');
      expect(ran.code).toBe(2);
    }));

  it('two links of a star that replace the same file of the hub at once: each edit is somewhere', async () =>
    withPair(async (pair) => {
      const c = path.join(pair.dir, 'c');
      const args = ['sync', pair.a, pair.b, c, '--json', '--state-dir', pair.state, '--on-conflict', 'newer'];
      write(pair.a, { x: 'old' });
      expect((await lockstep(args)).code).toBe(0);
      write(pair.b, { x: 'v1 from b' });
      write(c, { x: 'v2, from c' });
      // Both have looked at it before either gives it a second name, and both have done that before either replaces it.
      const env = injecting(
        pair.dir,
        { call: 'linkSync', match: /\/x \S*\/(?:staging|history)\//, run: 'pause(1500);' },
        { call: 'renameSync', match: /staging\/\S+ \S*\/x$/, run: 'pause(1500);' },
      );
      const ran = await lockstep(args, { env });
      const kept = [pair.a, pair.b, c].flatMap((root) => [
        ...Object.values(contents(root)),
        ...Object.values(history(root)).flat(),
      ]);
      expect(kept, ran.stdout).toContain('v1 from b');
      expect(kept, ran.stdout).toContain('v2, from c');
    }));
});

it.runIf(bothHere)('a version in history is not changed by what is written by another name of the file', async () =>
  withPair(async (pair) => {
    await pair.agreed({ x: 'old', other: 'o' });
    write(pair.a, { x: 'from a' });
    fs.rmSync(path.join(pair.b, 'x'));
    write(pair.b, { 'outside/y': 'precious' });
    fs.linkSync(path.join(pair.b, 'outside/y'), path.join(pair.b, 'x'));
    expect((await pair.sync('--on-conflict', 'local', '--exclude', 'outside')).code).toBe(0);
    expect(contents(pair.b)['x']).toBe('from a');
    fs.writeFileSync(path.join(pair.b, 'outside/y'), 'edited in place');
    expect(history(pair.b)['x']).toEqual(['precious']);
  }),
);

it.runIf(bothHere)('what one link of a star has just kept is not pruned by another', async () =>
  withPair(async (pair) => {
    const c = path.join(pair.dir, 'c');
    const args = ['sync', pair.a, pair.b, c, '--json', '--state-dir', pair.state, '--keep-size', '1K'];
    write(pair.a, { x: 'old' });
    expect((await lockstep(args)).code).toBe(0);
    const precious = 'precious '.repeat(500);
    write(pair.a, { x: precious });
    write(pair.b, { x: 'from b' });
    expect((await lockstep([...args, '--on-conflict', 'remote'])).code).toBe(0);
    expect(history(pair.a)['x']).toEqual([precious]);
  }),
);
