import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Slab } from './slab.ts';

it('keeps what it was given, also when that changes later, and few buffers', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 12_000 }), { maxLength: 60 }), (strings) => {
      const slab = new Slab();
      const copies = strings.map((bytes) => [...bytes]);
      const kept = strings.map((bytes) => slab.keep(bytes));
      // Large ones are not copied.
      for (const bytes of strings) if (bytes.length <= 8192) bytes.fill(0);
      expect(kept.map((bytes) => [...bytes])).toEqual(copies);
    }),
  );
  const slab = new Slab();
  const kept = Array.from({ length: 1000 }, (_, i) => slab.keep(new Uint8Array(600).fill(i)));
  expect(kept.every((bytes, i) => bytes.length === 600 && bytes.every((byte) => byte === i % 256))).toBe(true);
  expect(new Set(kept.map(({ buffer }) => buffer)).size).toBe(Math.ceil(1000 / Math.floor(65_536 / 600)));
});

it('leaves alone what shares a buffer already, or is large', () => {
  const slab = new Slab();
  const shared = new Uint8Array(100).subarray(10, 20);
  const large = new Uint8Array(9000);
  expect(slab.keep(shared)).toBe(shared);
  expect(slab.keep(large)).toBe(large);
});
