import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OwnDirectory } from './own-directory.ts';
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
