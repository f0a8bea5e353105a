/**
 * Typed values as bytes. A codec is a value, made of other codecs, and its TypeScript type follows from it:
 *
 *     const entry = struct({ name: text, size: count, target: optional(text) });
 *     type Entry = ValueOf<typeof entry>; // { name: string; size: number; target?: string }
 *     const bytes = encode(entry, { name: 'a', size: 1 });
 *
 * There are no names or types in the bytes: both ends must have the same codec. The reading end need not trust the other:
 * what it reads is of the codec's type, or a `LockstepError` with code 'protocol'.
 */
import { Reader, Writer, type Codec } from './codec/buffer.ts';
import { MalformedError } from './errors.ts';

export { Reader, Writer, type Codec, type ValueOf } from './codec/buffer.ts';
export { array, lazy, optional, refine, struct, tagged } from './codec/compound.ts';
export type { OptionalCodec, StructOf, TaggedOf } from './codec/compound.ts';
export { bool, bytes, count, float, i64, oneOf, text, u64 } from './codec/scalars.ts';

/** @throws RangeError for a value that cannot be sent */
export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const out = new Writer();
  codec.write(out, value);
  return out.finish();
}

/** @throws LockstepError with code 'protocol' unless the bytes are exactly one value */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const input = new Reader(bytes);
  const value = codec.read(input);
  if (input.left > 0) throw new MalformedError(`${input.left} bytes left over`);
  return value;
}
