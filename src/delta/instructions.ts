/**
 * What makes the new file out of the base: the instructions and their byte form.
 *
 *     literal: varint length × 2 · the bytes
 *     copy:    varint length × 2 + 1 · varint distance
 *
 * Lengths are at least 1. The distance is how far the copy begins from where the copy before it ended (at first, from the beginning of
 * the base), zigzag: 0, -1, 1, -2, … are 0, 1, 2, 3, …. So going on where one left off costs one byte.
 */
import { maxVarintLength, putVarint } from './varint.ts';

/** The next bytes of the new file: `length` bytes of the base from `offset`, both in bytes. */
export interface Copy {
  readonly kind: 'copy';
  readonly offset: number;
  readonly length: number;
}

/** The next bytes of the new file, as they are. */
export interface Literal {
  readonly kind: 'literal';
  readonly bytes: Uint8Array;
}

export type Instruction = Copy | Literal;

/** Writes instructions, one after another, as bytes that `Patch` reads. */
export class InstructionEncoder {
  #copiedTo = 0;

  /** @returns the bytes of the next instruction, in order; a literal's are those of the instruction, not copied */
  encode(instruction: Instruction): Uint8Array[] {
    if (instruction.kind === 'literal') {
      const head = new Uint8Array(maxVarintLength);
      return [head.subarray(0, putVarint(head, 0, instruction.bytes.length * 2)), instruction.bytes];
    }
    const { offset, length } = instruction;
    const head = new Uint8Array(2 * maxVarintLength);
    const distanceStart = putVarint(head, 0, length * 2 + 1);
    const end = putVarint(head, distanceStart, zigzag(offset - this.#copiedTo));
    this.#copiedTo = offset + length;
    return [head.subarray(0, end)];
  }
}

function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2;
}
