import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf } from '../support/cli.ts';
import { withPair } from '../support/pair.ts';
import { contents, file, link, soon, write } from '../support/tree.ts';

const old = 1_600_000_000;

describe('a first sync', () => {
  it('brings everything over and then rests', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'x', 'd/g': 'y', 'd/empty/': '', l: link('f') });
      pair.expectEqual();
      pair.expectBoth({ f: 'x', d: 'dir', 'd/g': 'y', 'd/empty': 'dir', l: '-> f' });
      await pair.expectIdle();
      pair.expectClean();
      expect(pair.a).not.toBe(pair.b);
    }));

  for (const policy of ['newer', 'older', 'local', 'remote', 'both', 'manual']) {
    for (const [dirSide, leafSide] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      it(`deletes no directory for a file, nor the file: --on-conflict ${policy}, the directory on ${dirSide}`, async () =>
        withPair(async (pair) => {
          const args = ['--on-conflict', policy, '--backup', 'off'];
          write(pair[dirSide], { 'd/f': file('f', { mtime: old }), 'd/e/g': file('g', { mtime: old }), 'l/x': 'x' });
          write(pair[leafSide], { d: file('file', { mtime: old + 60 }), l: link('d') });
          fs.lutimesSync(path.join(pair[leafSide], 'l'), old, old);
          const before = { a: contents(pair.a), b: contents(pair.b) };
          const all = [...Object.values(before.a), ...Object.values(before.b)].sort();
          const isManual = policy === 'manual';
          const ran = await pair.sync(...args);
          expect(ran.code, ran.stdout).toBe(isManual ? 2 : 0);
          const winner = isManual ? 'open' : 'both';
          expect(eventsOf(ran, 'conflict').map(({ path, what, winner }) => [path, what, winner])).toEqual([
            ['d', 'kind', winner],
            ['l', 'kind', winner],
          ]);
          expect(eventsOf(ran, 'action').filter(({ op }) => op === 'delete')).toEqual([]);
          if (isManual) {
            expect({ a: contents(pair.a), b: contents(pair.b) }).toEqual(before);
            // Not only the first run: the two have not agreed on these names yet.
            expect((await pair.sync('--backup', 'off')).code).toBe(0);
          }
          pair.expectEqual();
          expect(contents(pair.a)).toMatchObject({ d: 'dir', 'd/f': 'f', 'd/e/g': 'g', 'l/x': 'x' });
          expect(Object.values(contents(pair.a)).sort()).toEqual(all);
          await pair.expectIdle();
        }));
    }
  }

  it('nor does one after the record was given up', async () =>
    withPair(async (pair) => {
      await pair.agreed({ 'd/f': 'f', 'd/g': 'g' });
      fs.rmSync(path.join(pair.a, 'd'), { recursive: true });
      write(pair.a, { d: file('file', { mtime: soon() }) });
      const ran = await pair.sync('--rebaseline', '--backup', 'off');
      expect(ran.code, ran.stdout).toBe(0);
      const copy = fs.readdirSync(pair.b).find((name) => name.startsWith('d.conflict-local')) ?? '';
      pair.expectBoth({ d: 'dir', 'd/f': 'f', 'd/g': 'g', [copy]: 'file' });
    }));
});
