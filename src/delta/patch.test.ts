import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LockstepError } from '../base/errors.ts';
import { InstructionEncoder, type Instruction } from './instructions.ts';
import { Patch } from './patch.ts';

function encode(instructions: readonly Instruction[]): Uint8Array {
  const encoder = new InstructionEncoder();
  return new Uint8Array(Buffer.concat(instructions.flatMap((instruction) => encoder.encode(instruction))));
}

function read(bytes: Uint8Array, sizes: { baseSize: number; size: number }): Instruction[] {
  const patch = new Patch(sizes);
  const instructions = [...patch.push(bytes)];
  patch.finish();
  return instructions;
}

const literal = (...bytes: number[]): Instruction => ({ kind: 'literal', bytes: new Uint8Array(bytes) });
const copy = (offset: number, length: number): Instruction => ({ kind: 'copy', offset, length });

describe('what the encoder writes', () => {
  it('is read as it was', () => {
    const instructions = [copy(5, 10), literal(1, 2, 3), copy(15, 1), copy(0, 20), literal(4), copy(19, 1)];
    expect(read(encode(instructions), { baseSize: 20, size: 36 })).toEqual(instructions);
  });

  it('is short where copies follow each other', () => {
    expect(encode([copy(0, 60), copy(60, 60)])).toEqual(new Uint8Array([121, 0, 121, 0]));
  });

  it('holds files of 16 TiB', () => {
    const size = 2 ** 44;
    const instructions = [copy(size - 1, 1), copy(0, size - 1)];
    expect(read(encode(instructions), { baseSize: size, size })).toEqual(instructions);
  });

  it('may be cut anywhere', () => {
    const bytes = encode([copy(5000, 10_000), literal(1, 2, 3), copy(300, 5)]);
    const patch = new Patch({ baseSize: 20_000, size: 10_008 });
    const instructions = [...bytes].flatMap((byte) => [...patch.push(new Uint8Array([byte]))]);
    patch.finish();
    expect(instructions).toEqual([copy(5000, 10_000), literal(1), literal(2), literal(3), copy(300, 5)]);
  });
});

describe('what a peer may not send', () => {
  const big = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
  const cases: { name: string; bytes: number[]; message: RegExp }[] = [
    { name: 'too little', bytes: [2, 65], message: /makes 1 bytes instead of 10/ },
    { name: 'nothing', bytes: [], message: /makes 0 bytes instead of 10/ },
    { name: 'too many literal bytes', bytes: [22], message: /more than the 10 bytes/ },
    { name: 'too many copied bytes', bytes: [23, 0], message: /more than the 10 bytes/ },
    { name: 'too much altogether', bytes: [19, 0, 4], message: /more than the 10 bytes/ },
    { name: 'a copy from beyond the end', bytes: [21, 182], message: /ends within/ },
    { name: 'a copy over the end', bytes: [21, 182, 1], message: /copies bytes 91 to 101 of a file of 100 bytes/ },
    { name: 'a copy from before the beginning', bytes: [21, 1], message: /copies bytes -1 to 9/ },
    { name: 'a copy from far away', bytes: [21, ...big], message: /copies bytes -4503599627370496|copies bytes/ },
    { name: 'a length beyond all files', bytes: big, message: /more than the 10 bytes/ },
    { name: 'an endless number', bytes: [...big, ...big].fill(0xff), message: /too l/ },
    { name: 'a number with a needless byte', bytes: [0x82, 0], message: /longer than it needs/ },
    { name: 'an empty literal', bytes: [0], message: /empty instruction/ },
    { name: 'an empty copy', bytes: [1, 0], message: /empty instruction/ },
    { name: 'half a literal', bytes: [20, 1, 2, 3], message: /ends within/ },
    { name: 'half a copy', bytes: [21], message: /ends within/ },
    { name: 'half a number', bytes: [20, ...new Array<number>(10).fill(1), 0x80], message: /ends within/ },
  ];
  for (const { name, bytes, message } of cases) {
    it(name, () => {
      const attempt = () => read(new Uint8Array(bytes), { baseSize: 100, size: 10 });
      expect(attempt).toThrow(message);
      expect(attempt).toThrow(LockstepError);
    });
  }

  it('and whose twins are taken', () => {
    const sizes = { baseSize: 100, size: 10 };
    expect(read(new Uint8Array([21, 180, 1]), sizes)).toEqual([copy(90, 10)]);
    expect(read(new Uint8Array([20, ...new Array<number>(10).fill(1)]), sizes)).toHaveLength(1);
    expect(read(new Uint8Array(), { baseSize: 100, size: 0 })).toEqual([]);
  });

  it('any bytes are instructions within base and size, or a breach of protocol', () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 });
    fc.assert(
      fc.property(chunks, fc.nat({ max: 300 }), fc.nat({ max: 300 }), (stream, baseSize, size) => {
        const patch = new Patch({ baseSize, size });
        let made = 0;
        try {
          for (const chunk of stream) {
            for (const step of patch.push(chunk)) {
              made += step.kind === 'copy' ? step.length : step.bytes.length;
              if (step.kind === 'literal') expect(step.bytes.buffer).toBe(chunk.buffer);
              else {
                expect(step.offset).toBeGreaterThanOrEqual(0);
                expect(step.offset + step.length).toBeLessThanOrEqual(baseSize);
              }
              expect(made).toBeLessThanOrEqual(size);
            }
          }
          patch.finish();
          expect(made).toBe(size);
        } catch (error) {
          expect(error).toMatchObject({ name: 'LockstepError', code: 'protocol' });
        }
      }),
      { numRuns: 3000 },
    );
  });
});
