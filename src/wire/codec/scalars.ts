/** Codecs of single values. */
import { formatBytes } from '../../base/format.ts';
import { MalformedError } from '../errors.ts';
import type { Codec } from './buffer.ts';

export const bool: Codec<boolean> = {
  write: (out, value) => out.uint8(value ? 1 : 0),
  read(input) {
    const byte = input.uint8();
    if (byte > 1) throw new MalformedError(`${byte} where 0 or 1 should be`);
    return byte === 1;
  },
};

/** A whole number from 0 to 2^53-1, in one to eight bytes. */
export const count: Codec<number> = {
  write: (out, value) => out.varint(value),
  read: (input) => input.varint(),
};

/** Any number, NaN and infinities included, in eight bytes. */
export const float: Codec<number> = {
  write: (out, value) => out.float64(value),
  read: (input) => input.float64(),
};

/** -2^63 to 2^63-1, in eight bytes. */
export const i64: Codec<bigint> = {
  write: (out, value) => out.int64(value),
  read: (input) => input.int64(),
};

/** 0 to 2^64-1, in eight bytes. */
export const u64: Codec<bigint> = {
  write: (out, value) => out.uint64(value),
  read: (input) => input.uint64(),
};

const maxTextBytes = 1024 * 1024;

/** Any string, lone surrogates included, of at most 1 MiB when encoded. */
export const text: Codec<string> = {
  write(out, value) {
    const size = Buffer.byteLength(value);
    if (size > maxTextBytes) throw new RangeError(`a text of ${size} bytes is too long to be sent`);
    out.varint(size);
    out.text(value, size);
  },
  read(input) {
    const size = input.varint();
    if (size > maxTextBytes) throw new MalformedError(`a text of ${formatBytes(size)}`);
    return input.text(size);
  },
};

/** At most `max` bytes. What is read is a view of the message: who keeps a little of a large message copies it. */
export function bytes(max: number): Codec<Uint8Array> {
  return {
    write(out, value) {
      if (value.length > max) throw new RangeError(`${value.length} bytes where at most ${max} may be sent`);
      out.varint(value.length);
      out.raw(value);
    },
    read(input) {
      const size = input.varint();
      if (size > max) throw new MalformedError(`${formatBytes(size)} where at most ${formatBytes(max)} may be`);
      return input.raw(size);
    },
  };
}

/** One of at most 256 words, as one byte. Both ends must name them in the same order. */
export function oneOf<const T extends readonly string[]>(...values: T): Codec<T[number]> {
  if (values.length > 256) throw new RangeError('more than 256 words');
  const indexes = new Map<string, number>(values.map((value, index) => [value, index]));
  return {
    write(out, value) {
      const index = indexes.get(value);
      if (index === undefined) throw new RangeError(`'${value}' is none of ${values.join(', ')}`);
      out.uint8(index);
    },
    read(input) {
      const index = input.uint8();
      const value: T[number] | undefined = values[index];
      if (value === undefined) throw new MalformedError(`word ${index} of ${values.length}`);
      return value;
    },
  };
}
