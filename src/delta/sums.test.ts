import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Sums } from './sums.ts';

const sums = new Sums(new Uint8Array(16).fill(5));

it('moves the weak sum on by one byte', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 100 }), (bytes) => {
      const block = bytes.length - 1;
      const before = sums.weak(bytes, 0, block);
      const entering = Math.imul(before, sums.multiplier) + (bytes[block] ?? 0);
      const moved = (entering - Math.imul(bytes[0] ?? 0, sums.power(block))) | 0;
      expect(moved).toBe(sums.weak(bytes, 1, block + 1));
    }),
  );
});

it('does not depend on where the bytes lie', () => {
  const bytes = randomBytes(1000);
  const moved = Buffer.concat([randomBytes(3), bytes, randomBytes(5)]);
  expect(sums.weak(moved, 3, 1003)).toBe(sums.weak(bytes, 0, 1000));
  expect(sums.strong(moved, 3, 1003)).toEqual(sums.strong(bytes, 0, 1000));
});

it('tells lengths of zeros apart in its strong sum', () => {
  const zeros = new Uint8Array(100);
  expect(sums.strong(zeros, 0, 50)).not.toEqual(sums.strong(zeros, 0, 51));
});
