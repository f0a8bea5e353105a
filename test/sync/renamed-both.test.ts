import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withPair } from '../support/pair.ts';
import { write } from '../support/tree.ts';

describe('a directory that both sides renamed alike', () => {
  // Also what a kill between a rename and its record leaves behind; found by the kill campaign.
  it('keeps its record: deletions and edits inside are carried on', async () =>
    withPair(async (pair) => {
      await pair.agreed({ 'd/gone-a': '1', 'd/gone-b': '2', 'd/edited': '3', 'd/sub/f': '4' });
      for (const root of [pair.a, pair.b]) fs.renameSync(`${root}/d`, `${root}/e`);
      fs.rmSync(`${pair.a}/e/gone-a`);
      fs.rmSync(`${pair.b}/e/gone-b`);
      write(pair.b, { 'e/edited': 'edited' });
      const ran = await pair.sync();
      expect(ran.code, ran.stdout).toBe(0);
      pair.expectBoth({ e: 'dir', 'e/edited': 'edited', 'e/sub': 'dir', 'e/sub/f': '4' });
      await pair.expectIdle();
    }));
});
