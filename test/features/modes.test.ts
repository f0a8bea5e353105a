/** FEATURES A1 (two-way), A2 (push, pull, mirror) and A3 (additive). Single paths by the dozen: test/sync. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, onlyHere } from '../support/cli.ts';
import { withPair } from '../support/pair.ts';
import { comparable, contents, file, fingerprints, history, link, litter, soon, write } from '../support/tree.ts';

const old = 1_600_000_000;

function remove(root: string, ...paths: string[]): void {
  for (const name of paths) fs.rmSync(path.join(root, name), { recursive: true });
}

describe('A1: two-way', () => {
  it('needs no initialisation, and unites two roots that both hold something', async () =>
    withPair(async (pair) => {
      write(pair.a, { mine: '1', 'd/both': 'same', 'd/a': '2' });
      write(pair.b, { yours: '3', 'd/both': 'same', 'd/b': '4' });
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth({ mine: '1', yours: '3', d: 'dir', 'd/a': '2', 'd/b': '4', 'd/both': 'same' });
      await pair.expectIdle();
    }));

  it('carries edits, deletions, renames, type and metadata changes of both sides in one run', async () =>
    withPair(async (pair) => {
      await pair.agreed({
        edit: 'o',
        gone: 'o',
        type: 'o',
        mode: 'o',
        'dir/f': 'moves along',
        name: 'a file that is renamed',
        l: link('x'),
      });
      write(pair.a, { edit: 'edited on a', 'new/deep/f': 'n' });
      remove(pair.a, 'gone');
      fs.renameSync(path.join(pair.a, 'dir'), path.join(pair.a, 'moved'));
      fs.chmodSync(path.join(pair.b, 'mode'), 0o750);
      remove(pair.b, 'type');
      write(pair.b, { 'type/inside': 'now a directory', l: link('y') });
      fs.renameSync(path.join(pair.b, 'name'), path.join(pair.b, 'renamed'));
      const ran = await pair.sync();
      expect(ran.code, ran.stderr).toBe(0);
      expect(eventsOf(ran, 'action').filter((action) => action['op'] === 'rename')).toHaveLength(2);
      pair.expectBoth({
        edit: 'edited on a',
        l: '-> y',
        mode: 'o',
        moved: 'dir',
        'moved/f': 'moves along',
        new: 'dir',
        'new/deep': 'dir',
        'new/deep/f': 'n',
        renamed: 'a file that is renamed',
        type: 'dir',
        'type/inside': 'now a directory',
      });
      pair.expectEqual();
      await pair.expectIdle();
      pair.expectClean();
    }));

  it('has one baseline, in whatever order the roots are named', async (context) =>
    withPair(async (pair) => {
      onlyHere(context, 'exchanged, the other root is the far one: another link');
      await pair.agreed({ f: 'o', g: 'o' });
      remove(pair.b, 'f');
      const ran = await lockstep(['sync', pair.b, pair.a, '--state-dir', pair.state]);
      expect(ran.code, ran.stderr).toBe(0);
      pair.expectBoth({ g: 'o' });
    }));
});

/** Two trees of which the target differs from the source in every way. */
function different(source: string, target: string): void {
  write(source, { new: 'a', edited: file('from a', { mtime: old + 100 }), 'd/same': 'same' });
  write(target, { extra: 'b', 'extra.d/f': 'b', edited: file('older over there', { mtime: old }), 'd/same': 'same' });
}

describe('A2: one-way', () => {
  for (const command of ['push', 'pull'] as const) {
    it(`${command} brings everything over, deletes nothing and leaves no trace in the source`, async () =>
      withPair(async (pair) => {
        const [source, target] = command === 'push' ? [pair.a, pair.b] : [pair.b, pair.a];
        different(source, target);
        const before = fingerprints(source);
        const ran = await pair.run(command);
        expect(ran.code, ran.stderr).toBe(0);
        expect(contents(target)).toEqual({
          new: 'a',
          edited: 'from a',
          d: 'dir',
          'd/same': 'same',
          extra: 'b',
          'extra.d': 'dir',
          'extra.d/f': 'b',
        });
        expect(fingerprints(source)).toEqual(before);
        expect(fs.existsSync(path.join(source, '.lockstep'))).toBe(false);
        expect(history(target)).toEqual({ edited: ['older over there'] });
        expect(litter(target)).toEqual([]);
        const again = await pair.run(command);
        expect(again.code).toBe(0);
        expect(eventsOf(again, 'action')).toEqual([]);
      }));
  }

  it('push never deletes, not even what it brought', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: '1', 'd/g': '2' });
      await pair.run('push');
      remove(pair.a, 'f', 'd');
      expect((await pair.run('push')).code).toBe(0);
      expect(contents(pair.b)).toEqual({ f: '1', d: 'dir', 'd/g': '2' });
    }));

  it('push leaves a newer far side alone and says so (122); --force overrules it, into history', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: file('o', { mtime: old }) });
      await pair.run('push');
      write(pair.b, { f: file('edited there', { mtime: old + 50 }) });
      const left = await pair.run('push');
      expect(left.code).toBe(2);
      expect(eventsOf(left, 'skip')).toMatchObject([{ path: 'f', why: 'newer-far-side', side: 'remote' }]);
      expect(contents(pair.b)).toEqual({ f: 'edited there' });
      expect((await pair.run('push', ['--force'])).code).toBe(0);
      expect(contents(pair.b)).toEqual({ f: 'o' });
      expect(history(pair.b)).toEqual({ f: ['edited there'] });
    }));

  it('121: a mirror deletes extras and undoes edits, newer ones too, and keeps all of it in history', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: file('o', { mtime: old }), g: file('o', { mtime: old }), 'd/h': 'o' });
      await pair.run('push');
      write(pair.b, {
        extra: 'e',
        'extra.d/deep/f': 'e',
        f: file('newer there', { mtime: old + 9 }),
        g: file('older there', { mtime: old - 9 }),
      });
      const before = fingerprints(pair.a);
      const safe = await pair.run('push', ['--on-conflict', 'manual']);
      expect(safe.code).toBe(2);
      expect(contents(pair.b)).toMatchObject({ extra: 'e', f: 'newer there', g: 'older there' });
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      expect(comparable(pair.b)).toEqual(comparable(pair.a));
      expect(fingerprints(pair.a)).toEqual(before);
      expect(history(pair.b)).toEqual({
        extra: ['e'],
        'extra.d/deep/f': ['e'],
        f: ['newer there'],
        g: ['older there'],
      });
    }));

  it('--mode mirror is the same as --delete, for pull too', async () =>
    withPair(async (pair) => {
      write(pair.b, { f: 'o' });
      write(pair.a, { extra: 'e' });
      expect((await pair.run('pull', ['--mode', 'mirror'])).code).toBe(0);
      pair.expectBoth({ f: 'o' });
      expect(history(pair.a)).toEqual({ extra: ['e'] });
    }));
});

describe('A3: additive', () => {
  it('is the union of both sides: edits travel, deletions do not', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: file('o', { mtime: old }), g: 'o', 'd/h': 'o' }, '--mode', 'additive');
      remove(pair.a, 'g');
      remove(pair.b, 'd');
      write(pair.a, { f: file('newer', { mtime: old + 60 }) });
      write(pair.b, { f: file('older', { mtime: old + 30 }), n: 'new' });
      const ran = await pair.sync('--mode', 'additive');
      expect(ran.code, ran.stderr).toBe(0);
      pair.expectBoth({ f: 'newer', g: 'o', d: 'dir', 'd/h': 'o', n: 'new' });
      expect(history(pair.b)).toEqual({ f: ['older'] });
      await pair.expectIdle('--mode', 'additive');
    }));

  it('deletes nothing to make way for something of another kind: both stay, and are told', async () =>
    withPair(async (pair) => {
      const additive = ['--mode', 'additive', '--backup', 'off', '--atomic', 'repo'] as const;
      const agreed = { 'd/f': 'o', 'd/e/g': 'o', f: 'o', 'both/x': 'o', 'repo/x': 'o' };
      await pair.agreed(agreed, ...additive);
      for (const name of ['d', 'f', 'both']) remove(pair.a, name);
      write(pair.a, {
        d: 'file',
        'f/in': 'i',
        both: file('file', { mtime: soon() }),
        'repo/x': file('a', { mtime: soon() }),
      });
      write(pair.b, { 'both/x': 'edited', 'repo/y': 'b', n: 'new' });
      const first = await pair.sync(...additive);
      expect(first.code, first.stdout).toBe(2);
      expect(eventsOf(first, 'action').filter(({ op }) => op === 'delete')).toEqual([]);
      expect(eventsOf(first, 'conflict').map(({ path, winner }) => [path, winner])).toEqual([
        ['both', 'both'],
        ['repo', 'open'],
      ]);
      const copy = fs.readdirSync(pair.b).find((name) => name.startsWith('both.conflict-local')) ?? '';
      const shared = { n: 'new', both: 'dir', 'both/x': 'edited', [copy]: 'file', repo: 'dir' };
      const before = [
        { ...shared, d: 'file', f: 'dir', 'f/in': 'i', 'repo/x': 'a' },
        { ...shared, d: 'dir', 'd/f': 'o', 'd/e': 'dir', 'd/e/g': 'o', f: 'o', 'repo/x': 'o', 'repo/y': 'b' },
      ];
      for (let run = 1; run <= 2; run += 1) {
        const ran = await pair.sync(...additive);
        expect(ran.code, ran.stdout).toBe(2);
        expect([contents(pair.a), contents(pair.b)]).toEqual(before);
        expect(eventsOf(ran, 'skip').map(({ path, side, why }) => [path, side, why])).toEqual([
          ['d', 'remote', 'would-delete'],
          ['f', 'remote', 'would-delete'],
        ]);
      }
      remove(pair.b, 'd');
      remove(pair.b, 'f');
      await pair.sync(...additive);
      expect(contents(pair.b)).toMatchObject({ d: 'file', 'f/in': 'i' });
    }));
});

describe('changing the mode', () => {
  it('from push to two-way is a first meeting: nothing is deleted', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'o', g: 'o' });
      await pair.run('push');
      remove(pair.b, 'g');
      const ran = await pair.sync();
      expect(ran.code).toBe(0);
      expect(eventsOf(ran, 'notice').map(({ message }) => message)).toEqual([
        'the mode changed from push to two-way: both sides meet as for the first time, nothing is deleted',
      ]);
      pair.expectBoth({ f: 'o', g: 'o' });
    }));
});
