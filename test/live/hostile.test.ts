/**
 * A far side that does not mean well while it is watched: what it tells and reports is refused with a clear error, or comes to
 * nothing; memory stays bounded, and nothing outside the roots and nothing of the local one is touched.
 */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { LocalReplica } from '../../src/replica/local/local-replica.ts';
import type { Control } from '../../src/replica/replica.ts';
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from '../../src/replica/watching.ts';
import type { Entry } from '../../src/tree/entry.ts';
import { Listing } from '../../src/tree/listing.ts';
import { peakMemory, withFarSide, type Lies } from '../support/fake-far-side.ts';
import { withLive, type LivePair, type LiveRun } from '../support/live.ts';
import { contents, write } from '../support/tree.ts';

const mostBytes = 500 << 20;

/** Watches honestly, and tells lies beside. @param lies told when `cue` is created in the root over there */
function telling(lies: () => Generator<WatchEvent>): Lies {
  return {
    replica: () =>
      new (class extends LocalReplica {
        override async *watch(options: WatchOptions, control: Control): AsyncGenerator<WatchEvent, void, undefined> {
          for await (const event of super.watch(options, control)) {
            yield event;
            if (event.type === 'dirty' && event.directories.some(({ names }) => names?.includes('cue'))) yield* lies();
          }
        }
      })(),
  };
}

/** Looks honestly, and reports something else. */
function reporting(change: (found: LookResult) => LookResult): Lies {
  return {
    replica: () =>
      new (class extends LocalReplica {
        override async look(request: LookRequest, control: Control): Promise<LookResult> {
          return change(await super.look(request, control));
        }
      })(),
  };
}

function dirty(dir: string, ...names: string[]): WatchEvent {
  return { type: 'dirty', directories: [{ dir, names }] };
}

const made: Entry = { kind: 'file', mode: 0o644, size: 4, mtimeNs: 1n, ctimeNs: 1n, ino: 7n, flags: 0 };

/** An edit there under these lies: `then` says what must come of it. */
async function face(lies: Lies, then: (live: LiveRun, pair: LivePair) => Promise<void>): Promise<void> {
  await withLive(async (pair) => {
    write(path.join(pair.dir, 'outside'), { canary: 'untouched' });
    write(pair.a, { f: 'f', 'd/x': 'x' });
    await withFarSide(pair, lies, async (far) => {
      const live = await pair.start({ args: [...far] });
      write(pair.b, { cue: 'now' });
      await then(live, pair);
      expect(peakMemory(live.child)).toBeLessThan(mostBytes);
      await live.interrupt();
      expect(live.stderr).not.toMatch(/bug in Lockstep|^\s+at /m);
    });
    expect(contents(path.join(pair.dir, 'outside'))).toEqual({ canary: 'untouched' });
    const left = contents(pair.a);
    delete left['cue'];
    expect(left).toEqual({ f: 'f', d: 'dir', 'd/x': 'x' });
  });
}

/** The link is given up, says why, and tries again. */
async function refused(says: RegExp, live: LiveRun): Promise<void> {
  await live.until(() => live.of('state').some(({ state }) => state === 'waiting'), 'waiting');
  const waiting = live.of('state').find(({ state }) => state === 'waiting');
  expect(waiting).toMatchObject({ code: 'protocol' });
  expect(waiting?.['message']).toMatch(says);
}

describe('what it tells of', () => {
  const events: Record<string, [WatchEvent, RegExp]> = {
    'a directory outside': [dirty('../outside', 'canary'), /\.\.\/outside/],
    'an absolute one': [dirty('/etc', 'passwd'), /\/etc/],
    'a name with a slash': [dirty('d', '../../outside'), /outside/],
    'our own directory': [dirty('.lockstep', 'lock'), /\.lockstep/],
  };
  for (const [name, [event, says]] of Object.entries(events)) {
    it(`${name}: refused`, async () =>
      face(
        telling(function* () {
          yield event;
        }),
        async (live) => refused(says, live),
      ));
  }

  it('what there is not, without end: everything is looked at, and all goes on', async () =>
    face(
      telling(function* () {
        for (let i = 0; i < 300; i += 1) {
          yield {
            type: 'dirty',
            directories: Array.from({ length: 500 }, (_, at) => ({ dir: `none${i}/${at}`, names: ['f'] })),
          };
        }
      }),
      async (live, pair) => {
        await live.until(() => contents(pair.a)['cue'] === 'now');
        await live.until(() => live.of('pass').some(({ cause }) => cause === 'lost'), 'a look at everything');
        write(pair.b, { cue: 'and then' });
        await live.until(() => contents(pair.a)['cue'] === 'and then');
      },
    ));

  it('nothing untrue: the same with an honest one works', async () =>
    face(
      telling(function* () {
        yield dirty('d', 'x');
      }),
      async (live, pair) => {
        await live.until(() => contents(pair.a)['cue'] === 'now');
      },
    ));
});

describe('what it reports', () => {
  const found: Record<string, [(found: LookResult) => LookResult, RegExp]> = {
    'a directory outside': [
      (look) => ({ ...look, patches: [{ dir: '../outside', names: ['canary'], listing: Listing.empty.bytes }] }),
      /\.\.\/outside/,
    ],
    'a name that leads out': [
      (look) => ({
        ...look,
        patches: [{ dir: 'd', names: undefined, listing: Listing.from([['..', made]]).bytes }],
      }),
      /"\.\."/,
    ],
    'a directory in our own': [
      (look) => {
        look.below.setListing('.lockstep/history', Listing.from([['x', made]]));
        return look;
      },
      /\.lockstep/,
    ],
    'a new directory outside': [
      (look) => {
        look.below.setListing('../outside', Listing.from([['evil', made]]));
        return look;
      },
      /outside/,
    ],
    'a listing cut short': [
      (look) => ({ ...look, patches: [{ dir: 'd', names: undefined, listing: Buffer.alloc(7, 1) }] }),
      /listing/,
    ],
  };
  for (const [name, [change, says]] of Object.entries(found)) {
    it(`${name}: refused`, async () => face(reporting(change), async (live) => refused(says, live)));
  }

  it('nothing untrue: the same with an honest one works', async () =>
    face(
      reporting((look) => look),
      async (live, pair) => {
        await live.until(() => contents(pair.a)['cue'] === 'now');
        fs.rmSync(path.join(pair.b, 'cue'));
        await live.until(() => contents(pair.a)['cue'] === undefined);
      },
    ));
});
