/** FEATURES A8, SCENARIOS 115 to 119: what is left out, by which rules, and that rules never delete. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep } from '../support/cli.ts';
import { withPair } from '../support/pair.ts';
import { contents, file, fingerprints, write } from '../support/tree.ts';

const paths = (root: string): string[] => Object.keys(contents(root)).sort();

function remove(root: string, ...names: string[]): void {
  for (const name of names) fs.rmSync(path.join(root, name), { recursive: true });
}

describe('A8: patterns', () => {
  const tree = {
    'a.log': '',
    'keep.log': '',
    'd/a.log': '',
    'd/build/x': '',
    'build/x': '',
    'd/deep/er/t.tmp': '',
    'd/t.tmp': '',
    'x/y/z': '',
    'only/f': '',
    'only.d': '',
  };
  const all = Object.keys(tree);
  // 119: anchored or not, stars of both kinds, directories only, and the order of negations.
  const table: { args: string[]; left: string[] }[] = [
    { args: ['--exclude', '*.log'], left: ['a.log', 'keep.log', 'd/a.log'] },
    { args: ['--exclude', '/*.log'], left: ['a.log', 'keep.log'] },
    { args: ['--exclude', '*.log', '--include', 'keep.log'], left: ['a.log', 'd/a.log'] },
    { args: ['--include', 'keep.log', '--exclude', '*.log'], left: ['a.log', 'keep.log', 'd/a.log'] },
    { args: ['--exclude', '/build'], left: ['build/x'] },
    { args: ['--exclude', 'build/'], left: ['build/x', 'd/build/x'] },
    { args: ['--exclude', 'd/**/*.tmp'], left: ['d/t.tmp', 'd/deep/er/t.tmp'] },
    { args: ['--exclude', 'd/*.tmp'], left: ['d/t.tmp'] },
    { args: ['--exclude', '**/er/'], left: ['d/deep/er/t.tmp'] },
    { args: ['--exclude', 'only*/'], left: ['only/f'] },
    { args: ['--exclude', '/*', '--include', '/x/'], left: all.filter((name) => name !== 'x/y/z') },
    // Nothing below an excluded directory can be taken back, as with git.
    { args: ['--exclude', 'd/', '--include', 'd/t.tmp'], left: all.filter((name) => name.startsWith('d/')) },
  ];
  for (const { args, left } of table) {
    it(args.join(' '), async () =>
      withPair(async (pair) => {
        write(pair.a, tree);
        expect((await pair.sync(...args)).code).toBe(0);
        const files = Object.entries(contents(pair.b)).flatMap(([name, text]) => (text === 'dir' ? [] : [name]));
        expect(files.sort()).toEqual(all.filter((name) => !left.includes(name)).sort());
      }),
    );
  }

  it('one that matches nothing is warned about; one that is nonsense is refused', async () =>
    withPair(async (pair) => {
      write(pair.a, { 'a.log': '', f: '' });
      const ran = await pair.sync('--exclude', '*.log', '--exclude', '*.lgo');
      expect(ran.code).toBe(0);
      expect(eventsOf(ran, 'warning')).toMatchObject([
        { message: 'the pattern "*.lgo" matches nothing on either side' },
      ]);
      for (const nonsense of ['', '/', '../x', './x', 'a//b', '/home/me/x', '[a']) {
        const refused = await pair.sync('--exclude', nonsense);
        expect(refused.code, nonsense).toBe(64);
      }
    }));

  it('one that matches only on one side is not warned about', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: '' });
      write(pair.b, { 'b.log': '' });
      expect(eventsOf(await pair.sync('--exclude', '*.log'), 'warning')).toEqual([]);
    }));
});

describe('A8: ignore files', () => {
  it('nested .gitignore files leave out exactly what git leaves out', async () =>
    withPair(async (pair) => {
      write(pair.a, {
        '.gitignore': '# build output\n*.o\n/out/\n!keep.o\ntrailing\\ \n\\#hash\n',
        'sub/.gitignore': '!special.o\n/local\n*.txt\n!/doc/*.txt\n',
        'sub/doc/.gitignore': 'draft*\n',
        'a.o': '',
        'keep.o': '',
        'out/x': '',
        'sub/out/x': '',
        'sub/b.o': '',
        'sub/special.o': '',
        'sub/local/x': '',
        'sub/deep/local': '',
        'sub/n.txt': '',
        'sub/doc/n.txt': '',
        'sub/doc/draft.txt': '',
        'trailing ': '',
        '#hash': '',
        'src/main.c': '',
      });
      const git = (...args: string[]): string => spawnSync('git', args, { cwd: pair.a, encoding: 'utf8' }).stdout;
      git('init', '-q');
      const wanted = git('-c', 'core.quotePath=false', 'ls-files', '-z', '--others', '--exclude-standard')
        .split('\0')
        .filter(Boolean);
      expect(wanted.length).toBeGreaterThan(8);
      expect((await pair.run('push', ['--exclude', '/.git'])).code).toBe(0);
      const files = Object.entries(contents(pair.b)).flatMap(([name, text]) => (text === 'dir' ? [] : [name]));
      expect(files.sort()).toEqual(wanted.sort());
    }));

  it('.gitignore counts for push and pull unless --no-gitignore, for sync only with --gitignore', async () =>
    withPair(async (pair) => {
      const tree = { '.gitignore': 'x\n', x: '', y: '' };
      const cases = [
        { command: 'push', args: [], ignored: true },
        { command: 'push', args: ['--no-gitignore'], ignored: false },
        { command: 'sync', args: [], ignored: false },
        { command: 'sync', args: ['--gitignore'], ignored: true },
      ] as const;
      for (const [index, { command, args, ignored }] of cases.entries()) {
        const [a, b] = [path.join(pair.dir, `a${index}`), path.join(pair.dir, `b${index}`)];
        write(a, tree);
        await lockstep([command, a, b, ...args, '--state-dir', pair.state]);
        expect(paths(b), `${command} ${args.join(' ')}`).toEqual(
          ignored ? ['.gitignore', 'y'] : ['.gitignore', 'x', 'y'],
        );
      }
    }));

  it('.lockstepignore always counts, and overrules .gitignore; --ignore-file names more', async () =>
    withPair(async (pair) => {
      write(pair.a, {
        '.gitignore': '*.env\n',
        '.lockstepignore': '!prod.env\nsecret\n',
        '.myignore': 'mine\n',
        'prod.env': '',
        'dev.env': '',
        secret: '',
        mine: '',
        other: '',
      });
      await pair.run('push', ['--ignore-file', '.myignore']);
      expect(paths(pair.b)).toEqual(['.gitignore', '.lockstepignore', '.myignore', 'other', 'prod.env']);
    }));

  it('that differ on both sides: two-way goes by the edited one, and what only one excludes is never deleted', async () =>
    withPair(async (pair) => {
      await pair.agreed({ '.lockstepignore': 'x\n', x: 'a', y: 'o' });
      write(pair.b, { x: 'b' });
      write(pair.b, { '.lockstepignore': 'x\ny\n' });
      write(pair.a, { y: 'edited' });
      const ran = await pair.sync();
      expect(ran.code, ran.stdout).toBe(0);
      expect(contents(pair.a)).toEqual({ '.lockstepignore': 'x\ny\n', x: 'a', y: 'edited' });
      expect(contents(pair.b)).toEqual({ '.lockstepignore': 'x\ny\n', x: 'b', y: 'o' });
      await pair.expectIdle();
    }));

  it('that differ at a first meeting: what either leaves out is left alone', async () =>
    withPair(async (pair) => {
      write(pair.a, { '.lockstepignore': file('x\n', { mtime: 1_600_000_000 }), x: 'a', y: 'a', z: 'a' });
      write(pair.b, { '.lockstepignore': file('y\n', { mtime: 1_600_000_009 }), x: 'b', w: 'b' });
      expect((await pair.sync()).code).toBe(0);
      expect(contents(pair.a)).toMatchObject({ x: 'a', y: 'a', z: 'a', w: 'b' });
      expect(contents(pair.b)).toEqual({ '.lockstepignore': 'y\n', x: 'b', z: 'a', w: 'b' });
    }));

  it("one-way: the source's rules, also about what only the destination has", async () =>
    withPair(async (pair) => {
      write(pair.a, { '.gitignore': 'cache/\n', f: '', 'cache/a': '' });
      write(pair.b, { '.gitignore': 'extra\n', extra: '', 'cache/b': '' });
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      expect(paths(pair.b)).toEqual(['.gitignore', 'cache', 'cache/b', 'f']);
      expect(contents(pair.b)['.gitignore']).toBe('cache/\n');
    }));
});

describe('A8: presets', () => {
  it('leave out what they are for, and may be overruled', async () =>
    withPair(async (pair) => {
      write(pair.a, {
        '.git/HEAD': '',
        '.gitignore': '',
        'node_modules/m/i.js': '',
        'sub/node_modules/n/i.js': '',
        '.DS_Store': '',
        'f.swp~': '',
        'src/a.js': '',
      });
      await pair.sync('--preset', 'vcs', 'node', 'os', 'editors', '--include', '/node_modules/');
      expect(paths(pair.b)).toEqual([
        '.gitignore',
        'node_modules',
        'node_modules/m',
        'node_modules/m/i.js',
        'src',
        'src/a.js',
        'sub',
      ]);
    }));

  it('dotfiles leaves out everything hidden; an unknown preset is refused with those that exist', async () =>
    withPair(async (pair) => {
      write(pair.a, { '.x': '', 'd/.y/z': '', 'd/f': '' });
      await pair.sync('--preset', 'dotfiles');
      expect(paths(pair.b)).toEqual(['d', 'd/f']);
      const refused = await lockstep(['sync', pair.a, pair.b, '--preset', 'nod']);
      expect(refused.code).toBe(64);
      expect(refused.stderr).toMatch(/there is no preset "nod"[^]*node, python/);
    }));
});

describe('A8: rules never delete', () => {
  it('115: a rule added for something synced: it stays on both sides, and later edits stay where they are', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', 'd/g': 'o', h: 'o' });
      const before = [fingerprints(pair.a), fingerprints(pair.b)];
      const rules = ['--exclude', '/f', '--exclude', 'd/'];
      expect(eventsOf(await pair.sync(...rules), 'action')).toEqual([]);
      expect([fingerprints(pair.a), fingerprints(pair.b)]).toEqual(before);
      write(pair.a, { f: 'edited', 'd/g': 'edited', 'd/new': 'n', h: 'edited' });
      remove(pair.b, 'd/g');
      expect((await pair.sync(...rules)).code).toBe(0);
      expect(contents(pair.b)).toEqual({ f: 'o', d: 'dir', h: 'edited' });
      expect(contents(pair.a)).toEqual({ f: 'edited', d: 'dir', 'd/g': 'edited', 'd/new': 'n', h: 'edited' });
    }));

  it('115: added in an ignore file, and with a mirror', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'o', g: 'o' });
      await pair.run('push', ['--delete']);
      write(pair.a, { '.gitignore': 'f\n' });
      remove(pair.a, 'f');
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      expect(paths(pair.b)).toEqual(['.gitignore', 'f', 'g']);
    }));

  it('116: a rule removed: what one side has is copied, what differs is a conflict, nothing is deleted', async () =>
    withPair(async (pair) => {
      const rules = ['--exclude', '/x*'];
      await pair.agreed({ keep: 'o', 'x-a': 'o', 'x-b': 'o', 'x-both': 'o', 'x-same': 'o' });
      await pair.sync(...rules);
      remove(pair.b, 'x-a');
      remove(pair.a, 'x-b');
      write(pair.a, { 'x-both': file('from a', { mtime: 1_600_000_000 }) });
      write(pair.b, { 'x-both': file('from b', { mtime: 1_600_000_000 }) });
      await pair.sync(...rules);
      const ran = await pair.sync();
      expect(ran.code).toBe(2);
      expect(eventsOf(ran, 'conflict')).toMatchObject([{ path: 'x-both', winner: 'open' }]);
      expect(contents(pair.a)).toEqual({ keep: 'o', 'x-a': 'o', 'x-b': 'o', 'x-both': 'from a', 'x-same': 'o' });
      expect(contents(pair.b)).toEqual({ keep: 'o', 'x-a': 'o', 'x-b': 'o', 'x-both': 'from b', 'x-same': 'o' });
    }));

  it('47: a deleted directory stays for the ignored things in it, and that is reported', async () =>
    withPair(async (pair) => {
      await pair.agreed({ 'd/f': 'o', g: 'o' }, '--exclude', '*.o');
      write(pair.b, { 'd/x.o': 'object' });
      remove(pair.a, 'd');
      const ran = await pair.sync('--exclude', '*.o');
      expect(ran.code).toBe(2);
      expect(eventsOf(ran, 'skip')).toMatchObject([{ path: 'd', why: 'kept-ignored' }]);
      expect(contents(pair.b)).toEqual({ d: 'dir', 'd/x.o': 'object', g: 'o' });
      expect(contents(pair.a)).toEqual({ g: 'o' });
      // Once told, it is agreed.
      expect((await pair.sync('--exclude', '*.o')).code).toBe(0);
    }));

  it('118: perishable things go with the directory that is deleted', async () =>
    withPair(async (pair) => {
      const rules = ['--exclude', '*.o', '--exclude', 'cache/', '--perishable', '*.o', 'cache/'];
      await pair.agreed({ 'd/f': 'o', 'd/e/g': 'o', g: 'o' }, ...rules);
      write(pair.b, { 'd/x.o': 'object', 'd/e/cache/deep/c': 'c', 'top.o': 'stays' });
      remove(pair.a, 'd');
      const ran = await pair.sync(...rules);
      expect(ran.code, ran.stdout).toBe(0);
      expect(contents(pair.b)).toEqual({ g: 'o', 'top.o': 'stays' });
    }));
});
