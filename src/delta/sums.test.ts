import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Sums, WholeSum } from './sums.ts';
import { weakBySimd } from './weak-simd.ts';

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

it('takes the weak sum by SIMD as the loop does', () => {
  const lengths = [0, 1, 31, 32, 33, 63, 64, 65, 511, 512, 4096, 100_001, 327_551, 327_552, 327_553, 1 << 20];
  for (const length of lengths) {
    const bytes = randomBytes(length + 7);
    expect(weakBySimd(sums.multiplier, bytes, 3, length + 3), `${length}`).toBe(
      sums.weakInScript(bytes, 3, length + 3),
    );
    expect(sums.weak(bytes, 3, length + 3)).toBe(sums.weakInScript(bytes, 3, length + 3));
  }
  const highest = new Uint8Array(1 << 16).fill(255);
  expect(sums.weak(highest, 0, highest.length)).toBe(sums.weakInScript(highest, 0, highest.length));
});

it('sums a whole file up in pieces of any size, by its key', () => {
  const [key, bytes] = [randomBytes(16), randomBytes(100_000)];
  const of = (by: Uint8Array, ...pieces: Uint8Array[]): string => {
    const sum = new WholeSum(by);
    for (const piece of pieces) sum.update(piece);
    return sum.digest().toString('hex');
  };
  const whole = of(key, bytes);
  expect(of(key, bytes.subarray(0, 1), bytes.subarray(1, 33_333), bytes.subarray(33_333))).toBe(whole);
  expect(of(key, bytes.subarray(0, 99_999))).not.toBe(whole);
  expect(of(randomBytes(16), bytes)).not.toBe(whole);
  const other = Buffer.from(bytes);
  other.writeUInt8(other.readUInt8(50_000) ^ 1, 50_000);
  expect(of(key, other)).not.toBe(whole);
  // GMAC keeps the length apart from the content: bytes of zero count.
  expect(of(key, new Uint8Array(15))).not.toBe(of(key, new Uint8Array(16)));
  expect(() => new WholeSum(new Uint8Array(15))).toThrow(RangeError);
});
