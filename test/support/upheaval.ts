/**
 * Two sides that agreed, and then much changed on both: edits, new and deleted files and directories, renames of either,
 * swaps, other kinds of things under old names, modes, links. Always the same, so that any two runs over it must end alike.
 */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { eventsOf, type Ran } from './cli.ts';
import type { Pair } from './pair.ts';
import { comparable, litter } from './tree.ts';

const agreedAt = 1_700_000_000;

/** Makes both sides agree on a tree, and then changes about `changes` things on each. */
export async function upheave(pair: Pair, changes: number): Promise<void> {
  // Each unit is changed in every way once: about 20 changes on both sides together.
  const units = Math.ceil(changes / 20);
  for (let unit = 0; unit < units; unit += 1) makeUnit(pair.a, unit);
  setTimes(pair.a, agreedAt);
  const ran = await pair.sync();
  expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  for (let unit = 0; unit < units; unit += 1) changeUnit(pair.a, pair.b, unit);
  // Directories that were touched got the time of now; a time that every time is the same stands in for it.
  setTimes(pair.a, agreedAt + 2000, true);
  setTimes(pair.b, agreedAt + 3000, true);
}

function put(root: string, name: string, text: string, mtime = agreedAt + 1000): void {
  const full = path.join(root, name);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  fs.writeFileSync(full, text);
  fs.utimesSync(full, mtime, mtime);
}

function text(what: string, unit: number): string {
  return `${what} of ${unit} `.repeat(1 + ((unit * 7) % 30));
}

function makeUnit(root: string, unit: number): void {
  const names = [
    ...Array.from({ length: 12 }, (_, i) => `keep/k${i}`),
    ...['edit-a', 'edit-b', 'both', 'gone-a', 'gone-b', 'swap-1', 'swap-2', 'mode', 'rename', 'move', 'kind-1'],
    ...[
      'ring-1',
      'ring-2',
      'ring-3',
      'tree/t1',
      'tree/t2',
      'tree/sub/t3',
      'old-tree/o1',
      'old-tree/sub/o2',
      'kind-2/x',
    ],
  ];
  for (const name of names) put(root, `u${unit}/${name}`, text(name, unit), agreedAt);
  fs.symlinkSync('edit-a', path.join(root, `u${unit}/link`));
}

function changeUnit(a: string, b: string, unit: number): void {
  const inA = path.join(a, `u${unit}`);
  const inB = path.join(b, `u${unit}`);
  const rename = (root: string, from: string, to: string): void => {
    fs.renameSync(path.join(root, from), path.join(root, to));
  };
  put(inA, 'edit-a', text('edited on a', unit));
  put(inB, 'edit-b', text('edited on b', unit));
  put(inA, 'both', text('edited on both, a', unit), agreedAt + 500);
  put(inB, 'both', text('edited on both, b', unit), agreedAt + 600);
  fs.rmSync(path.join(inA, 'gone-a'));
  fs.rmSync(path.join(inB, 'gone-b'));
  rename(inA, 'swap-1', 'swap');
  rename(inA, 'swap-2', 'swap-1');
  rename(inA, 'swap', 'swap-2');
  rename(inB, 'ring-1', 'ring');
  rename(inB, 'ring-3', 'ring-1');
  rename(inB, 'ring-2', 'ring-3');
  rename(inB, 'ring', 'ring-2');
  fs.chmodSync(path.join(inA, 'mode'), 0o600);
  rename(inB, 'rename', 'renamed');
  rename(inA, 'tree', 'tree-2');
  rename(inB, 'move', 'keep/moved');
  fs.rmSync(path.join(inB, 'old-tree'), { recursive: true });
  fs.rmSync(path.join(inA, 'kind-1'));
  put(inA, 'kind-1/inside', text('once a file', unit));
  fs.rmSync(path.join(inB, 'kind-2'), { recursive: true });
  put(inB, 'kind-2', text('once a directory', unit));
  fs.unlinkSync(path.join(inA, 'link'));
  fs.symlinkSync('edit-b', path.join(inA, 'link'));
  for (const [root, side] of [
    [inA, 'a'],
    [inB, 'b'],
  ] as const) {
    for (const name of ['n1', 'n2', 'deep/er/n3', 'shut/n4']) put(root, `new-${side}/${name}`, text(name + side, unit));
    fs.chmodSync(path.join(root, `new-${side}/shut`), 0o555);
    fs.chmodSync(path.join(root, `new-${side}`), 0o555);
  }
}

/** Sets the times of directories, all of them or those that no longer have the agreed one. */
function setTimes(root: string, time: number, onlyChanged = false): void {
  const visit = (dir: string): void => {
    for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory() && entry.name !== '.lockstep') visit(path.join(dir, entry.name));
    }
    if (!onlyChanged || fs.statSync(dir).mtimeMs !== agreedAt * 1000) fs.utimesSync(dir, time, time);
  };
  visit(root);
}

/** Both sides as they are after a run: contents, modes and all times, the root's own included. */
export function endState(pair: Pair): Record<string, Record<string, string>> {
  const of = (root: string): Record<string, string> => ({
    ...comparable(root),
    '.': String(fs.statSync(root, { bigint: true }).mtimeNs / 1000n),
  });
  return { a: of(pair.a), b: of(pair.b) };
}

/** After a run that was cut off: one more ends where an uninterrupted one does, leaves no litter, and the next rests. */
export async function expectRecovers(pair: Pair, expected: ReturnType<typeof endState>): Promise<Ran> {
  const again = await pair.sync();
  expect(again.code, again.stdout.slice(-2000) + again.stderr).toBe(0);
  expect(endState(pair)).toEqual(expected);
  expect([litter(pair.a), litter(pair.b)]).toEqual([[], []]);
  expect(
    fs.readdirSync(path.join(pair.state, 'links')).filter((name) => /[.]journal|[.][0-9a-f]{12}$/.test(name)),
  ).toEqual([]);
  const idle = await pair.sync();
  expect([idle.code, eventsOf(idle, 'action')]).toEqual([0, []]);
  expect(endState(pair)).toEqual(expected);
  return again;
}
