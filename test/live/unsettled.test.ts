/** What could not be settled when everything was looked at comes right as soon as it can be, over every kind of replica. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
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
