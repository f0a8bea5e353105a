/** A large file whose transfer broke off is not begun anew; a large file that changed is sent as what changed. Over agents and shells. */
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { cuttingProxy, type ProxyReport } from '../support/cutting-proxy.ts';
import { asNobody, giveAway } from '../support/host.ts';
import { until } from '../support/inject.ts';
import { withLive } from '../support/live.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { litter } from '../support/tree.ts';

const size = 24 << 20;

/** Sizes of what is left of large files, the largest first. */
function leftIn(root: string): number[] {
  const dir = path.join(root, '.lockstep/partial');
  if (!fs.existsSync(dir)) return [];
  const sizes = fs.readdirSync(dir).map((name) => fs.statSync(path.join(dir, name)).size);
  return sizes.sort((a, b) => b - a);
}

const digestOf = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');

async function through(pair: Pair, args: string[], cutAfter?: number): Promise<{ ran: Ran; report: ProxyReport }> {
  const proxy = cuttingProxy(pair.dir, cutAfter);
  const ran = await lockstep([...args, '--json', '--state-dir', pair.state, '--compress', 'off', '--', ...proxy.argv]);
  return { ran, report: proxy.report() };
}

describe('a large file', () => {
  it.each(['in a new directory', 'beside others'])('%s, cut off in the middle, goes on from there', async (where) => {
    await withPair(async (pair) => {
      const name = where === 'beside others' ? 'big' : 'new/big';
      if (where === 'beside others') fs.mkdirSync(pair.b);
      fs.mkdirSync(path.dirname(path.join(pair.a, name)), { recursive: true });
      fs.writeFileSync(path.join(pair.a, name), randomBytes(size));
      const cut = await through(pair, ['push', pair.a, pair.b], size / 2);
      expect(cut.ran.code, cut.ran.stdout + cut.ran.stderr).toBe(1);
      expect(eventsOf(cut.ran, 'error')).toMatchObject([{ code: 'connection' }]);
      expect(fs.existsSync(path.join(pair.b, name))).toBe(false);

      const { ran, report } = await through(pair, ['push', pair.a, pair.b]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(pair.b, name))).toBe(digestOf(path.join(pair.a, name)));
      expect(report.sent).toBeLessThan(size * 0.6);
      expect(litter(pair.b)).toEqual([]);
    });
  });

  it('that was gone on with is kept in step afterwards, in the same session', async () => {
    await withLive(async (pair) => {
      fs.writeFileSync(path.join(pair.a, 'big'), randomBytes(size));
      expect((await through(pair, ['sync', pair.a, pair.b], size / 2)).ran.code).toBe(1);
      await pair.start({ args: ['--', 'sh'] });
      await pair.inStep();
      const file = fs.openSync(path.join(pair.a, 'big'), 'r+');
      fs.writeSync(file, Buffer.from('changed'), 0, 7, size / 3);
      fs.closeSync(file);
      await pair.inStep();
      await pair.finish('--', 'sh');
    });
  });

  it.each(['node', 'sh'])('cut off again and again leaves no more than it has to (%s)', async (agent) => {
    await withPair(async (pair) => {
      fs.writeFileSync(path.join(pair.a, 'big'), randomBytes(size));
      const push = ['push', pair.a, pair.b, '--agent', agent];
      let most = 0;
      for (const cutAfter of [size / 4, size / 4, size / 4]) {
        expect((await through(pair, push, cutAfter)).ran.code).toBe(1);
        // A shell removes what is superseded when the next run opens the root.
        await until(() => leftIn(pair.b).length <= (agent === 'sh' ? 2 : 1));
        const [now = 0] = leftIn(pair.b);
        expect(now).toBeGreaterThan(most);
        most = now;
      }
      expect(most).toBeGreaterThan(size / 2);
      const { ran } = await through(pair, push);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(pair.b, 'big'))).toBe(digestOf(path.join(pair.a, 'big')));
      expect(litter(pair.b)).toEqual([]);
    });
  });

  it('that nobody may read is gone on with all the same, by who is not root', async (context) => {
    const ordinary = asNobody();
    if ('reason' in ordinary) return context.skip(ordinary.reason);
    await withPair(async (pair) => {
      fs.writeFileSync(path.join(pair.a, 'big'), randomBytes(size));
      fs.chmodSync(path.join(pair.a, 'big'), 0);
      fs.mkdirSync(pair.b);
      giveAway(pair.b);
      fs.chmodSync(pair.dir, 0o777);
      const push = async (cutAfter?: number): Promise<Ran> => {
        const { argv } = cuttingProxy(pair.dir, cutAfter);
        return lockstep([
          'push',
          pair.a,
          pair.b,
          '--json',
          '--state-dir',
          pair.state,
          '--',
          ...ordinary.under,
          ...argv,
        ]);
      };
      expect((await push(size / 2)).code).toBe(1);
      await until(() => leftIn(pair.b).length === 1 && !litter(pair.b).includes('lock'));
      const [partial = ''] = fs.readdirSync(path.join(pair.b, '.lockstep/partial'));
      const place = path.join(pair.b, '.lockstep/partial', partial);
      expect(fs.statSync(place).mode & 0o777).toBe(0o600);
      // As earlier versions left it.
      fs.chmodSync(place, 0);
      const ran = await push();
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(fs.statSync(path.join(pair.b, 'big')).mode & 0o777).toBe(0);
      expect(digestOf(path.join(pair.b, 'big'))).toBe(digestOf(path.join(pair.a, 'big')));
      expect(litter(pair.b)).toEqual([]);
    });
  });

  it.each(['0', '0.2B'])('goes as fast as it can with --bwlimit %s', async (limit) => {
    await withPair(async (pair) => {
      fs.writeFileSync(path.join(pair.a, 'big'), randomBytes(size));
      const { ran } = await through(pair, ['push', pair.a, pair.b, '--bwlimit', limit]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(pair.b, 'big'))).toBe(digestOf(path.join(pair.a, 'big')));
    });
  });

  it('that changed on the way is made anew all the same', async () => {
    await withPair(async (pair) => {
      fs.writeFileSync(path.join(pair.a, 'big'), randomBytes(size));
      await through(pair, ['push', pair.a, pair.b], size / 2);
      fs.writeFileSync(path.join(pair.a, 'big'), randomBytes(size + 1));
      const { ran } = await through(pair, ['push', pair.a, pair.b]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(pair.b, 'big'))).toBe(digestOf(path.join(pair.a, 'big')));
      expect(litter(pair.b)).toEqual([]);
    });
  });

  it.each(['push', 'pull'])('with a change in the middle and one at the front sends little (%s)', async (command) => {
    await withPair(async (pair) => {
      const [source, target] = command === 'push' ? [pair.a, pair.b] : [pair.b, pair.a];
      const old = randomBytes(size);
      fs.mkdirSync(source, { recursive: true });
      fs.writeFileSync(path.join(source, 'big'), old);
      const roots = command === 'push' ? [pair.a, pair.b] : [pair.b, pair.a];
      await through(pair, [command, ...roots]);
      const changed = Buffer.concat([randomBytes(100), old]);
      randomBytes(1 << 20).copy(changed, size / 2);
      fs.writeFileSync(path.join(source, 'big'), changed);
      const { ran, report } = await through(pair, [command, ...roots]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(target, 'big'))).toBe(digestOf(path.join(source, 'big')));
      expect(report.sent + report.received).toBeLessThan(1.4 * (1 << 20));
    });
  });
});

describe('a large file over a plain shell', () => {
  const bothWays = ['push', 'pull'] as const;

  /** Source and target, and the roots as the command has them. */
  function ends(pair: Pair, command: (typeof bothWays)[number]): { source: string; target: string; roots: string[] } {
    const [source, target] = command === 'push' ? [pair.a, pair.b] : [pair.b, pair.a];
    fs.mkdirSync(source, { recursive: true });
    return { source, target, roots: [source, target] };
  }

  it.each(bothWays)('cut off in the middle, goes on from there (%s)', async (command) => {
    await withPair(async (pair) => {
      const { source, target, roots } = ends(pair, command);
      fs.writeFileSync(path.join(source, 'big'), randomBytes(size));
      const cut = await through(pair, [command, ...roots, '--agent', 'sh'], size / 2);
      expect(cut.ran.code, cut.ran.stdout + cut.ran.stderr).toBe(1);
      expect(eventsOf(cut.ran, 'error')).toMatchObject([{ code: 'connection' }]);
      expect(fs.existsSync(path.join(target, 'big'))).toBe(false);

      const { ran, report } = await through(pair, [command, ...roots, '--agent', 'sh']);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(target, 'big'))).toBe(digestOf(path.join(source, 'big')));
      expect(report.sent + report.received).toBeLessThan(size * 0.7);
      expect(litter(pair.b)).toEqual([]);
    });
  });

  it.each(bothWays)('that changed on the way is made anew all the same (%s)', async (command) => {
    await withPair(async (pair) => {
      const { source, target, roots } = ends(pair, command);
      fs.writeFileSync(path.join(source, 'big'), randomBytes(size));
      await through(pair, [command, ...roots, '--agent', 'sh'], size / 2);
      fs.writeFileSync(path.join(source, 'big'), randomBytes(size + 1));
      const { ran } = await through(pair, [command, ...roots, '--agent', 'sh']);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(target, 'big'))).toBe(digestOf(path.join(source, 'big')));
      expect(litter(pair.b)).toEqual([]);
    });
  });

  it('changed in the middle, cut and added to, sends what changed (pull)', async () => {
    await withPair(async (pair) => {
      const { source, target, roots } = ends(pair, 'pull');
      const big = randomBytes(size);
      fs.writeFileSync(path.join(source, 'big'), big);
      fs.writeFileSync(path.join(source, 'log'), big.subarray(0, size / 2));
      expect((await through(pair, ['pull', ...roots, '--agent', 'sh'])).ran.code).toBe(0);
      randomBytes(1 << 20).copy(big, 10_000_000);
      fs.writeFileSync(path.join(source, 'big'), big.subarray(0, size - 1000));
      fs.appendFileSync(path.join(source, 'log'), randomBytes(1000));
      const { ran, report } = await through(pair, ['pull', ...roots, '--agent', 'sh']);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      for (const name of ['big', 'log']) {
        expect(digestOf(path.join(target, name)), name).toBe(digestOf(path.join(source, name)));
      }
      // Blocks of 256 KiB: five for the change, and the last one of each.
      expect(report.sent + report.received).toBeLessThan(2 * (1 << 20));
    });
  });

  it('that broke off after little is held against the old version, too (push)', async () => {
    await withPair(async (pair) => {
      const { source, target, roots } = ends(pair, 'push');
      const big = randomBytes(size);
      fs.writeFileSync(path.join(source, 'big'), big);
      expect((await through(pair, ['push', ...roots, '--agent', 'sh'])).ran.code).toBe(0);
      randomBytes(1 << 20).copy(big, size / 3);
      fs.writeFileSync(path.join(source, 'big'), big);
      // In the midst of what changed, a third of it having been copied over there.
      const cut = await through(pair, ['push', ...roots, '--agent', 'sh'], 800_000);
      expect(cut.ran.code, cut.ran.stdout + cut.ran.stderr).toBe(1);
      const partials = fs.readdirSync(path.join(pair.b, '.lockstep/partial'));
      expect(partials).toHaveLength(1);
      const { ran, report } = await through(pair, ['push', ...roots, '--agent', 'sh']);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(path.join(target, 'big'))).toBe(digestOf(path.join(source, 'big')));
      expect(report.sent + report.received).toBeLessThan(2 * (1 << 20));
      expect(litter(pair.b)).toEqual([]);
    });
  });

  it('whose old version is not what it was when it was recorded is right afterwards (pull)', async () => {
    await withPair(async (pair) => {
      const { source, target, roots } = ends(pair, 'pull');
      const big = randomBytes(size);
      fs.writeFileSync(path.join(source, 'big'), big);
      expect((await through(pair, ['pull', ...roots, '--agent', 'sh'])).ran.code).toBe(0);
      // With size and times as they were, so that only its content tells.
      const there = path.join(target, 'big');
      const { atime, mtime } = fs.statSync(there);
      big.write('changed', 1000);
      fs.writeFileSync(path.join(source, 'big'), big);
      const file = fs.openSync(there, 'r+');
      fs.writeSync(file, Buffer.from('damaged'), 0, 7, size / 2);
      fs.closeSync(file);
      fs.utimesSync(there, atime, mtime);
      const { ran } = await through(pair, ['pull', ...roots, '--agent', 'sh', '--rebaseline']);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(digestOf(there)).toBe(digestOf(path.join(source, 'big')));
    });
  });
});
