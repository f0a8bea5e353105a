/**
 * Disks that are full, read-only, or go away. SCENARIOS 103, 104, 106, 109; DESIGN §7. On small file systems in memory,
 * which only root may mount.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { eventsOf, lockstep, notInShell, type Ran } from '../support/cli.ts';
import { cuttingProxy } from '../support/cutting-proxy.ts';
import { attempt } from '../support/host.ts';
import { injecting } from '../support/inject.ts';
import { everything } from '../support/oracles.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, litter, write } from '../support/tree.ts';

/** A pair below which anything may be mounted. */
async function withDisks(act: (pair: Pair) => Promise<void>): Promise<void> {
  await withPair(async (pair) => {
    try {
      await act(pair);
    } finally {
      const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
      const points = mounts.map((line) => line.split(' ')[1] ?? '').filter((point) => point.startsWith(`${pair.dir}/`));
      for (const point of points.reverse()) attempt('umount', '-l', point);
    }
  });
}

/** Mounts a file system in memory, or skips the test. */
function mountMemory(context: TestContext, dir: string, options: string): void {
  fs.mkdirSync(dir, { recursive: true });
  const failed = attempt('mount', '-t', 'tmpfs', '-o', `mode=755,${options}`, 'lockstep-test', dir);
  if (failed !== undefined) context.skip(`cannot mount a file system here: ${failed}`);
}

/** A pair of which B lies on a small disk of its own, beside which there is room for other things. */
async function withSmallDisk(
  context: TestContext,
  options: string,
  act: (pair: Pair, disk: string) => Promise<void>,
): Promise<void> {
  await withDisks(async (pair) => {
    const disk = path.join(pair.dir, 'disk');
    mountMemory(context, disk, options);
    fs.mkdirSync(path.join(disk, 'b'));
    fs.symlinkSync(path.join(disk, 'b'), pair.b);
    await act(pair, disk);
  });
}

const MB = 1 << 20;
const big = (letter: string, size = MB): string => letter.repeat(size);

describe('103: a disk that is too small', () => {
  it('for a file beside what had come of it: that goes, and the file is begun anew', async (context) =>
    withSmallDisk(context, 'size=36m', async (pair, disk) => {
      const file = path.join(pair.a, 'big');
      fs.writeFileSync(file, randomBytes(24 * MB));
      const through = async (cutAfter?: number): Promise<Ran> => {
        const { argv } = cuttingProxy(pair.dir, cutAfter);
        return lockstep(['push', pair.a, path.join(disk, 'b'), '--json', '--state-dir', pair.state, '--', ...argv]);
      };
      expect((await through(16 * MB)).code).toBe(1);
      const ran = await through();
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(fs.readFileSync(path.join(disk, 'b/big')).equals(fs.readFileSync(file))).toBe(true);
      expect(litter(path.join(disk, 'b'))).toEqual([]);
    }));

  it('for an atomic directory that wins: the loser is not cleared for it', async (context) =>
    withSmallDisk(context, 'size=8m', async (pair, disk) => {
      const atomic = ['--atomic', 'db'];
      await pair.agreed({ 'db/1': 'o', 'db/2': 'o' }, ...atomic);
      write(pair.b, { 'db/1': 'from b' });
      write(pair.a, { 'db/2': big('a') });
      const run = `
        const file = fs.openSync(${JSON.stringify(path.join(disk, 'fill'))}, 'w');
        try { for (;;) fs.writeSync(file, Buffer.alloc(65536, 1)); } catch { fs.closeSync(file); }`;
      const env = injecting(pair.dir, { call: 'openSync', match: /\/a\/db\/2 \d+$/, run });
      const args = [...atomic, '--on-conflict', 'local'];
      const ran = await pair.run('sync', args, { env });
      expect(ran.code, ran.stdout + ran.stderr).toBe(1);
      expect(eventsOf(ran, 'skip')).toMatchObject([{ path: 'db', why: 'no-space' }]);
      expect(contents(path.join(disk, 'b'))).toEqual({ db: 'dir', 'db/1': 'from b', 'db/2': 'o' });
      fs.rmSync(path.join(disk, 'fill'));
      expect((await pair.sync(...args)).code).toBe(0);
      expect(contents(path.join(disk, 'b'))).toEqual(contents(pair.a));
      pair.expectKept('from b');
    }));

  it('for all of it is found before anything is written', async (context) =>
    withSmallDisk(context, 'size=8m', async (pair, disk) => {
      write(pair.a, { ...Object.fromEntries(['x', 'y', 'z'].map((name) => [name, big(name, 3 * MB)])), small: 's' });
      write(pair.b, { theirs: 't' });
      const before = everything(path.join(disk, 'b'));
      delete before[''];
      const ran = await pair.sync();
      expect(ran.code, ran.stdout).toBe(3);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'no-space', exitCode: 3 }]);
      expect(eventsOf(ran, 'error')[0]?.['path']).toContain(pair.b);
      const after = everything(path.join(disk, 'b'));
      delete after[''];
      expect(after).toEqual(before);
      expect(fs.existsSync(path.join(pair.a, 'theirs'))).toBe(false);
      // With room, it goes on as it was meant.
      fs.rmSync(path.join(pair.a, 'z'));
      expect((await pair.sync()).code).toBe(0);
      pair.expectEqual();
    }));

  it('leaves no directory where the destination would have been made', async (context) =>
    withSmallDisk(context, 'size=1m', async (pair, disk) => {
      write(pair.a, { x: big('x', 2 * MB) });
      fs.rmSync(pair.b);
      fs.symlinkSync(disk, path.join(pair.dir, 'link'));
      for (const command of ['sync', 'push']) {
        const ran = await lockstep([command, pair.a, `${pair.dir}/link/new/dir`, '--state-dir', pair.state]);
        expect(ran.code, ran.stderr).toBe(3);
        expect(fs.readdirSync(disk)).toEqual(['b']);
      }
      expect(fs.readdirSync(pair.a)).toEqual(['x']);
    }));

  for (const [what, options, remount] of [
    ['bytes', 'size=8m', undefined],
    ['inodes', 'size=8m,nr_inodes=60', 'remount,nr_inodes=1000'],
  ] as const) {
    it(`and has no more ${what} in the middle of the run: exit 1, what is there stays, the rest goes on`, async (context) =>
      withSmallDisk(context, options, async (pair, disk) => {
        const keeps = what === 'bytes' ? { x: big('x'), y: 'old', z: 'old' } : { y: 'old', z: 'old' };
        await pair.agreed({ ...keeps, gone: 'g' });
        write(pair.a, { y: big('y'), z: big('z'), 'new/n': 'n', 'new/m': 'm' });
        if (what === 'inodes') for (let i = 0; i < 80; i += 1) write(pair.a, { [`many/f${i}`]: `${i}` });
        write(pair.b, { 'from-b': 'b', x: big('b', 1000) });
        fs.rmSync(path.join(pair.b, 'gone'));
        const fill = path.join(disk, 'fill');
        const deed = `
          const file = fs.openSync(${JSON.stringify(fill)}, 'w');
          try { for (;;) fs.writeSync(file, Buffer.alloc(65536, 1)); } catch { fs.closeSync(file); }`;
        const env = what === 'bytes' ? injecting(pair.dir, { call: 'openSync', match: /\/a\/y \d+$/, run: deed }) : {};
        const ran = await pair.run('sync', [], { env });
        expect(ran.code, ran.stdout + ran.stderr).toBe(1);
        const skips = eventsOf(ran, 'skip');
        expect(skips.length).toBeGreaterThan(0);
        for (const skip of skips) expect(skip).toMatchObject({ side: 'remote', why: 'no-space' });
        expect(ran.stderr).not.toMatch(/bug/);
        // Nothing torn, nothing gone, and what flows the other way has arrived.
        for (const name of ['y', 'z']) expect(['old', big(name)]).toContain(contents(pair.b)[name]);
        expect(contents(pair.a)).toMatchObject({ 'from-b': 'b', x: big('b', 1000) });
        expect(contents(pair.a)).not.toHaveProperty('gone');
        pair.expectClean();
        fs.rmSync(fill, { force: true });
        if (remount !== undefined) execFileSync('mount', ['-o', remount, disk]);
        const next = await pair.sync();
        expect(next.code, next.stdout).toBe(0);
        pair.expectEqual();
        await pair.expectIdle();
      }));
  }

  for (const [code, why, exitCode] of [
    ['EDQUOT', 'no-space', 1],
    ['EIO', 'failed', 2],
  ] as const) {
    it(`or fails (${code}) for one file: the old one stays, the rest goes on in both directions, the next run heals`, async (context) =>
      withPair(async (pair) => {
        notInShell(context);
        await pair.agreed({ y: 'old', z: 'old' });
        write(pair.a, { y: 'Y fails', z: 'new', 'new/n': 'n', 'new/y': 'Y fails too' });
        write(pair.b, { 'from-b': 'b' });
        const failing = `
          const isOurs = fs.readlinkSync('/proc/self/fd/' + args[0]).includes('/b/.lockstep/staging/');
          if (isOurs && args[1][0] === 'Y'.charCodeAt(0)) {
            throw Object.assign(new Error('${code}: as a disk says it, write'), { code: '${code}', syscall: 'write' });
          }`;
        const env = injecting(pair.dir, { call: 'writeSync', match: /./, nth: 'every', run: failing });
        const ran = await pair.run('sync', [], { env });
        expect(ran.code, ran.stdout + ran.stderr).toBe(exitCode);
        const skips = eventsOf(ran, 'skip');
        expect(skips).toContainEqual(expect.objectContaining({ side: 'remote', path: 'y', why }));
        expect(contents(pair.b)['y']).toBe('old');
        expect(contents(pair.b)).not.toHaveProperty('new/y');
        expect(contents(pair.a)['from-b']).toBe('b');
        // A full disk may be spared everything else; a bad spot of it is not the whole disk.
        if (code === 'EIO') expect(contents(pair.b)).toMatchObject({ z: 'new', 'new/n': 'n' });
        pair.expectClean();
        expect((await pair.sync()).code).toBe(0);
        pair.expectEqual();
        await pair.expectIdle();
      }));
  }

  it('104: for the record: what is there stays as it is, and the next run heals', async (context) =>
    withDisks(async (pair) => {
      mountMemory(context, pair.state, 'size=256k');
      await pair.agreed({ f: 'o', gone: 'o' });
      const fill = path.join(pair.state, 'fill');
      const fillUp = `
        const file = fs.openSync(${JSON.stringify(fill)}, 'w');
        for (const size of [4096, 1]) try { for (;;) fs.writeSync(file, Buffer.alloc(size, 1)); } catch {}
        fs.closeSync(file);`;
      write(pair.a, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`new-${i}-${'x'.repeat(100)}`, `${i}`])));
      write(pair.a, { f: 'edited' });
      fs.rmSync(path.join(pair.a, 'gone'));
      const ran = await pair.run('sync', [], {
        env: injecting(pair.dir, { call: 'writeSync', match: /"type":"(patch|set|session)"/, run: fillUp }),
      });
      expect(ran.code, ran.stdout).toBe(1);
      expect(ran.stderr).not.toMatch(/bug in Lockstep/);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'state', exitCode: 1 }]);
      expect(ran.stdout).toMatch(/no space left/);
      pair.expectClean();
      const again = await pair.sync();
      expect(again.code, again.stdout).toBe(1);
      expect(eventsOf(again, 'error')).toMatchObject([{ code: 'state' }]);
      fs.rmSync(fill);
      expect((await pair.sync()).code).toBe(0);
      pair.expectEqual();
      expect(contents(pair.b)).toMatchObject({ f: 'edited' });
      expect(contents(pair.b)).not.toHaveProperty('gone');
      await pair.expectIdle();
    }));
});

describe('106: a root that is unmounted', () => {
  const unmount = (pair: Pair): string =>
    `process.getBuiltinModule('child_process').execFileSync('umount', ['-l', ${JSON.stringify(pair.a)}]);`;
  const tree = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`d${i % 3}/e/f${i}`, `${i}`]));

  it('while it is scanned: nothing is concluded from that', async (context) =>
    withDisks(async (pair) => {
      mountMemory(context, pair.a, 'size=8m');
      await pair.agreed(tree);
      write(pair.b, { new: 'n' });
      const before = contents(pair.b);
      const env = injecting(pair.dir, { call: 'readdirSync', match: /\/a\/d1 /, run: unmount(pair) });
      const ran = await pair.run('sync', ['--max-delete', 'off'], { env });
      expect(ran.code, ran.stdout + ran.stderr).toBe(3);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'root-replaced', path: pair.a }]);
      expect(contents(pair.b)).toEqual(before);
      expect(fs.readdirSync(pair.a)).toEqual([]);
      pair.expectClean();
      const next = await pair.sync('--max-delete', 'off');
      expect(next.code).toBe(3);
      expect(eventsOf(next, 'error')).toMatchObject([{ code: 'root-replaced', path: pair.a }]);
      expect(fs.readdirSync(pair.a)).toEqual([]);
      expect(contents(pair.b)).toEqual(before);
    }));

  it('while it is read: nothing torn, nothing deleted, nothing put in its place', async (context) =>
    withDisks(async (pair) => {
      mountMemory(context, pair.a, 'size=8m');
      await pair.agreed(tree);
      write(pair.a, { 'd0/e/f0': 'edited', 'd2/e/f2': 'edited', 'new/n': 'n' });
      write(pair.b, { 'from-b/x': 'x', 'd1/e/f1': 'edited on b' });
      const env = injecting(pair.dir, { call: 'openSync', match: /\/a\/\S+ \d+$/, run: unmount(pair) });
      const ran = await pair.run('sync', [], { env });
      expect([1, 2, 3], ran.stdout + ran.stderr).toContain(ran.code);
      expect(ran.stderr).not.toMatch(/bug in Lockstep/);
      expect(contents(pair.b)).toMatchObject({ ...tree, 'd1/e/f1': 'edited on b', 'from-b/x': 'x' });
      expect(fs.readdirSync(pair.a)).toEqual([]);
      pair.expectClean();
    }));
});

describe('109: a mount inside a root', () => {
  it('that is gone stops the run; mounted again, all is as it was; --rebaseline goes on without', async (context) =>
    withDisks(async (pair) => {
      const disk = path.join(pair.dir, 'disk');
      mountMemory(context, disk, 'size=8m');
      write(disk, { f: '1', 'd/g': '2' });
      write(pair.a, { other: 'o', 'deep/mnt/': '' });
      const mount = (): void => void execFileSync('mount', ['--bind', disk, path.join(pair.a, 'deep/mnt')]);
      const unmount = (): void => void execFileSync('umount', [path.join(pair.a, 'deep/mnt')]);
      mount();
      expect((await pair.sync()).code).toBe(0);
      const whole = {
        other: 'o',
        deep: 'dir',
        'deep/mnt': 'dir',
        'deep/mnt/f': '1',
        'deep/mnt/d': 'dir',
        'deep/mnt/d/g': '2',
      };
      expect(contents(pair.b)).toEqual(whole);
      await pair.expectIdle();
      unmount();
      const ran = await pair.sync('--max-delete', 'off');
      expect(ran.code, ran.stdout).toBe(3);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'mount-gone', path: 'deep/mnt' }]);
      expect(String(eventsOf(ran, 'error')[0]?.['message'])).toContain(pair.a);
      expect(contents(pair.b)).toEqual(whole);
      mount();
      await pair.expectIdle();
      unmount();
      expect((await pair.sync('--rebaseline')).code).toBe(0);
      pair.expectBoth(whole);
      expect(contents(disk)).toEqual({ f: '1', d: 'dir', 'd/g': '2' });
    }));

  it('that is gone from the source of a mirror: --rebaseline deletes nothing in that run', async (context) =>
    withDisks(async (pair) => {
      mountMemory(context, path.join(pair.a, 'data'), 'size=8m');
      const files = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`data/f${i}`, String(i)]));
      write(pair.a, { ...files, other: 'o' });
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      execFileSync('umount', [path.join(pair.a, 'data')]);
      const halted = await pair.run('push', ['--delete']);
      expect(halted.code, halted.stdout).toBe(3);
      expect(eventsOf(halted, 'error')).toMatchObject([{ code: 'mount-gone', path: 'data' }]);
      expect(String(eventsOf(halted, 'error')[0]?.['hint'])).toMatch(
        /--rebaseline: nothing is deleted in that run; what only the target has is named, and deleted by the next/,
      );
      const ran = await pair.run('push', ['--delete', '--rebaseline']);
      expect(ran.code, ran.stdout).toBe(2);
      expect(contents(pair.b)).toEqual({ ...files, data: 'dir', other: 'o' });
      expect(eventsOf(ran, 'skip')).toHaveLength(6);
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      expect(contents(pair.b)).toEqual({ data: 'dir', other: 'o' });
      pair.expectKept('0', '1', '2', '3', '4', '5');
    }));

  it('is renamed in and deleted from; what would have to be staged is told, path by path', async (context) =>
    withDisks(async (pair) => {
      mountMemory(context, path.join(pair.a, 'mnt'), 'size=8m');
      await pair.agreed({ 'mnt/f': '1', 'mnt/gone': '2', 'mnt/name': '3', 'mnt/edit': '4', other: 'o' });
      write(pair.b, { 'mnt/new/x': 'x', 'mnt/edit': 'edited', 'mnt/file': 'y', other: 'edited' });
      fs.rmSync(path.join(pair.b, 'mnt/gone'));
      fs.renameSync(path.join(pair.b, 'mnt/name'), path.join(pair.b, 'mnt/other'));
      const ran = await pair.sync();
      expect(ran.code, ran.stdout).toBe(2);
      const told = eventsOf(ran, 'skip').map((skip) => [skip['path'], skip['detail']]);
      expect(told.sort()).toEqual(['edit', 'file', 'new'].map((name) => [`mnt/${name}`, 'on another file system']));
      expect(contents(path.join(pair.a, 'mnt'))).toEqual({ f: '1', other: '3', edit: '4' });
      expect(contents(pair.a)['other']).toBe('edited');
      pair.expectKept('1', '2', '3', 'x', 'edited', 'y');
      pair.expectClean();
    }));
});

describe('a read-only disk', () => {
  /** Makes a directory read-only for everybody, root included. */
  function freeze(context: TestContext, dir: string): () => void {
    const failed = attempt('mount', '--bind', dir, dir) ?? attempt('mount', '-o', 'remount,bind,ro', dir);
    if (failed !== undefined) context.skip(`cannot mount a file system here: ${failed}`);
    return () => void attempt('umount', dir);
  }

  it('as destination is told in one line, and nothing is written', async (context) =>
    withDisks(async (pair) => {
      write(pair.a, { f: 'o' });
      fs.mkdirSync(pair.b);
      for (const round of ['new', 'known']) {
        const before = everything(pair.dir);
        const release = freeze(context, pair.b);
        const ran = await lockstep(['sync', pair.a, pair.b, '--state-dir', pair.state]);
        expect([ran.code, ran.stdout], ran.stderr).toEqual([1, '']);
        expect(ran.stderr, round).toMatch(/^lockstep: .*read-only.*\n( {2}.*\n)?$/);
        expect(ran.stderr).toContain(pair.b);
        release();
        const rest = (found: Record<string, string>): [string, string][] =>
          Object.entries(found).filter(([name]) => name !== 'a' && name !== 'a/.lockstep');
        expect(rest(everything(pair.dir))).toEqual(rest(before));
        expect((await pair.sync()).code).toBe(0);
        write(pair.a, { f: 'x' });
      }
    }));

  it('as source of a push is all that a push needs', async (context) =>
    withDisks(async (pair) => {
      write(pair.a, { f: 'o', 'd/g': 'o' });
      const release = freeze(context, pair.a);
      for (const args of [[], ['--delete'], ['--checksum']]) expect((await pair.run('push', args)).code).toBe(0);
      release();
      expect(contents(pair.b)).toEqual({ f: 'o', d: 'dir', 'd/g': 'o' });
    }));

  it('as place of the record is told before anything is done', async (context) =>
    withDisks(async (pair) => {
      write(pair.a, { f: 'o' });
      fs.mkdirSync(pair.state);
      const release = freeze(context, pair.state);
      for (const command of ['sync', 'push'] as const) {
        const ran = await pair.run(command);
        expect(ran.code, ran.stdout + ran.stderr).toBe(1);
        expect(ran.stderr).not.toMatch(/bug in Lockstep/);
        expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'state', path: pair.state }]);
        expect(fs.existsSync(path.join(pair.b, 'f'))).toBe(false);
      }
      release();
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth({ f: 'o' });
    }));
});
