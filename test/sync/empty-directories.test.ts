/** Directories into which no file is to come: nothing is sent for them, and they are made all the same. */
import { expect, it } from 'vitest';
import { withPair } from '../support/pair.ts';
import { dir, link, write } from '../support/tree.ts';

it('brings directories that hold no file, on their own', async () =>
  withPair(async (pair) => {
    await pair.agreed({ f: 'f' });
    write(pair.a, { 'x/y/': dir(), 'x/l': link('nowhere') });
    write(pair.b, { 'z/': dir() });
    const ran = await pair.sync();
    expect(ran.code, ran.stdout).toBe(0);
    pair.expectEqual();
    await pair.expectIdle();
  }));
