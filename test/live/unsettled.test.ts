/** What could not be settled when everything was looked at comes right as soon as it can be, over every kind of replica. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bothHere } from '../support/cli.ts';
import { injecting } from '../support/inject.ts';
import { withLive } from '../support/live.ts';
import { contents, write } from '../support/tree.ts';

const kinds: Record<string, readonly string[]> = {
  'two local roots': [],
  'an agent behind a pipe': ['--', 'sh'],
  // Looked at once in a while only: what comes of changes here must not need a look over there to be due.
  'a plain shell': ['--agent', 'sh', '--poll-interval', '1', '--', 'sh'],
};

describe.each(Object.entries(kinds))('over %s:', (_, there) => {
  for (const [own, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    it(`a directory of ${own} that a file stood against comes over with all that is in it`, async () =>
      withLive(async (pair) => {
        write(pair[own], { 'x/f': 'f', 'x/deep/er/g': 'g' });
        write(pair[other], { x: 'a file' });
        // Nothing but what is told of leads to it.
        const live = await pair.start({ args: ['--on-conflict', 'manual', '--rescan', '3600', ...there] });
        await live.until(() => live.of('conflict').length > 0);
        // An edit in it, which nobody may take for the whole directory.
        write(pair[own], { 'x/deep/h': 'h', told: 'told' });
        await live.until(() => contents(pair[other])['told'] === 'told');
        expect(contents(pair[other])['x']).toBe('a file');
        fs.rmSync(path.join(pair[other], 'x'));
        await pair.inStep();
        expect(contents(pair[other])).toMatchObject({ 'x/f': 'f', 'x/deep/er/g': 'g', 'x/deep/h': 'h' });
        // It was never cut off to get there.
        expect(live.of('state').filter(({ state }) => state === 'waiting')).toEqual([]);
        await pair.finish(...there);
      }));
  }
});

// The next look at everything is ten minutes off.
describe.runIf(bothHere)('what failed as a whole is looked at as a whole again', () => {
  it('an atomic directory of which one file changed while it was staged', async () =>
    withLive(async (pair) => {
      const old = Object.fromEntries(
        ['HEAD', 'index', 'refs/heads/main', 'objects/11/a'].map((at) => [`r/.git/${at}`, `old ${at}`]),
      );
      await pair.agreed(old, '--atomic', '.git');
      const index = path.join(pair.a, 'r/.git/index');
      const run = `fs.writeFileSync('${index}', 'final index'); fs.writeFileSync('${pair.dir}/hit', '');`;
      const env = injecting(pair.dir, { call: 'openSync', match: /\/a\/r\/\.git\/index \d+$/, run });
      const live = await pair.start({ args: ['--atomic', '.git'], env });
      write(pair.a, {
        'r/.git/objects/22/b': 'new object',
        'r/.git/objects/11/c': 'new object 2',
        'r/.git/refs/heads/main': 'new main',
        'r/.git/index': 'new index !',
      });
      await live.until(() => fs.existsSync(path.join(pair.dir, 'hit')));
      await pair.inStep();
      await pair.finish('--atomic', '.git');
    }));

  it('a renamed directory whose new name was taken in that moment', async () =>
    withLive(async (pair) => {
      await pair.agreed({ 'dir1/x': 'x', 'dir1/y': 'y', other: 'o' });
      const run = `fs.mkdirSync('${pair.b}/dir2'); fs.writeFileSync('${pair.b}/dir2/theirs', 'theirs'); fs.writeFileSync('${pair.dir}/hit', '');`;
      const env = injecting(pair.dir, { call: 'renameSync', match: /\/dir1 \S+\/dir2$/, run });
      const live = await pair.start({ env });
      fs.renameSync(path.join(pair.a, 'dir1'), path.join(pair.a, 'dir2'));
      await live.until(() => fs.existsSync(path.join(pair.dir, 'hit')));
      await pair.inStep();
      expect(contents(pair.a)).toEqual({
        dir2: 'dir',
        'dir2/x': 'x',
        'dir2/y': 'y',
        'dir2/theirs': 'theirs',
        other: 'o',
      });
      await pair.finish();
    }));
});
