/** Connections over pairs of pipes in this process: what arrives, and how they end. */
import { randomBytes } from 'node:crypto';
import { performance as real } from 'node:perf_hooks';
import { PassThrough, Writable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LockstepError } from '../base/errors.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { encodeFrame, maxPayload, type Frame } from './frames.ts';
import { zstdAvailable } from './packing.ts';

const usual: ConnectionOptions = {
  compress: 'off',
  heartbeatMs: 5000,
  silenceMs: 15_000,
  maxMessageBytes: 4_000_000,
};

/** Not the one of the fake timers. */
const turn = setImmediate;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => turn(resolve));
}

/** One end of a connection, and what happened to it. */
class End {
  readonly connection: Connection;
  readonly got: { type: number; payload: Buffer }[] = [];
  readonly closed: Promise<LockstepError | undefined>;
  outcome: { error: LockstepError | undefined } | undefined;

  constructor(
    readonly input: PassThrough,
    readonly output: Writable,
    options: Partial<ConnectionOptions> = {},
    listen = true,
  ) {
    this.connection = new Connection(input, output, { ...usual, ...options });
    this.closed = new Promise((resolve) => {
      this.connection.onClose((error) => {
        expect(this.outcome).toBeUndefined();
        this.outcome = { error };
        resolve(error);
      });
    });
    if (listen) this.listen();
  }

  listen(): void {
    this.connection.onMessage((type, payload) => this.got.push({ type, payload: Buffer.from(payload) }));
  }

  get texts(): string[] {
    return this.got.map(({ payload }) => payload.toString());
  }
}

function pair(options: Partial<ConnectionOptions> = {}): [End, End] {
  const there = new PassThrough();
  const back = new PassThrough();
  return [new End(back, there, options), new End(there, back, options)];
}

/** A connection whose other end is the test. */
function alone(options: Partial<ConnectionOptions> = {}, listen = true): { end: End; peer: Peer } {
  const input = new PassThrough();
  const output = new PassThrough();
  return { end: new End(input, output, options, listen), peer: { to: input, from: output } };
}

interface Peer {
  to: PassThrough;
  from: PassThrough;
}

function frame(type: number, payload: Uint8Array | string = '', rest: Partial<Frame> = {}): Buffer {
  return Buffer.concat(encodeFrame({ type, more: false, packing: 'none', payload: Buffer.from(payload), ...rest }));
}

const ping = frame(13);
const goodbye = frame(14);

afterEach(() => {
  vi.useRealTimers();
});

describe('messages', () => {
  it('go both ways, whole and in order, until both said goodbye', async () => {
    const [a, b] = pair();
    const big = randomBytes(1_000_000);
    a.connection.send(0, Buffer.from('first'));
    a.connection.send(12, big);
    a.connection.send(3, new Uint8Array(0));
    b.connection.send(1, Buffer.from('answer'));
    await a.connection.close();
    expect(await a.closed).toBeUndefined();
    expect(await b.closed).toBeUndefined();
    expect(b.got.map(({ type }) => type)).toEqual([0, 12, 3]);
    expect(b.got[1]?.payload.equals(big)).toBe(true);
    expect(a.texts).toEqual(['answer']);
    const { bytesIn, bytesOut, messagesIn, messagesOut } = a.connection.counters;
    expect(b.connection.counters).toEqual({
      bytesIn: bytesOut,
      bytesOut: bytesIn,
      messagesIn: messagesOut,
      messagesOut: messagesIn,
    });
    expect([bytesOut, messagesOut]).toEqual([1_000_005 + 7 * 9, 3]);
  });

  it('keep their order while they are compressed in several threads', async () => {
    const sizes = fc.array(fc.record({ length: fc.nat(600_000), noise: fc.boolean() }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), async (given, zstd) => {
        const [a, b] = pair({ compress: 'on', zstd: zstd && zstdAvailable });
        const payloads = given.map(({ length, noise }, index) =>
          noise ? randomBytes(length) : Buffer.alloc(length, `message ${index} `),
        );
        for (const payload of payloads) a.connection.send(1, payload);
        await a.connection.close();
        expect(b.got.map(({ payload }, index) => payload.equals(payloads[index] ?? randomBytes(9)))).toEqual(
          payloads.map(() => true),
        );
        expect(b.outcome).toEqual({ error: undefined });
      }),
      { numRuns: 30 },
    );
  });

  it('are compressed by zstd when both have it', async (context) => {
    if (!zstdAvailable) context.skip('this Node has no zstd');
    const [a, b] = pair({ compress: 'on' });
    a.connection.configure({ zstd: true });
    const payload = Buffer.alloc(1_000_000, 'zstd knows this');
    a.connection.send(1, payload);
    await a.connection.close();
    expect(b.got[0]?.payload.equals(payload)).toBe(true);
    // Deflate cannot get below a thousandth.
    expect(a.connection.counters.bytesOut).toBeLessThan(1000);
  });

  it('are compressed on demand, unless small or noise', async () => {
    const sent = async (payload: Uint8Array): Promise<number> => {
      const [a] = pair({ compress: 'on' });
      a.connection.send(1, payload);
      await a.connection.close();
      return a.connection.counters.bytesOut - 18;
    };
    expect(await sent(Buffer.alloc(511, 'a'))).toBe(511);
    expect(await sent(Buffer.alloc(512, 'a'))).toBeLessThan(100);
    expect(await sent(Buffer.alloc(100_000, 'a'))).toBeLessThan(2000);
    expect(await sent(randomBytes(100_000))).toBe(100_000);
  });

  it('are kept until somebody listens', async () => {
    const { end, peer } = alone({}, false);
    peer.to.write(Buffer.concat([frame(1, 'one'), ping, frame(2, 'two'), goodbye]));
    peer.to.end();
    await until(() => end.connection.counters.bytesIn > 0);
    expect(end.outcome).toBeUndefined();
    end.listen();
    expect(await end.closed).toBeUndefined();
    expect(end.texts).toEqual(['one', 'two']);
  });

  it('wait while reading is paused, within what was read as well as in the pipe', async () => {
    const { end, peer } = alone();
    end.connection.onMessage((_, payload) => {
      end.got.push({ type: 1, payload: Buffer.from(payload) });
      end.connection.pause();
    });
    peer.to.write(Buffer.concat([frame(1, 'one'), frame(1, 'two')]));
    while (peer.to.write(frame(1, Buffer.alloc(1000))));
    await until(() => end.got.length === 1);
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => turn(resolve));
    expect(end.texts).toEqual(['one']);
    expect(peer.to.writableNeedDrain).toBe(true);
    end.connection.resume();
    await until(() => end.got.length === 2);
    expect(end.texts[1]).toBe('two');
    end.listen();
    end.connection.resume();
    await until(() => !peer.to.writableNeedDrain);
  });

  it('come one after the other, even to a listener that pauses and resumes', async () => {
    const { end, peer } = alone();
    let inside = 0;
    const seen: string[] = [];
    end.connection.onMessage((_, payload) => {
      expect(inside).toBe(0);
      inside += 1;
      end.connection.pause();
      end.connection.resume();
      seen.push(Buffer.from(payload).toString());
      inside -= 1;
    });
    peer.to.write(Buffer.concat(['a', 'b', 'c'].map((text) => frame(1, text))));
    await until(() => seen.length === 3);
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('of wrong type or length are not sent', () => {
    const { end } = alone();
    for (const type of [-1, 13, 14, 1.5]) expect(() => end.connection.send(type, Buffer.from(''))).toThrow(RangeError);
    expect(() => end.connection.send(1, new Uint8Array(4_000_001))).toThrow(RangeError);
  });
});

describe('the queue', () => {
  it('tells how much waits for the pipe, and when it is less', async () => {
    const { end, peer } = alone();
    // Three frames; less than what may lie in the pipe without a word from its other end.
    end.connection.send(1, new Uint8Array(300_000));
    end.connection.send(1, new Uint8Array(200_000));
    expect(end.connection.queuedBytes).toBe(500_000 + 3 * 9);
    let below = false;
    void end.connection.whenBelow(250_000).then(() => (below = true));
    await until(() => peer.from.readableLength > 0);
    expect(below).toBe(false);
    peer.from.on('data', () => undefined);
    await until(() => below);
    await end.connection.whenBelow(1);
    expect(end.connection.queuedBytes).toBe(0);
  });

  it('does not keep anybody waiting once the connection is gone', async () => {
    const { end } = alone();
    end.connection.send(1, new Uint8Array(3_000_000));
    const waiting = end.connection.whenBelow(1);
    end.connection.destroy();
    await waiting;
    await end.connection.whenBelow(1);
    end.connection.send(1, new Uint8Array(10));
    expect(end.connection.queuedBytes).toBe(0);
  });
});

describe('the limit to bytes per second', () => {
  it('holds at every moment, and is used', async () => {
    vi.useFakeTimers();
    const { end, peer } = alone({ bytesPerSecond: 100_000 });
    let got = 0;
    peer.from.on('data', (chunk: Buffer) => (got += chunk.length));
    const total = 500_000 + 18;
    const start = performance.now();
    end.connection.send(1, new Uint8Array(500_000));
    while (got < total) {
      await vi.advanceTimersByTimeAsync(10);
      expect(got).toBeLessThanOrEqual((performance.now() - start) * 100);
    }
    expect(performance.now() - start).toBeLessThan(5200);
    expect(end.outcome).toBeUndefined();
  });

  it('can be lifted', async () => {
    vi.useFakeTimers();
    const { end, peer } = alone({ bytesPerSecond: 1000 });
    peer.from.resume();
    end.connection.send(1, new Uint8Array(500_000));
    await vi.advanceTimersByTimeAsync(100);
    expect(end.connection.queuedBytes).toBeGreaterThan(0);
    end.connection.configure({ bytesPerSecond: undefined });
    await vi.advanceTimersByTimeAsync(100);
    expect(end.connection.queuedBytes).toBe(0);
  });
});

/** Two ends, and a pipe of such a speed from the first to the second, which waits so much of its time. */
function slowPair(bytesPerSecond: number, percent: number): { a: End; b: End; inPipe: () => number } {
  vi.useFakeTimers();
  const idle = vi.spyOn(real, 'eventLoopUtilization').mockImplementation(() => {
    const [seconds, ns] = process.hrtime();
    return { idle: ((seconds * 1000 + ns / 1e6) * percent) / 100, active: 0, utilization: 0 };
  });
  const there = new PassThrough();
  const back = new PassThrough();
  let waiting = 0;
  const pipe = new Writable({
    // As a pipe into which much fits: what was written is gone from here, whether or not it came out.
    highWaterMark: 1 << 30,
    write: (chunk: Buffer, _, done) => {
      waiting += chunk.length;
      done();
      later = later.then(
        () =>
          new Promise((resolve) =>
            setTimeout(
              () => {
                waiting -= chunk.length;
                there.write(chunk);
                resolve();
              },
              (chunk.length / bytesPerSecond) * 1000,
            ),
          ),
      );
    },
  });
  let later = Promise.resolve();
  const options = { compress: 'auto', silenceMs: 1e9, heartbeatMs: 1e9 } as const;
  const [a, b] = [new End(back, pipe, options), new End(there, back, options)];
  void Promise.all([a.closed, b.closed]).then(() => idle.mockRestore());
  return { a, b, inPipe: () => waiting };
}

/** Time stands still while zlib is at work. */
async function passing(ms: number): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => turn(resolve));
  await vi.advanceTimersByTimeAsync(ms);
}

describe("compression by 'auto'", () => {
  /** Sends 8 MB of text into a pipe of such a speed, to a peer that waits so much of its time. @returns how much went over it */
  async function sentThrough(bytesPerSecond: number, percent: number): Promise<number> {
    const { a, b } = slowPair(bytesPerSecond, percent);
    for (let i = 0; i < 8; i += 1) a.connection.send(1, Buffer.alloc(1_000_000, 'text that says little '));
    while (b.got.length < 8) await passing(5);
    a.connection.destroy();
    b.connection.destroy();
    return a.connection.counters.bytesOut;
  }

  it('helps a slow pipe', async () => {
    expect(await sentThrough(2_000_000, 90)).toBeLessThan(3_000_000);
  });

  it('leaves a fast one alone', async () => {
    expect(await sentThrough(100_000_000, 90)).toBeGreaterThan(8_000_000);
  });

  it('does not take a peer that is busy for a slow pipe', async () => {
    expect(await sentThrough(2_000_000, 20)).toBeGreaterThan(8_000_000);
  });

  it('takes a limit for a slow pipe', async () => {
    vi.useFakeTimers();
    const [a, b] = pair({ compress: 'auto', bytesPerSecond: 1_000_000 });
    a.connection.send(1, Buffer.alloc(4_000_000, 'text that says little '));
    while (b.got.length === 0) await passing(10);
    expect(a.connection.counters.bytesOut).toBeLessThan(1_000_000);
  });
});

describe('what lies in the pipe', () => {
  /** While so many messages of 1 MB go to a peer that waits so much of its time. */
  async function mostInPipe(percent: number, messages: number): Promise<number> {
    const { a, b, inPipe } = slowPair(20_000_000, percent);
    for (let i = 0; i < messages; i += 1) a.connection.send(1, randomBytes(1_000_000));
    let most = 0;
    while (b.got.length < messages) {
      await passing(1);
      most = Math.max(most, inPipe());
    }
    a.connection.destroy();
    b.connection.destroy();
    return most;
  }

  it('is little while the peer is busy, however much the pipe would take', async () => {
    expect(await mostInPipe(10, 8)).toBeLessThan(1_000_000);
  });

  it('becomes more while the peer waits: the way is long', async () => {
    expect(await mostInPipe(90, 20)).toBeGreaterThan(2_000_000);
  });

  it.each<[string, Partial<ConnectionOptions>]>([
    ['', {}],
    [', compressed', { compress: 'on' }],
    [', within a limit', { bytesPerSecond: 50_000_000 }],
  ])('keeps neither end from sending when both have much to say%s', async (_, options) => {
    const [a, b] = pair(options);
    for (const { connection } of [a, b]) {
      connection.send(1, randomBytes(3_000_000));
      for (let i = 0; i < 200; i += 1) connection.send(2, randomBytes(10_000));
    }
    await until(() => a.got.length === 201 && b.got.length === 201);
    // And when both have said goodbye after it.
    for (const { connection } of [a, b]) connection.send(3, randomBytes(2_000_000));
    await Promise.all([a.connection.close(), b.connection.close()]);
    expect([a.outcome, b.outcome]).toEqual([{ error: undefined }, { error: undefined }]);
    expect([a.got.length, b.got.length]).toEqual([202, 202]);
  });

  it('is no matter for long when nothing is heard of the peer', async () => {
    vi.useFakeTimers();
    const { end, peer } = alone({ silenceMs: 1e9 });
    let bytes = 0;
    peer.from.on('data', (chunk: Buffer) => (bytes += chunk.length));
    end.connection.send(1, Buffer.alloc(3_000_000));
    await passing(100);
    expect(bytes).toBeLessThan(1_000_000);
    // Twice as much, and again.
    for (let i = 0; i < 4; i += 1) await passing(210);
    expect(bytes).toBeGreaterThan(3_000_000);
    end.connection.destroy();
  });
});

describe('signs of life', () => {
  it('keep an idle connection open for ever', async () => {
    vi.useFakeTimers();
    const [a, b] = pair();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([a.outcome, b.outcome]).toEqual([undefined, undefined]);
    expect(a.got).toEqual([]);
    // One every five seconds.
    expect(a.connection.counters.bytesOut).toBe(720 * 9);
    expect(a.connection.counters.messagesOut).toBe(0);
  });

  it('are not sent while there is something else', async () => {
    vi.useFakeTimers();
    const { end, peer } = alone({ silenceMs: 1e9 });
    peer.from.resume();
    for (let i = 0; i < 20; i += 1) {
      end.connection.send(1, Buffer.from('x'));
      await vi.advanceTimersByTimeAsync(4000);
    }
    expect(end.connection.counters.bytesOut).toBe(20 * 10);
  });

  it('are missed after a while', async () => {
    vi.useFakeTimers();
    const { end, peer } = alone();
    await vi.advanceTimersByTimeAsync(14_000);
    peer.to.write(ping);
    await vi.advanceTimersByTimeAsync(14_990);
    expect(end.outcome).toBeUndefined();
    await vi.advanceTimersByTimeAsync(20);
    expect(end.outcome?.error).toMatchObject({ code: 'connection' });
    expect(end.outcome?.error?.message).toContain('nothing was heard from the other end for 15.0s');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that wait in the pipe count, when this process was too busy to read', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'hrtime'] });
    const { end, peer } = alone();
    await until(() => peer.to.readableFlowing === true);
    // The event loop sees to timers first, then to pipes.
    vi.advanceTimersByTime(20_000);
    peer.to.write(ping);
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => turn(resolve));
    expect(end.outcome).toBeUndefined();
  });

  it('are not missed while reading is paused', async () => {
    vi.useFakeTimers();
    const { end } = alone();
    end.connection.pause();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(end.outcome).toBeUndefined();
    end.connection.resume();
    await vi.advanceTimersByTimeAsync(16_000);
    expect(end.outcome?.error?.message).toContain('nothing was heard');
  });
});

describe('the end', () => {
  const problemOf = async (end: End): Promise<string> => (await end.closed)?.message ?? 'no error';

  it('without a goodbye is a loss', async () => {
    const { end, peer } = alone();
    peer.to.end(frame(1, 'last'));
    expect(await problemOf(end)).toBe('the connection was lost: the other end closed the stream');
    expect(end.texts).toEqual(['last']);
    expect((await end.closed)?.code).toBe('connection');
  });

  it.each([
    ['a frame', frame(1, 'last').subarray(0, -1)],
    ['a message', frame(1, Buffer.alloc(maxPayload), { more: true })],
  ])('in the middle of %s is one too', async (_, bytes) => {
    const { end, peer } = alone();
    peer.to.end(bytes);
    expect(await problemOf(end)).toContain('in the middle of a message');
  });

  it('of the input after our goodbye is proper', async () => {
    const { end, peer } = alone();
    peer.from.resume();
    const closing = end.connection.close();
    await until(() => end.connection.queuedBytes === 0);
    peer.to.end();
    await closing;
    expect(await end.closed).toBeUndefined();
  });

  it('of the input before our goodbye is out is a loss', async () => {
    const { end, peer } = alone();
    end.connection.send(1, new Uint8Array(1_000_000));
    void end.connection.close();
    peer.to.end();
    expect(await problemOf(end)).toContain('the other end closed the stream');
  });

  it('is answered after everything that was queued', async () => {
    const { end, peer } = alone();
    const chunks: Buffer[] = [];
    peer.from.on('data', (chunk: Buffer) => chunks.push(chunk));
    end.connection.send(1, Buffer.from('before'));
    peer.to.write(goodbye);
    expect(await end.closed).toBeUndefined();
    expect(Buffer.concat(chunks)).toEqual(Buffer.concat([frame(1, 'before'), goodbye]));
    expect(peer.from.writableFinished).toBe(true);
  });

  it('may be wished by both at once, and more than once', async () => {
    const [a, b] = pair();
    await Promise.all([a.connection.close(), b.connection.close(), a.connection.close()]);
    await a.connection.close();
    expect([a.outcome, b.outcome]).toEqual([{ error: undefined }, { error: undefined }]);
  });

  it('brings what the other end still had to say', async () => {
    const { end, peer } = alone();
    peer.from.resume();
    const closing = end.connection.close();
    end.connection.send(1, Buffer.from('too late'));
    peer.to.write(frame(1, 'still'));
    peer.to.write(goodbye);
    await closing;
    expect(end.texts).toEqual(['still']);
    expect(end.connection.counters.bytesOut).toBe(goodbye.length);
  });

  it('comes when a goodbye is not answered', async () => {
    vi.useFakeTimers();
    const { end, peer } = alone();
    peer.from.resume();
    const closing = end.connection.close();
    for (let i = 0; i < 6; i += 1) {
      peer.to.write(ping);
      await vi.advanceTimersByTimeAsync(1000);
    }
    await closing;
    expect(end.outcome?.error?.message).toContain('did not answer the goodbye within 5.0s');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('waits for a long last message that comes slowly', async () => {
    vi.useFakeTimers();
    const { end, peer } = alone();
    peer.from.resume();
    const closing = end.connection.close();
    const last = frame(1, Buffer.alloc(100));
    for (let at = 0; at < last.length; at += 10) {
      peer.to.write(last.subarray(at, at + 10));
      await vi.advanceTimersByTimeAsync(4000);
    }
    peer.to.write(goodbye);
    await closing;
    expect([end.got.length, end.outcome]).toEqual([1, { error: undefined }]);
  });

  it('by a failing write lets the last words be heard', async () => {
    const input = new PassThrough();
    const broken = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    });
    const end = new End(input, broken);
    end.connection.send(1, Buffer.from('x'));
    await until(() => broken.destroyed);
    input.end(frame(9, 'Node is too old'));
    expect(await problemOf(end)).toBe('the connection was lost: the other end closed the stream');
    expect(end.texts).toEqual(['Node is too old']);
  });

  it('by a failing write does not wait for ever', async () => {
    vi.useFakeTimers();
    const broken = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EIO'), { code: 'EIO' })),
    });
    const end = new End(new PassThrough(), broken);
    end.connection.send(1, Buffer.from('x'));
    const closing = end.connection.close();
    await vi.advanceTimersByTimeAsync(2100);
    await closing;
    expect(await problemOf(end)).toContain('writing to the other end failed: input/output error');
  });

  it('by a failing read', async () => {
    const { end, peer } = alone();
    peer.to.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    expect(await problemOf(end)).toBe('the connection was lost: ECONNRESET');
  });

  it('by an input that is just gone', async () => {
    const { end, peer } = alone();
    peer.to.destroy();
    expect(await problemOf(end)).toContain('the other end closed the stream');
  });

  it('from here, for whatever reason', async () => {
    const { end, peer } = alone();
    const reason = new LockstepError('interrupted', 'enough');
    end.connection.destroy(reason);
    expect(await end.closed).toBe(reason);
    expect([peer.to.destroyed, peer.from.destroyed]).toEqual([true, true]);
    // Whoever asks later is told too.
    const again = await new Promise((resolve) => end.connection.onClose(resolve));
    expect(again).toBe(reason);
  });
});

describe('a peer that breaks the rules', () => {
  it.each<[string, Buffer, string]>([
    ['by another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'a frame of'],
    ['by a wrong checksum', Buffer.concat([frame(1, 'x').subarray(0, -1), Buffer.from([0])]), 'checksum is wrong'],
    ['by an empty report', frame(15), 'a report of 0 bytes'],
    ['by a long report', frame(15, Buffer.alloc(6)), 'a report of 6 bytes'],
    ['by a report of more than all its time', frame(15, Buffer.of(101, 0, 0, 0, 0)), 'of more than all its time'],
    ['by a long ping', frame(13, 'x'), 'a ping or a goodbye with something in it'],
    ['by talking after its goodbye', Buffer.concat([goodbye, frame(1, 'x')]), 'a message after its goodbye'],
    [
      'by a share of time after its goodbye',
      Buffer.concat([goodbye, frame(15, Uint8Array.of(1))]),
      'after its goodbye',
    ],
    ['by two goodbyes', Buffer.concat([goodbye, goodbye]), 'a message after its goodbye'],
    [
      'by a message too long',
      Buffer.concat(Array.from({ length: 17 }, () => frame(1, Buffer.alloc(maxPayload), { more: true }))),
      'a message of more than 4.0 MB',
    ],
  ])('%s is cut off', async (_, bytes, problem) => {
    const { end, peer } = alone();
    peer.to.write(bytes);
    const error = await end.closed;
    expect(error).toMatchObject({ code: 'protocol' });
    expect(error?.message).toContain(problem);
    expect(peer.from.destroyed).toBe(true);
  });

  it('in the eyes of the listener is cut off too', async () => {
    const { end, peer } = alone();
    const error = new LockstepError('protocol', 'no such operation');
    let calls = 0;
    end.connection.onMessage(() => {
      calls += 1;
      throw error;
    });
    peer.to.write(Buffer.concat([frame(1), frame(1)]));
    expect(await end.closed).toBe(error);
    expect(calls).toBe(1);
  });

  it('never gets more than a close, whatever it sends', async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
      fc.tuple(fc.nat(15), fc.string()).map(([type, text]) => frame(type, text)),
      fc.constant(ping),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 10 }), async (pieces) => {
        const { end, peer } = alone();
        peer.from.resume();
        for (const bytes of pieces) peer.to.write(bytes);
        peer.to.end();
        const error = await end.closed;
        expect([undefined, 'protocol', 'connection']).toContain(error?.code);
      }),
      { numRuns: 200 },
    );
  });
});
