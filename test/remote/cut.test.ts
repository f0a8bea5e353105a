/** A line that is cut anywhere, in either direction: both sides stay whole, and the next run ends as if nothing had happened. */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { badLine, lineEnv, lineReport, type Line, type LineReport } from '../support/proxy.ts';
import { random, type Random } from '../support/random.ts';
import { markSetting, noSurvivors } from '../support/survivors.ts';
import { contents, write } from '../support/tree.ts';

const cuts = 50;
const lanes = 2;
const names = ['a', 'b'] as const;
type Name = (typeof names)[number];

/** Twelve directories of twenty files each, on either side; what begins with a side's name only that side changes. */
function plant(pair: Pair, choice: Random): void {
  for (const side of names) {
    for (let d = 0; d < 12; d += 1) {
      for (let f = 0; f < 20; f += 1)
        write(pair[side], { [`${side}${d}/f${f}`]: choice.bytes(500 + choice.int(2000)) });
    }
    for (let f = 0; f < 10; f += 1) write(pair[side], { [`${side}-moved-0/f${f}`]: choice.bytes(300) });
    write(pair[side], { [`${side}-large`]: choice.bytes(300_000) });
  }
}

/** Edits, new files and directories, deletions, a renamed directory, and a large file with a small change; on both sides. */
function change(pair: Pair, generation: number, choice: Random): void {
  for (const side of names) {
    const root = pair[side];
    for (let d = 0; d < 12; d += 1) {
      for (let f = d % 3; f < 20; f += 3) write(root, { [`${side}${d}/f${f}`]: choice.bytes(500 + choice.int(2000)) });
      write(root, {
        [`${side}${d}/new-${generation}`]: choice.bytes(700),
        [`${side}${d}/g${generation}/f`]: choice.bytes(9),
      });
      fs.rmSync(path.join(root, `${side}${d}/new-${generation - 1}`), { force: true });
      fs.rmSync(path.join(root, `${side}${d}/g${generation - 1}`), { force: true, recursive: true });
    }
    fs.renameSync(path.join(root, `${side}-moved-${generation - 1}`), path.join(root, `${side}-moved-${generation}`));
    const large = fs.readFileSync(path.join(root, `${side}-large`));
    choice.bytes(1000).copy(large, choice.int(large.length - 1000));
    write(root, { [`${side}-large`]: large });
  }
}

/** What both sides are to hold in the end. */
function merged(before: Record<Name, Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((side) => Object.entries(before[side]).filter(([name]) => name.startsWith(side))),
  );
}

/** The contents are random: to be told in full they are not. */
function differences(is: Record<string, string>, wanted: Record<string, string>): string[] {
  const all = new Set([...Object.keys(is), ...Object.keys(wanted)]);
  return [...all].filter((name) => is[name] !== wanted[name]);
}

/** Every file is one of the versions that there were; under its own name, or under that which it is renamed from. */
function expectWhole(before: Record<Name, Record<string, string>>, pair: Pair): void {
  const versions = new Set([...Object.values(before.a), ...Object.values(before.b)]);
  for (const side of names) {
    const now = contents(pair[side]);
    for (const [name, text] of Object.entries(now)) {
      expect(versions.has(text), `${name} of ${side} is torn`).toBe(true);
    }
    for (const name of Object.keys(before[side])) {
      const isToGo = !(name in before.a && name in before.b);
      expect(name in now || isToGo, `${name} of ${side} is gone`).toBe(true);
    }
  }
}

/** Not the controller's own doing: what the agent says when it is gone may be a line on its stderr. */
function expectClearError(ran: Ran): void {
  const [error, ...more] = eventsOf(ran, 'error');
  expect(more).toEqual([]);
  expect(error, ran.stdout.slice(-500)).toMatchObject({ code: 'connection', exitCode: 1 });
  expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at |\\n\s+at |bug in Lockstep/m);
  expect(ran.stderr).toBe('');
}

async function run(pair: Pair, line: Line, mark: string): Promise<Ran> {
  const args = ['sync', pair.a, pair.b, '--json', '--state-dir', pair.state];
  const [name, value] = markSetting(mark).split('=') as [string, string];
  return lockstep([...args, ...badLine], { env: { ...lineEnv(line), [name]: value } });
}

/** The bytes that an uncut run of the changes needs. */
async function measured(): Promise<LineReport> {
  let found: LineReport | undefined;
  await withPair(async (pair) => {
    const mark = randomUUID();
    plant(pair, random(0));
    expect((await run(pair, {}, mark)).code).toBe(0);
    change(pair, 1, random(1));
    const report = path.join(pair.dir, 'report');
    expect((await run(pair, { report }, mark)).code).toBe(0);
    await noSurvivors(mark);
    found = lineReport(report);
  });
  if (found === undefined) throw new Error('nothing was measured');
  return found;
}

/** @returns how many runs were cut before they were over */
async function lane(own: number, needs: LineReport): Promise<number> {
  let hits = 0;
  await withPair(async (pair) => {
    const choice = random(own + 1000);
    const mark = randomUUID();
    plant(pair, choice);
    expect((await run(pair, {}, mark)).code).toBe(0);
    for (let turn = own; turn < cuts; turn += lanes) {
      const generation = (turn - own) / lanes + 1;
      change(pair, generation, choice);
      const before = { a: contents(pair.a), b: contents(pair.b) };
      // Spread over all bytes, a random one in each stretch, alternately in each direction.
      const toFar = generation % 2 === 0;
      const stretch = (toFar ? needs.toFar : needs.fromFar).bytes / cuts;
      const at = Math.floor(turn * stretch) + choice.int(Math.ceil(stretch));
      const where = `cut after ${at} bytes ${toFar ? 'to' : 'from'} the far side, generation ${generation} of lane ${own}`;
      try {
        const ran = await run(pair, toFar ? { cutToFar: at } : { cutFromFar: at }, mark);
        if (ran.code !== 0) {
          hits += 1;
          expect(ran.code).toBe(1);
          expectClearError(ran);
        }
        // The agent has noticed, and ended by itself.
        await noSurvivors(mark);
        pair.expectClean();
        expectWhole(before, pair);
        const again = await run(pair, {}, mark);
        expect(again.code, again.stdout.slice(-2000) + again.stderr).toBe(0);
        const wanted = merged(before);
        for (const side of names) expect(differences(contents(pair[side]), wanted), `on ${side}`).toEqual([]);
        await noSurvivors(mark);
        pair.expectClean();
      } catch (error) {
        console.error(where);
        throw error;
      }
    }
    const idle = await run(pair, {}, mark);
    expect([idle.code, eventsOf(idle, 'action')]).toEqual([0, []]);
  });
  return hits;
}

it(
  `cut ${cuts} times, each run ends with one clear error and the next one completes`,
  { timeout: 600_000 },
  async () => {
    const needs = await measured();
    const hits = await Promise.all(Array.from({ length: lanes }, async (_, own) => lane(own, needs)));
    // The very last bytes are goodbyes, without which everything is done all the same.
    expect(hits.reduce((sum, one) => sum + one)).toBeGreaterThan(cuts * 0.9);
  },
);
