/**
 * DESIGN §7: a guard stops a run before anything is written, says what it saw and what continues, and that does continue.
 * SCENARIOS 31, 106, 107, 109, 124, 130, 131, 139.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { cliPath, eventsOf, events, lockstep, type Ran, type RunOptions } from '../support/cli.ts';
import { everything } from '../support/oracles.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, write } from '../support/tree.ts';

export interface Halt {
  code: string;
  /** In the message: what it is about. */
  path: string;
  /** In the hint: the option that continues. */
  option?: string;
  command?: 'sync' | 'push' | 'pull';
  args?: readonly string[];
  run?: RunOptions;
}

/** Every byte of both roots and the state; times of the roots that our lock came and went in aside. */
function everythingOf(pair: Pair): Record<string, string> {
  const all = Object.entries(everything(pair.dir));
  const found = Object.fromEntries(all.filter(([name]) => !['a', 'b', ''].includes(name)));
  for (const name of ['a/.lockstep', 'b/.lockstep']) {
    // The lock comes and goes: only that the directory is there, and the same one, is looked at.
    if (found[name] !== undefined) found[name] = found[name].split(' ').slice(0, 2).join(' ');
  }
  return found;
}

/** The run halts with exit 3, says why for people and programs, and nothing whatever was written. */
async function expectHalt(pair: Pair, halt: Halt): Promise<Ran> {
  const { command = 'sync', args = [], run = {} } = halt;
  const before = everythingOf(pair);
  const ran = await pair.run(command, args, run);
  expect(ran.code, ran.stdout + ran.stderr).toBe(3);
  const [error] = eventsOf(ran, 'error');
  expect(events(ran).filter(({ type }) => type === 'action')).toEqual([]);
  expect(error).toMatchObject({ code: halt.code, exitCode: 3 });
  expect(String(error?.['message'])).toContain(halt.path);
  if (halt.option !== undefined) expect(String(error?.['hint'])).toContain(halt.option);
  expect(everythingOf(pair)).toEqual(before);
  return ran;
}

const many = (count: number, dir = 'd'): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${dir}/f${i}`, `content ${i}`]));

describe('a root', () => {
  it('that is missing although it was there', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', g: 'o' });
      fs.renameSync(pair.b, `${pair.b}.away`);
      await expectHalt(pair, { code: 'root-missing', path: pair.b, option: '--rebaseline' });
      expect(fs.existsSync(pair.b)).toBe(false);
      fs.mkdirSync(pair.b);
      expect((await pair.sync('--rebaseline')).code).toBe(0);
      pair.expectBoth({ f: 'o', g: 'o' });
      fs.renameSync(pair.a, `${pair.a}.away`);
      await expectHalt(pair, { code: 'root-missing', path: pair.a, option: '--rebaseline' });
    }));

  it('107: that is another directory now', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', g: 'o' });
      for (const side of ['a', 'b'] as const) {
        fs.renameSync(pair[side], `${pair[side]}.away`);
        write(pair[side], { other: 'files' });
        await expectHalt(pair, { code: 'root-replaced', path: pair[side], option: '--rebaseline' });
        // Not even an id: it may be the mount point of a disk that comes back.
        expect(fs.readdirSync(pair[side])).toEqual(['other']);
        await expectHalt(pair, { code: 'root-replaced', path: pair[side], option: '--rebaseline' });
        fs.rmSync(pair[side], { recursive: true });
        fs.renameSync(`${pair[side]}.away`, pair[side]);
        await pair.expectIdle();
      }
      fs.rmSync(pair.b, { recursive: true });
      write(pair.b, { other: 'files' });
      expect((await pair.sync('--rebaseline')).code).toBe(0);
      pair.expectBoth({ f: 'o', g: 'o', other: 'files' });
    }));

  it('107: in a mirror', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'o', g: 'o' });
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      for (const side of ['a', 'b'] as const) {
        fs.renameSync(pair[side], `${pair[side]}.away`);
        write(pair[side], { other: 'files' });
        const halt = { code: 'root-replaced', path: pair[side], option: '--rebaseline' } as const;
        await expectHalt(pair, { ...halt, command: 'push', args: ['--delete'] });
        expect(fs.readdirSync(pair[side])).toEqual(['other']);
        fs.rmSync(pair[side], { recursive: true });
        fs.renameSync(`${pair[side]}.away`, pair[side]);
      }
    }));

  it('107: in a mirror, --rebaseline deletes nothing, as its message says', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'o', g: 'o', 'kind/in': 'i', leaf: 'l', 'repo.d/x': 'x' });
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      fs.renameSync(pair.b, `${pair.b}.away`);
      const foreign = { other: 'files', 'deep/er/f': 'f', kind: 'a file', 'leaf/in': 'i', 'repo.d/y': 'y' };
      write(pair.b, foreign);
      const args = ['--delete', '--backup', 'off', '--atomic', 'repo.d'];
      const halt = { code: 'root-replaced', path: pair.b, option: '--rebaseline' } as const;
      const halted = await expectHalt(pair, { ...halt, command: 'push', args });
      const hint = String(eventsOf(halted, 'error')[0]?.['hint']);
      expect(hint).toMatch(
        /nothing is deleted in that run; what only the target has is named, and deleted by the next/,
      );
      const before = contents(pair.b);
      const ran = await pair.run('push', [...args, '--rebaseline']);
      expect(ran.code, ran.stdout + ran.stderr).toBe(2);
      expect(ran.stdout).toMatch(/nothing is deleted in this run; what only the target has is named, and deleted/);
      expect(contents(pair.b)).toEqual({ ...before, f: 'o', g: 'o' });
      expect(eventsOf(ran, 'action').filter(({ op }) => op === 'delete')).toEqual([]);
      const told = eventsOf(ran, 'skip').map(({ path: at, why }) => `${String(at)} ${String(why)}`);
      expect(told.sort()).toEqual(['deep', 'kind', 'leaf', 'other', 'repo.d'].map((at) => `${at} would-delete`));
      // The next one is an ordinary mirror again.
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      pair.expectEqual();
      pair.expectKept('files', 'f', 'a file', 'i', 'y');
    }));

  it('139: that is empty although it was not', async () =>
    withPair(async (pair) => {
      await pair.agreed({ a: '1', b: '2', c: '3', 'd/e': '4' });
      for (const name of fs.readdirSync(pair.a)) {
        if (name !== '.lockstep') fs.rmSync(path.join(pair.a, name), { recursive: true });
      }
      const halt = { code: 'root-emptied', path: pair.a, option: '--max-delete off' };
      await expectHalt(pair, halt);
      // A number that may stand in a script does not let it through.
      await expectHalt(pair, { ...halt, args: ['--max-delete', '1000'] });
      expect((await pair.sync('--max-delete', 'off')).code).toBe(0);
      pair.expectBoth({});
    }));

  it('with fewer than four entries may become empty', async () =>
    withPair(async (pair) => {
      await pair.agreed({ a: '1', b: '2', c: '3' });
      for (const name of ['a', 'b', 'c']) fs.rmSync(path.join(pair.b, name));
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth({});
    }));

  it('that is a file', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'o' });
      fs.writeFileSync(pair.b, 'a file');
      await expectHalt(pair, { code: 'root-not-directory', path: pair.b });
      await expectHalt(pair, { code: 'root-not-directory', path: pair.b, command: 'push' });
      await expectHalt(pair, { code: 'root-not-directory', path: pair.b, command: 'pull' });
      expect(fs.readFileSync(pair.b, 'utf8')).toBe('a file');
    }));
});

describe('31, 124: deletions', () => {
  /** 60 files agreed, then `count` of them deleted on A. */
  async function deleted(pair: Pair, count: number): Promise<void> {
    await pair.agreed({ ...many(60), other: 'o' });
    for (let i = 0; i < count; i += 1) fs.rmSync(path.join(pair.a, `d/f${i}`));
  }

  it('of half of all entries pass, of more do not', async () =>
    withPair(async (pair) => {
      // 62 entries with the directory.
      await deleted(pair, 32);
      write(pair.a, { 'd/new': 'n' });
      write(pair.b, { other: 'edited' });
      const ran = await expectHalt(pair, {
        code: 'too-many-deletions',
        path: '32 deletions of 62 would be carried to',
        option: '--max-delete 32',
      });
      expect(ran.stdout).toContain(pair.b);
      expect((await pair.sync('--max-delete', '32')).code).toBe(0);
      expect(Object.keys(contents(pair.b))).toHaveLength(31);
      pair.expectEqual();
    }));

  it('up to the limit pass', async () =>
    withPair(async (pair) => {
      await deleted(pair, 31);
      expect((await pair.sync()).code).toBe(0);
      expect(Object.keys(contents(pair.b))).toHaveLength(31);
    }));

  const limits: [limit: string, passes: boolean][] = [
    ['9', false],
    ['10', true],
    ['0', false],
    ['15%', false],
    ['17%', true],
    ['0%', false],
    ['100%', true],
    ['off', true],
  ];
  it('124: all or none, by number, share or not at all', async () =>
    withPair(async (pair) => {
      await deleted(pair, 10);
      for (const [limit, passes] of limits.filter(([, does]) => !does)) {
        const args = ['--max-delete', limit];
        await expectHalt(pair, { code: 'too-many-deletions', path: pair.b, option: '--max-delete 10', args });
        expect(passes).toBe(false);
      }
      for (const [limit] of limits.filter(([, does]) => does)) {
        const predicted = await pair.sync('--max-delete', limit, '--dry-run');
        expect([limit, predicted.code, eventsOf(predicted, 'action').length]).toEqual([limit, 0, 10]);
      }
      expect((await pair.sync('--max-delete', '10')).code).toBe(0);
      expect(Object.keys(contents(pair.b))).toHaveLength(52);
    }));

  it('in a mirror count too, also at the first meeting', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'o' });
      write(pair.b, many(40));
      const args = ['--delete'];
      const halt = { code: 'too-many-deletions', path: pair.b, option: '--max-delete 41', command: 'push' } as const;
      await expectHalt(pair, { ...halt, args });
      expect((await pair.run('push', ['--delete', '--max-delete', '41'])).code).toBe(0);
      expect(contents(pair.b)).toEqual({ f: 'o' });
      pair.expectKept('content 0', 'content 39');
    }));

  it('109: of a whole top-level directory that still stands', async () =>
    withPair(async (pair) => {
      await pair.agreed({ ...many(25, 'data'), ...many(100, 'other') });
      for (const name of fs.readdirSync(path.join(pair.a, 'data'))) fs.rmSync(path.join(pair.a, 'data', name));
      const halt = { code: 'too-many-deletions', path: 'data/', option: '--max-delete off' };
      await expectHalt(pair, halt);
      await expectHalt(pair, { ...halt, args: ['--max-delete', '100'] });
      expect((await pair.sync('--max-delete', 'off')).code).toBe(0);
      expect(fs.readdirSync(path.join(pair.b, 'data'))).toEqual([]);
    }));

  it('52: renames are none', async () =>
    withPair(async (pair) => {
      await pair.agreed(many(60));
      fs.renameSync(path.join(pair.a, 'd'), path.join(pair.a, 'e'));
      expect((await pair.sync()).code).toBe(0);
      expect(Object.keys(contents(pair.b))).toHaveLength(61);
    }));
});

describe('a halt', () => {
  it('leaves nothing behind at a first meeting either', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'o' });
      write(pair.b, many(40));
      const args = ['--delete'];
      await expectHalt(pair, { code: 'too-many-deletions', path: pair.b, command: 'push', args });
      expect(fs.readdirSync(pair.b)).toEqual(['d']);
      expect(fs.existsSync(pair.state)).toBe(false);
    }));

  it('stays one when an earlier run is still being written to disk', async () =>
    withPair(async (pair) => {
      await pair.agreed(many(40));
      // As after a large run: not known to be stored, and a while ago.
      const dir = path.join(pair.state, 'links');
      const log = path.join(dir, fs.readdirSync(dir).find((name) => name.endsWith('.log')) ?? '');
      const text = fs.readFileSync(log);
      const durable = text.lastIndexOf('{"type":"durable"}');
      if (durable > 0) fs.truncateSync(log, durable - 12);
      fs.utimesSync(log, Date.now() / 1000 - 100, Date.now() / 1000 - 100);
      for (let i = 0; i < 40; i += 1) fs.rmSync(path.join(pair.a, `d/f${i}`));
      // A disk that takes its time.
      const slow = path.join(pair.dir, 'slow');
      fs.mkdirSync(slow);
      fs.writeFileSync(path.join(slow, 'sync'), '#!/bin/sh\nexec sleep 5\n', { mode: 0o755 });
      const env = { PATH: `${slow}:${process.env['PATH'] ?? ''}` };
      const started = performance.now();
      await expectHalt(pair, { code: 'too-many-deletions', path: pair.b, run: { env } });
      expect(performance.now() - started).toBeLessThan(4000);
    }));

  it('is told in a line with the path, and one with the command that continues, without a stack', async () =>
    withPair(async (pair) => {
      await pair.agreed(many(40));
      for (let i = 0; i < 40; i += 1) fs.rmSync(path.join(pair.b, `d/f${i}`));
      const args = ['sync', pair.a, pair.b, '--state-dir', pair.state];
      const ran = await lockstep(args);
      expect([ran.code, ran.stdout]).toEqual([3, '']);
      const lines = ran.stderr.trimEnd().split('\n');
      expect(lines[0]).toMatch(/^lockstep: 40 deletions of 41 would be carried to /);
      expect(lines[0]).toContain(pair.a);
      expect(ran.stderr).not.toMatch(/^\s+at /m);
      const command = lines.map((line) => /^ {2}(lockstep .*)$/.exec(line)?.[1]).find((line) => line !== undefined);
      expect(command, ran.stderr).toBeDefined();
      const shell = `lockstep() { '${process.execPath}' '${cliPath}' "$@"; }\n${command ?? ''}`;
      expect(spawnSync('sh', ['-c', shell], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
      pair.expectBoth({ d: 'dir' });
    }));
});
