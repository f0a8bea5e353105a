/** The parts together: whatever changed, the base and the delta make the new file. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InstructionEncoder, type Instruction } from './instructions.ts';
import { Patch } from './patch.ts';
import { DeltaSearch } from './search.ts';
import { decodeSignature, encodeSignature } from './signature-codec.ts';
import { SignatureBuilder, type Signature } from './signature.ts';
import { blockSizeFor, minBlockSize } from './sizes.ts';

const salt = createHash('md5').update('salt').digest();
const block = minBlockSize;

/** Bytes that look random and are the same in every run. */
function noise(length: number, seed = 'noise'): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let i = 0; i * 64 < length; i += 1) pieces.push(createHash('sha512').update(`${seed} ${i}`).digest());
  return Buffer.concat(pieces).subarray(0, length);
}

function* inChunks(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    // A copy, and overwritten afterwards: nobody may keep what is only lent.
    const chunk = new Uint8Array(bytes.subarray(at, at + size));
    at += size;
    yield chunk;
    chunk.fill(0xee);
  }
}

function signatureOf(base: Uint8Array, sizes: readonly number[] = [base.length || 1]): Signature {
  const builder = new SignatureBuilder(base.length, salt);
  for (const chunk of inChunks(base, sizes)) builder.push(chunk);
  return builder.finish();
}

interface Found {
  readonly instructions: Instruction[];
  readonly strongSums: number;
}

function search(signature: Signature, bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]): Found {
  const found = new DeltaSearch(signature);
  const instructions: Instruction[] = [];
  for (const chunk of inChunks(bytes, sizes)) instructions.push(...found.push(chunk));
  instructions.push(...found.finish());
  return { instructions, strongSums: found.strongSums };
}

function encoded(instructions: readonly Instruction[]): Uint8Array {
  const encoder = new InstructionEncoder();
  return Buffer.concat(instructions.flatMap((instruction) => encoder.encode(instruction)));
}

function patched(base: Uint8Array, delta: Uint8Array, size: number, sizes: readonly number[]): Uint8Array {
  const patch = new Patch({ baseSize: base.length, size });
  const pieces: Uint8Array[] = [];
  for (const chunk of inChunks(delta, sizes)) {
    for (const step of patch.push(chunk)) {
      pieces.push(step.kind === 'copy' ? base.slice(step.offset, step.offset + step.length) : step.bytes.slice());
    }
  }
  patch.finish();
  return Buffer.concat(pieces);
}

function literalBytes(instructions: readonly Instruction[]): number {
  return instructions.reduce((sum, it) => sum + (it.kind === 'literal' ? it.bytes.length : 0), 0);
}

/** The whole way, signature and delta as bytes in chunks of the given sizes. */
function expectRoundTrip(base: Uint8Array, changed: Uint8Array, sizes: readonly number[] = [10_000]): Found {
  const signature = decodeSignature(encodeSignature(signatureOf(base, sizes)));
  const found = search(signature, changed, sizes);
  const result = patched(base, encoded(found.instructions), changed.length, sizes);
  expect(Buffer.compare(result, changed)).toBe(0);
  return found;
}

const concat = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);

describe('sizes', () => {
  const sizes = [0, 1, 2, 7, 8, block - 1, block, block + 1, 2 * block - 1, 2 * block, 2 * block + 1, 50 * block + 13];
  for (const baseSize of sizes) {
    it(`any size from a base of ${baseSize}`, () => {
      for (const size of sizes) {
        expectRoundTrip(noise(baseSize), noise(size));
        expectRoundTrip(noise(baseSize), noise(size), [1]);
      }
    });
  }

  it('sends nothing of an equal file, whatever its last block', () => {
    for (const size of [block, block + 1, 3 * block - 1, 5 * block + 500, 1]) {
      expect(literalBytes(expectRoundTrip(noise(size), noise(size)).instructions)).toBe(0);
    }
  });
});

describe('what is found', () => {
  const base = noise(100 * block + 300);
  const insertion = noise(100, 'inserted');
  const cut = 40 * block + 77;
  const cases: { name: string; changed: Uint8Array; literals: number }[] = [
    { name: 'bytes inserted at the front', changed: concat(insertion, base), literals: 100 },
    {
      name: 'bytes inserted inside',
      changed: concat(base.subarray(0, cut), insertion, base.subarray(cut)),
      literals: 100 + block,
    },
    { name: 'bytes removed at the front', changed: base.subarray(10), literals: block },
    {
      name: 'bytes removed inside',
      changed: concat(base.subarray(0, cut), base.subarray(cut + 500)),
      literals: 2 * block,
    },
    { name: 'bytes appended, after the short block', changed: concat(base, insertion), literals: 100 },
    { name: 'a file cut short', changed: base.subarray(0, cut), literals: block },
    { name: 'halves swapped', changed: concat(base.subarray(50 * block), base.subarray(0, 50 * block)), literals: 300 },
    { name: 'the file twice', changed: concat(base, base), literals: 0 },
    { name: 'its end alone', changed: base.subarray(100 * block), literals: 0 },
    { name: 'its end after something else', changed: concat(insertion, base.subarray(100 * block)), literals: 100 },
  ];
  for (const { name, changed, literals } of cases) {
    it(name, () => {
      for (const sizes of [[4096], [1000, 1, 3], [1_000_000]]) {
        expect(literalBytes(expectRoundTrip(base, changed, sizes).instructions)).toBeLessThanOrEqual(literals);
      }
    });
  }

  it('makes one copy of blocks that follow each other', () => {
    const { instructions } = expectRoundTrip(base, base);
    expect(instructions).toEqual([{ kind: 'copy', offset: 0, length: base.length }]);
  });

  it('does not depend on the chunks', () => {
    const changed = concat(insertion, base.subarray(cut), base.subarray(0, cut), insertion);
    const whole = search(signatureOf(base), changed);
    for (const size of [1, 7, block, 3 * block + 1]) {
      const found = search(signatureOf(base, [size]), changed, [size]);
      expect(Buffer.compare(encoded(found.instructions), encoded(whole.instructions))).toBe(0);
      expect(found.strongSums).toBe(whole.strongSums);
    }
  });
});

it('makes any file out of any other', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 6000, size: 'max' }),
    // Few different blocks, so that most things are found somewhere, often in several places.
    fc
      .array(fc.tuple(fc.constantFrom('a', 'b', 'c', ''), fc.integer({ min: 0, max: 2 * block })), { maxLength: 12 })
      .map((parts) =>
        concat(...parts.map(([seed, length]) => (seed === '' ? new Uint8Array(length) : noise(length, seed)))),
      ),
  );
  const edit = fc.record({
    kind: fc.constantFrom('insert', 'remove', 'overwrite', 'move', 'repeat'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    to: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 0, max: 3000 }),
  });
  const chunking = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(bytes, fc.array(edit, { maxLength: 6 }), chunking, (base, edits, sizes) => {
      let changed = base;
      for (const { kind, at, to, length } of edits) {
        const from = Math.floor(at * changed.length);
        const before = changed.subarray(0, from);
        const piece = changed.subarray(from, from + length);
        const after = changed.subarray(from + length);
        const rest = concat(before, after);
        const target = Math.floor(to * rest.length);
        if (kind === 'insert') changed = concat(before, noise(length, `${at}`), changed.subarray(from));
        else if (kind === 'remove') changed = rest;
        else if (kind === 'overwrite') changed = concat(before, noise(piece.length, `${to}`), after);
        else if (kind === 'move') changed = concat(rest.subarray(0, target), piece, rest.subarray(target));
        else changed = concat(before, piece, piece, after);
      }
      expectRoundTrip(base, changed, sizes);
    }),
    { numRuns: 300 },
  );
});

describe('repetitive files', () => {
  const size = 2 ** 20;
  const perBlock = size / blockSizeFor(size);

  it('takes one strong sum a block of zeros and makes one copy', () => {
    const { instructions, strongSums } = expectRoundTrip(new Uint8Array(size), new Uint8Array(size));
    expect(instructions).toEqual([{ kind: 'copy', offset: 0, length: size }]);
    expect(strongSums).toBe(perBlock);
  });

  it('finds its way back after an edit among zeros', () => {
    const changed = new Uint8Array(size + 1);
    changed[size / 2] = 1;
    const { instructions, strongSums } = expectRoundTrip(new Uint8Array(size), changed);
    expect(literalBytes(instructions)).toBeLessThanOrEqual(2 * blockSizeFor(size));
    expect(strongSums).toBeLessThan(perBlock + 10);
  });

  for (const period of [3, 700, 1000]) {
    it(`copies long pieces of what repeats every ${period} bytes`, () => {
      const unit = noise(period);
      const base = Buffer.alloc(size, unit);
      const { instructions, strongSums } = expectRoundTrip(base, concat(base.subarray(1), base));
      expect(literalBytes(instructions)).toBeLessThanOrEqual(2 * blockSizeFor(size));
      expect(instructions.length).toBeLessThan(20);
      expect(strongSums).toBeLessThan(2 * perBlock + 20);
    });
  }
});

it('needs fewer bytes than a signature of 8 bytes a block and two blocks beyond the change', () => {
  const mib = 2 ** 20;
  const size = 64 * mib;
  const base = concat(...Array.from({ length: 64 }, (_, i) => Buffer.alloc(mib, noise(4099, `${i}`))));
  const changed = concat(
    noise(100),
    base.subarray(0, 31.5 * mib),
    Buffer.alloc(mib, noise(5003)),
    base.subarray(32.5 * mib),
  );
  const signature = signatureOf(base, [mib]);
  const { instructions } = search(signature, changed, [mib]);
  const bytes = encodeSignature(signature).length + encoded(instructions).length;
  const blockSize = Math.sqrt(size);
  expect(bytes).toBeLessThanOrEqual((size / blockSize) * 8 + mib + 100 + 2 * blockSize + 1000);
});

describe('a signature made to cost time', () => {
  it('or made up at random leads to a delta that the patch takes, whatever it makes', () => {
    const changed = concat(noise(5 * block), new Uint8Array(5 * block));
    const sums = fc.uint8Array({ minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(sums, fc.integer({ min: 9 * block + 1, max: 10 * block }), fc.boolean(), (blocks, size, zeros) => {
        // All weak sums 0, which is the sum of zeros, or any.
        if (zeros) for (let at = 0; at < blocks.length; at += 6) blocks.fill(0, at, at + 4);
        const { instructions } = search({ size, blockSize: block, strongLength: 2, salt, blocks }, changed, [777]);
        const result = patched(new Uint8Array(size), encoded(instructions), changed.length, [100]);
        expect(result.length).toBe(changed.length);
      }),
    );
  });

  it('is not worth more strong sums than the bytes that passed', () => {
    const zeros = new Uint8Array(2 ** 20);
    const honest = signatureOf(zeros);
    // Every weak sum is that of zeros, every strong sum a different wrong one.
    const blocks = honest.blocks.slice();
    const each = 4 + honest.strongLength;
    for (let at = 0; at < blocks.length; at += each) blocks.set(noise(honest.strongLength, `${at}`), at + 4);
    const found = search({ ...honest, blocks }, zeros, [4096]);
    expect(found.strongSums).toBeLessThanOrEqual(16 + 3 * (zeros.length / honest.blockSize));
    expect(literalBytes(found.instructions)).toBe(zeros.length);
  });

  it('whose twin, an honest one with as many blocks, is searched to the end', () => {
    const base = noise(2 ** 20);
    expect(literalBytes(search(signatureOf(base), concat(base, base), [4096]).instructions)).toBe(0);
  });

  it('is not worth more than a look at a few blocks whose sums collide', () => {
    // 2^18 blocks with one weak sum: entering all of them in a chain would be 2^35 steps.
    const count = 2 ** 18;
    const blocks = new Uint8Array(count * 6);
    const view = new DataView(blocks.buffer);
    for (let i = 0; i < count; i += 1) view.setUint16(i * 6 + 4, i);
    const signature = { size: count * block, blockSize: block, strongLength: 2, salt, blocks };
    const changed = noise(10 * block);
    expect(literalBytes(search(signature, changed).instructions)).toBe(changed.length);
  });
});
