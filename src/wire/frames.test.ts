/** Frames and messages: any message through any cuts of the stream; nothing broken or boundless gets through. */
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, FrameDecoder, frameOverhead, maxPayload, type Frame } from './frames.ts';
import { MessageDecoder, piecesOf, type Message } from './messages.ts';
import { packNow, zstdAvailable } from './packing.ts';
import { thrownBy } from './test-support.ts';

const packings = ['none', 'deflate', 'zstd'] as const;
const frames: fc.Arbitrary<Frame> = fc.record({
  type: fc.nat(15),
  more: fc.boolean(),
  packing: fc.constantFrom(...packings),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.integer({ min: 8000, max: maxPayload }).map((length) => new Uint8Array(length).fill(length)),
  ),
});

function bytesOf(...given: Frame[]): Buffer {
  return Buffer.concat(given.flatMap(encodeFrame));
}

function frame(type: number, payload: Uint8Array, rest: Partial<Frame> = {}): Frame {
  return { type, more: false, packing: 'none', payload, ...rest };
}

function decodeAll<T>(decoder: { feed(chunk: Uint8Array): void; next(): T | undefined }, chunks: Uint8Array[]): T[] {
  const found: T[] = [];
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) found.push(next);
  }
  return found;
}

/** The bytes cut at the given places, in any order and number. */
function cutAt(bytes: Uint8Array, places: number[]): Uint8Array[] {
  const cuts = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return cuts.map((cut, index) => bytes.slice(cuts[index - 1] ?? 0, cut));
}

describe('FrameDecoder', () => {
  it('finds any frames, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 20 }), (given, places) => {
        const decoder = new FrameDecoder();
        const found = decodeAll(decoder, cutAt(bytesOf(...given), places));
        expect(
          found.map(({ payload, ...head }) => ({ ...head, payload: Buffer.from(payload).toString('base64') })),
        ).toEqual(given.map(({ payload, ...head }) => ({ ...head, payload: Buffer.from(payload).toString('base64') })));
        expect(decoder.isBetweenFrames).toBe(true);
      }),
    );
  });

  it('finds them when the bytes come one by one', () => {
    const given = [
      frame(1, Buffer.from('abc')),
      frame(2, new Uint8Array(0)),
      frame(3, Buffer.from('d'), { more: true }),
    ];
    const single = Array.from(bytesOf(...given), (byte) => Uint8Array.of(byte));
    expect(decodeAll(new FrameDecoder(), single).map(({ type }) => type)).toEqual([1, 2, 3]);
  });

  it('copies nothing that lies in one chunk', () => {
    const chunk = bytesOf(frame(1, new Uint8Array(100_000)), frame(1, new Uint8Array(5)));
    const found = decodeAll(new FrameDecoder(), [chunk]);
    expect(found.map(({ payload }) => payload.buffer === chunk.buffer)).toEqual([true, true]);
  });

  it('knows whether a frame has begun', () => {
    const decoder = new FrameDecoder();
    const bytes = bytesOf(frame(1, Buffer.from('abc')));
    for (let end = 1; end < bytes.length; end += 1) {
      decodeAll(decoder, [bytes.subarray(end - 1, end)]);
      expect(decoder.isBetweenFrames).toBe(false);
    }
    expect(decodeAll(decoder, [bytes.subarray(-1)])).toHaveLength(1);
    expect(decoder.isBetweenFrames).toBe(true);
  });

  it('refuses a length beyond the limit by the head alone', () => {
    const head = Buffer.alloc(5);
    head.writeUInt32LE(maxPayload + 1);
    const error = thrownBy(() => decodeAll(new FrameDecoder(), [head]));
    expect(error.message).toContain('a frame of 262 kB');
    // What a login greeting looks like.
    const greeting = thrownBy(() => decodeAll(new FrameDecoder(), [Buffer.from('Welcome to Ubuntu')]));
    expect(greeting).toMatchObject({ code: 'protocol', hint: expect.stringContaining('writing into') as string });
  });

  it.each([0x80, 0x40, 0xff])('refuses the bits 0x%s', (bits) => {
    const head = Buffer.from([0, 0, 0, 0, bits]);
    expect(thrownBy(() => decodeAll(new FrameDecoder(), [head])).message).toContain('unknown bits');
  });

  it('notices every changed bit of a frame', () => {
    const good = bytesOf(frame(5, Buffer.from('some payload')));
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let found: Frame[] = [];
      try {
        found = decodeAll(new FrameDecoder(), [bad]);
      } catch (error) {
        expect(error).toMatchObject({ code: 'protocol' });
      }
      // A greater length within the limit waits for what never comes.
      expect(found).toEqual([]);
    }
  });
});

describe('MessageDecoder', () => {
  const limit = 3 * maxPayload;
  const decode = (...chunks: Uint8Array[]): Message[] => decodeAll(new MessageDecoder(limit), chunks);
  const complaint = (...given: Frame[]): string => {
    const error = thrownBy(() => decode(bytesOf(...given)));
    expect(error.code).toBe('protocol');
    return error.message;
  };

  it.each([0, 1, maxPayload - 1, maxPayload, maxPayload + 1, 2 * maxPayload, limit])(
    'takes a message of %d',
    (length) => {
      const payload = Buffer.alloc(length, 'wire');
      const pieces = [...piecesOf(payload)];
      expect(pieces).toHaveLength(Math.max(1, Math.ceil(length / maxPayload)));
      for (const packing of ['none', 'deflate'] as const) {
        const given = pieces.map(({ piece, more }) =>
          frame(4, packing === 'none' ? piece : packNow(piece), { more, packing }),
        );
        const found = decode(bytesOf(...given));
        expect(found.map(({ type }) => type)).toEqual([4]);
        expect(payload.equals(found[0]?.payload ?? new Uint8Array(1))).toBe(true);
      }
    },
  );

  it('refuses a message beyond the limit', () => {
    const part = frame(1, new Uint8Array(maxPayload), { more: true });
    expect(complaint(part, part, part, frame(1, new Uint8Array(1)))).toContain('a message of more than 786 kB');
  });

  it('refuses a bomb, without unpacking more than a frame may hold', () => {
    const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(maxPayload);
    expect(complaint(frame(1, bomb, { packing: 'deflate' }))).toContain('too large when decompressed');
    const exact = deflateRawSync(Buffer.alloc(maxPayload));
    expect(decode(bytesOf(frame(1, exact, { packing: 'deflate' })))).toHaveLength(1);
    const over = deflateRawSync(Buffer.alloc(maxPayload + 1));
    expect(complaint(frame(1, over, { packing: 'deflate' }))).toContain('too large when decompressed');
  });

  it('refuses a bomb by zstd, and one that wants a large window', (context) => {
    if (!zstdAvailable) context.skip('this Node has no zstd');
    // By hand (RFC 8878): blocks that each stand for 128 KiB of zeros; and a head that wants a window of 128 MiB.
    const blocks = Buffer.alloc(4 * 512, Buffer.from([0x02, 0x00, 0x10, 0x00]));
    const bomb = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]), blocks, Buffer.from([1, 0, 0])]);
    expect(complaint(frame(1, bomb, { packing: 'zstd' }))).toContain('too large when decompressed');
    const hungry = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0]);
    expect(complaint(frame(1, hungry, { packing: 'zstd' }))).toContain('cannot be decompressed');
    const empty = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, 1, 0, 0]);
    expect(decode(bytesOf(frame(1, empty, { packing: 'zstd' })))).toHaveLength(1);
  });

  it('refuses what cannot be decompressed', () => {
    expect(complaint(frame(1, new Uint8Array(0), { packing: 'deflate' }))).toContain('cannot be decompressed');
    expect(complaint(frame(1, Buffer.from('rubbish'), { packing: 'deflate' }))).toContain('cannot be decompressed');
    expect(complaint(frame(1, deflateRawSync('x'.repeat(99)).subarray(0, 5), { packing: 'deflate' }))).toContain(
      'cannot',
    );
    expect(complaint(frame(1, Buffer.from('rubbish'), { packing: 'zstd' }))).toMatch(/cannot be|has not got/);
  });

  it('refuses a message in crumbs', () => {
    expect(complaint(frame(1, new Uint8Array(0), { more: true }))).toContain('pieces of 0 bytes');
    expect(complaint(frame(1, new Uint8Array(1000), { more: true }))).toContain('pieces of 1000 bytes');
  });

  it('lets reports come between the frames of a message', () => {
    const decoder = new MessageDecoder(1_000_000);
    const part = new Uint8Array(20_000).fill(7);
    decoder.feed(bytesOf(frame(1, part, { more: true })));
    decoder.feed(bytesOf(frame(15, Uint8Array.of(1, 2, 3, 4, 5))));
    decoder.feed(bytesOf(frame(1, part)));
    expect(decoder.next()?.type).toBe(15);
    expect(decoder.next()).toMatchObject({ type: 1, payload: { length: 40_000 } });
    decoder.feed(bytesOf(frame(15, part, { more: true })));
    expect(() => decoder.next()).toThrow('a report in pieces');
  });

  it('refuses frames of another message within one', () => {
    const begun = frame(1, new Uint8Array(maxPayload), { more: true });
    expect(complaint(begun, frame(13, new Uint8Array(0)))).toContain('type 13 within a message of type 1');
  });

  it('does not hold a large buffer for a small message', () => {
    const [message] = decode(bytesOf(frame(1, packNow(Buffer.alloc(2000, 'ab')), { packing: 'deflate' })));
    expect(message?.payload.length).toBe(2000);
    // Unless it is Node's own pool, which it shares with others.
    expect(message?.payload.buffer.byteLength).toBeLessThanOrEqual(Math.max(Buffer.poolSize, 10_000));
  });

  it('makes messages or protocol errors of anything', () => {
    // With right checksums, or nothing would be tried beyond them.
    const hostile = fc.oneof(
      frames,
      fc.record({
        type: fc.nat(15),
        more: fc.boolean(),
        packing: fc.constant('deflate' as const),
        payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => deflateRawSync(bytes)),
      }),
    );
    fc.assert(
      fc.property(
        fc.array(hostile, { maxLength: 5 }),
        fc.uint8Array({ maxLength: 20 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        (given, rubbish, places) => {
          const bytes = Buffer.concat([bytesOf(...given), rubbish]);
          try {
            for (const { payload } of decode(...cutAt(bytes, places)))
              expect(payload.length).toBeLessThanOrEqual(limit);
          } catch (error) {
            expect(error).toMatchObject({ code: 'protocol' });
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('encodeFrame', () => {
  it('is what the format says', () => {
    const [bytes] = encodeFrame(frame(3, Buffer.from('hi'), { more: true, packing: 'zstd' }));
    expect(Buffer.from(bytes ?? []).toString('hex')).toBe('0200000073' + '6869' + '4837bc30');
    expect(bytes?.length).toBe(2 + frameOverhead);
  });

  it('does not copy a large payload', () => {
    const payload = new Uint8Array(maxPayload);
    expect(encodeFrame(frame(1, payload))[1]).toBe(payload);
  });
});
