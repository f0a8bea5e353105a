/** SCENARIOS.md 3a: what happened on either side since the last run, and what must come of it. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf } from '../support/cli.ts';
import { checkedRun, moment, told } from '../support/oracles.ts';
import { withPair } from '../support/pair.ts';
import { bothWays, scenarios, type Row } from '../support/scenario.ts';
import { contents, dir, file, link, write } from '../support/tree.ts';

const [early, late] = [1_700_000_000, 1_700_001_000];

function remove(...names: string[]): (root: string) => void {
  return (root) => {
    for (const name of names) fs.rmSync(path.join(root, name), { recursive: true });
  };
}

/** Writes into the same inode without changing size or mtime. */
function rewriteInPlace(name: string, text: string): (root: string) => void {
  return (root) => {
    const full = path.join(root, name);
    const { mtimeMs } = fs.statSync(full);
    const handle = fs.openSync(full, 'r+');
    fs.writeSync(handle, text);
    fs.closeSync(handle);
    fs.utimesSync(full, mtimeMs / 1000, mtimeMs / 1000);
  };
}

function chmod(name: string, mode: number): (root: string) => void {
  return (root) => fs.chmodSync(path.join(root, name), mode);
}

/** Puts something of another kind in the place of what is there. */
function become(name: string, spec: Parameters<typeof write>[1][string]): (root: string) => void {
  return (root) => {
    fs.rmSync(path.join(root, name), { recursive: true });
    write(root, { [name]: spec });
  };
}

const rows: Row[] = [
  { row: '1 new in A', a: { f: 'x' }, expect: { a: { f: 'x' }, actions: ['B create f'] } },
  { row: '2 new in B', b: { f: 'x' }, expect: { a: { f: 'x' }, actions: ['A create f'] } },
  {
    row: '4 new on both sides, different',
    a: { 'f.txt': file('x', { mtime: early }) },
    b: { 'f.txt': file('y', { mtime: late }) },
    expect: {
      newer: { a: { 'f.txt': 'y' }, actions: ['A replace f.txt'], conflicts: ['content f.txt b'], kept: ['x'] },
      both: {
        a: { 'f.txt': 'y', 'f.conflict-a.txt': 'x' },
        actions: ['A rename f.txt > f.conflict-a.txt', 'A create f.txt', 'B create f.conflict-a.txt'],
        conflicts: ['content f.txt both'],
      },
      manual: { a: { 'f.txt': 'x' }, b: { 'f.txt': 'y' }, conflicts: ['content f.txt open'] },
    },
  },
  {
    row: '4 new on both sides, the same',
    a: { f: file('same', { mtime: early }) },
    b: { f: file('same', { mtime: early }) },
    expect: { a: { f: 'same' } },
  },
  { row: '5 edited in A', agreed: { f: 'o' }, a: { f: 'x' }, expect: { a: { f: 'x' }, actions: ['B replace f'] } },
  {
    row: '5 edited in A, longer',
    agreed: { f: 'o' },
    a: { f: 'xxx' },
    expect: { a: { f: 'xxx' }, actions: ['B replace f'] },
  },
  {
    row: '7 deleted in A',
    agreed: { f: 'o' },
    a: remove('f'),
    expect: { a: {}, actions: ['B delete f'], kept: ['o'] },
  },
  { row: '8 deleted on both sides', agreed: { f: 'o' }, a: remove('f'), b: remove('f'), expect: { a: {} } },
  {
    row: '10 edited on both sides',
    agreed: { f: 'o' },
    a: { f: file('x', { mtime: late }) },
    b: { f: file('y', { mtime: early }) },
    expect: {
      newer: { a: { f: 'x' }, actions: ['B replace f'], conflicts: ['content f a'], kept: ['y'] },
      both: {
        a: { f: 'x', 'f.conflict-b': 'y' },
        actions: ['B rename f > f.conflict-b', 'B create f', 'A create f.conflict-b'],
        conflicts: ['content f both'],
      },
      manual: { a: { f: 'x' }, b: { f: 'y' }, conflicts: ['content f open'] },
    },
  },
  {
    row: '10 edited on both sides at the same time',
    agreed: { f: 'o' },
    a: { f: file('x', { mtime: late }) },
    b: { f: file('y', { mtime: late }) },
    expect: {
      newer: { a: { f: 'x' }, b: { f: 'y' }, conflicts: ['content f open'] },
      manual: { a: { f: 'x' }, b: { f: 'y' }, conflicts: ['content f open'] },
      // Neither is newer: the first root's keeps the name, whichever role it plays.
      both: (mirrored) => ({
        a: mirrored ? { f: 'y', 'f.conflict-a': 'x' } : { f: 'x', 'f.conflict-b': 'y' },
        actions: mirrored
          ? ['A rename f > f.conflict-a', 'A create f', 'B create f.conflict-a']
          : ['B rename f > f.conflict-b', 'B create f', 'A create f.conflict-b'],
        conflicts: ['content f both'],
      }),
    },
  },
  {
    row: '10 edited on both sides, alike',
    agreed: { f: 'o' },
    a: { f: file('x', { mtime: late }) },
    b: { f: file('x', { mtime: late }) },
    expect: { a: { f: 'x' } },
  },
  {
    row: '11 edited in A, deleted in B',
    agreed: { f: 'o' },
    a: { f: 'x' },
    b: remove('f'),
    expect: { a: { f: 'x' }, actions: ['B create f'] },
  },
  {
    row: '13 changed and changed back',
    agreed: { f: file('o', { mtime: early }) },
    a: (root) => {
      fs.writeFileSync(path.join(root, 'f'), 'x');
      write(root, { f: file('o', { mtime: early }) });
    },
    expect: { a: { f: 'o' } },
  },
  {
    row: '14 touched',
    agreed: { f: file('o', { mtime: early }) },
    a: { f: file('o', { mtime: late }) },
    expect: { a: { f: 'o' }, actions: ['B metadata f'] },
    check: ({ before, after }) => {
      const inode = (text: string | undefined): string | undefined => text?.split(' ')[0];
      expect(inode(after.b['f'])).toBe(inode(before.b['f']));
    },
  },
  {
    row: '14 touched on both sides: the later time counts',
    agreed: { f: file('o', { mtime: early }) },
    a: { f: file('o', { mtime: late }) },
    b: { f: file('o', { mtime: early + 500 }) },
    expect: { a: { f: 'o' }, actions: ['B metadata f'] },
  },
  {
    row: '16 rewritten in place, same size and mtime',
    agreed: { f: file('o', { mtime: early }) },
    a: rewriteInPlace('f', 'x'),
    expect: { a: { f: 'x' }, actions: ['B replace f'] },
  },
  {
    row: '16 rewritten in place, same size, mtime of the last run',
    agreed: { f: 'o' },
    a: rewriteInPlace('f', 'x'),
    expect: { a: { f: 'x' }, actions: ['B replace f'] },
  },
  {
    row: '17 replaced by rename, same size and mtime',
    agreed: { f: file('o', { mtime: early }) },
    a: (root) => {
      write(root, { 'f.new': file('x', { mtime: early }) });
      fs.renameSync(path.join(root, 'f.new'), path.join(root, 'f'));
    },
    expect: { a: { f: 'x' }, actions: ['B replace f'] },
  },
  {
    row: '19 directory removed',
    agreed: { 'd/f': 'o', 'd/empty/': dir(), 'd/e/g': 'p' },
    a: remove('d'),
    expect: {
      a: {},
      actions: ['B delete d/f', 'B delete d/e/g', 'B delete d/e', 'B delete d/empty', 'B delete d'],
      kept: ['o', 'p'],
    },
  },
  {
    row: '19 empty directory removed',
    agreed: { 'd/': dir() },
    a: remove('d'),
    expect: { a: {}, actions: ['B delete d'] },
  },
  {
    row: '20 directory removed, a file in it edited there',
    agreed: { 'd/f': 'o', 'd/g': 'o2' },
    a: remove('d'),
    b: { 'd/f': 'y' },
    expect: {
      a: { d: 'dir', 'd/f': 'y' },
      actions: ['A create d', 'A create d/f', 'B delete d/g'],
    },
  },
  {
    row: '20 directory removed, something new in it there',
    agreed: { 'd/f': 'o', 'd/e/g': 'p' },
    a: remove('d'),
    b: { 'd/e/h': 'new' },
    expect: {
      a: { d: 'dir', 'd/e': 'dir', 'd/e/h': 'new' },
      actions: ['A create d', 'A create d/e', 'A create d/e/h', 'B delete d/f', 'B delete d/e/g'],
    },
  },
  {
    row: '22 directory became a file',
    agreed: { 'd/f': 'o' },
    a: become('d', 'x'),
    expect: { a: { d: 'x' }, actions: ['B delete d/f', 'B delete d', 'B create d'], kept: ['o'] },
  },
  {
    row: '23 directory became a file, edited inside there; the edit is newer',
    agreed: { 'd/f': file('o', { mtime: early }) },
    a: become('d', file('x', { mtime: early + 1 })),
    b: { 'd/f': file('y', { mtime: late }) },
    expect: {
      newer: {
        a: { d: 'dir', 'd/f': 'y' },
        actions: ['A delete d', 'A create d', 'A create d/f'],
        conflicts: ['kind d b'],
        kept: ['x'],
      },
      both: {
        a: { d: 'dir', 'd/f': 'y', 'd.conflict-a': 'x' },
        actions: ['A rename d > d.conflict-a', 'A create d', 'A create d/f', 'B create d.conflict-a'],
        conflicts: ['kind d both'],
      },
      manual: { a: { d: 'x' }, b: { d: 'dir', 'd/f': 'y' }, conflicts: ['kind d open'] },
    },
  },
  {
    row: '23 directory became a file, edited inside there; the file is newer',
    agreed: { 'd/f': file('o', { mtime: early }), 'd/g': file('p', { mtime: late }) },
    a: become('d', file('x', { mtime: late })),
    b: { 'd/f': file('y', { mtime: early + 1 }) },
    expect: {
      newer: {
        a: { d: 'x' },
        actions: ['B delete d/f', 'B delete d/g', 'B delete d', 'B create d'],
        conflicts: ['kind d a'],
        kept: ['y', 'p'],
      },
      both: {
        a: { d: 'dir', 'd/f': 'y', 'd/g': 'p', 'd.conflict-a': 'x' },
        actions: ['A rename d > d.conflict-a', 'A create d', 'A create d/f', 'A create d/g', 'B create d.conflict-a'],
        conflicts: ['kind d both'],
      },
      manual: { a: { d: 'x' }, b: { d: 'dir', 'd/f': 'y', 'd/g': 'p' }, conflicts: ['kind d open'] },
    },
  },
  {
    row: '25 file became a directory, edited there; the edit is newer',
    agreed: { f: file('o', { mtime: early }) },
    a: (root) => {
      fs.rmSync(path.join(root, 'f'));
      write(root, { 'f/n': file('n', { mtime: early + 1 }) });
    },
    b: { f: file('y', { mtime: late }) },
    expect: {
      newer: {
        a: { f: 'y' },
        actions: ['A delete f/n', 'A delete f', 'A create f'],
        conflicts: ['kind f b'],
        kept: ['n'],
      },
      both: {
        a: { f: 'dir', 'f/n': 'n', 'f.conflict-b': 'y' },
        actions: ['B rename f > f.conflict-b', 'B create f', 'B create f/n', 'A create f.conflict-b'],
        conflicts: ['kind f both'],
      },
      manual: { a: { f: 'dir', 'f/n': 'n' }, b: { f: 'y' }, conflicts: ['kind f open'] },
    },
  },
  {
    row: '25 file became an empty directory, and nothing else happened',
    agreed: { f: 'o' },
    a: become('f', dir()),
    expect: { a: { f: 'dir' }, actions: ['B delete f', 'B create f'], kept: ['o'] },
  },
  {
    row: '26 file became a symlink',
    agreed: { f: 'o' },
    a: become('f', link('t')),
    expect: { a: { f: '-> t' }, actions: ['B replace f'] },
  },
  {
    row: '26 symlink became a file',
    agreed: { f: link('t') },
    a: become('f', 'x'),
    expect: { a: { f: 'x' }, actions: ['B replace f'] },
  },
  {
    row: '28 symlink changed alike on both sides',
    agreed: { l: link('a') },
    a: become('l', link('b')),
    b: become('l', link('b')),
    expect: { a: { l: '-> b' } },
  },
  {
    row: '28 symlink changed in A',
    agreed: { l: link('a') },
    a: become('l', link('b')),
    expect: { a: { l: '-> b' }, actions: ['B replace l'] },
  },
  {
    row: '29 directory became a symlink to the outside',
    agreed: { 'd/f': 'o' },
    a: become('d', link('../../outside')),
    expect: { a: { d: '-> ../../outside' }, actions: ['B delete d/f', 'B delete d', 'B create d'], kept: ['o'] },
    check: ({ outside }) => {
      expect(contents(outside)).toEqual({ canary: 'untouched', f: 'outside f' });
    },
  },
  {
    row: '34 permission bits changed on both sides',
    agreed: { f: file('o', { mode: 0o644 }) },
    a: chmod('f', 0o755),
    b: chmod('f', 0o600),
    expect: {
      // Changes of metadata have the time of the inode change: B's came later.
      newer: { a: { f: 'o' }, actions: ['A metadata f'], conflicts: ['metadata f b'] },
      both: { a: { f: 'o' }, actions: ['A metadata f'], conflicts: ['metadata f b'] },
      manual: { a: { f: 'o' }, conflicts: ['metadata f open'] },
    },
  },
  {
    row: '35 content edited in A, permission bits changed in B',
    agreed: { f: file('o', { mode: 0o644 }) },
    a: { f: 'x' },
    b: chmod('f', 0o600),
    expect: { a: { f: 'x' }, actions: ['A metadata f', 'B replace f'] },
    check: ({ roots }) => {
      for (const root of Object.values(roots)) expect(fs.statSync(path.join(root, 'f')).mode & 0o7777).toBe(0o600);
    },
  },
];

scenarios('core matrix', rows);

describe('core matrix, apart', () => {
  bothWays('11 edited in A, deleted in B, --deletes win', async (pair, roots, toldOf) => {
    await pair.agreed({ f: 'o', g: 'p' });
    fs.writeFileSync(path.join(roots.a, 'f'), 'x');
    fs.rmSync(path.join(roots.b, 'f'));
    const { ran } = await checkedRun(pair, { agreed: { f: 'o' }, args: ['--deletes', 'win'] });
    expect(toldOf(ran).actions).toEqual(['A delete f']);
    pair.expectBoth({ g: 'p' });
    pair.expectKept('x');
  });

  bothWays('31 too many deletions: nothing is done until the limit is raised', async (pair, roots, toldOf) => {
    const names = Array.from({ length: 9 }, (_, n) => `f${n}`);
    await pair.agreed(Object.fromEntries(names.map((name) => [name, `content of ${name}`])));
    for (const name of names.slice(0, 5)) fs.rmSync(path.join(roots.a, name));
    write(roots.b, { other: 'edited' });
    const before = moment(pair);
    for (const more of [['--dry-run'], []]) {
      const refused = await pair.sync('--max-delete', '50%', ...more);
      expect(refused.code, refused.stdout).toBe(3);
      expect(eventsOf(refused, 'error')).toMatchObject([{ code: 'too-many-deletions', exitCode: 3 }]);
      expect(refused.stdout).toMatch(/5 deletions of 9.*--max-delete 5/);
      // A dry run shows what it is that it would refuse.
      expect(told(refused).actions).toHaveLength(more.length === 0 ? 0 : 6);
      expect(moment(pair)).toEqual(before);
    }
    const { ran } = await checkedRun(pair, {
      agreed: before.contents.b,
      args: ['--max-delete', '5'],
    });
    const deleted = names.slice(0, 5).map((name) => `B delete ${name}`);
    expect(toldOf(ran).actions).toEqual(['A create other', ...deleted]);
  });

  bothWays('31 more than half and more than 25 deletions stop a run that sets no limit', async (pair, roots) => {
    const names = Array.from({ length: 40 }, (_, n) => `f${n}`);
    await pair.agreed(Object.fromEntries(names.map((name) => [name, `content of ${name}`])));
    for (const name of names.slice(0, 30)) fs.rmSync(path.join(roots.a, name));
    const before = moment(pair);
    const refused = await pair.sync();
    expect(refused.code, refused.stderr).toBe(3);
    expect(moment(pair)).toEqual(before);
    await checkedRun(pair, { agreed: before.contents.b, args: ['--max-delete', 'off'] });
    pair.expectEqual();
  });

  bothWays('32 every file touched: times follow, no content is copied', async (pair, roots, toldOf) => {
    const names = Array.from({ length: 60 }, (_, n) => `d${n % 5}/f${n}`);
    const spec = Object.fromEntries(names.map((name) => [name, file(`content of ${name}`, { mtime: early })]));
    await pair.agreed(spec);
    for (const name of names) fs.utimesSync(path.join(roots.a, name), late, late);
    const { ran, before, after } = await checkedRun(pair);
    expect(toldOf(ran).actions).toEqual(names.map((name) => `B metadata ${name}`).sort());
    expect(eventsOf(ran, 'summary')[0]).toMatchObject({ bytes: 0 });
    expect(after.contents).toEqual(before.contents);
    pair.expectEqual();
  });

  it('4 first meeting of two filled sides: the union, and equal files stay as they are', async () =>
    withPair(async (pair) => {
      write(pair.a, { one: 'a only', 'd/same': file('same', { mtime: early }), 'd/x': file('a', { mtime: early }) });
      write(pair.b, { two: 'b only', 'd/same': file('same', { mtime: late }), 'd/x': file('b', { mtime: late }) });
      const before = moment(pair);
      const ran = await pair.sync();
      expect(told(ran)).toEqual({
        actions: ['A create two', 'A replace d/x', 'B create one'],
        conflicts: ['content d/x b'],
        skips: [],
      });
      pair.expectBoth({ one: 'a only', two: 'b only', d: 'dir', 'd/same': 'same', 'd/x': 'b' });
      pair.expectKept('a');
      for (const side of ['a', 'b'] as const) {
        expect(moment(pair).fingerprints[side]['d/same']).toBe(before.fingerprints[side]['d/same']);
      }
      await pair.expectIdle();
    }));
});
