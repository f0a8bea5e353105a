/** Where the system watches a root with all below it (macOS): its events are made up here, the directories are real. */
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WatchEvent } from '../../watching.ts';
import { DirHandles } from '../dir-handles.ts';
import { RootWatcher } from './root-watcher.ts';

class FakeWatcher extends EventEmitter {
  isClosed = false;
  close(): void {
    this.isClosed = true;
  }
}

let root: string;
let handles: DirHandles;
let watcher: RootWatcher;
let events: AsyncGenerator<WatchEvent, void, undefined>;
/** The system lets nothing be watched. */
let isRefused = false;
let made: { path: unknown; options: unknown; fake: FakeWatcher }[];
const stop = new AbortController();

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-watch-'));
  fs.mkdirSync(path.join(root, 'd/e'), { recursive: true });
  fs.mkdirSync(path.join(root, 'ignored'));
  // What was made a moment ago is told of once more, to be looked at again.
  for (const dir of ['d/e', 'd', '']) fs.utimesSync(path.join(root, dir), 1, 1);
  handles = new DirHandles(root);
  made = [];
  isRefused = false;
  const watch = ((given: unknown, options: unknown) => {
    if (isRefused) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    const fake = new FakeWatcher();
    made.push({ path: given, options, fake });
    return fake;
  }) as unknown as typeof fs.watch;
  watcher = new RootWatcher(handles, { pollMs: 1000 }, { hasRecursive: true, watch });
  events = watcher.events(stop.signal);
  sweep();
});

afterEach(() => {
  watcher.close();
  handles.close();
  fs.rmSync(root, { recursive: true });
});

/** What a scan does that passes over `ignored`. */
function sweep(): void {
  watcher.beginSweep();
  for (const dir of ['', 'd', 'd/e']) watcher.enter(dir);
  watcher.endSweep(true);
}

function say(kind: string, name: string | null): void {
  made.at(-1)?.fake.emit('change', kind, name === null ? null : Buffer.from(name));
}

async function told(): Promise<WatchEvent | undefined> {
  const next = await events.next();
  return next.value ?? undefined;
}

function statsOf(name: string): fs.BigIntStats {
  return fs.lstatSync(path.join(root, name), { bigint: true });
}

describe('one watcher for the whole root', () => {
  it('is the only one, and each sweep has one that was there before it', () => {
    expect(made).toHaveLength(1);
    expect(made[0]).toMatchObject({ path: root, options: { recursive: true, encoding: 'buffer' } });
    sweep();
    expect(made).toHaveLength(2);
    expect(made.map(({ fake }) => fake.isClosed)).toEqual([true, false]);
    watcher.close();
    expect(made.map(({ fake }) => fake.isClosed)).toEqual([true, true]);
  });

  it('tells of names in directories that were entered', async () => {
    say('change', 'd/e/f');
    say('rename', 'top');
    expect(await told()).toEqual({
      type: 'dirty',
      directories: [
        { dir: 'd/e', names: ['f'] },
        { dir: '', names: ['top'] },
      ],
    });
  });

  it('tells of the topmost directory that was not entered, whatever happened below it', async () => {
    fs.mkdirSync(path.join(root, 'd/new/x'), { recursive: true });
    say('rename', 'd/new/x/y');
    expect(await told()).toEqual({ type: 'dirty', directories: [{ dir: 'd', names: ['new'] }] });
    expect(watcher.takeIsNew('d/new', statsOf('d/new'))).toBe(true);
  });

  it('does not tell of what is ignored, or of our own', async () => {
    watcher.isOfNoInterest = (dir, name) => dir === '' && name === 'ignored';
    say('change', 'ignored/deep/f');
    say('rename', '.lockstep/staging/f');
    say('rename', '.lockstep');
    say('change', 'd/seen');
    expect(await told()).toEqual({ type: 'dirty', directories: [{ dir: 'd', names: ['seen'] }] });
  });

  it('knows a directory that was renamed for another one', async () => {
    expect(watcher.takeIsNew('d/e', statsOf('d/e'))).toBe(false);
    fs.rmdirSync(path.join(root, 'd/e'));
    fs.mkdirSync(path.join(root, 'd/e'));
    say('rename', 'd/e');
    expect(await told()).toEqual({ type: 'dirty', directories: [{ dir: 'd', names: ['e'] }] });
    expect(watcher.takeIsNew('d/e', statsOf('d/e'))).toBe(true);
  });

  it('says that it has lost sight where the system does not say of what it tells', async () => {
    say('rename', null);
    expect(await told()).toMatchObject({ type: 'lost' });
    made.at(-1)?.fake.emit('error', new Error('gone'));
    expect(await told()).toMatchObject({ type: 'lost' });
  });

  it('has every directory polled when the root cannot be watched, until the next sweep', async () => {
    isRefused = true;
    sweep();
    expect(await told()).toMatchObject({ type: 'polled', directories: 3 });
    isRefused = false;
    sweep();
    expect(await told()).toMatchObject({ type: 'polled', directories: 0 });
  });

  it('looks at the root as a whole when that is what changed', async () => {
    say('change', '');
    expect(await told()).toEqual({ type: 'dirty', directories: [{ dir: '', names: undefined }] });
  });
});
