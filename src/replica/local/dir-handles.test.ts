import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DirHandles } from './dir-handles.ts';

describe('DirHandles', () => {
  let root: string;
  let handles: DirHandles;
  const inode = (name: string): number => fs.statSync(name).ino;
  /** `d`, `d/d`, … */
  const deep = (depth: number): string => Array.from({ length: depth }, () => 'd').join('/');

  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-handles-'));
    handles = new DirHandles(root);
  });
  afterEach(() => {
    handles.close();
    vi.restoreAllMocks();
    fs.rmSync(root, { recursive: true });
  });

  it('keeps a prefix good while any number of other directories is entered', () => {
    const names = Array.from({ length: 600 }, (_, n) => `d${n}`);
    for (const name of names) fs.mkdirSync(path.join(root, name));
    const first = handles.enter('d0');
    for (const name of names) handles.enter(name);
    expect(inode(first)).toBe(inode(path.join(root, 'd0')));
  });

  it('never answers with a descriptor that it closed on the way down', async () => {
    let now = 0;
    vi.spyOn(process, 'hrtime').mockImplementation((() => [0, now * 1e6]) as unknown as typeof process.hrtime);
    fs.mkdirSync(path.join(root, deep(700)), { recursive: true });
    for (const depth of [200, 700, 100, 690, 250, 700, 1]) {
      // Everything kept is stale by now, and every descriptor that was let go of is closed and its number free.
      now += 1000;
      await new Promise(setImmediate);
      expect(inode(handles.enter(deep(depth)))).toBe(inode(path.join(root, deep(depth))));
    }
  });
});

// A mount of it over another name is one directory with two names, as on a file system that folds case.
it.runIf(process.getuid?.() === 0)("is never in Lockstep's own directory by another name", () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-handles-'));
  const other = path.join(root, '.LOCKSTEP');
  for (const name of ['.lockstep/staging', '.LOCKSTEP', 'twin/.LOCKSTEP'])
    fs.mkdirSync(path.join(root, name), { recursive: true });
  const handles = new DirHandles(root);
  try {
    expect(handles.enter('.LOCKSTEP')).not.toBe('');
    expect(handles.enter('twin/.LOCKSTEP')).not.toBe('');
    execFileSync('mount', ['--bind', path.join(root, '.lockstep'), other]);
    handles.forget('.LOCKSTEP');
    expect(() => handles.enter('.LOCKSTEP')).toThrow(/Lockstep's own/);
    expect(() => handles.locate('.LOCKSTEP/staging/x')).toThrow(/Lockstep's own/);
  } finally {
    handles.close();
    execFileSync('umount', [other]);
    fs.rmSync(root, { recursive: true });
  }
});
