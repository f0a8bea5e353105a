/** Feature A14 through the command line: what is kept, listed, restored and, in the end, let go. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, notInShell, onlyHere, type JsonEvent, type Ran } from '../support/cli.ts';
import { injecting } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, file, history, link, write } from '../support/tree.ts';

/** Deletes on A and lets the sync carry it: B keeps a version. */
async function deleteOnA(pair: Pair, name: string, ...args: string[]): Promise<void> {
  fs.rmSync(path.join(pair.a, name), { recursive: true });
  const ran = await pair.sync('--max-delete', 'off', ...args);
  expect(ran.code, ran.stdout + ran.stderr).toBe(0);
}

async function bringBack(pair: Pair, name: string, ...args: string[]): Promise<Ran> {
  return lockstep(['restore', pair.b, ...args, '--', name]);
}

async function versions(root: string, ...args: string[]): Promise<JsonEvent[]> {
  const ran = await lockstep(['history', root, ...args, '--json']);
  expect(ran.code, ran.stdout).toBe(0);
  return eventsOf(ran, 'version');
}

/** Moves everything that was kept so far into the past: a run's time is in its name and its index. */
function age(root: string, days: number): void {
  const base = path.join(root, '.lockstep', 'history');
  const back = (iso: string): string => new Date(Date.parse(iso) - days * 86_400_000).toISOString();
  for (const run of fs.readdirSync(base)) {
    const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})([\d.]+)Z(.*)$/.exec(run);
    if (match === null) continue;
    const [, year, month, day, hour, minute, second, rest] = match;
    const index = path.join(base, run, 'index.jsonl');
    const text = fs
      .readFileSync(index, 'utf8')
      .replace(/"time":"([^"]+)"/g, (_, time: string) => `"time":"${back(time)}"`);
    fs.writeFileSync(index, text);
    const older = back(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`).replace(/[-:]/g, '');
    fs.renameSync(path.join(base, run), path.join(base, `${older}${rest}`));
  }
}

/** As where a process may not have more than so many files open: 1024 is what many systems start with. */
const fewFiles = ['sh', '-c', 'ulimit -n 1024 && exec "$@"', 'sh'] as const;

it(
  'of more directories than may be open at once is kept, listed, brought back and pruned',
  { timeout: 240_000 },
  async () =>
    withPair(async (pair) => {
      const names = Array.from({ length: 2500 }, (_, at) => `d/${at}/f`);
      await pair.agreed({ keep: 'x', ...Object.fromEntries(names.map((name) => [name, name])) });
      const sync = async (): Promise<void> => {
        // Quiet: what takes long over a shell has its progress told.
        const args = ['sync', pair.a, pair.b, '-q', '--state-dir', pair.state, '--max-delete', 'off'];
        const ran = await lockstep(args, { under: fewFiles });
        expect([ran.code, ran.stderr]).toEqual([0, '']);
      };
      for (const name of names) fs.appendFileSync(path.join(pair.a, name), '.');
      await sync();
      fs.rmSync(path.join(pair.a, 'd'), { recursive: true });
      await sync();
      const listed = await lockstep(['history', pair.b, '--json'], { under: fewFiles });
      expect(listed.code, listed.stderr).toBe(0);
      expect(eventsOf(listed, 'version').filter(({ kind }) => kind === 'file')).toHaveLength(2500);
      const restored = await lockstep(['restore', pair.b, '--', 'd'], { under: fewFiles });
      expect(restored.code, restored.stderr).toBe(0);
      expect(contents(pair.b)['d/2499/f']).toBe('d/2499/f.');

      age(pair.b, 60);
      fs.writeFileSync(path.join(pair.a, 'keep'), 'changed');
      await sync();
      expect(history(pair.b)).toEqual({});
    }),
);

describe('history', () => {
  it('lists every version of a name that was deleted many times, newest first', async () => {
    await withPair(async (pair) => {
      for (const text of ['one', 'two', 'three']) {
        await pair.agreed({ 'd/f': text, keep: 'x' });
        await deleteOnA(pair, 'd/f');
      }
      const found = await versions(pair.b, 'd/f');
      expect(found.map(({ version, path: at, kind, reason }) => ({ version, at, kind, reason }))).toEqual(
        [1, 2, 3].map((version) => ({ version, at: 'd/f', kind: 'file', reason: 'deleted' })),
      );
      expect(found.map(({ file: at }) => fs.readFileSync(String(at), 'utf8'))).toEqual(['three', 'two', 'one']);
      const ran = await lockstep(['history', pair.b, 'd/f']);
      expect(ran.stdout).toMatch(
        /^VERSION +KEPT +SIZE +WHY +PATH\n +1 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +5 B {2}deleted {2}d\/f\n/,
      );
      const two = await bringBack(pair, 'd/f', '--version=2');
      expect(two.code, two.stderr).toBe(0);
      expect(contents(pair.b)['d/f']).toBe('two');
    });
  });

  it.each([
    ['no such root', (pair: Pair) => [path.join(pair.dir, 'none'), 'f'], 'root-missing'],
    ['nothing kept yet', (pair: Pair) => [pair.a, 'f'], 'not-found'],
    ['no such path', (pair: Pair) => [pair.b, 'elsewhere'], 'not-found'],
  ])('nothing to restore: %s', async (_, args, code) => {
    await withPair(async (pair) => {
      await pair.agreed({ f: 'x', keep: 'x' });
      await deleteOnA(pair, 'f');
      const ran = await lockstep(['restore', ...args(pair), '--json']);
      expect(ran.code).toBe(1);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code, hint: expect.stringMatching(/./) as string }]);
      expect(fs.existsSync(path.join(pair.dir, 'none'))).toBe(false);
      expect(contents(pair.b)).toEqual({ keep: 'x' });
    });
  });

  it('a file that later is a directory, and the reverse', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ foo: 'file', 'bar/in': 'inside', keep: 'x' });
      await deleteOnA(pair, 'foo');
      await deleteOnA(pair, 'bar');
      await pair.agreed({ 'foo/in': 'inside', bar: 'file' });
      await deleteOnA(pair, 'foo');
      await deleteOnA(pair, 'bar');
      const ran = await bringBack(pair, '.');
      expect(ran.code, ran.stderr).toBe(0);
      expect(contents(pair.b)).toEqual({ foo: 'dir', 'foo/in': 'inside', bar: 'file', keep: 'x' });
    });
  });
});

describe('restore', () => {
  it('keeps what stands there, and the sync carries it to the other side', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ f: file('first', { mode: 0o640, mtime: 1_600_000_000 }), keep: 'x' });
      await deleteOnA(pair, 'f');
      await pair.agreed({ f: 'second' });
      const ran = await bringBack(pair, 'f', '--json');
      expect(eventsOf(ran, 'restored')).toMatchObject([{ v: 1, path: 'f', kind: 'file', size: 5, dryRun: false }]);
      const stats = fs.statSync(path.join(pair.b, 'f'));
      expect([stats.mode & 0o777, stats.mtimeMs]).toEqual([0o640, 1_600_000_000_000]);
      expect(history(pair.b)['f']).toEqual(['first', 'second']);
      expect((await versions(pair.b, 'f')).map(({ reason }) => reason)).toEqual(['restored', 'deleted']);
      const synced = await pair.sync();
      expect(synced.code, synced.stdout).toBe(0);
      pair.expectBoth({ f: 'first', keep: 'x' });
      pair.expectClean();
      pair.expectKept('first', 'second');
      await pair.expectIdle();
    });
  });

  it('of a deleted directory brings back everything in it, links and modes too', async () => {
    await withPair(async (pair) => {
      const tree = { 'd/a': 'a', 'd/sub/b': file('b', { mode: 0o755 }), 'd/l': link('../keep'), keep: 'x' };
      write(pair.a, tree);
      fs.chmodSync(path.join(pair.a, 'd/sub'), 0o750);
      await pair.agreed({});
      const before = contents(pair.b);
      await deleteOnA(pair, 'd');
      const predicted = await bringBack(pair, 'd', '-n');
      expect(predicted.stdout).toContain('would be restored d/a ');
      expect(contents(pair.b)).toEqual({ keep: 'x' });
      const ran = await bringBack(pair, 'd');
      expect(ran.code, ran.stderr).toBe(0);
      expect(contents(pair.b)).toEqual(before);
      expect(fs.statSync(path.join(pair.b, 'd/sub')).mode & 0o777).toBe(0o750);
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth(before);
    });
  });

  it('reaches single files in what --clean-out-first took away', async () => {
    await withPair(async (pair) => {
      write(pair.b, { 'old/deep/f': 'deep', 'old/g': 'g' });
      write(pair.a, { new: 'n' });
      expect((await pair.run('push', ['--clean-out-first', '--allow-dangerous-target'])).code).toBe(0);
      const found = await versions(pair.b, 'old/deep/f');
      expect(found).toMatchObject([{ version: 1, reason: 'clean-out', size: 4 }]);
      expect((await bringBack(pair, 'old/deep/f')).code).toBe(0);
      expect(contents(pair.b)).toEqual({ new: 'n', old: 'dir', 'old/deep': 'dir', 'old/deep/f': 'deep' });
    });
  });

  it('--at brings back the state of that time', async () => {
    await withPair(async (pair) => {
      const times: string[] = [];
      for (const text of ['one', 'two']) {
        await pair.agreed({ 'd/f': text, [`d/${text}`]: text, keep: 'x' });
        times.push(new Date().toISOString());
        await deleteOnA(pair, 'd');
      }
      for (const [time, text] of [
        [times[0], 'one'],
        [times[1], 'two'],
      ]) {
        const out = path.join(pair.dir, `out-${text ?? ''}`);
        const ran = await bringBack(pair, 'd', '--at', time ?? '', '--to', out);
        expect(ran.code, ran.stderr).toBe(0);
        expect(contents(out)).toMatchObject({ 'd/f': text, [`d/${text ?? ''}`]: text });
        expect(Object.keys(contents(out)).includes('d/one')).toBe(text === 'one');
      }
      expect((await bringBack(pair, 'd', '--at', '1h', '-n')).code).toBe(0);
    });
  });

  it.each(['yesterday', '2026-13-01', '12', '2026-11-21T'])('--at %s is no time', async (time) => {
    const ran = await lockstep(['restore', '/', 'f', '--at', time]);
    expect(ran.code).toBe(64);
    expect(ran.stderr).toContain('2026-11-21');
  });

  it('--to overwrites nothing, and then writes nothing', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ 'd/a': 'a', 'd/b': 'b', keep: 'x' });
      await deleteOnA(pair, 'd');
      const out = path.join(pair.dir, 'out');
      write(out, { 'd/b': 'mine' });
      const ran = await bringBack(pair, 'd', '--to', out);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('exists already');
      expect(contents(out)).toEqual({ d: 'dir', 'd/b': 'mine' });
      fs.rmSync(path.join(out, 'd'), { recursive: true });
      expect((await bringBack(pair, 'd', '--to', out)).code).toBe(0);
      expect(contents(out)).toEqual({ d: 'dir', 'd/a': 'a', 'd/b': 'b' });
      expect(contents(pair.b)).toEqual({ keep: 'x' });
    });
  });

  it('never goes through a symlinked parent', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ 'd/f': 'f', keep: 'x' });
      await deleteOnA(pair, 'd/f');
      const outside = path.join(pair.dir, 'outside');
      const out = path.join(pair.dir, 'out');
      for (const dir of [outside, out]) fs.mkdirSync(dir);
      fs.rmSync(path.join(pair.b, 'd'), { recursive: true, force: true });
      for (const base of [pair.b, out]) fs.symlinkSync(outside, path.join(base, 'd'));
      expect((await bringBack(pair, 'd/f')).code).toBe(1);
      expect((await bringBack(pair, 'd', '--to', out)).code).toBe(1);
      expect(fs.readdirSync(outside)).toEqual([]);
      expect(fs.readlinkSync(path.join(pair.b, 'd'))).toBe(outside);
      pair.expectKept('f');
    });
  });

  it('a directory that stands where a file was goes to history whole, and comes back', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ foo: 'file', keep: 'x' });
      await deleteOnA(pair, 'foo');
      write(pair.b, { 'foo/deep/in': 'inside' });
      expect((await bringBack(pair, 'foo')).code).toBe(0);
      expect(contents(pair.b)).toEqual({ foo: 'file', keep: 'x' });
      expect((await bringBack(pair, 'foo')).code).toBe(0);
      expect(contents(pair.b)).toEqual({ foo: 'dir', 'foo/deep': 'dir', 'foo/deep/in': 'inside', keep: 'x' });
      pair.expectKept('file', 'inside');
    });
  });

  for (const [what, was, moment] of [
    ['a file', file('file'), { call: 'openSync', match: /\/staging\/[^/]+\/\w\d+/ }],
    ['a symlink', link('elsewhere'), { call: 'symlinkSync', match: /\/staging\/[^/]+\/\w\d+/ }],
  ] as const) {
    it(`killed while ${what} is made that takes the place of a directory, it has deleted nothing`, async (context) => {
      notInShell(context);
      await withPair(async (pair) => {
        await pair.agreed({ x: was, keep: 'x' });
        await deleteOnA(pair, 'x');
        await pair.agreed({ 'x/1': 'one', 'x/2': 'two' });
        const env = injecting(pair.dir, { ...moment, run: "process.kill(process.pid, 'SIGKILL'); pause(9999);" });
        expect((await lockstep(['restore', pair.b, 'x'], { env })).signal).toBe('SIGKILL');
        const ran = await pair.sync('--backup', 'off');
        expect([ran.code, eventsOf(ran, 'action')], ran.stdout).toEqual([0, []]);
        pair.expectBoth({ x: 'dir', 'x/1': 'one', 'x/2': 'two', keep: 'x' });
        pair.expectClean();
      });
    });
  }

  it('names that are hard to write', async () => {
    await withPair(async (pair) => {
      const broken = Buffer.from([0x62, 0xff, 0x64]);
      const place = (root: string): Buffer => Buffer.concat([Buffer.from(`${root}/`), broken]);
      write(pair.a, { 'two\nlines': 'n', '-dash': 'd', keep: 'x' });
      fs.writeFileSync(place(pair.a), 'broken');
      await pair.agreed({});
      fs.rmSync(place(pair.a));
      fs.rmSync(path.join(pair.a, 'two\nlines'));
      await deleteOnA(pair, '-dash');
      const listed = (await lockstep(['history', pair.b])).stdout;
      for (const shown of ['two\\nlines', '-dash', 'b\\xffd']) {
        expect(listed).toContain(shown);
        const ran = await bringBack(pair, shown);
        expect(ran.code, ran.stderr).toBe(0);
        expect(ran.stdout).toContain(shown);
      }
      expect(fs.readFileSync(place(pair.b), 'utf8')).toBe('broken');
      expect(contents(pair.b)).toMatchObject({ 'two\nlines': 'n', '-dash': 'd' });
    });
  });

  it.each(['../x', '/etc/passwd', '.lockstep/id'])('refuses %s, which is not in the root', async (name) => {
    await withPair(async (pair) => {
      await pair.agreed({ f: 'x', keep: 'x' });
      await deleteOnA(pair, 'f');
      expect((await bringBack(pair, name)).code).toBe(64);
    });
  });

  it('--version counts from 1', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ 'd/f': 'x', keep: 'x' });
      await deleteOnA(pair, 'd');
      expect((await bringBack(pair, 'd/f', '--version=0')).code).toBe(64);
      expect((await bringBack(pair, 'd/f', '--version=2')).code).toBe(1);
      expect(contents(pair.b)).toEqual({ keep: 'x' });
    });
  });

  it('waits for nobody: a root in use is refused', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ f: 'x', keep: 'x' });
      await deleteOnA(pair, 'f');
      const owner = { host: 'elsewhere', boot: '', pid: 1, start: '', run: 'r', command: 'c', since: 's' };
      fs.writeFileSync(path.join(pair.b, '.lockstep/lock'), JSON.stringify(owner));
      expect((await bringBack(pair, 'f')).code).toBe(3);
      expect((await bringBack(pair, 'f', '--force-unlock')).code).toBe(0);
      pair.expectClean();
      const out = path.join(pair.dir, 'out');
      write(out, { '.lockstep/lock': JSON.stringify(owner) });
      expect((await bringBack(pair, 'f', '--to', out)).code).toBe(3);
      expect((await bringBack(pair, 'f', '--to', out, '--force-unlock')).code).toBe(0);
      expect(contents(out)).toEqual({ f: 'x' });
    });
  });

  it('of several paths with --to finds before anything is done that two would come to lie in one place', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ 'a/x': 'a', 'b/x/in': 'b', 'a/d/1': '1', 'b/d/2': '2', keep: 'x' });
      await deleteOnA(pair, 'a');
      await deleteOnA(pair, 'b');
      const out = path.join(pair.dir, 'out');
      const run = async (...names: string[]): Promise<Ran> => lockstep(['restore', pair.b, ...names, '--to', out]);
      for (const names of [
        ['a/x', 'b/x'],
        ['b/x/in', 'b/x', 'a/x'],
      ]) {
        const ran = await run(...names);
        expect([ran.code, fs.existsSync(out)], ran.stdout).toEqual([64, false]);
        expect(ran.stderr).toMatch(/b\/x and a\/x would|a\/x and b\/x would/);
      }
      // Directories may be put together, and what is asked for twice is not two.
      expect((await run('a/d', 'b/d', 'a/x', 'a/x')).code).toBe(0);
      expect(contents(out)).toEqual({ d: 'dir', 'd/1': '1', 'd/2': '2', x: 'a' });
    });
  });

  it('of several paths tells what was restored when a later one could not be', async (context) => {
    notInShell(context);
    await withPair(async (pair) => {
      await pair.agreed({ f: 'f', g: 'g', keep: 'x' });
      await deleteOnA(pair, 'f');
      await deleteOnA(pair, 'g');
      const out = path.join(pair.dir, 'out');
      // Somebody else is quicker.
      const run = `fs.writeFileSync('${out}/g', 'mine');`;
      const env = injecting(pair.dir, { call: 'linkSync', match: /\/f$/, when: 'after', run });
      const ran = await lockstep(['restore', pair.b, 'f', 'g', '--to', out], { env });
      expect([ran.code, contents(out)], ran.stderr).toEqual([2, { f: 'f', g: 'mine' }]);
      expect(ran.stdout).toMatch(/^restored .*\/f .*\nincomplete: 1 path/);
      expect(ran.stderr).toMatch(/skipped: g: .*out\/g exists already/);
    });
  });

  it('takes paths from a directory in the root, also those that lead up', async (context) => {
    onlyHere(context, 'paths of this machine');
    await withPair(async (pair) => {
      await pair.agreed({ 'a/keep': 'x', 'b/x': 'b' });
      await deleteOnA(pair, 'b');
      const cwd = path.join(pair.b, 'a');
      const listed = await lockstep(['history', '..', '../b/x'], { cwd });
      expect(listed.stdout).toMatch(/ b\/x$/m);
      const ran = await lockstep(['restore', '..', '../b/x'], { cwd });
      expect([ran.code, ran.stderr]).toEqual([0, '']);
      expect(contents(pair.b)).toMatchObject({ 'b/x': 'b' });
      const none = await lockstep(['restore', '..', '../b/y'], { cwd });
      expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('history has no version of b/y')]);
      expect((await lockstep(['restore', '..', '../../x'], { cwd })).code).toBe(64);
    });
  });
});

describe('retention', () => {
  it('--keep-versions', async () => {
    await withPair(async (pair) => {
      for (const text of ['1', '2', '3', '4']) {
        await pair.agreed({ f: text, keep: 'x' });
        await deleteOnA(pair, 'f', '--keep-versions', '2');
      }
      expect(history(pair.b)).toEqual({ f: ['3', '4'] });
      expect(fs.readdirSync(path.join(pair.b, '.lockstep/history'))).toHaveLength(2);
    });
  });

  it('--keep-versions spares what was kept just now, though a clock that went back makes older versions seem newer', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ f: 'old', keep: 'x' });
      await deleteOnA(pair, 'f');
      age(pair.b, -0.01);
      await pair.agreed({ f: 'again' });
      write(pair.b, { f: 'the only copy' });
      write(pair.a, { f: 'winner' });
      const ran = await pair.sync('--on-conflict', 'local', '--keep-versions', '1');
      expect(ran.code, ran.stdout).toBe(0);
      pair.expectBoth({ f: 'winner', keep: 'x' });
      expect(history(pair.b)).toEqual({ f: ['the only copy'] });
    });
  });

  it('--keep-days counts from the keeping, not from the time of the file', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ old: 'old', f: file('f', { mtime: 1000 }), keep: 'x' });
      await deleteOnA(pair, 'old');
      age(pair.b, 40);
      await deleteOnA(pair, 'f');
      expect(history(pair.b)).toEqual({ f: ['f'] });
    });
  });

  it('--keep-size leaves a file that is larger for an hour, whatever is synced meanwhile', async () => {
    await withPair(async (pair) => {
      await pair.agreed({ large: 'x'.repeat(3000), small: 's', keep: 'x' });
      await deleteOnA(pair, 'small', '--keep-size', '1K');
      await deleteOnA(pair, 'large', '--keep-size', '1K');
      await pair.agreed({ other: 'o' }, '--keep-size', '1K');
      await deleteOnA(pair, 'other', '--keep-size', '1K');
      expect(Object.keys(history(pair.b)).sort()).toEqual(['large', 'other', 'small']);
      age(pair.b, 0.05);
      await pair.agreed({ other: 'o' });
      await deleteOnA(pair, 'other', '--keep-size', '1K');
      expect(history(pair.b)).toEqual({ other: ['o', 'o'], small: ['s'] });
    });
  });

  it('--keep-size takes the oldest first', async () => {
    await withPair(async (pair) => {
      for (const name of ['one', 'two', 'three']) await pair.agreed({ [name]: name.padEnd(1000), keep: 'x' });
      for (const name of ['one', 'two', 'three']) await deleteOnA(pair, name, '--keep-size', '2500');
      expect(Object.keys(history(pair.b)).sort()).toEqual(['three', 'two']);
    });
  });
});
