/** A long walk at the far end is shared by two threads of the agent, which was sent there and is no file. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { injecting } from '../support/inject.ts';
import { withPair } from '../support/pair.ts';

it(
  'of an agent that was sent there: the second thread runs, and what changed is found',
  { timeout: 120_000 },
  async () =>
    withPair(async (pair) => {
      for (let d = 0; d < 3200; d += 1) {
        fs.mkdirSync(path.join(pair.a, `t${d % 40}/d${d}`), { recursive: true });
        fs.writeFileSync(path.join(pair.a, `t${d % 40}/d${d}/f`), `${d}`);
      }
      const run = async (env: Record<string, string> = {}): Promise<Ran> =>
        lockstep(['sync', pair.a, pair.b, '--json', '--state-dir', pair.state, '--', 'sh'], { env });
      expect((await run()).code).toBe(0);
      fs.writeFileSync(path.join(pair.b, 't3/d3/f'), 'changed over there');
      fs.rmSync(path.join(pair.b, 't7'), { recursive: true });
      const helped = path.join(pair.dir, 'helped');
      // The first thread waits until the second must be up.
      const env = injecting(pair.dir, {
        call: 'readdirSync',
        match: /./,
        nth: 2,
        run: `const { isMainThread, workerData } = process.getBuiltinModule('node:worker_threads');
        if (isMainThread) pause(1000);
        else if (workerData?.role === 'scanner') fs.writeFileSync(${JSON.stringify(helped)}, '');`,
      });
      const ran = await run(env);
      expect(ran.code, ran.stdout.slice(-2000) + ran.stderr).toBe(0);
      expect(fs.existsSync(helped)).toBe(true);
      expect(eventsOf(ran, 'action').filter(({ op }) => op !== 'metadata')).toHaveLength(1 + 1 + 80 * 2);
      expect(fs.readFileSync(path.join(pair.a, 't3/d3/f'), 'utf8')).toBe('changed over there');
      expect(fs.existsSync(path.join(pair.a, 't7'))).toBe(false);
      pair.expectClean();
    }),
);
