/** Where codecs write to and read from. Numbers are little-endian. */
import { MalformedError } from '../errors.ts';
import { decodeText, encodeTextInto } from './text.ts';

/**
 * How one kind of value is written as bytes and read back.
 *
 * `read` trusts nothing: it throws a `LockstepError` with code 'protocol' for bytes that `write` would not have written.
 * `write` throws a RangeError for a value that `read` would refuse: a defect of ours, not the peer's.
 */
export interface Codec<T> {
  write(out: Writer, value: T): void;
  read(input: Reader): T;
}

/** The type of the values of a codec. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never;

/** How deeply `lazy` codecs may be nested: the stack of this process is not the peer's to use up. */
const maxDepth = 16;

/** A buffer that grows as it is written to. */
export class Writer {
  #bytes = Buffer.allocUnsafeSlow(256);
  #length = 0;
  #depth = 0;

  get length(): number {
    return this.#length;
  }

  uint8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  /** A whole number from 0 to 2^53-1, seven bits to a byte, lowest first. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a count`);
    let rest = value;
    while (rest >= 0x80) {
      this.uint8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.uint8(rest);
  }

  float64(value: number): void {
    const at = this.#reserve(8);
    this.#bytes.writeDoubleLE(value, at);
  }

  /** @throws RangeError when it does not fit */
  int64(value: bigint): void {
    const at = this.#reserve(8);
    this.#bytes.writeBigInt64LE(value, at);
  }

  /** @throws RangeError when it does not fit */
  uint64(value: bigint): void {
    const at = this.#reserve(8);
    this.#bytes.writeBigUInt64LE(value, at);
  }

  /** The bytes as they are, without their length. */
  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  /** A text's bytes (codec/text.ts), without their length. @param size what `Buffer.byteLength` says of it */
  text(value: string, size: number): void {
    const at = this.#reserve(size);
    encodeTextInto(this.#bytes.subarray(at, at + size), value);
  }

  /** Runs `body` one level of recursion deeper. */
  nested(body: () => void): void {
    this.#depth += 1;
    if (this.#depth > maxDepth) throw new RangeError(`a value is nested more than ${maxDepth} levels deep`);
    body();
    this.#depth -= 1;
  }

  /** What was written. The writer must not be used afterwards: the result is a view of its buffer. */
  finish(): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, 0, this.#length);
  }

  /** Makes room for so many bytes. @returns where they are to be put */
  #reserve(size: number): number {
    const at = this.#length;
    const end = at + size;
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#length = end;
    return at;
  }
}

/** Reads what a Writer wrote; every method throws a 'protocol' error when the bytes do not suffice. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  /** A whole number from 0 to 2^53-1 in its one, shortest form. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.uint8();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new MalformedError('a number above 2^53-1');
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw new MalformedError('a number that is longer than it needs to be');
        return value;
      }
      scale *= 0x80;
      if (scale >= 2 ** 56) throw new MalformedError('a number above 2^53-1');
    }
  }

  float64(): number {
    return this.#bytes.readDoubleLE(this.#advance(8));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64LE(this.#advance(8));
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#advance(8));
  }

  /** The next so many bytes, as a view of the message. */
  raw(size: number): Uint8Array {
    const at = this.#advance(size);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at, size);
  }

  /** The text in the next so many bytes (codec/text.ts). */
  text(size: number): string {
    const at = this.#advance(size);
    const text = decodeText(this.#bytes, at, at + size);
    if (text === undefined) throw new MalformedError('a text that is not encoded as it should be');
    return text;
  }

  /** Runs `body` one level of recursion deeper. */
  nested<T>(body: () => T): T {
    this.#depth += 1;
    if (this.#depth > maxDepth) throw new MalformedError(`nested more than ${maxDepth} levels deep`);
    const value = body();
    this.#depth -= 1;
    return value;
  }

  /** @returns where the bytes that were passed start */
  #advance(size: number): number {
    const at = this.#at;
    if (size > this.left) throw new MalformedError(`it ends too early: ${size} bytes wanted, ${this.left} left`);
    this.#at = at + size;
    return at;
  }
}
