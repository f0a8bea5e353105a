/**
 * G7, SCENARIOS 97: a two-way sync of 2,000 changes is killed at 200 random moments spread over its duration; each time the
 * next run must end exactly where an uninterrupted one does.
 *
 * LOCKSTEP_KILLS and LOCKSTEP_SEED repeat a part of it.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withPair } from '../support/pair.ts';
import { endState, expectRecovers, upheave } from '../support/upheaval.ts';

const changes = 2000;
const kills = Number(process.env['LOCKSTEP_KILLS'] ?? 200);
const seed = Number(process.env['LOCKSTEP_SEED'] ?? Date.now() % 1_000_000);

it(`97: killed ${kills} times (LOCKSTEP_SEED=${seed})`, async () => {
  let expected: ReturnType<typeof endState> | undefined;
  const durations: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    await withPair(async (pair) => {
      await upheave(pair, changes);
      const started = performance.now();
      const ran = await pair.sync();
      durations.push(performance.now() - started);
      expect(ran.code, ran.stdout.slice(-2000)).toBe(0);
      pair.expectEqual();
      // The yardstick must not depend on anything but the changes.
      expect(endState(pair)).toEqual((expected ??= endState(pair)));
    });
  }
  let duration = Math.min(...durations);
  // Evenly spread, each somewhere within its own slice.
  const offsets = fc.sample(fc.double({ min: 0, max: 1, noNaN: true }), { numRuns: kills, seed });
  let late = 0;
  for (const [index, offset] of offsets.entries()) {
    for (let killed = false; !killed;) {
      const delay = ((index + offset) / kills) * duration;
      await withPair(async (pair) => {
        await upheave(pair, changes);
        const started = performance.now();
        const ran = await pair.run('sync', [], {
          onStart: (child) => void setTimeout(() => child.kill('SIGKILL'), delay),
        });
        killed = ran.signal === 'SIGKILL';
        // It was quicker than those before: the same moment of it comes earlier.
        if (!killed) {
          late += 1;
          duration = Math.min(duration, performance.now() - started) * 0.98;
        }
        try {
          await expectRecovers(pair, expected ?? { a: {}, b: {} });
        } catch (error) {
          throw new Error(`killed after ${delay.toFixed(1)} ms of ${duration.toFixed(0)}: ${String(error)}`, {
            cause: error,
          });
        }
      });
    }
    if ((index + 1) % 20 === 0) console.log(`${index + 1} of ${kills}`);
  }
  console.log(`killed ${kills} times within ${duration.toFixed(0)} ms; ${late} more runs had ended before`);
});
