/** One of the two ends dies, hangs, or loses the line, in the middle of a transfer: the other one notices, says so, and tidies up. */
import { randomUUID } from 'node:crypto';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { until } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { random } from '../support/random.ts';
import { startSshd, type Sshd } from '../support/sshd.ts';
import { markSetting, noSurvivors, survivors } from '../support/survivors.ts';
import { contents, litter, write } from '../support/tree.ts';

const fileBytes = 8_000_000;
/** So slow that a run takes longer than any test waits, even one that only sends what it has begun. */
const slow = ['--bwlimit', '80kB'];

/** A run in the middle of sending a large file. */
interface Running {
  pair: Pair;
  /** The command line's process. */
  controller: ChildProcess;
  /** What it starts, and what that starts, carries this in its environment. */
  mark: string;
  ended: Promise<Ran>;
  /** The far side's arguments, for further runs. */
  there: readonly string[];
}

async function running(
  act: (run: Running) => Promise<void>,
  args: readonly string[] = [],
  far: { to: (dir: string) => string; there: readonly string[]; mark: string } = {
    to: (dir) => dir,
    there: ['--', 'sh'],
    mark: randomUUID(),
  },
): Promise<void> {
  await withPair(async (pair) => {
    const { mark, there } = far;
    write(pair.a, { large: random(1).bytes(fileBytes), 'd/small': 'small', edited: 'first' });
    const command = ['sync', pair.a, far.to(pair.b), '--json', '--state-dir', pair.state];
    write(pair.b, { theirs: 'theirs' });
    const [name, value] = markSetting(mark).split('=') as [string, string];
    let controller: ChildProcess | undefined;
    const ended = lockstep([...command, ...slow, ...args, ...there], {
      env: { [name]: value },
      onStart: (child) => (controller = child),
    });
    await until(() => isStaging(pair.b));
    if (controller === undefined) throw new Error('it was not started');
    await act({ pair, controller, mark, ended, there });
    // Whatever happened, the next run completes.
    const next = await lockstep([...command, ...there]);
    expect(next.code, next.stdout + next.stderr).toBe(0);
    pair.expectEqual();
    expect(Object.keys(contents(pair.b)).sort()).toEqual(['d', 'd/small', 'edited', 'large', 'theirs']);
    pair.expectClean();
  });
}

/** The large file is on its way. */
function isStaging(root: string): boolean {
  const own = path.join(root, '.lockstep');
  if (!fs.existsSync(own)) return false;
  return fs.readdirSync(own, { recursive: true, withFileTypes: true }).some((entry) => {
    if (!entry.isFile()) return false;
    const size = fs.statSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
    return size > 10_000;
  });
}

/** The process of a run whose command line holds `word`. */
function processWith(mark: string, word: string): number {
  const found = survivors(mark).filter((line) => line.includes(word));
  expect(found, survivors(mark).join('\n')).toHaveLength(1);
  return Number.parseInt(found[0] ?? '', 10);
}

/** The program that the loader started. */
const agentOf = (mark: string): number => processWith(mark, ' -e eval(');

function expectLost(ran: Ran, says: RegExp): void {
  expect([ran.code, ran.signal], ran.stdout + ran.stderr).toEqual([1, null]);
  expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'connection', exitCode: 1 }]);
  expect(eventsOf(ran, 'error')[0]?.['message']).toMatch(says);
  expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at |\\n\s+at |bug in Lockstep/m);
}

/** Nothing arrived, and the local root is as it was. */
function expectHalfDone({ a, b }: Pair): void {
  expect(Object.keys(contents(b))).not.toContain('large');
  expect(contents(a)['edited']).toBe('first');
  expect(litter(a)).toEqual([]);
}

describe('lost:', () => {
  it('the agent is killed', async () =>
    running(async ({ pair, mark, ended }) => {
      process.kill(agentOf(mark), 'SIGKILL');
      expectLost(await ended, /^.*\/b \(-- sh\): the connection was lost: the other end closed the stream/);
      expectHalfDone(pair);
      await noSurvivors(mark);
    }));

  it('the agent hangs: noticed by its silence', async () =>
    running(
      async ({ pair, mark, ended }) => {
        process.kill(agentOf(mark), 'SIGSTOP');
        expectLost(await ended, /nothing was heard from the other end for 5/);
        expectHalfDone(pair);
        // It was ours to end: it cannot tidy up any more, but the next run does.
        await noSurvivors(mark);
      },
      ['--timeout', '5'],
    ));

  it('the controller is killed: the agent tidies up and ends', async () =>
    running(async ({ pair, mark, controller, ended }) => {
      controller.kill('SIGKILL');
      expect((await ended).signal).toBe('SIGKILL');
      await noSurvivors(mark);
      expect(litter(pair.b)).toEqual([]);
      expect(Object.keys(contents(pair.b))).not.toContain('large');
    }));

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`the controller is interrupted (${signal}): exit 130, and both sides are clean`, async () =>
      running(async ({ pair, mark, controller, ended }) => {
        controller.kill(signal);
        const ran = await ended;
        expect(ran.code, ran.stdout + ran.stderr).toBe(130);
        expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'interrupted', exitCode: 130 }]);
        expectHalfDone(pair);
        pair.expectClean();
        await noSurvivors(mark);
      }));
  }
});

it('an interrupt does not wait for what is queued in a line that is very slow', async () =>
  running(
    async ({ pair, mark, controller, ended }) => {
      controller.kill('SIGINT');
      // At this speed, what is queued would take a minute.
      const ran = await Promise.race([
        ended,
        new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 20_000).unref()),
      ]);
      expect(ran?.code).toBe(130);
      expectHalfDone(pair);
      await noSurvivors(mark);
      pair.expectClean();
    },
    ['--bwlimit', '8kB'],
  ));

describe('lost over ssh:', () => {
  const mark = randomUUID();
  let sshd: Sshd;
  beforeAll(async () => {
    // A session does not inherit the environment of the command that it serves.
    sshd = await startSshd({ serverConfig: [`SetEnv ${markSetting(mark)}`] });
  });
  afterAll(async () => sshd.stop());

  const overSsh = async (act: (run: Running) => Promise<void>, args: readonly string[] = []): Promise<void> =>
    running(act, args, {
      to: (dir) => `${sshd.host}:${dir}`,
      there: sshd.sshOptions.map((option) => `--ssh-option=${option}`),
      mark,
    });

  it('ssh is killed: both ends notice, the agent tidies up and ends', async () =>
    overSsh(async ({ pair, ended }) => {
      process.kill(processWith(mark, 'ssh -F'), 'SIGKILL');
      expectLost(await ended, /^lockstep-test:.*\/b: the connection was lost: the other end closed the stream/);
      expectHalfDone(pair);
      await noSurvivors(mark);
      expect(litter(pair.b)).toEqual([]);
    }));

  it('the agent hangs: the controller gives up, and the agent tidies up when it wakes', async () =>
    overSsh(
      async ({ pair, ended }) => {
        const agent = agentOf(mark);
        process.kill(agent, 'SIGSTOP');
        expectLost(await ended, /nothing was heard from the other end for 5/);
        expectHalfDone(pair);
        process.kill(agent, 'SIGCONT');
        await noSurvivors(mark);
        expect(litter(pair.b)).toEqual([]);
      },
      ['--timeout', '5'],
    ));

  it('the controller is killed: the agent tidies up and ends', async () =>
    overSsh(async ({ pair, controller, ended }) => {
      controller.kill('SIGKILL');
      expect((await ended).signal).toBe('SIGKILL');
      await noSurvivors(mark);
      expect(litter(pair.b)).toEqual([]);
    }));
});
