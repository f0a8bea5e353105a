/** Codecs made of codecs. */
import { MalformedError } from '../errors.ts';
import type { Codec, Reader, ValueOf } from './buffer.ts';

/** An array of at most `max` values, each of at least one byte. */
export function array<T>(item: Codec<T>, max: number): Codec<T[]> {
  return {
    write(out, values) {
      if (values.length > max) throw new RangeError(`${values.length} values where at most ${max} may be sent`);
      out.varint(values.length);
      const start = out.length;
      for (const value of values) item.write(out, value);
      if (out.length - start < values.length) throw new RangeError('an array of values that take no bytes');
    },
    read(input) {
      const declared = input.varint();
      if (declared > max) throw new MalformedError(`${declared} values where at most ${max} may be`);
      if (declared > input.left) throw new MalformedError(`${declared} values in ${input.left} bytes`);
      const values: T[] = [];
      try {
        while (values.length < declared) values.push(item.read(input));
      } catch (error) {
        throw located(error, `[${values.length}]`);
      }
      return values;
    },
  };
}

/** The codec of a value that may be missing; as a field of a `struct` it makes an optional property. */
export interface OptionalCodec<T> extends Codec<T | undefined> {
  readonly optional: true;
}

export function optional<T>(inner: Codec<T>): OptionalCodec<T> {
  return {
    optional: true,
    write(out, value) {
      out.uint8(value === undefined ? 0 : 1);
      if (value !== undefined) inner.write(out, value);
    },
    read(input) {
      const byte = input.uint8();
      if (byte > 1) throw new MalformedError(`${byte} where 0 or 1 should be`);
      return byte === 1 ? inner.read(input) : undefined;
    },
  };
}

type Fields = Record<string, Codec<unknown>>;
type OptionalKeys<F> = { [K in keyof F]: F[K] extends OptionalCodec<unknown> ? K : never }[keyof F];
type Flat<T> = { [K in keyof T]: T[K] };

/** The object that a `struct` of these fields reads and writes. */
export type StructOf<F extends Fields> = Flat<
  { [K in Exclude<keyof F, OptionalKeys<F>>]: ValueOf<F[K]> } & {
    [K in OptionalKeys<F>]?: Exclude<ValueOf<F[K]>, undefined>;
  }
>;

/** An object with these properties, in this order. Optional ones that are undefined are absent when read. */
export function struct<F extends Fields>(fields: F): Codec<StructOf<F>> {
  const entries = Object.entries(fields).map(([key, codec]) => ({ key, codec, optional: 'optional' in codec }));
  return {
    write(out, value) {
      const properties: Record<string, unknown> = value;
      for (const { key, codec } of entries) codec.write(out, properties[key]);
    },
    read(input) {
      const properties: Record<string, unknown> = {};
      let field = '';
      try {
        for (const { key, codec, optional } of entries) {
          field = key;
          const value = codec.read(input);
          if (value !== undefined || !optional) properties[key] = value;
        }
      } catch (error) {
        throw located(error, field);
      }
      return properties as StructOf<F>;
    },
  };
}

type Cases = Record<string, Codec<object>>;

/** The union that `tagged` reads and writes: each case's object with the case's name as `Tag`. */
export type TaggedOf<Tag extends string, C extends Cases> = {
  [K in keyof C & string]: Flat<Record<Tag, K> & ValueOf<C[K]>>;
}[keyof C & string];

/**
 * A discriminated union: `tagged('op', { put: struct({ … }), drop: struct({ … }) })`.
 * At most 256 cases; both ends must name them in the same order.
 */
export function tagged<Tag extends string, C extends Cases>(tag: Tag, cases: C): Codec<TaggedOf<Tag, C>> {
  const list = Object.entries(cases);
  if (list.length > 256) throw new RangeError('more than 256 cases');
  const indexes = new Map(list.map(([name], index) => [name, index]));
  return {
    write(out, value) {
      const name: string = value[tag];
      const index = indexes.get(name);
      const body = index === undefined ? undefined : list[index]?.[1];
      if (index === undefined || body === undefined) throw new RangeError(`'${name}' is no case of '${tag}'`);
      out.uint8(index);
      body.write(out, value);
    },
    read(input) {
      const index = input.uint8();
      const found = list[index];
      if (found === undefined) throw new MalformedError(`case ${index} of ${list.length} of '${tag}'`);
      const [name, codec] = found;
      try {
        return { [tag]: name, ...codec.read(input) } as TaggedOf<Tag, C>;
      } catch (error) {
        throw located(error, name);
      }
    },
  };
}

/** The same with a condition that is checked when reading. @param complaint what is wrong with a value, if anything */
export function refine<T>(inner: Codec<T>, complaint: (value: T) => string | undefined): Codec<T> {
  return {
    write: (out, value) => inner.write(out, value),
    read(input) {
      const value = inner.read(input);
      const problem = complaint(value);
      if (problem !== undefined) throw new MalformedError(problem);
      return value;
    },
  };
}

/** A codec that is made when first used, and so may hold itself; at most 16 levels deep. */
export function lazy<T>(make: () => Codec<T>): Codec<T> {
  let made: Codec<T> | undefined;
  const inner = (): Codec<T> => (made ??= make());
  return {
    write: (out, value) => out.nested(() => inner().write(out, value)),
    read: (input: Reader) => input.nested(() => inner().read(input)),
  };
}

/** The error, saying where in the message it came up. */
function located(error: unknown, step: string): unknown {
  return error instanceof MalformedError ? error.within(step) : error;
}
