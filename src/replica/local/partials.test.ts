/** What is left of large files whose transfers broke off, by runs that could not tidy up. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { partialPrefix } from '../partial-name.ts';
import { DirHandles } from './dir-handles.ts';
import { OwnDirectory } from './own-directory.ts';
import { Partials } from './partials.ts';

let root: string;
let handles: DirHandles;

beforeEach(() => {
  root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-partials-')));
  handles = new DirHandles(root);
});
afterEach(() => {
  handles.close();
  fs.rmSync(root, { recursive: true });
});

function left(of: string, run: string, size: number): string {
  const name = `${partialPrefix(of)}${run}`;
  fs.mkdirSync(path.join(root, '.lockstep/partial'), { recursive: true });
  fs.writeFileSync(path.join(root, '.lockstep/partial', name), Buffer.alloc(size, run));
  return name;
}
const names = (): string[] => fs.readdirSync(path.join(root, '.lockstep/partial')).sort();
const partials = (owns = true): Partials => new Partials(new OwnDirectory(handles.rootPrefix, root), 'now', owns);

it('of each file the most is kept', () => {
  const most = left('f', '20260101T000000.000Z-2', 30_000);
  left('f', '20260101T000000.000Z-1', 20_000);
  left('f', '20260101T000000.000Z-3', 10_000);
  const other = left('g', '20260101T000000.000Z-1', 5000);
  partials().prune();
  expect(names()).toEqual([most, other].sort());
});

it('what breaks off again goes when there was more before, and else what was there before', () => {
  const before = left('f', 'before', 3 << 20);
  const other = left('g', 'before', 5000);
  const mine = left('f', 'now', 2 << 20);
  partials().abandon('f', path.join(root, '.lockstep/partial', mine));
  expect(names()).toEqual([before, other].sort());
  left('f', 'now', 4 << 20);
  partials().abandon('f', path.join(root, '.lockstep/partial', mine));
  expect(names()).toEqual([mine, other].sort());
});

it('for want of room all goes that others left, but only for who is alone here', () => {
  left('f', 'before', 8192);
  const mine = left('f', 'now', 4096);
  expect([partials(false).bytes, partials(false).makeRoom()]).toEqual([0, false]);
  expect(partials().bytes).toBe(8192);
  expect(partials().makeRoom()).toBe(true);
  expect(names()).toEqual([mine]);
  expect(partials().makeRoom()).toBe(false);
});
