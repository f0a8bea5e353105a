import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LockstepError } from '../base/errors.ts';
import {
  BlockSumsBuilder,
  BlockwiseSum,
  blockSumLength,
  decodeBlockSums,
  minSummedBlock,
  summedBlockBytes,
} from './block-sums.ts';

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    cut.push(bytes.subarray(at, at + size));
    at += size;
  }
  return cut;
}

function sumsOf(bytes: Buffer, sizes: readonly number[] = [bytes.length]): Uint8Array {
  const builder = new BlockSumsBuilder(bytes.length);
  for (const piece of pieces(bytes, sizes)) builder.push(piece);
  return builder.finish();
}

describe('sums of blocks', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 5 });
  const lengths = fc.constantFrom(0, 1, minSummedBlock - 1, minSummedBlock, minSummedBlock + 1, 3 * minSummedBlock + 7);

  it('are those of each block, however the bytes come', () => {
    fc.assert(
      fc.property(lengths, sizes, (length, cut) => {
        const bytes = Buffer.alloc(length, 'some content, ');
        const { size, blockBytes, sums } = decodeBlockSums(sumsOf(bytes, cut));
        expect([size, blockBytes]).toEqual([length, minSummedBlock]);
        const expected = pieces(bytes, [blockBytes]).map(sha256);
        expect(Buffer.from(sums).equals(Buffer.concat(expected))).toBe(true);

        const whole = new BlockwiseSum(blockBytes);
        for (const piece of pieces(bytes, cut)) whole.update(piece);
        const known = new BlockwiseSum(blockBytes);
        for (const sum of expected) known.takeBlock(sum);
        expect(whole.digest().equals(sha256(Buffer.concat(expected)))).toBe(true);
        expect(known.digest().equals(sha256(Buffer.concat(expected)))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('are a thousand at most, in blocks from 256 KiB to 64 MiB', () => {
    for (const size of [0, 1, 2 ** 28, 2 ** 28 + 1, 2 ** 36, 2 ** 44]) {
      const bytes = summedBlockBytes(size);
      expect(bytes % minSummedBlock).toBe(0);
      expect(bytes).toBeLessThanOrEqual(2 ** 26);
      if (size <= 2 ** 36) expect(Math.ceil(size / bytes)).toBeLessThanOrEqual(1024);
    }
  });

  const honest = Buffer.from(sumsOf(Buffer.alloc(600_000)));
  const head = honest.length - 3 * blockSumLength;
  it.each([
    ['nothing', Buffer.alloc(0), /too early/],
    ['a head alone', honest.subarray(0, head), /have 96 bytes of sums, not 0/],
    ['a byte too few', honest.subarray(0, -1), /not 95/],
    ['a byte too many', Buffer.concat([honest, Buffer.alloc(1)]), /not 97/],
    ['blocks of one byte', Buffer.from([1, 1]), /blocks have 1 bytes/],
    ['blocks that end within a sector', Buffer.from([1, 0x81, 0x80, 0x10]), /blocks have 262145 bytes/],
    ['blocks of 128 MiB', Buffer.from([1, 0x80, 0x80, 0x80, 0x40]), /blocks have 134217728 bytes/],
    ['a number of nine bytes', Buffer.alloc(100, 0xff), /too l/],
    ['an exabyte', Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x0f, 1]), /bytes has none/],
  ])('refuse %s', (_, bytes, message) => {
    expect(() => decodeBlockSums(bytes)).toThrow(message);
    expect(() => decodeBlockSums(bytes)).toThrow(LockstepError);
  });

  it('of a whole are refused for blocks that nobody makes', () => {
    expect(() => new BlockwiseSum(0)).toThrow(LockstepError);
    expect(() => new BlockwiseSum(minSummedBlock + 1)).toThrow('blocks have 262145 bytes');
  });
});
