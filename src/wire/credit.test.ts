/** Credit: no more than a window is ever under way, and a stream never gets stuck. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Credits, CreditMeter } from './credit.ts';
import { thrownBy } from './test-support.ts';

describe('Credits', () => {
  it('gives what there is at once, and the rest in order', async () => {
    const credits = new Credits(100);
    expect(credits.take(70)).toBeUndefined();
    const order: string[] = [];
    const first = credits.take(60)?.then(() => order.push('first'));
    const second = credits.take(10)?.then(() => order.push('second'));
    // There are 30 left, but somebody was here before.
    await Promise.resolve();
    expect(order).toEqual([]);
    credits.give(30);
    await first;
    expect(order).toEqual(['first']);
    credits.give(40);
    await second;
    expect(order).toEqual(['first', 'second']);
  });

  it('rejects those who wait, now or later, once it is given up', async () => {
    const credits = new Credits(100);
    expect(credits.take(76)).toBeUndefined();
    const waiting = credits.take(50);
    credits.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    await expect(credits.take(1)).rejects.toThrow('cancelled');
  });

  it('refuses credit from nowhere', () => {
    const credits = new Credits(100);
    void credits.take(10);
    credits.give(10);
    expect(thrownBy(() => credits.give(1)).code).toBe('protocol');
  });

  it('refuses to take what might never be there', () => {
    expect(() => new Credits(100).take(77)).toThrow(RangeError);
  });
});

describe('CreditMeter', () => {
  it('gives back in quarters', () => {
    const meter = new CreditMeter(100);
    meter.arrived(60);
    expect([meter.consumed(24), meter.consumed(1), meter.consumed(24), meter.consumed(11)]).toEqual([0, 25, 0, 35]);
  });

  it('refuses what there was no credit for', () => {
    const meter = new CreditMeter(100);
    meter.arrived(100);
    expect(thrownBy(() => meter.arrived(1))).toMatchObject({ code: 'protocol' });
  });
});

it('a stream of any pieces gets through any window', async () => {
  const pieces = fc.array(fc.nat(1000), { minLength: 1, maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 200 }), pieces, async (window, sizes) => {
      const credits = new Credits(window);
      const meter = new CreditMeter(window);
      for (const size of sizes) {
        const piece = Math.min(size, window - Math.ceil(window / 4) + 1);
        const wait = credits.take(piece);
        // All that came is used up by now, so credit must have come back.
        await wait;
        meter.arrived(piece);
        const back = meter.consumed(piece);
        if (back > 0) credits.give(back);
      }
    }),
  );
});
