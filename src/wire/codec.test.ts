/** The codecs: everything comes back as it was, and nothing else is let in. */
import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  array,
  bool,
  bytes,
  count,
  decode,
  encode,
  float,
  i64,
  lazy,
  oneOf,
  optional,
  refine,
  struct,
  tagged,
  text,
  u64,
  type Codec,
  type ValueOf,
} from './codec.ts';
import { thrownBy } from './test-support.ts';

const entry = struct({ name: text, size: count, target: optional(text) });

interface Node {
  label: string;
  children: Node[];
}
const node: Codec<Node> = lazy(() => struct({ label: text, children: array(node, 100) }));

const message = tagged('op', {
  put: struct({ entry, data: bytes(1000), when: i64, id: u64 }),
  drop: struct({ names: array(text, 100), force: bool }),
  tree: struct({ root: node, ratio: float, mode: oneOf('fast', 'safe') }),
  nothing: struct({}),
});
type Message = ValueOf<typeof message>;

/** Any string, lone surrogates included. */
const anyText = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) });
const strings = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), anyText);
const entries = fc.record(
  { name: strings, size: fc.maxSafeNat(), target: strings },
  { requiredKeys: ['name', 'size'] },
);
const nodes: fc.Memo<Node> = fc.memo((depth) =>
  fc.record({ label: strings, children: depth > 1 ? fc.array(nodes(depth - 1), { maxLength: 3 }) : fc.constant([]) }),
);
const messages: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    op: fc.constant('put' as const),
    entry: entries,
    data: fc.uint8Array({ maxLength: 1000 }),
    when: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    id: fc.bigInt(0n, 2n ** 64n - 1n),
  }),
  fc.record({ op: fc.constant('drop' as const), names: fc.array(strings), force: fc.boolean() }),
  fc.record({
    op: fc.constant('tree' as const),
    root: nodes(4),
    ratio: fc.double(),
    mode: fc.constantFrom('fast' as const, 'safe' as const),
  }),
  fc.constant({ op: 'nothing' as const }),
);

describe('types', () => {
  it('follow from the codecs', () => {
    expectTypeOf<ValueOf<typeof entry>>().toEqualTypeOf<{ name: string; size: number; target?: string }>();
    expectTypeOf<Extract<Message, { op: 'drop' }>>().toEqualTypeOf<{ op: 'drop'; names: string[]; force: boolean }>();
    expectTypeOf<Message['op']>().toEqualTypeOf<'put' | 'drop' | 'tree' | 'nothing'>();
    expectTypeOf<Extract<Message, { op: 'tree' }>['mode']>().toEqualTypeOf<'fast' | 'safe'>();
  });
});

describe('round trips', () => {
  it('any message', () => {
    fc.assert(
      fc.property(messages, (value) => {
        expect(decode(message, encode(message, value))).toEqual(value);
      }),
    );
  });

  it.each([0, 1, 127, 128, 16383, 16384, 2 ** 31, 2 ** 32, 2 ** 49 - 1, 2 ** 49, 2 ** 53 - 1])('count %d', (value) => {
    const encoded = encode(count, value);
    expect(decode(count, encoded)).toBe(value);
    expect(encoded.length).toBeLessThanOrEqual(8);
  });

  it.each([
    '',
    'a',
    'é',
    '€',
    '😀',
    '\ufeff',
    '\ufffd',
    '\0',
    '\ud800',
    '\udc80',
    'x\udcffy',
    '\udc00\ud800',
    '😀\ud83d',
  ])('text %j', (value) => {
    expect(decode(text, encode(text, value))).toBe(value);
  });

  it('leaves out optional properties that are undefined, and nothing else', () => {
    expect(Object.keys(decode(entry, encode(entry, { name: '', size: 0 })))).toEqual(['name', 'size']);
    expect(decode(optional(text), encode(optional(text), undefined))).toBeUndefined();
    expect(decode(optional(text), encode(optional(text), ''))).toBe('');
  });

  it('long values and many', () => {
    const long = 'ü'.repeat(1024 * 512);
    expect(decode(text, encode(text, long))).toBe(long);
    const many = Array.from({ length: 100_000 }, (_, index) => index);
    expect(decode(array(count, 100_000), encode(array(count, 100_000), many))).toEqual(many);
  });

  it('floats, the odd ones too', () => {
    for (const value of [0, -0, 1.5, -Infinity, NaN, Number.MIN_VALUE]) {
      expect(decode(float, encode(float, value))).toBe(value);
    }
  });
});

describe('what does not decode', () => {
  const small = array(text, 10);
  it.each<[string, Codec<unknown>, number[], string]>([
    ['nothing', count, [], 'it ends too early: 1 bytes wanted, 0 left'],
    ['a bool of 2', bool, [2], '2 where 0 or 1 should be'],
    ['an optional of 2', optional(count), [2, 0], '2 where 0 or 1 should be'],
    ['a count without end', count, [0x80, 0x80], 'it ends too early'],
    ['a count above 2^53-1', count, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10], 'a number above 2^53-1'],
    ['a count of nine bytes', count, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], 'a number above 2^53-1'],
    ['a count longer than need be', count, [0x80, 0x00], 'a number that is longer than it needs to be'],
    ['a long text', text, [0x81, 0x80, 0x40], 'a text of 1.0 MB'],
    ['a short text', text, [3, 0x61], 'it ends too early: 3 bytes wanted, 1 left'],
    ['a text that is not UTF-8', text, [1, 0xff], 'a text that is not encoded as it should be'],
    ['an overlong character', text, [2, 0xc0, 0x80], 'a text that is not encoded'],
    ['a character cut short', text, [2, 0xe2, 0x82], 'a text that is not encoded'],
    ['a lone continuation', text, [1, 0x80], 'a text that is not encoded'],
    ['a character beyond Unicode', text, [4, 0xf4, 0x90, 0x80, 0x80], 'a text that is not encoded'],
    ['a pair as two surrogates', text, [6, 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80], 'a text that is not encoded'],
    ['too many bytes', bytes(2), [3, 0, 0, 0], '3 B where at most 2 B may be'],
    ['a word of two', oneOf('a', 'b'), [2], 'word 2 of 2'],
    ['a case of two', tagged('t', { a: struct({}), b: struct({}) }), [7], "case 7 of 2 of 't'"],
    ['more values than allowed', small, [11], '11 values where at most 10 may be'],
    ['more values than bytes', small, [10, 0, 0], '10 values in 2 bytes'],
    ['2^40 values', array(bool, 2 ** 45), [0x80, 0x80, 0x80, 0x80, 0x80, 0x20], '1099511627776 values in 0 bytes'],
    ['bytes left over', bool, [1, 1, 1], '2 bytes left over'],
    ['a broken condition', refine(count, (n) => (n > 5 ? `${n} is too much` : undefined)), [6], '6 is too much'],
    ['deep within', struct({ list: array(entry, 9) }), [2, 0, 0, 0, 1, 0x61, 5, 9], 'list[1].target: 9 where 0 or 1'],
    ['within a case', tagged('t', { a: struct({ x: bool }) }), [0, 5], 'a.x: 5 where'],
  ])('%s', (_, codec, given, problem) => {
    const error = thrownBy(() => decode(codec, Uint8Array.from(given)));
    expect(error).toMatchObject({ code: 'protocol' });
    expect(error.message).toContain(problem);
  });

  it('nesting beyond sixteen levels, however it goes on', () => {
    const bytesOf = (levels: number): number[] => (levels === 1 ? [0, 0] : [0, 1, ...bytesOf(levels - 1)]);
    expect(decode(node, Uint8Array.from(bytesOf(16)))).toMatchObject({ label: '' });
    const tooMany = thrownBy(() => decode(node, Uint8Array.from(bytesOf(17))));
    expect(tooMany.message).toContain('nested more than 16 levels deep');
    expect(thrownBy(() => decode(node, new Uint8Array(1_000_000).fill(1))).message).toContain('malformed');
  });

  it('random bytes give a value or a protocol error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (given) => valueOrComplaint(given)),
      { numRuns: 2000 },
    );
  });

  it('so do real messages with some bytes changed, and what they give encodes again', () => {
    const change = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(messages, fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(), (value, changes, cut) => {
        const encoded = encode(message, value);
        for (const [at, byte] of changes) encoded[at % encoded.length] = byte;
        valueOrComplaint(encoded.subarray(0, cut % 3 === 0 ? cut % encoded.length : encoded.length));
      }),
      { numRuns: 1000 },
    );
  });

  function valueOrComplaint(given: Uint8Array): void {
    let value: Message;
    try {
      value = decode(message, given);
    } catch (error) {
      expect(error).toMatchObject({ code: 'protocol' });
      return;
    }
    // Every value has one form; only NaN has many.
    if (value.op === 'tree' && Number.isNaN(value.ratio)) return;
    expect(encode(message, value)).toEqual(Uint8Array.from(given));
  }
});

describe('what cannot be sent', () => {
  it.each<[string, () => unknown]>([
    ['a fraction as count', () => encode(count, 1.5)],
    ['a negative count', () => encode(count, -1)],
    ['2^53 as count', () => encode(count, 2 ** 53)],
    ['2^63 as i64', () => encode(i64, 2n ** 63n)],
    ['-1 as u64', () => encode(u64, -1n)],
    ['a long text', () => encode(text, 'x'.repeat(1024 * 1024 + 1))],
    ['too many bytes', () => encode(bytes(1), new Uint8Array(2))],
    ['too many values', () => encode(array(bool, 1), [true, true])],
    ['values of no bytes', () => encode(array(struct({}), 9), [{}])],
    ['an unknown word', () => encode(oneOf('a') as Codec<string>, 'b')],
    ['an unknown case', () => encode(tagged('t', { a: struct({}) }) as Codec<{ t: string }>, { t: 'b' })],
  ])('%s', (_, send) => {
    expect(send).toThrow(RangeError);
  });

  it('a value nested too deep', () => {
    const chain = (levels: number): Node => ({ label: '', children: levels === 1 ? [] : [chain(levels - 1)] });
    expect(encode(node, chain(16)).length).toBe(32);
    expect(() => encode(node, chain(17))).toThrow(RangeError);
  });
});
