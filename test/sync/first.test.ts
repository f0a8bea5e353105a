import { describe, expect, it } from 'vitest';
import { withPair } from '../support/pair.ts';
import { link } from '../support/tree.ts';

describe('a first sync', () => {
  it('brings everything over and then rests', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'x', 'd/g': 'y', 'd/empty/': '', l: link('f') });
      pair.expectEqual();
      pair.expectBoth({ f: 'x', d: 'dir', 'd/g': 'y', 'd/empty': 'dir', l: '-> f' });
      await pair.expectIdle();
      pair.expectClean();
      expect(pair.a).not.toBe(pair.b);
    }));
});
