import { expect, it } from 'vitest';
import { append } from './append.ts';

it('appends in order, however many there are', () => {
  const to = [0];
  append(to, [1, 2]);
  append(to, new Set([3]));
  expect(to).toEqual([0, 1, 2, 3]);
  append(
    to,
    Array.from({ length: 1_000_000 }, (_, at) => at),
  );
  expect(to).toHaveLength(1_000_004);
});
