/** The limit to bytes per second, and when compression is worth it; by a clock that the tests wind. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { DrainRate } from './drain-rate.ts';
import { decodeReport, encodeReport, Intake, type IntakeReport } from './intake.ts';
import { TokenBucket } from './token-bucket.ts';
import { Verdicts } from './verdicts.ts';
import { busyWindow, SendWindow } from './window.ts';

let now = 0;
const clock = (): number => now;
beforeEach(() => {
  now = 1000;
});

describe('TokenBucket', () => {
  it('starts empty and fills evenly', () => {
    const bucket = new TokenBucket(1000, clock);
    expect(bucket.take(100)).toBe(0);
    now += 10;
    expect(bucket.take(100)).toBe(10);
    expect(bucket.take(100)).toBe(0);
    now += 0.5;
    expect(bucket.take(100)).toBe(0);
    now += 0.5;
    expect(bucket.take(100)).toBe(1);
  });

  it('saves up a tenth of a second, not more', () => {
    const bucket = new TokenBucket(1000, clock);
    now += 60_000;
    expect(bucket.take(1_000_000)).toBe(100);
  });

  it('never lets more through than the limit and a tenth of a second, nor much less when there is always something', () => {
    const limits = fc.integer({ min: 20, max: 10_000_000 });
    fc.assert(
      fc.property(limits, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 30 }), (limit, delays) => {
        const bucket = new TokenBucket(limit, clock);
        const start = now;
        let sent = 0;
        for (const delay of delays) {
          now += delay;
          sent += bucket.take(1e9);
          expect(sent).toBeLessThanOrEqual(((now - start) * limit) / 1000 + 1);
        }
        expect(sent).toBeGreaterThan(((now - start) * limit) / 1000 - 2);
      }),
    );
  });

  it('after the wait that it names, something may be sent', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 1e9, noNaN: true }),
        fc.integer({ min: 1, max: 300_000 }),
        (limit, wanted) => {
          const bucket = new TokenBucket(limit, clock);
          now += bucket.waitMs(wanted);
          expect(bucket.take(wanted)).toBeGreaterThan(0);
        },
      ),
    );
  });

  it.each([0, -1, NaN])('refuses a limit of %d', (limit) => {
    expect(() => new TokenBucket(limit, clock)).toThrow(RangeError);
  });
});

describe('DrainRate', () => {
  it('says nothing before the pipe was waited for', () => {
    const rate = new DrainRate(clock);
    rate.took(1000);
    now += 10_000;
    expect(rate.bytesPerSecond).toBeUndefined();
    rate.wait();
    now += 249;
    expect(rate.bytesPerSecond).toBeUndefined();
    now += 1;
    expect(rate.bytesPerSecond).toBe(0);
  });

  it('measures while the pipe is waited for, and only then', () => {
    const rate = new DrainRate(clock);
    for (let i = 0; i < 5; i += 1) {
      rate.wait();
      now += 60;
      rate.took(60_000);
      rate.free();
      rate.took(5_000_000);
      now += 1500;
    }
    expect(rate.bytesPerSecond).toBe(1_000_000);
    now += 600;
    expect(rate.bytesPerSecond).toBeUndefined();
    rate.wait();
    now += 250;
    expect(rate.bytesPerSecond).toBe(0);
  });

  it('forgets within a few seconds', () => {
    const rate = new DrainRate(clock);
    const run = (seconds: number, bytesPerSecond: number): void => {
      for (let ms = 0; ms < seconds * 1000; ms += 10) {
        rate.wait();
        now += 10;
        rate.took(bytesPerSecond / 100);
        rate.free();
      }
    };
    run(10, 1e9);
    expect(rate.bytesPerSecond).toBeCloseTo(1e9, -3);
    run(3, 1e6);
    expect(rate.bytesPerSecond).toBeLessThan(2e8);
    run(7, 1e6);
    expect(rate.bytesPerSecond).toBeLessThan(3e6);
  });
});

describe('Intake', () => {
  let idle = 0;
  const made = (): Intake => new Intake(clock, () => idle);
  const after = (intake: Intake, ms: number, idleMs: number, bytes: number): IntakeReport | undefined => {
    now += ms;
    idle += idleMs;
    return intake.read(bytes);
  };

  it('tells of much at once, of little after a while', () => {
    const intake = made();
    expect(intake.read(131_071)).toBeUndefined();
    expect(intake.read(1)?.bytes).toBe(131_072);
    expect(intake.read(200_000)?.bytes).toBe(200_000);
    expect(after(intake, 249, 0, 20_000)).toBeUndefined();
    expect(after(intake, 1, 0, 1)?.bytes).toBe(20_001);
    expect(after(intake, 60_000, 0, 16_000)).toBeUndefined();
    expect(after(intake, 0, 0, 384)?.bytes).toBe(16_384);
  });

  it('says what share of its time this end had nothing to do', () => {
    const intake = made();
    // From here on it counts.
    expect(intake.read(200_000)).toEqual({ bytes: 200_000, waitedPercent: undefined });
    expect(after(intake, 99, 90, 200_000)?.waitedPercent).toBeUndefined();
    expect(after(intake, 1, 0, 200_000)?.waitedPercent).toBe(90);
    expect(after(intake, 250, 0, 20_000)?.waitedPercent).toBe(0);
    expect(after(intake, 500, 501, 1_000_000)?.waitedPercent).toBe(100);
  });

  it('does not count the time in which it did not want to read, but what it read', () => {
    const intake = made();
    intake.read(200_000);
    intake.read(50_000);
    intake.paused();
    expect(after(intake, 240, 10_000, 20_000)).toBeUndefined();
    expect(after(intake, 10, 10, 20_000)).toEqual({ bytes: 90_000, waitedPercent: undefined });
    expect(after(intake, 400, 40, 20_000)).toEqual({ bytes: 20_000, waitedPercent: 10 });
  });

  it('reports survive the way', () => {
    const percent = fc.option(fc.nat(100), { nil: undefined });
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), percent, (bytes, waitedPercent) => {
        expect(decodeReport(encodeReport({ bytes, waitedPercent }))).toEqual({ bytes, waitedPercent });
      }),
    );
  });
});

describe('SendWindow', () => {
  const full = (): SendWindow => {
    const window = new SendWindow(clock);
    window.work();
    window.sent(busyWindow);
    return window;
  };

  it('is full by what was not read, as long as nothing is known of the peer', () => {
    const window = full();
    expect(window.isFull).toBe(true);
    window.read({ bytes: 1, waitedPercent: undefined });
    expect(window.isFull).toBe(false);
    window.sent(1);
    expect(window.isFull).toBe(true);
    // Of more than was sent.
    window.read({ bytes: 2 ** 31, waitedPercent: undefined });
    window.sent(busyWindow - 1);
    expect(window.isFull).toBe(false);
  });

  it('grows for a peer that waits although it was full, and is small again for one that is busy', () => {
    const window = full();
    // It was not what held anything up.
    expect(window.read({ bytes: 0, waitedPercent: 80 })).toBe(80);
    expect(window.isFull).toBe(true);
    window.hold();
    window.read({ bytes: 0, waitedPercent: 25 });
    expect(window.isFull).toBe(false);
    window.sent(busyWindow);
    expect(window.isFull).toBe(true);
    window.hold();
    window.read({ bytes: 0, waitedPercent: 95 });
    window.sent(5 * busyWindow);
    expect(window.isFull).toBe(false);
    window.sent(busyWindow);
    expect(window.isFull).toBe(true);
    for (let i = 0; i < 2; i += 1) {
      window.hold();
      window.read({ bytes: 0, waitedPercent: 50 });
    }
    window.sent(1e9);
    expect(window.isFull).toBe(false);
    window.read({ bytes: 1e9, waitedPercent: 24 });
    expect(window.isFull).toBe(true);
  });

  it('grows when it is lifted, and is opened for good', () => {
    const window = full();
    window.lift();
    expect(window.isFull).toBe(false);
    window.sent(busyWindow);
    expect(window.isFull).toBe(true);
    window.open();
    window.read({ bytes: 0, waitedPercent: 0 });
    now += 10_000;
    window.rest();
    now += 10_000;
    window.work();
    expect(window.isFull).toBe(false);
  });

  it('forgets what it knew when there was nothing to send for a while, not for a moment', () => {
    const window = full();
    window.lift();
    window.rest();
    now += 900;
    window.rest();
    window.work();
    expect(window.isFull).toBe(false);
    expect(window.read({ bytes: 0, waitedPercent: 90 })).toBe(90);
    window.rest();
    now += 600;
    window.rest();
    now += 400;
    window.work();
    expect(window.isFull).toBe(true);
    window.hold();
    // This word is of a time in which nothing was sent.
    expect(window.read({ bytes: 0, waitedPercent: 90 })).toBeUndefined();
    expect(window.isFull).toBe(true);
  });
});

describe('Verdicts', () => {
  const noise = randomBytes(256 * 1024);
  const text = Buffer.alloc(256 * 1024, 'some text that says little ');

  it('knows noise from text', () => {
    const verdicts = new Verdicts();
    expect(verdicts.judge(1, text)).toBe('try');
    expect(verdicts.judge(1, noise)).toBe('no');
    expect(verdicts.judge(2, text)).toBe('try');
  });

  it('compresses what is small right away', () => {
    const small = new Verdicts().judge(1, text.subarray(0, 4096));
    expect(small).toBeInstanceOf(Uint8Array);
    expect(small.length).toBeLessThan(200);
  });

  it('looks at a stream of noise less and less often, but does look', () => {
    const verdicts = new Verdicts();
    // A look is noticed by its answer to a text.
    let looks = 0;
    for (let i = 0; i < 320; i += 1) verdicts.judge(1, noise);
    let until = 0;
    while (verdicts.judge(1, text) === 'no') until += 1;
    expect(until).toBeLessThanOrEqual(32);
    for (let i = 0; i < 10; i += 1) looks += verdicts.judge(1, text) === 'try' ? 1 : 0;
    expect(looks).toBe(10);
  });

  it('learns from what became of a large one', () => {
    const verdicts = new Verdicts();
    const mixed = Buffer.concat([text.subarray(0, 4096), noise]).subarray(0, text.length);
    expect(verdicts.judge(1, mixed)).toBe('try');
    expect(verdicts.tell(1, mixed.length, mixed.length)).toBe(false);
    expect(verdicts.judge(1, mixed)).toBe('no');
    expect(verdicts.judge(1, mixed)).toBe('try');
  });
});
