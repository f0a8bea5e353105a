import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { decodeName } from '../../tree/path.ts';
import { OwnDirectory } from './own-directory.ts';
import { listVersions } from './history/read.ts';
import { HistoryWriter } from './history/keep.ts';
import { recoverStaging, Staging } from './staging.ts';

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-staging-'));
});
afterEach(() => {
  fs.rmSync(root, { recursive: true, force: true });
});

it('what is parked and has found no place outlives its run, and is saved by the next', () => {
  const own = new OwnDirectory(root, root);
  const staging = new Staging(own, 'run');
  fs.writeFileSync(staging.fresh('s'), 'staged');
  fs.writeFileSync(staging.parkingPlace('d/f'), 'the only one');
  staging.clear();
  expect(fs.readdirSync(path.join(root, '.lockstep/staging/run'))).toEqual(['parked']);
  expect(recoverStaging(own, '20260101T000000.000Z-00000000')).toEqual([expect.stringMatching(/^d\/f: /)]);
  const [kept = ''] = fs.readdirSync(path.join(root, '.lockstep/history'));
  expect(fs.readFileSync(path.join(root, '.lockstep/history', kept, 'files/d/f'), 'utf8')).toBe('the only one');
  expect(fs.existsSync(path.join(root, '.lockstep/staging/run'))).toBe(false);
});

it('nothing is left of a run that has parked nothing', () => {
  const own = new OwnDirectory(root, root);
  const staging = new Staging(own, 'run');
  fs.writeFileSync(staging.fresh('s'), 'staged');
  staging.forgetParked(staging.parkingPlace('f'));
  staging.clear();
  expect(fs.existsSync(path.join(root, '.lockstep/staging/run'))).toBe(false);
});

const nextRun = '20260101T000000.000Z-00000000';

it.each([
  ['nothing, as a full disk leaves it', ''],
  ['a way out of the root', '../../../../../escaped'],
  ['an absolute path', '/tmp/escaped'],
  ['our own directory', '.lockstep/lock'],
  ['a name that no file system takes', 'x'.repeat(300)],
  ['no name', 'a//b'],
  ['a zero byte', 'a\0b'],
])('a parked file beside which %s is noted is kept under a made-up name', (_, noted) => {
  const own = new OwnDirectory(root, root);
  const place = new Staging(own, 'run').parkingPlace('f');
  fs.writeFileSync(place, 'the only one');
  fs.writeFileSync(`${place}.name`, noted);
  expect(recoverStaging(own, nextRun)).toEqual([expect.stringMatching(/^parked-1: /)]);
  expect(listVersions(own.path).map(({ path: at, fullPath }) => [at, fs.readFileSync(fullPath, 'utf8')])).toEqual([
    ['parked-1', 'the only one'],
  ]);
  expect(recoverStaging(own, nextRun)).toEqual([]);
});

it('a full disk leaves no name instead of an empty one', () => {
  const staging = new Staging(new OwnDirectory(root, root), 'run');
  const write = fs.writeFileSync;
  const spy = vi.spyOn(fs, 'writeFileSync').mockImplementation((file, data, options) => {
    if (!String(file).endsWith('.name')) return write(file, data, options);
    write(file, '');
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  });
  const place = staging.parkingPlace('f');
  spy.mockRestore();
  expect(fs.existsSync(`${place}.name`)).toBe(false);
});

it('the name of a parked file may be any bytes', () => {
  const own = new OwnDirectory(root, root);
  const name = decodeName(Buffer.from('d\xe9/\xff', 'latin1'));
  fs.writeFileSync(new Staging(own, 'run').parkingPlace(name), 'the only one');
  recoverStaging(own, nextRun);
  expect(listVersions(own.path).map(({ path: at }) => at)).toEqual([name]);
});

it('a directory that is parked is kept with what is in it', () => {
  const own = new OwnDirectory(root, root);
  const place = new Staging(own, 'run').parkingPlace('d');
  fs.mkdirSync(`${place}/sub`, { recursive: true });
  fs.writeFileSync(`${place}/sub/f`, 'the only one');
  expect(recoverStaging(own, nextRun)).toEqual([expect.stringMatching(/^d: /)]);
  expect(listVersions(own.path).map(({ path: at }) => at)).toContain('d/sub/f');
});

it.each(['', '..', 'a/../b', 'a//b'])('%j is no path that history would look for a place for', (name) => {
  const history = new HistoryWriter(new OwnDirectory(root, root), nextRun);
  expect(() => history.place(name)).toThrow(/no path/);
});
