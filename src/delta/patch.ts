import { LockstepError } from '../base/errors.ts';
import type { Instruction } from './instructions.ts';
import { VarintReader } from './varint.ts';

/** What the next byte of the stream belongs to. */
type State =
  | { readonly at: 'head' }
  | { readonly at: 'distance'; readonly length: number }
  | { readonly at: 'literal'; left: number };

const head: State = { at: 'head' };

/**
 * Reads the byte form of instructions, in chunks that may end anywhere. What it yields makes the new file, in order: the
 * caller reads copies from the base and writes everything one after another. Nothing is collected: a literal
 * comes in as many pieces as it has chunks.
 *
 * The stream is a peer's and may hold anything. Whatever is yielded lies within the base and within the announced size.
 */
export class Patch {
  readonly #baseSize: number;
  readonly #size: number;
  readonly #number = new VarintReader();
  #state = head;
  #copiedTo = 0;
  #made = 0;

  /** @param baseSize bytes of the base. @param size bytes that the new file is said to have */
  constructor({ baseSize, size }: { baseSize: number; size: number }) {
    this.#baseSize = baseSize;
    this.#size = size;
  }

  /**
   * Takes the next bytes of the stream. Run it to its end before the next push.
   *
   * @returns what they say, as they are read; a literal's bytes are a view of `chunk`
   * @throws LockstepError `protocol` when they are not instructions for this base and size
   */
  *push(chunk: Uint8Array): Generator<Instruction, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state.at === 'literal') {
        const bytes = chunk.subarray(at, at + this.#state.left);
        at += bytes.length;
        this.#state.left -= bytes.length;
        if (this.#state.left === 0) this.#state = head;
        yield { kind: 'literal', bytes };
        continue;
      }
      const value = this.#read(chunk[at] as number);
      at += 1;
      if (value === undefined) continue;
      if (this.#state.at === 'head') {
        const length = Math.floor(value / 2);
        this.#make(length);
        this.#state = value % 2 === 0 ? { at: 'literal', left: length } : { at: 'distance', length };
      } else {
        const { length } = this.#state;
        const offset = this.#copiedTo + (value % 2 === 0 ? value / 2 : -(value + 1) / 2);
        if (offset < 0 || offset + length > this.#baseSize) {
          throw broken(`copies bytes ${offset} to ${offset + length} of a file of ${this.#baseSize} bytes`);
        }
        this.#copiedTo = offset + length;
        this.#state = head;
        yield { kind: 'copy', offset, length };
      }
    }
  }

  /** @throws LockstepError `protocol` when the stream was cut short or does not make the announced size */
  finish(): void {
    if (this.#state.at !== 'head' || this.#number.isPartial) throw broken('ends within an instruction');
    if (this.#made !== this.#size) throw broken(`makes ${this.#made} bytes instead of ${this.#size}`);
  }

  #make(length: number): void {
    if (length === 0) throw broken('has an empty instruction');
    // Compared so that nothing can overflow: what was made is never more than the size.
    if (length > this.#size - this.#made) throw broken(`makes more than the ${this.#size} bytes that were announced`);
    this.#made += length;
  }

  #read(byte: number): number | undefined {
    try {
      return this.#number.push(byte);
    } catch (error) {
      throw broken(`has a number that is none: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function broken(what: string): LockstepError {
  return new LockstepError('protocol', `the delta that the other side sent ${what}`);
}
