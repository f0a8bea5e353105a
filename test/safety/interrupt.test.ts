/**
 * Ctrl-C and SIGTERM in the middle of the work: the run ends soon, leaves nothing of its own behind and every file whole,
 * and the next run ends as if nothing had happened. docs/safety.md, "Interrupts".
 *
 * File calls are slowed so that an uninterrupted run would take far longer than the test waits for the interrupted one.
 */
import { spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { events, eventsOf, lockstep, notInShell, onlyHere, type Ran } from '../support/cli.ts';
import { injecting, until, type Injection } from '../support/inject.ts';
import { everything, expectTruth } from '../support/oracles.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, file, history, write, type TreeSpec } from '../support/tree.ts';

/** Generous: about a second is meant, but the machine may be busy. */
const soonMs = 5000;
/** What all slowed calls of a run come to: if the run does not stop, it is not soon. */
const slowedMs = 20_000;
const past = 1_700_000_000;

type Place = Pick<Injection, 'call' | 'match'>;

/** Slows every call at a place; tells the test when it is in the middle of them. */
function slowed(pair: Pair, place: Place, calls: number): { env: Record<string, string>; reached: () => boolean } {
  const mark = path.join(pair.dir, 'reached');
  const env = injecting(
    pair.dir,
    { ...place, nth: 'every', run: `pause(${slowedMs / calls});` },
    { ...place, nth: 5, run: `fs.writeFileSync(${JSON.stringify(mark)}, '');` },
  );
  return { env, reached: () => fs.existsSync(mark) };
}

interface Interrupted {
  ran: Ran;
  /** From the signal to the end of the process. */
  tookMs: number;
}

/** Starts a run, and sends the signal when it is in the middle. */
async function interrupted(
  pair: Pair,
  signal: NodeJS.Signals,
  { env, reached }: ReturnType<typeof slowed>,
  args: readonly string[],
): Promise<Interrupted> {
  let child: ChildProcess | undefined;
  const ending = lockstep([...args, '--state-dir', pair.state], { env, onStart: (started) => void (child = started) });
  await until(reached);
  const sentAt = performance.now();
  expect(child?.kill(signal), 'it was over already').toBe(true);
  const ran = await ending;
  return { ran, tookMs: performance.now() - sentAt };
}

function expectOrderly(pair: Pair, { ran, tookMs }: Interrupted): void {
  expect([ran.code, ran.signal], ran.stdout + ran.stderr).toEqual([130, null]);
  expect(tookMs).toBeLessThan(soonMs);
  expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at /m);
  expect(ran.stderr).not.toMatch(/bug in Lockstep/);
  pair.expectClean();
}

const many = (text: string, mtime: number): TreeSpec =>
  Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`d${i % 40}/f${i}`, file(`${text} of ${i}`.repeat(20), { mtime })]),
  );

/** A file of 40 MB that takes no room, read in 40 pieces. */
function big(name: string, mtime: number): void {
  fs.mkdirSync(path.dirname(name), { recursive: true });
  fs.writeFileSync(name, '');
  fs.truncateSync(name, 40 << 20);
  fs.utimesSync(name, mtime, mtime);
}

interface Situation {
  prepare: (pair: Pair) => Promise<void>;
  slow: Place;
  /** Only the agent of the second root comes there. */
  isThere?: true;
  calls: number;
  args?: readonly string[];
  command?: 'sync' | 'push';
  signal: NodeJS.Signals;
}

const situations: Record<string, Situation> = {
  'while many directories are scanned': {
    prepare: async (pair) => {
      await pair.agreed(many('old', past));
      write(pair.a, many('new', past + 10));
    },
    slow: { call: 'readdirSync', match: /\/d\d+( |$)/ },
    calls: 40,
    signal: 'SIGINT',
  },
  'while many directories are scanned at a first meeting': {
    prepare: async (pair) => {
      write(pair.a, many('one', past));
      write(pair.b, many('other', past + 10));
      return Promise.resolve();
    },
    slow: { call: 'readdirSync', match: /\/d\d+( |$)/ },
    calls: 40,
    signal: 'SIGTERM',
  },
  'while many files are compared': {
    prepare: async (pair) => {
      await pair.agreed(many('old', past));
      write(pair.b, many('new', past + 10));
    },
    slow: { call: 'readSync', match: /./ },
    calls: 200,
    signal: 'SIGTERM',
    args: ['--checksum'],
  },
  'while a large file is compared': {
    prepare: async (pair) => {
      big(path.join(pair.a, 'big'), past);
      await pair.agreed({ other: 'o' });
      big(path.join(pair.b, 'big'), past + 10);
    },
    slow: { call: 'readSync', match: /./ },
    calls: 40,
    signal: 'SIGINT',
  },
  'while many files are replaced': {
    prepare: async (pair) => {
      await pair.agreed(many('old', past));
      write(pair.a, many('new', past + 10));
    },
    slow: { call: 'renameSync', match: /staging\S+ \S+\/f\d+$/ },
    isThere: true,
    calls: 200,
    signal: 'SIGTERM',
  },
  'while many new directories are built, on two threads': {
    prepare: async (pair) => {
      await pair.agreed({ other: 'o' });
      write(pair.a, many('new', past));
      for (let i = 0; i < 400; i += 1) write(pair.a, { [`d${i % 40}/more/g${i}`]: `more ${i}` });
    },
    slow: { call: 'openSync', match: /\/a\/d\d+\/\S+ \d+$/ },
    calls: 200,
    signal: 'SIGINT',
  },
  'while large files in new directories are copied, on two threads': {
    prepare: async (pair) => {
      await pair.agreed({ other: 'o' });
      for (const dir of ['x', 'y']) {
        big(path.join(pair.a, dir, 'big'), past);
        // Enough for a second thread.
        for (let i = 0; i < 400; i += 1) write(pair.a, { [`${dir}/small${i}`]: `${i}` });
      }
    },
    slow: { call: 'readSync', match: /./ },
    calls: 40,
    signal: 'SIGINT',
  },
  'while a large file is copied': {
    prepare: async (pair) => {
      await pair.agreed({ other: 'o', big: file('old', { mtime: past }) });
      big(path.join(pair.a, 'big'), past + 10);
    },
    slow: { call: 'readSync', match: /./ },
    calls: 40,
    signal: 'SIGTERM',
  },
  'while many files are deleted from a mirror': {
    prepare: async (pair) => {
      write(pair.a, many('old', past));
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      for (let i = 0; i < 40; i += 1) fs.rmSync(path.join(pair.a, `d${i}`), { recursive: true });
    },
    slow: { call: 'renameSync', match: /\/f\d+ \S+\/f\d+$/ },
    isThere: true,
    calls: 200,
    signal: 'SIGINT',
    command: 'push',
    args: ['--delete', '--max-delete', 'off'],
  },
};

/** All versions of each path that are whole. */
function wholeVersions(...trees: Record<string, string>[]): Map<string, Set<string>> {
  const versions = new Map<string, Set<string>>();
  for (const tree of trees) {
    for (const [name, text] of Object.entries(tree)) {
      versions.set(name, (versions.get(name) ?? new Set()).add(text));
    }
  }
  return versions;
}

describe('interrupted', () => {
  for (const [when, situation] of Object.entries(situations)) {
    const { prepare, slow, isThere, calls, command = 'sync', args = [], signal } = situation;
    it(`${when} (${signal}): ends soon, every file is whole, and the next run completes`, async (context) =>
      withPair(async (pair) => {
        if (isThere === true) notInShell(context);
        await prepare(pair);
        const before = { a: contents(pair.a), b: contents(pair.b) };
        const all = [command, pair.a, pair.b, ...args];
        const run = await interrupted(pair, signal, slowed(pair, slow, calls), [...all, '--json']);
        expectOrderly(pair, run);
        expect(events(run.ran).at(-1)).toEqual({
          v: 1,
          type: 'error',
          code: 'interrupted',
          message: 'interrupted',
          exitCode: 130,
        });
        expect(eventsOf(run.ran, 'summary')).toEqual([]);
        expect(run.ran.stderr).toBe('');

        const versions = wholeVersions(before.a, before.b);
        const kept = { ...history(pair.a), ...history(pair.b) };
        for (const side of ['a', 'b'] as const) {
          const now = contents(pair[side]);
          for (const [name, text] of Object.entries(now)) {
            expect(versions.get(name)?.has(text), `${name} of ${side} is torn`).toBe(true);
          }
          // What is gone was to go, and is in history.
          for (const name of Object.keys(before[side])) {
            expect(name in now || before[side][name] === 'dir' || name in kept, `${name} of ${side} is lost`).toBe(
              true,
            );
          }
        }
        if (command === 'sync') expectTruth(pair);

        const next = await lockstep([...all, '--json', '--state-dir', pair.state]);
        expect(next.code, next.stdout + next.stderr).toBe(0);
        pair.expectEqual();
        pair.expectClean();
        const idle = await lockstep([...all, '--json', '--state-dir', pair.state]);
        expect([idle.code, eventsOf(idle, 'action')]).toEqual([0, []]);
      }));
  }
});

describe('an interrupt', () => {
  it('before anything is done leaves nothing anywhere, not even the second root', async () =>
    withPair(async (pair) => {
      write(pair.a, many('new', past));
      const before = contents(pair.a);
      const slow = slowed(pair, { call: 'readdirSync', match: /\/d\d+( |$)/ }, 40);
      expectOrderly(pair, await interrupted(pair, 'SIGINT', slow, ['sync', pair.a, `${pair.dir}/new/b`]));
      expect(contents(pair.a)).toEqual(before);
      expect(fs.existsSync(path.join(pair.a, '.lockstep'))).toBe(false);
      expect(fs.existsSync(path.join(pair.dir, 'new'))).toBe(false);
      expect(fs.existsSync(pair.state)).toBe(false);
    }));

  it('of a dry run writes nothing', async () =>
    withPair(async (pair) => {
      await pair.agreed(many('old', past));
      write(pair.a, many('new', past + 10));
      const look = (): unknown => [pair.a, pair.b, pair.state].map(everything);
      const before = look();
      const slow = slowed(pair, { call: 'readdirSync', match: /\/d\d+( |$)/ }, 40);
      expectOrderly(pair, await interrupted(pair, 'SIGTERM', slow, ['sync', pair.a, pair.b, '--dry-run']));
      expect(look()).toEqual(before);
    }));

  it('is told to a person in one line', async () =>
    withPair(async (pair) => {
      await pair.agreed(many('old', past));
      // Carried here: what the far end does might be done by a shell.
      write(pair.b, many('new', past + 10));
      const slow = slowed(pair, { call: 'renameSync', match: /staging\S+ \S+\/f\d+$/ }, 200);
      const run = await interrupted(pair, 'SIGINT', slow, ['sync', pair.a, pair.b]);
      expectOrderly(pair, run);
      expect([run.ran.stdout, run.ran.stderr]).toEqual([
        '',
        expect.stringMatching(/^lockstep: interrupted\n( {2}.*\n)?$/),
      ]);
    }));

  it('of a restore', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ ...many('old', past), other: 'o' });
      for (let i = 0; i < 40; i += 1) fs.rmSync(path.join(pair.a, `d${i}`), { recursive: true });
      expect((await pair.sync('--max-delete', 'off')).code).toBe(0);
      const slow = slowed(pair, { call: 'linkSync', match: /\/f\d+$/ }, 200);
      let child: ChildProcess | undefined;
      const ending = lockstep(['restore', pair.b, '.', '--json'], {
        env: slow.env,
        onStart: (started) => void (child = started),
      });
      await until(slow.reached);
      const sentAt = performance.now();
      child?.kill('SIGINT');
      const ran = await ending;
      expectOrderly(pair, { ran, tookMs: performance.now() - sentAt });
      expect(events(ran).at(-1)).toMatchObject({ type: 'error', code: 'interrupted', exitCode: 130 });
      const again = await lockstep(['restore', pair.b, '.']);
      expect(again.code, again.stderr).toBe(0);
      expect(Object.keys(contents(pair.b))).toHaveLength(241);
      expect((await pair.sync()).code).toBe(0);
      pair.expectEqual();
    }));
});

describe('a second interrupt', () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`(${signal}) ends a run at once that hangs in the file system; the next one cleans up`, async (context) =>
      withPair(async (pair) => {
        onlyHere(context, 'an agent that hangs over there goes on hanging, and keeps its lock');
        await pair.agreed(many('old', past));
        write(pair.a, many('new', past + 10));
        // A thread that waits in the kernel, as for a server that does not answer: nothing can reach it there.
        const [fifo, mark] = [path.join(pair.dir, 'fifo'), path.join(pair.dir, 'hangs')];
        expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
        const env = injecting(pair.dir, {
          call: 'renameSync',
          match: /staging\S+ \S+\/f\d+$/,
          nth: 5,
          run: `fs.writeFileSync(${JSON.stringify(mark)}, ''); fs.openSync(${JSON.stringify(fifo)}, 'r');`,
        });
        let child: ChildProcess | undefined;
        let over = false;
        const ending = pair
          .run('sync', [], { env, onStart: (started) => void (child = started) })
          .finally(() => (over = true));
        await until(() => fs.existsSync(mark));
        try {
          // Two that come at once are one to the kernel; the first alone never ends it.
          await until(() => {
            child?.kill(signal);
            return over;
          }, soonMs * 2);
        } finally {
          child?.kill('SIGKILL');
        }
        const ran = await ending;
        // What a shell calls 130, whichever way it came about.
        expect(ran.code ?? ran.signal, ran.stderr).toBe(ran.code === null ? 'SIGINT' : 130);
        expect(ran.stderr).not.toMatch(/^\s+at /m);
        const next = await pair.sync();
        expect(next.code, next.stdout + next.stderr).toBe(0);
        pair.expectEqual();
        pair.expectClean();
        await pair.expectIdle();
      }));
  }
});
