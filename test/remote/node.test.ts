/** Every Node that an agent may find over there: from 18, which Debian 12 has, on. */
import { existsSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bothHere, eventsOf } from '../support/cli.ts';
import { withPair } from '../support/pair.ts';
import { random } from '../support/random.ts';
import { contents, history, link, write } from '../support/tree.ts';

/** Where `.ci/run` puts them. */
function binaryOf(major: number): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  const name = `node-${process.platform}-${process.arch}`;
  return path.join(cache, `lockstep-ci/node${major}/node_modules/${name}/bin/node`);
}

describe('an agent in Node', () => {
  for (const major of [18, 22, 24]) {
    it(`${major}: first copy, edits both ways, a delta, deletions, history`, async (context) => {
      const node = binaryOf(major);
      if (!existsSync(node)) context.skip(`there is no ${node}, which .ci/run would have fetched`);
      await withPair(async (pair) => {
        const args = ['--remote-node', node, '--compress', 'on', ...(bothHere ? ['--', 'sh'] : [])];
        const large = random(major).bytes(500_000);
        const text = 'some text that can be compressed\n'.repeat(3000);
        await pair.agreed({ f: 'first', g: 'first', 'd/deep/x': 'x', 'd/y': text, l: link('f'), large }, ...args);
        pair.expectEqual();

        large.write('in the middle', 250_000);
        write(pair.a, { f: 'edited here', 'new/n': 'n', large });
        write(pair.b, { g: 'edited there', 'other/o': text, 'd/y': `${text}and more` });
        rmSync(path.join(pair.a, 'd/deep'), { recursive: true });
        const ran = await pair.sync(...args);
        expect(ran.code, ran.stdout + ran.stderr).toBe(0);
        pair.expectEqual();
        expect(contents(pair.a)).toMatchObject({ f: 'edited here', g: 'edited there', 'new/n': 'n', 'other/o': text });
        expect(contents(pair.b)).not.toHaveProperty('d/deep');
        expect(history(pair.b)).toMatchObject({ 'd/deep/x': ['x'] });
        await pair.expectIdle(...args);
        pair.expectClean();

        const pushed = await pair.run('push', ['--delete', ...args]);
        expect([pushed.code, eventsOf(pushed, 'action')], pushed.stderr).toEqual([0, []]);
      });
    });
  }
});
