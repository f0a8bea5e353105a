import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeDirectories } from './directories.ts';

let dir = '';
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-test-'));
});
afterEach(() => fs.rmSync(dir, { recursive: true }));

it('makes what is missing, and says what was the first', () => {
  const deep = path.join(dir, 'a/b/c');
  expect(makeDirectories(deep, 0o700)).toBe(path.join(dir, 'a'));
  expect(fs.statSync(deep).mode & 0o777).toBe(0o700);
  expect(makeDirectories(deep)).toBeUndefined();
  expect(makeDirectories(path.join(deep, 'd'))).toBe(path.join(deep, 'd'));
  expect(makeDirectories('/')).toBeUndefined();
});

it('takes a link to a directory for one', () => {
  fs.mkdirSync(path.join(dir, 'real'));
  fs.symlinkSync('real', path.join(dir, 'link'));
  expect(makeDirectories(path.join(dir, 'link'))).toBeUndefined();
  expect(makeDirectories(path.join(dir, 'link/x'))).toBe(path.join(dir, 'link/x'));
});

it('says where it cannot', () => {
  fs.writeFileSync(path.join(dir, 'file'), '');
  fs.symlinkSync('nowhere', path.join(dir, 'link'));
  const failing = (name: string): unknown => {
    try {
      return makeDirectories(path.join(dir, name));
    } catch (error) {
      return error;
    }
  };
  expect(failing('file')).toMatchObject({ code: 'EEXIST', path: path.join(dir, 'file') });
  expect(failing('file/x/y')).toMatchObject({ code: 'ENOTDIR' });
  expect(failing('link/x/y')).toMatchObject({ code: 'EEXIST', path: path.join(dir, 'link') });
});

it.skipIf(process.platform !== 'linux')('fails where nothing can be made', () => {
  expect(() => makeDirectories('/proc/self/lockstep/x')).toThrow(/ENOENT.*'\/proc\/self\/lockstep'/);
});
