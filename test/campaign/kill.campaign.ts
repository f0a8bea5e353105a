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
    // A run that was quicker than those before ends first: the same moment of it comes earlier.
    for (let ended = await killed((index + offset) / kills, duration); ended !== undefined;) {
      late += 1;
      duration = Math.min(duration, ended) * 0.98;
      ended = await killed((index + offset) / kills, duration);
    }
    if ((index + 1) % 20 === 0) console.log(`${index + 1} of ${kills}`);
  }
  console.log(`killed ${kills} times within ${duration.toFixed(0)} ms; ${late} more runs had ended before`);

  /** Kills a run after a part of its duration, and has the next ones recover. @returns how long it took if it had ended, ms */
  async function killed(part: number, whole: number): Promise<number | undefined> {
    let ended: number | undefined;
    await withPair(async (pair) => {
      await upheave(pair, changes);
      const started = performance.now();
      const ran = await pair.run('sync', [], {
        onStart: (child) => void setTimeout(() => child.kill('SIGKILL'), part * whole),
      });
      if (ran.signal !== 'SIGKILL') ended = performance.now() - started;
      try {
        await expectRecovers(pair, expected ?? { a: {}, b: {} });
      } catch (error) {
        throw new Error(`killed after ${(part * whole).toFixed(1)} ms of ${whole.toFixed(0)}: ${String(error)}`, {
          cause: error,
        });
      }
    });
    return ended;
  }
});
