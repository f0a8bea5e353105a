/** Killing a run at a moment, running again, and seeing that nothing shows (SCENARIOS G7, 97). */
import { expect } from 'vitest';
import { churn, plant } from './churn.ts';
import { eventsOf, type Ran } from './cli.ts';
import { withPair, type Pair } from './pair.ts';
import { comparable, contents } from './tree.ts';

/** What an uninterrupted run comes to. */
export interface Reference {
  contents: Record<string, string>;
  /** Milliseconds that the run took. */
  duration: number;
}

async function churned(pair: Pair, dirs: number): Promise<void> {
  plant(pair.a, dirs);
  const first = await pair.sync();
  expect(first.code, first.stdout + first.stderr).toBe(0);
  churn(pair.a, pair.b, dirs);
}

export async function reference(dirs: number): Promise<Reference> {
  let found: Reference = { contents: {}, duration: 0 };
  await withPair(async (pair) => {
    await churned(pair, dirs);
    const start = performance.now();
    const ran = await pair.sync();
    const duration = performance.now() - start;
    expect(ran.code, ran.stdout.slice(-2000) + ran.stderr).toBe(0);
    pair.expectEqual();
    found = { contents: contents(pair.a), duration };
  });
  return found;
}

/** @returns whether the kill came before the run was over */
export async function killedRun(dirs: number, expected: Reference, afterMs: number): Promise<boolean> {
  let killed = false;
  await withPair(async (pair) => {
    await churned(pair, dirs);
    const ran = await pair.run('sync', [], {
      onStart: (child) => {
        setTimeout(() => child.kill('SIGKILL'), afterMs).unref();
      },
    });
    killed = ran.signal === 'SIGKILL';
    const again = await pair.sync();
    expectFinished(again);
    expect(contents(pair.a)).toEqual(expected.contents);
    expect(comparable(pair.b)).toEqual(comparable(pair.a));
    pair.expectClean();
    await pair.expectIdle();
  });
  return killed;
}

function expectFinished(ran: Ran): void {
  const open = [...eventsOf(ran, 'skip'), ...eventsOf(ran, 'error')];
  expect({ code: ran.code, open, stderr: ran.stderr }).toEqual({ code: 0, open: [], stderr: '' });
}
