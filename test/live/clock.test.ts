/** A clock that is put forward or back while a live run goes on: nothing is lost, nothing waits for the old time. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { withLive } from '../support/live.ts';
import { contents, write } from '../support/tree.ts';

const dayMs = 86_400_000;

/** Every thread and process of the run reads how far its clock is off from a file. */
const preload = `
const fs = require('node:fs');
const real = Date.now;
const offset = () => Number(fs.readFileSync(process.env.LOCKSTEP_TEST_CLOCK, 'utf8'));
Date.now = () => real() + offset();
`;

it.each([
  ['two local roots', []],
  ['an agent', ['--', 'sh']],
  ['a shell', ['--agent', 'sh', '--poll-interval', '0.2', '--', 'sh']],
])('with %s', { timeout: 120_000 }, async (_what, args) =>
  withLive(async (pair) => {
    const clock = path.join(pair.dir, 'clock');
    const hook = path.join(pair.dir, 'clock.cjs');
    const set = (ms: number): void => {
      fs.writeFileSync(`${clock}.new`, String(ms));
      fs.renameSync(`${clock}.new`, clock);
    };
    fs.writeFileSync(hook, preload);
    set(0);
    write(pair.a, { f: 'first', same: 'aaaa', 'd/gone': 'gone', 'd/stays': 'stays' });
    const env = { NODE_OPTIONS: `--require ${hook}`, LOCKSTEP_TEST_CLOCK: clock };
    const live = await pair.start({ args, env });
    await pair.inStep();
    for (const [at, jump] of [-dayMs, 2 * dayMs, -3600_000, 0].entries()) {
      set(jump);
      write(pair.a, { f: `after jump ${at}`, [`new${at}/deep/f`]: 'new', same: 'abcd'.repeat(2).slice(at, at + 4) });
      await pair.inStep();
      write(pair.b, { f: `back after jump ${at}`, [`d/from b ${at}`]: 'b' });
      if (at === 1) fs.rmSync(path.join(pair.b, 'd/gone'));
      await pair.inStep();
    }
    expect(contents(pair.a)).toMatchObject({ f: 'back after jump 3', 'new1/deep/f': 'new', 'd/from b 0': 'b' });
    expect(contents(pair.a)).not.toHaveProperty('d/gone');
    expect(live.of('conflict')).toEqual([]);
    expect(live.of('warning')).toEqual([]);
    await live.interrupt();
    pair.expectEqual();
  }),
);
