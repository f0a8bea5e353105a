import { expect, it } from 'vitest';
import { touchedUs, touchTime } from './touch-time.ts';

it.each([
  ['fine', 1_500_000n, '@1.500000', 1_500_000n],
  ['fine', 2_000_000n, '@2', 2_000_000n],
  ['fine', -1_500_000n, '@-1.500000', -1_500_000n],
  ['fine', -1_000_000n, '@-1', -1_000_000n],
  ['seconds', 1_999_999n, '@1', 1_000_000n],
  ['seconds', 2_000_000n, '@2', 2_000_000n],
  ['seconds', -1_500_000n, '@-2', -2_000_000n],
  // What busybox cannot be told.
  ['seconds', -1_000_000n, '@0', 0n],
  ['seconds', -1n, '@0', 0n],
] as const)('%s: %d µs is %s, and is %d µs afterwards', (kind, mtimeUs, word, touched) => {
  expect([touchTime(kind, mtimeUs), touchedUs(kind, mtimeUs)]).toEqual([word, touched]);
});
