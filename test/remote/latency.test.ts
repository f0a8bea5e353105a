/** What a line costs, counted on the line (proxy.js): how often one end waits for the other, and bytes. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { lockstep } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { badLine, bytesOf, lineEnv, lineReport, type Line, type LineReport } from '../support/proxy.ts';
import { random } from '../support/random.ts';
import { write } from '../support/tree.ts';

async function counted(pair: Pair, line: Line = {}, ...args: string[]): Promise<LineReport> {
  const report = path.join(pair.dir, 'report');
  fs.rmSync(report, { force: true });
  const command = ['sync', pair.a, pair.b, '--json', '--state-dir', pair.state, ...args, ...badLine];
  const ran = await lockstep(command, { env: lineEnv({ ...line, report }) });
  expect(ran.code, ran.stdout.slice(-2000) + ran.stderr).toBe(0);
  return lineReport(report);
}

/** Small files, a hundred to a directory. */
function plant(root: string, count: number): void {
  for (let d = 0; d < count / 100; d += 1) {
    fs.mkdirSync(path.join(root, `d${d}`));
    for (let f = 0; f < 100; f += 1) fs.writeFileSync(path.join(root, `d${d}/f${f}`), `${d} ${f}\n`);
  }
}

it('round trips do not grow with the number of files', { timeout: 240_000 }, async () =>
  withPair(async (pair) => {
    const delayed = { delayMs: 100 };
    plant(pair.a, 10_000);
    const first = await counted(pair, delayed);
    // A delay at a time while both talk, so this counts time as well; a trip per file would be 10,000.
    expect(first.fromFar.depth).toBeLessThan(300);
    const idle = await counted(pair, delayed);
    expect(idle.fromFar.depth).toBeLessThan(60);
    expect(bytesOf(idle)).toBeLessThan(120_000);
  }),
);

it('nothing changed, 50,000 files in 5,000 directories: less than 150 kB', { timeout: 240_000 }, async () =>
  withPair(async (pair) => {
    for (let d = 0; d < 5000; d += 1) {
      fs.mkdirSync(path.join(pair.a, `d${d}`));
      for (let f = 0; f < 10; f += 1) fs.writeFileSync(path.join(pair.a, `d${d}/f${f}`), `${d} ${f}`);
    }
    await counted(pair);
    // What was written in the last moment is looked at once more.
    await counted(pair);
    expect(bytesOf(await counted(pair))).toBeLessThan(150_000);
  }),
);

it('a renamed directory sends no content, a changed large file only what changed', { timeout: 240_000 }, async () =>
  withPair(async (pair) => {
    const bytes = Buffer.alloc(64 << 20);
    const seed = random(3).bytes(1 << 20);
    for (let at = 0; at < bytes.length; at += seed.length) {
      seed.copy(bytes, at);
      bytes.writeUInt32LE(at, at);
      for (let i = at + 64; i < at + seed.length; i += 997) bytes[i] = (i * 31 + (at >> 18)) & 255;
    }
    write(pair.a, { large: bytes, 'old/content': random(4).bytes(3 << 20) });
    await counted(pair);
    const idle = bytesOf(await counted(pair));

    fs.renameSync(path.join(pair.a, 'old'), path.join(pair.a, 'new'));
    expect(bytesOf(await counted(pair))).toBeLessThan(idle + 20_000);

    random(6)
      .bytes(1 << 20)
      .copy(bytes, 20 << 20);
    write(pair.a, { large: Buffer.concat([random(8).bytes(100), bytes]) });
    expect(bytesOf(await counted(pair))).toBeLessThan(2 << 20);
    pair.expectEqual();
  }),
);

it('--compress on makes text smaller, and what cannot be compressed hardly larger', { timeout: 240_000 }, async () => {
  const sent = async (content: Buffer, ...args: string[]): Promise<number> => {
    let bytes = 0;
    await withPair(async (pair) => {
      write(pair.a, { content });
      bytes = (await counted(pair, {}, ...args)).toFar.bytes;
    });
    return bytes;
  };
  const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `line ${i} of some text\n`).join(''));
  expect(await sent(text, '--compress', 'on')).toBeLessThan((await sent(text, '--compress', 'off')) / 2);
  const noise = random(9).bytes(4 << 20);
  const off = await sent(noise, '--compress', 'off');
  expect(await sent(noise, '--compress', 'on')).toBeLessThan(off * 1.01);
});

it('--compress auto helps a slow line, and lets a fast one be', { timeout: 240_000 }, async () => {
  const content = Buffer.from(Array.from({ length: 320_000 }, (_, i) => `line ${i} of some text\n`).join(''));
  const sent = async (line: Line): Promise<number> => {
    let bytes = 0;
    await withPair(async (pair) => {
      write(pair.a, { content });
      bytes = (await counted(pair, line, '--compress', 'auto')).toFar.bytes;
      pair.expectEqual();
    });
    return bytes;
  };
  expect(await sent({ bytesPerSecond: 2_000_000 })).toBeLessThan(content.length * 0.7);
  expect(await sent({})).toBeGreaterThan(content.length);
});

it('both ends may have much to send at once', { timeout: 240_000 }, async () =>
  withPair(async (pair) => {
    for (const [root, seed] of [
      [pair.a, 20],
      [pair.b, 21],
    ] as const) {
      write(root, { [`large-${seed}`]: random(seed).bytes(20 << 20) });
      for (let at = 0; at < 200; at += 1) write(root, { [`${seed}/${at}`]: random(seed + at).bytes(60_000) });
    }
    await counted(pair);
    pair.expectEqual();
  }),
);

it('--bwlimit limits what is sent', { timeout: 240_000 }, async () =>
  withPair(async (pair) => {
    write(pair.a, { content: random(10).bytes(3_000_000) });
    const { toFar } = await counted(pair, {}, '--bwlimit', '1MB');
    // A slow machine only makes it slower; the first second's worth may come at once.
    expect(toFar.lastMs).toBeGreaterThan(1500);
  }),
);

it('of a new file only what is in none beside it is sent, in both directions', { timeout: 240_000 }, async () =>
  withPair(async (pair) => {
    const dump = random(4).bytes(8 << 20);
    write(pair.a, { 'dumps/2026-11-24.sql': dump, 'dumps/unlike': random(5).bytes(1 << 20) });
    await counted(pair);
    for (const [side, name] of [
      ['a', '2026-11-25.sql'],
      ['b', '2026-11-26.sql'],
    ] as const) {
      dump.write(`a row of ${name}`, 5 << 20);
      write(pair[side], { [`dumps/${name}`]: Buffer.concat([Buffer.from('new head'), dump]) });
      expect(bytesOf(await counted(pair)), name).toBeLessThan(100_000);
      for (const root of [pair.a, pair.b]) {
        expect(
          fs
            .readFileSync(path.join(root, 'dumps', name))
            .subarray(8)
            .equals(dump),
          name,
        ).toBe(true);
      }
    }
    // A guess that is wrong costs little, and nothing else.
    const other = random(6).bytes(8 << 20);
    write(pair.a, { 'dumps/2026-11-27.sql': other });
    expect(bytesOf(await counted(pair))).toBeLessThan(other.length * 1.02 + 100_000);
    expect(fs.readFileSync(path.join(pair.b, 'dumps/2026-11-27.sql')).equals(other)).toBe(true);
  }),
);
