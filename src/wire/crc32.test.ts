/** CRC-32, by Node and without it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32, crc32InScript } from './crc32.ts';

describe.each([
  ['crc32', crc32],
  ['crc32InScript', crc32InScript],
])('%s', (_, crc) => {
  it.each([
    ['', 0],
    ['a', 0xe8b7be43],
    ['123456789', 0xcbf43926],
    ['The quick brown fox jumps over the lazy dog', 0x414fa339],
  ])('of %j', (given, expected) => {
    expect(crc(Buffer.from(given))).toBe(expected);
  });

  it('goes on from what came before, also with nothing', () => {
    // zlib.crc32 of Node 20 and 22 returns 0 for the first of these.
    expect(crc(new Uint8Array(0), 0xcbf43926)).toBe(0xcbf43926);
    expect(crc(new Uint8Array(9).subarray(4, 4), 0xcbf43926)).toBe(0xcbf43926);
    expect(crc(Buffer.from('56789'), crc(Buffer.from('1234')))).toBe(0xcbf43926);
  });
});

it('both agree', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(0xffffffff), (bytes, before) => {
      expect(crc32(bytes, before)).toBe(crc32InScript(bytes, before));
    }),
  );
});
