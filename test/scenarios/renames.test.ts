/** SCENARIOS.md 3b: renames and moves. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { eventsOf } from '../support/cli.ts';
import { checkedRun } from '../support/oracles.ts';
import { bothWays, scenarios, type Row } from '../support/scenario.ts';
import { contents, file, write } from '../support/tree.ts';

const [early, late] = [1_700_000_000, 1_700_001_000];

function move(...pairs: [from: string, to: string][]): (root: string) => void {
  return (root) => {
    for (const [from, to] of pairs) fs.renameSync(path.join(root, from), path.join(root, to));
  };
}

function inode(fingerprint: string | undefined): string | undefined {
  return fingerprint?.split(' ')[0];
}

const big = Buffer.alloc(10 << 20, 'ten megabytes of this ');

const rows: Row[] = [
  {
    row: '37 file renamed, 10 MB',
    agreed: { f: big },
    a: move(['f', 'g']),
    expect: { a: { g: big.toString('latin1') }, actions: ['B rename f > g'] },
    check: ({ before, after }) => expect(inode(after.b['g'])).toBe(inode(before.b['f'])),
  },
  {
    row: '37 file moved into a new directory, and edited',
    agreed: { f: 'o'.repeat(100), g: 'bystander' },
    a: (root) => {
      fs.mkdirSync(path.join(root, 'new/deep'), { recursive: true });
      move(['f', 'new/deep/f'])(root);
    },
    b: { g: 'edited' },
    expect: {
      a: { new: 'dir', 'new/deep': 'dir', 'new/deep/f': 'o'.repeat(100), g: 'edited' },
      actions: ['A replace g', 'B create new', 'B create new/deep', 'B rename f > new/deep/f'],
    },
  },
  {
    row: '38 directory renamed',
    agreed: { 'd/a': 'o', 'd/sub/b': 'p' },
    a: move(['d', 'e']),
    expect: { a: { e: 'dir', 'e/a': 'o', 'e/sub': 'dir', 'e/sub/b': 'p' }, actions: ['B rename d > e'] },
  },
  {
    row: '38 directory renamed, and a file moved into a new directory in it',
    agreed: { 'd/a': 'o', f: 'p'.repeat(100) },
    a: (root) => {
      move(['d', 'e'])(root);
      fs.mkdirSync(path.join(root, 'e/new'));
      move(['f', 'e/new/f'])(root);
    },
    expect: {
      a: { e: 'dir', 'e/a': 'o', 'e/new': 'dir', 'e/new/f': 'p'.repeat(100) },
      actions: ['B create e/new', 'B rename d > e', 'B rename f > e/new/f'],
    },
  },
  {
    row: '38 two directories that changed places, and a file moved into one',
    agreed: { 'd/a': 'in d', 'e/b': 'in e', f: 'p'.repeat(100) },
    a: move(['d', 'parked'], ['e', 'd'], ['parked', 'e'], ['f', 'd/f']),
    expect: {
      a: { d: 'dir', 'd/b': 'in e', 'd/f': 'p'.repeat(100), e: 'dir', 'e/a': 'in d' },
      actions: ['B rename d/a > e/a', 'B rename e/b > d/b', 'B rename f > d/f'],
    },
  },
  {
    row: '38 directory renamed, and the directory in it',
    agreed: { 'd/a': 'o', 'd/sub/b': 'p' },
    a: move(['d', 'e'], ['e/sub', 'e/bus']),
    expect: {
      a: { e: 'dir', 'e/a': 'o', 'e/bus': 'dir', 'e/bus/b': 'p' },
      actions: ['B rename d > e', 'B rename e/sub > e/bus'],
    },
  },
  {
    row: '38 directory renamed, a file in it edited',
    agreed: { 'd/a': 'o', 'd/b': 'p' },
    a: (root) => {
      move(['d', 'e'])(root);
      write(root, { 'e/a': 'edited' });
    },
    expect: { a: { e: 'dir', 'e/a': 'edited', 'e/b': 'p' }, actions: ['B rename d > e', 'B replace e/a'] },
  },
  {
    row: '38 empty directory renamed',
    agreed: { 'd/': { kind: 'dir' } },
    a: move(['d', 'e']),
    expect: { a: { e: 'dir' }, actions: ['B rename d > e'] },
  },
  {
    row: '40 several moves at once',
    agreed: { x: 'content x', y: 'content y', z: 'content z', 'c/1': 'content 1', 'd/2': 'content 2' },
    a: (root) => {
      move(['x', 't'], ['y', 'x'], ['t', 'y'], ['c', 'd/c'], ['z', 'd/z'], ['d/2', 'z'])(root);
    },
    expect: {
      a: {
        x: 'content y',
        y: 'content x',
        z: 'content 2',
        d: 'dir',
        'd/c': 'dir',
        'd/c/1': 'content 1',
        'd/z': 'content z',
      },
      actions: ['B rename c > d/c', 'B rename d/2 > z', 'B rename x > y', 'B rename y > x', 'B rename z > d/z'],
    },
  },
  {
    row: '41 renamed in A, edited in B',
    agreed: { f: 'o' },
    a: move(['f', 'g']),
    b: { f: 'y' },
    expect: { a: { f: 'y', g: 'o' }, actions: ['A create f', 'B create g'] },
  },
  {
    row: '41 renamed in A, deleted in B',
    agreed: { f: 'o' },
    a: move(['f', 'g']),
    b: (root) => fs.rmSync(path.join(root, 'f')),
    expect: { a: { g: 'o' }, actions: ['B create g'] },
  },
  {
    row: '41 renamed alike on both sides',
    agreed: { f: 'o', 'd/g': 'p' },
    a: move(['f', 'f2'], ['d', 'd2']),
    b: move(['f', 'f2'], ['d', 'd2']),
    expect: { a: { f2: 'o', d2: 'dir', 'd2/g': 'p' } },
  },
  {
    row: '41 renamed differently on both sides',
    agreed: { f: 'o' },
    a: move(['f', 'g']),
    b: move(['f', 'h']),
    expect: { a: { g: 'o', h: 'o' }, actions: ['A create h', 'B create g'] },
  },
  {
    row: '43 two names swapped',
    agreed: { f: 'o', g: 'p' },
    a: move(['f', 't'], ['g', 'f'], ['t', 'g']),
    expect: { a: { f: 'p', g: 'o' }, actions: ['B rename f > g', 'B rename g > f'] },
    check: ({ before, after }) => expect(inode(after.b['g'])).toBe(inode(before.b['f'])),
  },
  {
    row: '43 two names swapped, one edited in B',
    agreed: { f: file('o', { mtime: early }), g: file('p', { mtime: early }) },
    a: move(['f', 't'], ['g', 'f'], ['t', 'g']),
    b: { f: file('y', { mtime: late }) },
    // No rename is taken, since the file moved on: then f was changed on both sides, and g on one.
    expect: {
      newer: {
        a: { f: 'y', g: 'o' },
        actions: ['A replace f', 'B replace g'],
        conflicts: ['content f b'],
        kept: ['p'],
      },
      both: {
        a: { f: 'y', g: 'o', 'f.conflict-a': 'p' },
        actions: ['A create f', 'A rename f > f.conflict-a', 'B create f.conflict-a', 'B replace g'],
        conflicts: ['content f both'],
      },
      manual: { a: { f: 'p', g: 'o' }, b: { f: 'y', g: 'o' }, actions: ['B replace g'], conflicts: ['content f open'] },
    },
  },
  {
    row: '44 two files moved onto one name',
    agreed: { x: file('o', { mtime: early }), y: file('p', { mtime: late }) },
    a: move(['x', 'z']),
    b: move(['y', 'z']),
    expect: {
      newer: {
        a: { z: 'p' },
        actions: ['A delete y', 'A replace z', 'B delete x'],
        conflicts: ['content z b'],
        kept: ['o'],
      },
      both: {
        a: { z: 'p', 'z.conflict-a': 'o' },
        actions: ['A create z', 'A delete y', 'A rename z > z.conflict-a', 'B create z.conflict-a', 'B delete x'],
        conflicts: ['content z both'],
      },
      manual: { a: { z: 'o' }, b: { z: 'p' }, actions: ['A delete y', 'B delete x'], conflicts: ['content z open'] },
    },
  },
  {
    row: '46 directory renamed in A, something new in it in B',
    agreed: { 'd/a': 'o' },
    a: move(['d', 'e']),
    b: { 'd/b': 'new' },
    expect: { a: { e: 'dir', 'e/a': 'o', 'e/b': 'new' }, actions: ['A create e/b', 'B rename d > e'] },
  },
  {
    row: '46 directory renamed in A, something edited in it in B',
    agreed: { 'd/a': 'o', 'd/b': 'p' },
    a: move(['d', 'e']),
    b: { 'd/a': 'edited' },
    expect: { a: { e: 'dir', 'e/a': 'edited', 'e/b': 'p' }, actions: ['A replace e/a', 'B rename d > e'] },
  },
  {
    row: '53 file copied',
    agreed: { f: 'o'.repeat(100_000) },
    a: (root) => fs.copyFileSync(path.join(root, 'f'), path.join(root, 'g')),
    expect: { a: { f: 'o'.repeat(100_000), g: 'o'.repeat(100_000) }, actions: ['B create g'] },
  },
];

scenarios('renames and moves', rows);

describe('renames and moves, apart', () => {
  bothWays(
    '41 renames that cross are recorded as they ended: a later deletion is carried over',
    async (pair, roots) => {
      await pair.agreed({ 'x/f': 'f', 'y/g': 'g' });
      move(['y', 'e'])(roots.a);
      move(['x', 'y/x'])(roots.b);
      expect((await pair.sync()).code).toBe(0);
      fs.rmSync(path.join(roots.b, fs.existsSync(path.join(roots.b, 'e/x')) ? 'e/x' : 'x'), { recursive: true });
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth({ e: 'dir', 'e/g': 'g' });
    },
  );

  bothWays('47 directory renamed in A, something ignored in it in B', async (pair, roots, toldOf) => {
    const args = ['--exclude', '*.ign'];
    await pair.agreed({ 'd/a': 'o' }, ...args);
    fs.renameSync(path.join(roots.a, 'd'), path.join(roots.a, 'e'));
    write(roots.b, { 'd/i.ign': 'ignored' });
    const { ran } = await checkedRun(pair, { agreed: { 'd/a': 'o' }, args, toldOnce: true });
    expect(ran.code).toBe(2);
    expect(toldOf(ran)).toEqual({
      actions: ['B create e', 'B rename d/a > e/a'],
      conflicts: [],
      skips: ['B kept-ignored d'],
    });
    expect(contents(roots.a)).toEqual({ e: 'dir', 'e/a': 'o' });
    expect(contents(roots.b)).toEqual({ e: 'dir', 'e/a': 'o', d: 'dir', 'd/i.ign': 'ignored' });
  });

  bothWays(
    '52 directory of very many files renamed: one rename, and no guard against deletions',
    async (pair, roots, toldOf) => {
      const count = 2000;
      for (let n = 0; n < count; n += 1) {
        if (n % 200 === 0) fs.mkdirSync(path.join(pair.a, `d/${n / 200}`), { recursive: true });
        fs.writeFileSync(path.join(pair.a, `d/${Math.floor(n / 200)}/file ${n}`), '');
      }
      await pair.agreed({ 'd/0/f': 'o' });
      fs.renameSync(path.join(roots.a, 'd'), path.join(roots.a, 'e'));
      const ran = await pair.sync();
      expect(ran.code, ran.stdout).toBe(0);
      expect(toldOf(ran).actions).toEqual(['B rename d > e']);
      expect(eventsOf(ran, 'summary')[0]).toMatchObject({ bytes: 0, kept: 0 });
      pair.expectEqual();
      await pair.expectIdle();
    },
  );
});
