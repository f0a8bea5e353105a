/** A star: one local root and several remotes, once and live. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { events, lockstep } from '../support/cli.ts';
import { LiveRun, withLive, type LivePair } from '../support/live.ts';
import { comparable, contents, litter, write } from '../support/tree.ts';

/** The pair's roots, and a third one. */
async function withThree(act: (pair: LivePair, roots: [string, string, string]) => Promise<void>): Promise<void> {
  await withLive(async (pair) => act(pair, [pair.a, pair.b, path.join(pair.dir, 'c')]));
}

function alike(...roots: readonly string[]): boolean {
  try {
    const [first, ...others] = roots.map((root) => JSON.stringify(comparable(root)));
    return others.every((other) => other === first);
  } catch {
    return false;
  }
}

async function startStar(pair: LivePair, roots: readonly string[], ...args: string[]): Promise<LiveRun> {
  const live = new LiveRun(['sync', ...roots, '--watch', '--json', '--state-dir', pair.state, ...args]);
  pair.run$ = live;
  for (const remote of roots.slice(1)) {
    await live.until(() =>
      live.of('state').some((state) => state['state'] === 'watching' && state['remote'] === remote),
    );
  }
  return live;
}

describe('once:', () => {
  it('what one remote has gets to the others', async () =>
    withThree(async (pair, roots) => {
      write(roots[0], { 'd/a': 'a' });
      write(roots[1], { 'd/b': 'b' });
      write(roots[2], { 'd/c': 'c' });
      const ran = await lockstep(['sync', ...roots, '--json', '--state-dir', pair.state]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(contents(roots[1])).toEqual({ d: 'dir', 'd/a': 'a', 'd/b': 'b', 'd/c': 'c' });
      expect(alike(...roots)).toBe(true);
      const again = await lockstep(['sync', ...roots, '--json', '--state-dir', pair.state]);
      expect(events(again).filter(({ type }) => type === 'action')).toEqual([]);
      for (const root of roots) expect(litter(root)).toEqual([]);
    }));

  it('a dry run says for which remotes it does not show all', async () =>
    withThree(async (pair, [a, b, c]) => {
      write(a, { f: 'f' });
      const run = async (...args: string[]): ReturnType<typeof lockstep> =>
        lockstep(['sync', a, b, c, '--state-dir', pair.state, ...args]);
      expect((await run()).code).toBe(0);
      write(b, { new: 'x' });
      const dry = await run('--dry-run');
      expect([dry.code, dry.stderr]).toEqual([
        0,
        expect.stringContaining(`${c}: what other remotes bring to ${a} would go on to it; this dry run does not show`),
      ]);
      expect(dry.stderr).not.toContain(`${b}: what other`);
      const told = events(await run('--dry-run', '--json')).filter(({ type }) => type === 'notice');
      expect(told).toMatchObject([{ remote: c }]);
      expect(contents(c)).toEqual({ f: 'f' });
      expect(events(await run('--json')).filter(({ type }) => type === 'notice')).toEqual([]);
      expect(contents(c)).toEqual({ f: 'f', new: 'x' });
      expect((await run('--dry-run')).stderr).not.toContain('would go on');
    }));

  it('one that fails stops none of the others, and shows in the exit code', async () =>
    withThree(async (pair, [a, b]) => {
      write(a, { f: 'f' });
      fs.writeFileSync(path.join(pair.dir, 'c'), 'a file');
      const ran = await lockstep(['sync', a, path.join(pair.dir, 'c'), b, '--json', '--state-dir', pair.state]);
      expect(ran.code).toBe(3);
      expect(events(ran).filter(({ type }) => type === 'error')).toMatchObject([{ code: 'root-not-directory' }]);
      expect(contents(b)).toEqual({ f: 'f' });
    }));

  it.each([
    [['pull', 'A', 'B', 'C'], /pull|too many|excess/],
    [['sync', 'A', 'B', 'B'], /twice/],
    [['sync', 'A', 'B', 'C', '--', 'sh'], /one remote/],
    [['sync', 'A', 'B', '--watch', '--dry-run'], /--dry-run/],
  ])('%j is refused', async (args, says) =>
    withThree(async (_, [a, b, c]) => {
      const named: Record<string, string> = { A: a, B: b, C: c };
      const ran = await lockstep(args.map((word) => named[word] ?? word));
      expect(ran.code).toBe(64);
      expect(ran.stderr).toMatch(says);
      expect(fs.existsSync(b)).toBe(false);
    }),
  );
});

describe('live:', () => {
  it('an edit at one remote reaches the other through the hub, and does not come back', async () =>
    withThree(async (pair, roots) => {
      write(roots[0], { 'd/f': 'f' });
      const live = await startStar(pair, roots);
      write(roots[1], { 'd/f': 'edited', 'd/new/n': 'n' });
      await live.until(() => alike(...roots) && contents(roots[2])['d/f'] === 'edited');
      fs.rmSync(path.join(roots[2], 'd/new'), { recursive: true });
      await live.until(() => alike(...roots) && contents(roots[1])['d/new'] === undefined);
      write(roots[0], { 'd/g': 'g' });
      await live.until(() => alike(...roots) && contents(roots[1])['d/g'] === 'g');
      await live.interrupt();
      // Each file was brought to each root once; which link is the first to tell of it is not said.
      const brought = live.actions.filter(({ path: at, op }) => at === 'd/f' && op === 'replace');
      expect(brought.map(({ side, remote }) => [side, remote]).sort()).toEqual([
        ['local', roots[1]],
        ['remote', roots[2]],
      ]);
      expect(live.of('conflict')).toEqual([]);
      for (const root of roots) expect(litter(root)).toEqual([]);
    }));

  it('the hub is locked as long as it goes on', async () =>
    withThree(async (pair, roots) => {
      write(roots[0], { f: 'f' });
      const live = await startStar(pair, roots);
      const ran = await lockstep(['sync', roots[0], path.join(pair.dir, 'd'), '--json', '--state-dir', pair.state]);
      expect(ran.code).toBe(3);
      expect(events(ran).at(-1)).toMatchObject({ code: 'locked' });
      await live.interrupt();
    }));

  it('one that halts, or is down, holds up none of the others, and catches up', async () =>
    withThree(async (pair, roots) => {
      const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d/f${i}`, String(i)]));
      write(roots[0], { ...many, keep: 'keep' });
      const live = await startStar(pair, roots);
      fs.renameSync(roots[1], `${roots[1]}-away`);
      write(roots[0], { new: 'new' });
      await live.until(() => contents(roots[2])['new'] === 'new');
      await live.until(() => live.of('state').some(({ state, remote }) => state === 'halted' && remote === roots[1]));
      write(roots[2], { newer: 'newer' });
      await live.until(() => contents(roots[0])['newer'] === 'newer');
      fs.renameSync(`${roots[1]}-away`, roots[1]);
      await live.until(() => alike(...roots));
      await live.interrupt();
    }));

  it('a remote that cannot be reached from the start does not keep the others waiting', async () =>
    withThree(async (pair, roots) => {
      write(roots[0], { f: 'f' });
      fs.writeFileSync(roots[1], 'in the way');
      const live = new LiveRun(['sync', ...roots, '--watch', '--json', '--state-dir', pair.state]);
      pair.run$ = live;
      await live.watching(1, roots[2]);
      write(roots[0], { g: 'g' });
      await live.until(() => contents(roots[2])['g'] === 'g');
      fs.rmSync(roots[1]);
      await live.until(() => alike(...roots));
      await live.interrupt();
    }));
});
