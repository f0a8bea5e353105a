/** FEATURES A6 (dry run), A15 (skip deletion), A16 (clean-out first) and A17 (part of a tree). */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, type JsonEvent, type Ran } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, file, fingerprints, history, soon, write } from '../support/tree.ts';

/** Everything about what a run did (or would do), without what differs by run. */
function deeds(ran: Ran): JsonEvent[] {
  return [...eventsOf(ran, 'action'), ...eventsOf(ran, 'conflict'), ...eventsOf(ran, 'skip')];
}

/** All files below a directory, with their bytes: to see that nothing at all is written. */
function everything(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    const stats = fs.lstatSync(path.join(dir, name), { bigint: true });
    const bytes = stats.isFile() ? fs.readFileSync(path.join(dir, name), 'latin1') : '';
    found[name] = `${stats.ino} ${stats.mtimeNs} ${stats.ctimeNs} ${bytes}`;
  }
  return found;
}

async function expectTrueDryRun(pair: Pair, command: 'sync' | 'push', ...args: string[]): Promise<void> {
  const before = everything(pair.dir);
  const dry = await pair.run(command, ['--dry-run', ...args]);
  expect(everything(pair.dir)).toEqual(before);
  const real = await pair.run(command, args);
  const sorted = (ran: Ran): string[] =>
    deeds(ran)
      .map((deed) => JSON.stringify(deed).replaceAll(/\d{8}T\d{6}Z/g, 'TIME'))
      .sort();
  expect(sorted(dry)).toEqual(sorted(real));
  expect(dry.code).toBe(real.code);
  expect(eventsOf(dry, 'summary')).toMatchObject([{ dryRun: true }]);
  const counts = (ran: Ran): unknown =>
    eventsOf(ran, 'summary').map(({ actions, total, bytes }) => ({ actions, total, bytes }));
  expect(counts(dry)).toEqual(counts(real));
}

describe('A6, 128: a dry run writes nothing anywhere and foretells exactly what a run does', () => {
  it('at a first meeting, when the second root is not there yet', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'x', 'd/e/f': 'y', 'empty/': '' });
      await expectTrueDryRun(pair, 'sync');
    }));

  it('with edits, deletions, renames, conflicts and metadata on both sides', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: '1', g: '1', h: '1', i: '1', 'd/x': '1', 'd/y': '1', 'move/f': 'a file that moves' });
      write(pair.a, { f: '2', h: file('a', { mtime: 1_600_000_000 }), 'n/n': '3' });
      fs.rmSync(path.join(pair.a, 'g'));
      fs.renameSync(path.join(pair.a, 'move'), path.join(pair.a, 'moved'));
      fs.chmodSync(path.join(pair.b, 'i'), 0o600);
      write(pair.b, { h: file('b', { mtime: 1_600_000_005 }), 'd/new': '4' });
      fs.rmSync(path.join(pair.b, 'd/x'));
      await expectTrueDryRun(pair, 'sync', '--on-conflict', 'both');
      await pair.expectIdle();
    }));

  it('of a mirror', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: '1', 'd/x': '1' });
      write(pair.b, { f: 'other', extra: '2', 'd/extra': '3' });
      await expectTrueDryRun(pair, 'push', '--delete');
    }));

  it('of --clean-out-first', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: '1', 'd/x': '1' });
      write(pair.b, { f: '1', extra: '2', 'd/extra': '3' });
      await expectTrueDryRun(pair, 'push', '--clean-out-first');
      pair.expectBoth({ f: '1', d: 'dir', 'd/x': '1' });
    }));
});

describe('A15: deletions are not carried to a side, nor come back, over several runs', () => {
  for (const [side, from, to] of [
    ['remote', 'a', 'b'],
    ['local', 'b', 'a'],
  ] as const) {
    it(`--skip-deletion ${side}`, async () =>
      withPair(async (pair) => {
        const skip = ['--skip-deletion', side] as const;
        await pair.agreed({ f: 'o', g: 'o', 'd/h': 'o', 'd/i': 'o' }, ...skip);
        fs.rmSync(path.join(pair[from], 'f'));
        fs.rmSync(path.join(pair[from], 'd'), { recursive: true });
        const kept = { f: 'o', g: 'o', d: 'dir', 'd/h': 'o', 'd/i': 'o' };
        for (let run = 1; run <= 3; run += 1) {
          const ran = await pair.sync(...skip);
          expect(ran.code, ran.stdout + ran.stderr).toBe(0);
          expect(contents(pair[from])).toEqual({ g: 'o' });
          expect(contents(pair[to])).toEqual(kept);
          if (run > 1) expect(eventsOf(ran, 'action')).toEqual([]);
        }
        // What is left there is not dead: an edit there is an edit.
        write(pair[to], { f: 'edited there' });
        expect((await pair.sync(...skip)).code).toBe(0);
        expect(contents(pair[from])).toEqual({ f: 'edited there', g: 'o' });
        // The other direction is as ever.
        fs.rmSync(path.join(pair[to], 'g'));
        expect((await pair.sync(...skip)).code).toBe(0);
        expect(contents(pair[from])).toEqual({ f: 'edited there' });
        await pair.expectIdle(...skip);
      }));
  }

  for (const args of [['sync'], ['push'], ['push', '--delete'], ['push', '--force']] as const) {
    it(`nor does anything make way for something of another kind: ${args.join(' ')}`, async () =>
      withPair(async (pair) => {
        const [command, ...mode] = args;
        const skip = [...mode, '--skip-deletion', 'remote', '--backup', 'off', '--atomic', 'repo'];
        write(pair.a, { 'd/f': 'o', 'd/e/g': 'o', f: 'o', rest: 'r', 'repo/x': 'o' });
        expect((await pair.run(command, skip)).code).toBe(0);
        for (const name of ['d', 'f']) fs.rmSync(path.join(pair.a, name), { recursive: true });
        write(pair.a, { d: 'file', 'f/in': 'i', rest: 'edited', 'repo/x': file('a', { mtime: soon() }) });
        write(pair.b, { 'repo/y': 'b' });
        const ran = await pair.run(command, skip);
        expect(ran.code, ran.stdout).toBe(2);
        const kept = { d: 'dir', 'd/f': 'o', 'd/e': 'dir', 'd/e/g': 'o', f: 'o', 'repo/x': 'o', 'repo/y': 'b' };
        expect(contents(pair.b)).toEqual({ ...kept, repo: 'dir', rest: 'edited' });
        expect(contents(pair.a)).toMatchObject({ d: 'file', 'f/in': 'i' });
        const told = eventsOf(ran, 'skip').filter(({ why }) => why === 'would-delete');
        expect(told.map(({ path: at }) => at)).toEqual(expect.arrayContaining(['d', 'f']));
      }));
  }

  it('both', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', g: 'o' }, '--skip-deletion', 'both');
      fs.rmSync(path.join(pair.a, 'f'));
      fs.rmSync(path.join(pair.b, 'g'));
      for (let run = 1; run <= 3; run += 1) {
        expect((await pair.sync('--skip-deletion', 'both')).code).toBe(0);
        expect([contents(pair.a), contents(pair.b)]).toEqual([{ g: 'o' }, { f: 'o' }]);
      }
    }));

  it('stays agreed when the option is left out later', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', g: 'o' });
      fs.rmSync(path.join(pair.a, 'f'));
      await pair.sync('--skip-deletion', 'remote');
      await pair.sync('--skip-deletion', 'remote');
      expect((await pair.sync()).code).toBe(0);
      expect([contents(pair.a), contents(pair.b)]).toEqual([{ g: 'o' }, { f: 'o', g: 'o' }]);
    }));
});

describe('A16: --clean-out-first', () => {
  it('empties the destination, dotfiles and ignored things too, into history; its inode stays', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'new' });
      write(pair.b, {
        '.hidden': 'h',
        'd/x': 'x',
        f: 'old',
        '.gitignore': 'ignored\n',
        ignored: 'i',
        'node_modules/m': 'm',
      });
      const inode = fs.statSync(pair.b).ino;
      const ran = await pair.run('push', ['--clean-out-first', '--preset', 'node']);
      expect(ran.code, ran.stderr).toBe(0);
      expect(contents(pair.b)).toEqual({ f: 'new' });
      expect(fs.statSync(pair.b).ino).toBe(inode);
      expect(history(pair.b)).toEqual({
        '.gitignore': ['ignored\n'],
        '.hidden': ['h'],
        'd/x': ['x'],
        f: ['old'],
        ignored: ['i'],
        'node_modules/m': ['m'],
      });
    }));

  it('may be repeated, and keeps the history of before', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: '1' });
      await pair.run('push', ['--clean-out-first']);
      write(pair.a, { f: '2' });
      await pair.run('push', ['--clean-out-first']);
      expect(contents(pair.b)).toEqual({ f: '2' });
      expect(history(pair.b)).toEqual({ f: ['1'] });
    }));
});

describe('A17: --path', () => {
  async function twoChanges(pair: Pair): Promise<void> {
    await pair.agreed({ 'in/f': '1', 'in/gone': '1', 'out/f': '1', 'out/gone': '1', single: '1', single2: '1' });
    write(pair.a, { 'in/f': '2', 'out/f': '2', single: '2', single2: '2' });
    for (const name of ['in/gone', 'out/gone']) fs.rmSync(path.join(pair.a, name));
    write(pair.b, { 'in/new': '3', 'out/new': '3' });
  }

  it('limits a run to directories and single files; everything else waits for the next full run', async () =>
    withPair(async (pair) => {
      await twoChanges(pair);
      const untouched = { a: fingerprints(path.join(pair.a, 'out')), b: fingerprints(path.join(pair.b, 'out')) };
      const ran = await pair.sync('--path', 'in', 'single');
      expect(ran.code, ran.stderr).toBe(0);
      expect(contents(pair.a)).toMatchObject({ 'in/f': '2', 'in/new': '3', 'out/f': '2', single: '2' });
      expect(contents(pair.b)).toEqual({
        in: 'dir',
        'in/f': '2',
        'in/new': '3',
        out: 'dir',
        'out/f': '1',
        'out/gone': '1',
        'out/new': '3',
        single: '2',
        single2: '1',
      });
      expect({ a: fingerprints(path.join(pair.a, 'out')), b: fingerprints(path.join(pair.b, 'out')) }).toEqual(
        untouched,
      );
      // The rest of the baseline stayed: what is gone outside is known as a deletion, not as a first meeting.
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth({
        in: 'dir',
        'in/f': '2',
        'in/new': '3',
        out: 'dir',
        'out/f': '2',
        'out/new': '3',
        single: '2',
        single2: '2',
      });
      await pair.expectIdle();
    }));

  it('is taken with ./ and a slash at the end, and makes parents that are not there', async () =>
    withPair(async (pair) => {
      write(pair.a, { 'x/y/z/f': '1', 'x/y/other': '2', 'x/g': '3' });
      expect((await pair.sync('--path', './x/y/z/')).code).toBe(0);
      expect(contents(pair.b)).toEqual({ x: 'dir', 'x/y': 'dir', 'x/y/z': 'dir', 'x/y/z/f': '1' });
      expect((await pair.sync()).code).toBe(0);
      pair.expectEqual();
    }));

  it('works one-way and for a mirror: extras elsewhere stay', async () =>
    withPair(async (pair) => {
      write(pair.a, { 'd/f': '1' });
      write(pair.b, { 'd/extra': '2', extra: '3' });
      expect((await pair.run('push', ['--delete', '--path', 'd'])).code).toBe(0);
      expect(contents(pair.b)).toEqual({ d: 'dir', 'd/f': '1', extra: '3' });
    }));

  it('warns of a path that is on neither side, and refuses one outside', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: '1' });
      const ran = await pair.sync('--path', 'typo');
      expect(ran.code).toBe(0);
      expect(eventsOf(ran, 'warning')).toMatchObject([
        { message: '--path typo: there is nothing of that name on either side' },
      ]);
      for (const outside of ['../x', '/etc', '.lockstep']) expect((await pair.sync('--path', outside)).code).toBe(64);
    }));

  it('carries the deletion of exactly that path', async () =>
    withPair(async (pair) => {
      await pair.agreed({ 'd/f': '1', 'd/g': '1', h: '1' });
      fs.rmSync(path.join(pair.a, 'd/f'));
      fs.rmSync(path.join(pair.a, 'h'));
      expect((await pair.sync('--path', 'd/f')).code).toBe(0);
      expect(contents(pair.b)).toEqual({ d: 'dir', 'd/g': '1', h: '1' });
    }));
});
