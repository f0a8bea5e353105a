import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LockstepError } from '../base/errors.ts';
import { decodeSignature, encodeSignature } from './signature-codec.ts';
import { SignatureBuilder, type Signature } from './signature.ts';
import { blockSizeFor, strongLengthFor } from './sizes.ts';

const salt = new Uint8Array(16).fill(7);

function signatureOf(size: number): Signature {
  const builder = new SignatureBuilder(size, salt);
  builder.push(new Uint8Array(size).fill(3));
  return builder.finish();
}

describe('encodeSignature and decodeSignature', () => {
  for (const size of [0, 1, 1024, 1025, 1_000_000]) {
    it(`agree on a file of ${size} bytes`, () => {
      const signature = signatureOf(size);
      expect(decodeSignature(encodeSignature(signature))).toEqual(signature);
    });
  }

  const honest = signatureOf(5000);
  const refused: { name: string; bytes: Uint8Array; message: RegExp }[] = [
    { name: 'nothing', bytes: new Uint8Array(0), message: /too early/ },
    { name: 'a byte too few', bytes: encodeSignature(honest).subarray(0, -1), message: /bytes of sums/ },
    {
      name: 'a byte too many',
      bytes: Buffer.concat([encodeSignature(honest), salt.subarray(0, 1)]),
      message: /bytes of sums/,
    },
    { name: 'a head alone', bytes: encodeSignature(honest).subarray(0, 4), message: /bytes/ },
    { name: 'a petabyte', bytes: encodeSignature({ ...honest, size: 2 ** 50 }), message: /1125899906842624 bytes/ },
    { name: 'blocks of one byte', bytes: encodeSignature({ ...honest, blockSize: 1 }), message: /blocks have 1 bytes/ },
    { name: 'blocks of 1 GiB', bytes: encodeSignature({ ...honest, blockSize: 2 ** 30 }), message: /blocks have/ },
    { name: 'no strong sums', bytes: encodeSignature({ ...honest, strongLength: 0 }), message: /strong sums/ },
    {
      name: 'strong sums of 16 bytes',
      bytes: encodeSignature({ ...honest, strongLength: 16 }),
      message: /strong sums/,
    },
    { name: 'a number of nine bytes', bytes: new Uint8Array(100).fill(0xff), message: /too l/ },
    { name: 'a number with a needless byte', bytes: new Uint8Array([0x80, 0]), message: /longer than/ },
  ];
  for (const { name, bytes, message } of refused) {
    it(`refuse ${name}`, () => {
      expect(() => decodeSignature(bytes)).toThrow(message);
      expect(() => decodeSignature(bytes)).toThrow(LockstepError);
    });
  }

  it('take any bytes for a signature or a breach of protocol', () => {
    const mutated = fc
      .record({ at: fc.nat({ max: 60 }), byte: fc.nat({ max: 255 }), cut: fc.nat({ max: 70 }) })
      .map((it) => {
        const bytes = encodeSignature(honest).slice(0, it.cut === 70 ? undefined : it.cut);
        if (it.at < bytes.length) bytes[it.at] = it.byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        try {
          const signature = decodeSignature(bytes);
          expect(signature.blocks.length).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toMatchObject({ name: 'LockstepError', code: 'protocol' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

it('is the signature of what was pushed, not of what was announced', () => {
  for (const announced of [0, 10, 100_000]) {
    const builder = new SignatureBuilder(announced, salt);
    for (let i = 0; i < 50; i += 1) builder.push(new Uint8Array(100));
    const signature = builder.finish();
    expect(signature.size).toBe(5000);
    expect(decodeSignature(encodeSignature(signature))).toEqual(signature);
  }
});

it('has other sums under another salt', () => {
  const other = new SignatureBuilder(5000, new Uint8Array(16).fill(8));
  other.push(new Uint8Array(5000).fill(3));
  const { blocks } = other.finish();
  expect(Buffer.compare(blocks, signatureOf(5000).blocks)).not.toBe(0);
});

it('refuses a salt of another length and a file beyond all bounds', () => {
  expect(() => new SignatureBuilder(1, new Uint8Array(15))).toThrow(RangeError);
  expect(() => new SignatureBuilder(2 ** 44 + 1, salt)).toThrow(RangeError);
});

it('has blocks and sums that grow with the file', () => {
  const rows = [0, 65_536, 2 ** 20, 2 ** 26, 2 ** 30, 2 ** 40, 2 ** 44].map((size) => {
    const blockSize = blockSizeFor(size);
    return [size, blockSize, strongLengthFor(size, blockSize)];
  });
  expect(rows).toEqual([
    [0, 1024, 2],
    [65_536, 1024, 3],
    [2 ** 20, 1024, 4],
    [2 ** 26, 8192, 4],
    [2 ** 30, 32_768, 4],
    [2 ** 40, 2 ** 20, 6],
    [2 ** 44, 2 ** 20, 7],
  ]);
});
