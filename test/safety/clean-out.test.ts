/** `--clean-out-first` and the guards of DESIGN §7: a source that was lost, or cannot be read, empties nothing. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, onlyHere, type Ran } from '../support/cli.ts';
import { asNobody, attempt, giveAway } from '../support/host.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, history, write } from '../support/tree.ts';

const six = { a: '1', b: '2', c: '3', 'd/e': '4', 'd/f': '5', g: '6' };

const many = (count: number, dir: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${dir}f${i}`, `content ${i}`]));

async function cleanOut(pair: Pair, ...args: string[]): Promise<Ran> {
  return pair.run('push', ['--clean-out-first', ...args]);
}

/** As a run before left it. */
async function cleanedOut(pair: Pair, files: Record<string, string>): Promise<void> {
  write(pair.a, files);
  expect((await cleanOut(pair)).code).toBe(0);
}

async function expectHalt(pair: Pair, code: string, hint: string, ...args: string[]): Promise<void> {
  const before = contents(pair.b);
  for (const dry of [['--dry-run'], []]) {
    const ran = await cleanOut(pair, ...args, ...dry);
    expect([ran.code, eventsOf(ran, 'error')[0]?.['code']], ran.stdout + ran.stderr).toEqual([3, code]);
    expect(String(eventsOf(ran, 'error')[0]?.['hint'])).toContain(hint);
    expect(String(eventsOf(ran, 'error')[0]?.['hint'])).not.toMatch(/nothing (is|will be) deleted/);
    expect(contents(pair.b)).toEqual(before);
    expect(history(pair.b)).toEqual({});
  }
}

describe('--clean-out-first empties nothing', () => {
  it('when the source is another directory now, nor when the destination is', async () =>
    withPair(async (pair) => {
      await cleanedOut(pair, six);
      for (const side of ['a', 'b'] as const) {
        fs.renameSync(pair[side], `${pair[side]}.old`);
        write(pair[side], { other: 'x' });
        await expectHalt(pair, 'root-replaced', '--rebaseline');
        fs.rmSync(pair[side], { recursive: true });
        fs.renameSync(`${pair[side]}.old`, pair[side]);
      }
      fs.renameSync(pair.a, `${pair.a}.old`);
      write(pair.a, { other: 'x' });
      const ran = await cleanOut(pair, '--rebaseline');
      expect([ran.code, contents(pair.b)]).toEqual([0, { other: 'x' }]);
    }));

  it('when the source is empty and was not', async () =>
    withPair(async (pair) => {
      await cleanedOut(pair, six);
      fs.rmSync(pair.a, { recursive: true });
      fs.mkdirSync(pair.a);
      // On some file systems it gets the inode of the one before: then it only is empty.
      const before = contents(pair.b);
      expect((await cleanOut(pair)).code).toBe(3);
      expect(contents(pair.b)).toEqual(before);
    }));

  it('when everything in the source is gone, in the same directory', async () =>
    withPair(async (pair) => {
      await cleanedOut(pair, six);
      for (const name of fs.readdirSync(pair.a)) fs.rmSync(path.join(pair.a, name), { recursive: true });
      await expectHalt(pair, 'root-emptied', '--max-delete off');
      await expectHalt(pair, 'root-emptied', '--max-delete off', '--max-delete', '1000');
      expect((await cleanOut(pair, '--max-delete', 'off')).code).toBe(0);
      expect(contents(pair.b)).toEqual({});
    }));

  it('when the source is empty at the first run, and much would go', async () =>
    withPair(async (pair) => {
      write(pair.a, { 'd/': '' });
      fs.rmdirSync(path.join(pair.a, 'd'));
      write(pair.b, many(25, ''));
      await expectHalt(pair, 'too-many-deletions', '--max-delete 25');
    }));

  it('when a top-level directory of the source is empty, as a mount point is', async () =>
    withPair(async (pair) => {
      await cleanedOut(pair, { f: 'x', ...many(25, 'disk/') });
      fs.rmSync(path.join(pair.a, 'disk'), { recursive: true });
      fs.mkdirSync(path.join(pair.a, 'disk'));
      await expectHalt(pair, 'too-many-deletions', '--max-delete off');
    }));

  it('when more would go for good than --max-delete allows; what comes back is not counted', async () =>
    withPair(async (pair) => {
      write(pair.a, { a: 'new', b: 'new', c: 'new' });
      write(pair.b, { ...many(38, 'd/'), a: 'old', b: 'old', c: 'old', ignored: 'x' });
      await expectHalt(pair, 'too-many-deletions', '--max-delete 40', '--max-delete', '39', '--exclude', 'ignored');
      expect((await cleanOut(pair, '--max-delete', '40', '--exclude', 'ignored')).code).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
      // Without a limit of one's own, emptying is what was asked for.
      write(pair.b, many(40, 'e/'));
      expect((await cleanOut(pair)).code).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
    }));

  it('when a file system mounted in the source is gone', async (context) =>
    withPair(async (pair) => {
      const disk = path.join(pair.a, 'in/disk');
      write(pair.a, { ...six, 'in/disk/': '' });
      const failed = attempt('mount', '-t', 'tmpfs', 'none', disk);
      if (failed !== undefined) context.skip(failed);
      try {
        write(disk, { data: 'x' });
        expect((await cleanOut(pair)).code).toBe(0);
      } finally {
        attempt('umount', disk);
      }
      await expectHalt(pair, 'mount-gone', '--rebaseline');
    }));

  for (const [what, file] of [
    ['a directory', 'sub'],
    ['a file', 'sub/f'],
  ] as const) {
    it(`when ${what} of the source cannot be read and something stands for it`, async (context) =>
      withPair(async (pair) => {
        onlyHere(context, 'one user on both sides');
        const user = asNobody();
        if ('reason' in user) context.skip(user.reason);
        else {
          write(pair.a, { ...six, 'sub/f': 'x' });
          fs.mkdirSync(pair.b);
          giveAway(pair.dir);
          const { under } = user;
          const push = async (...args: string[]): Promise<Ran> =>
            lockstep(['push', pair.a, pair.b, '--json', '--clean-out-first', '--state-dir', pair.state, ...args], {
              under,
              env: { HOME: pair.dir },
            });
          const first = await push();
          expect(first.code, first.stdout + first.stderr).toBe(0);
          fs.chmodSync(path.join(pair.a, file), 0);
          const before = contents(pair.b);
          const ran = await push();
          expect([ran.code, eventsOf(ran, 'error')], ran.stdout).toMatchObject([
            3,
            [{ code: 'root-unreadable', path: file }],
          ]);
          expect(contents(pair.b)).toEqual(before);
          // Where nothing stands for it nothing is lost.
          fs.rmSync(path.join(pair.b, 'sub'), { recursive: true });
          expect((await push()).code).toBe(2);
        }
      }));
  }
});

it('--skip-deletion of the side that is emptied is wrong usage', async () =>
  withPair(async (pair) => {
    write(pair.a, six);
    write(pair.b, { extra: 'x' });
    for (const side of ['remote', 'both']) {
      const ran = await cleanOut(pair, '--skip-deletion', side);
      expect([ran.code, contents(pair.b)]).toEqual([64, { extra: 'x' }]);
    }
    expect((await pair.run('pull', ['--clean-out-first', '--skip-deletion', 'local'])).code).toBe(64);
    expect((await cleanOut(pair, '--skip-deletion', 'local')).code).toBe(0);
  }));

it('what is taken away is told, by a dry run as by a run', async () =>
  withPair(async (pair) => {
    write(pair.a, { new: 'x' });
    write(pair.b, { ...many(40, 'd/'), '.hidden': 'x' });
    for (const dry of [['--dry-run'], []]) {
      const ran = await cleanOut(pair, '--preset', 'dotfiles', ...dry);
      const deleted = eventsOf(ran, 'action').filter(({ op }) => op === 'delete');
      expect(deleted.map(({ path: at }) => at)).toEqual(expect.arrayContaining(['.hidden', 'd', 'd/f0', 'd/f39']));
      expect(deleted.every(({ side, reason }) => side === 'remote' && reason === 'clean-out')).toBe(true);
      expect(eventsOf(ran, 'summary')).toMatchObject([{ actions: { remote: { create: 1, delete: 42 } } }]);
      const [notice] = eventsOf(ran, 'notice').map(({ message }) => message);
      expect(notice).toMatch(dry.length > 0 ? /would be emptied first/ : /was emptied/);
    }
    expect(contents(pair.b)).toEqual({ new: 'x' });
  }));
