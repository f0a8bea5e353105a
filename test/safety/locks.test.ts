/** One run per root: who holds the lock, and when it may be taken. FEATURES E5; SCENARIOS 95. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bothHere, eventsOf, lockstep, overShell, type Ran } from '../support/cli.ts';
import { makeFarShell } from '../support/far-shells.ts';
import { injecting, untilHalted } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, litter, write } from '../support/tree.ts';

function lockOf(root: string): string {
  return path.join(root, '.lockstep/lock');
}

/** Puts a lock into a root as a run of this machine would have left it, changed as given. */
function leaveLock(root: string, changes: Record<string, unknown>): void {
  const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const stat = fs.readFileSync(`/proc/${process.pid}/stat`, 'utf8');
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const owner = {
    host: os.hostname(),
    boot,
    pid: process.pid,
    start,
    run: '20200101T000000.000Z-00000000',
    command: 'lockstep sync x y',
    since: '2020-01-01T00:00:00.000Z',
  };
  fs.mkdirSync(path.dirname(lockOf(root)), { recursive: true });
  fs.writeFileSync(lockOf(root), JSON.stringify({ ...owner, ...changes }));
}

async function expectLocked(pair: Pair, root: string, ...args: string[]): Promise<Ran> {
  const before = fs.readFileSync(lockOf(root), 'utf8');
  const ran = await pair.sync(...args);
  expect(ran.code, ran.stdout + ran.stderr).toBe(3);
  expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'locked', path: root, exitCode: 3 }]);
  expect(fs.readFileSync(lockOf(root), 'utf8')).toBe(before);
  expect(eventsOf(ran, 'action')).toEqual([]);
  return ran;
}

/** A process number that was in use a moment ago. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => child.on('close', resolve));
  return child.pid ?? 0;
}

describe('95: the lock', () => {
  it('of a run in the middle of its work refuses a second, which can be told otherwise', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', other: 'o' });
      write(pair.a, { f: 'from a' });
      let pid = 0;
      // Where a shell does the work over there, as it is about to be given it.
      const work = overShell
        ? { call: 'openSync', match: /\/a\/f \d+$/ }
        : { call: 'renameSync', match: /staging\/\S+ \S+\/f$/ };
      const env = injecting(pair.dir, { ...work, run: 'halt();' });
      const onStart = (child: { pid?: number | undefined }): void => void (pid = child.pid ?? 0);
      const first = pair.run('sync', [], { env, onStart });
      const halted = await untilHalted(pair.dir);
      try {
        write(pair.b, { other: 'from b' });
        const refused = await expectLocked(pair, pair.a);
        const [error] = eventsOf(refused, 'error');
        expect(String(error?.['message'])).toMatch(
          new RegExp(`pid ${pid} on ${os.hostname()}, since .*: lockstep sync`),
        );
        expect(String(error?.['command'])).toMatch(bothHere ? /--force-unlock$/ : / --force-unlock\b/);
        // Nor by way of another pair that shares a root, in either role.
        for (const args of [
          ['sync', pair.b, `${pair.dir}/c`],
          ['push', `${pair.dir}/state`, pair.a],
        ]) {
          expect((await lockstep([...args, '--state-dir', pair.state])).code).toBe(3);
        }
        // A dry run, and a source that is only read, need no lock.
        expect((await pair.sync('--dry-run')).code).toBe(0);
        expect((await lockstep(['push', pair.a, `${pair.dir}/d`, '--state-dir', pair.state])).code).toBe(0);
        const forced = await pair.sync('--force-unlock');
        expect(forced.code, forced.stdout + forced.stderr).toBe(0);
        pair.expectBoth({ f: 'from a', other: 'from b' });
      } finally {
        process.kill(halted, 'SIGCONT');
      }
      // The first finds its work done by another, and does no harm.
      const ran = await first;
      expect([0, 1, 2]).toContain(ran.code);
      pair.expectBoth({ f: 'from a', other: 'from b' });
      expect((await pair.sync()).code).toBe(0);
      pair.expectClean();
    }));

  it.runIf(bothHere)(
    'of a run that ends just before another takes it: what that one has read of the record is old',
    async () =>
      withPair(async (pair) => {
        await pair.agreed({ f: 'o', gone: 'o', stays: 'o' });
        const once = 'if (!fs.existsSync(process.env.LOCKSTEP_TEST_HALTED)) halt();';
        const env = injecting(pair.dir, { call: 'linkSync', match: /\.lockstep\/lock$/, run: once });
        const late = pair.run('sync', [], { env });
        const halted = await untilHalted(pair.dir);
        try {
          write(pair.a, { f: 'n', new: 'n' });
          fs.rmSync(path.join(pair.b, 'gone'));
          expect((await pair.sync()).code).toBe(0);
          pair.expectBoth({ f: 'n', new: 'n', stays: 'o' });
        } finally {
          process.kill(halted, 'SIGCONT');
        }
        const ran = await late;
        expect(ran.code, ran.stdout + ran.stderr).toBe(0);
        expect(eventsOf(ran, 'action')).toEqual([]);
        expect(ran.stdout + ran.stderr).not.toContain('older copy');
        pair.expectBoth({ f: 'n', new: 'n', stays: 'o' });
        // What the first has recorded is still on record.
        fs.rmSync(path.join(pair.b, 'new'));
        expect((await pair.sync()).code).toBe(0);
        pair.expectBoth({ f: 'n', stays: 'o' });
        pair.expectClean();
      }),
  );

  // Whoever waits for it may find that it is gone, and must not remove what a third one has put there by then.
  it.runIf(bothHere).each(['here', 'over a plain shell'])(
    'freed while somebody looks at it, and taken by a third, is the third one’s, %s',
    async (where) =>
      withPair(async (pair) => {
        await pair.agreed({ f: 'o' });
        write(pair.a, { f: 'edited' });
        const root = where === 'here' ? pair.a : pair.b;
        const theirs = path.join(pair.dir, 'theirs');
        leaveLock(root, { run: 'the third' });
        fs.renameSync(lockOf(root), theirs);
        leaveLock(root, { run: 'the first', piped: true });
        const freed = path.join(pair.dir, 'freed');
        // Once: a lock that was removed does not come back by itself.
        const take = `if (fs.existsSync('${freed}') && fs.existsSync('${theirs}')) fs.renameSync('${theirs}', '${lockOf(root)}');`;
        const free = `if (!fs.existsSync('${freed}')) { fs.writeFileSync('${freed}', ''); fs.rmSync('${lockOf(root)}'); }`;
        const env = injecting(
          pair.dir,
          { call: 'openSync', match: /\.lockstep\/lock \d+$/, run: free },
          { call: 'linkSync', match: /\.lockstep\/lock$/, nth: 'every', run: take },
          { call: 'rmSync', match: /\.lockstep\/lock /, nth: 'every', run: take },
        );
        const taking = `case "$*" in */.lockstep/lock) [ ! -e '${freed}' ] || [ ! -e '${theirs}' ] || /usr/bin/mv '${theirs}' '${lockOf(root)}' ;; esac`;
        const { program, remove } = makeFarShell('dash', {
          cat: `case "$*" in */.lockstep/lock) [ -e '${freed}' ] || { : >'${freed}'; /usr/bin/rm -f '${lockOf(root)}'; } ;; esac; exec /usr/bin/cat "$@"`,
          ln: `${taking}; exec /usr/bin/ln "$@"`,
          rm: `${taking}; exec /usr/bin/rm "$@"`,
        });
        try {
          const ran = await (where === 'here'
            ? pair.run('sync', [], { env })
            : lockstep(['sync', pair.a, pair.b, '--json', '--state-dir', pair.state, '--agent', 'sh', '--', program]));
          expect(fs.existsSync(freed)).toBe(true);
          expect(ran.code, ran.stdout + ran.stderr).toBe(3);
          expect(JSON.parse(fs.readFileSync(lockOf(root), 'utf8'))).toMatchObject({ run: 'the third' });
          expect(contents(pair.b)).toEqual({ f: 'o' });
        } finally {
          remove();
        }
      }),
  );

  it.runIf(bothHere)('of a run that could not open its root is free again', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o' });
      fs.mkdirSync(path.join(pair.b, '.lockstep/staging'));
      const run = "throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });";
      const env = injecting(pair.dir, { call: 'readdirSync', match: /\/\.lockstep\/staging/, run, nth: 'every' });
      const ran = await pair.run('sync', [], { env });
      expect(ran.code, ran.stdout + ran.stderr).toBe(1);
      expect([lockOf(pair.a), lockOf(pair.b)].filter((lock) => fs.existsSync(lock))).toEqual([]);
    }),
  );

  const stale: Record<string, () => Promise<Record<string, unknown>>> = {
    'of a dead process': async () => ({ pid: await deadPid() }),
    'of a process whose number was given away again': async () => Promise.resolve({ start: '1' }),
    'of an earlier boot': async () => Promise.resolve({ boot: '00000000-0000-0000-0000-000000000000' }),
  };
  for (const [title, changes] of Object.entries(stale)) {
    it(`${title} is taken over`, async () =>
      withPair(async (pair) => {
        write(pair.a, { f: 'o' });
        fs.mkdirSync(pair.b);
        const owner = await changes();
        for (const root of [pair.a, pair.b]) leaveLock(root, owner);
        const ran = await pair.sync();
        expect(ran.code, ran.stdout).toBe(0);
        pair.expectBoth({ f: 'o' });
        pair.expectClean();
      }));
  }

  it('that cannot be read as one is nobody’s', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o' });
      for (const text of ['', 'not JSON', '{}', '[]', 'null']) {
        fs.writeFileSync(lockOf(pair.b), text);
        expect((await pair.sync()).code, text).toBe(0);
        pair.expectClean();
      }
    }));

  it('of another machine is not taken, but with --force-unlock', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o' });
      leaveLock(pair.b, { host: 'elsewhere', pid: 1 });
      write(pair.a, { f: 'x' });
      const ran = await expectLocked(pair, pair.b);
      expect(ran.stdout).toContain('pid 1 on elsewhere');
      // A's own lock was taken and must be free again.
      expect(litter(pair.a)).toEqual([]);
      expect(contents(pair.b)).toEqual({ f: 'o' });
      expect((await pair.sync('--force-unlock')).code).toBe(0);
      pair.expectBoth({ f: 'x' });
      pair.expectClean();
    }));

  it('of two that find a stale one at once is taken by one', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o' });
      const pid = await deadPid();
      leaveLock(pair.a, { pid });
      const codes = (await Promise.all(Array.from({ length: 6 }, async () => pair.sync()))).map(({ code }) => code);
      expect(codes).toContain(0);
      for (const code of codes) expect([0, 3]).toContain(code);
      pair.expectClean();
    }));

  it('is not left behind by a run that a guard stopped, nor by one that failed', async () =>
    withPair(async (pair) => {
      write(pair.a, { a: '1', b: '2', c: '3', d: '4' });
      expect((await pair.sync()).code).toBe(0);
      for (const name of ['a', 'b', 'c', 'd']) fs.rmSync(path.join(pair.a, name));
      expect((await pair.sync()).code).toBe(3);
      pair.expectClean();
    }));
});
