/** FEATURES A5 and A14: who wins, what becomes of the loser, and what is kept besides. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, file, history, write } from '../support/tree.ts';

const old = 1_600_000_000;

/** Both sides edited `f.txt`; b's version is the newer one. */
async function conflicting(pair: Pair): Promise<void> {
  await pair.agreed({ 'f.txt': 'agreed', rest: 'r' });
  write(pair.a, { 'f.txt': file('from a', { mtime: old }), rest: 'rest of a' });
  write(pair.b, { 'f.txt': file('from b', { mtime: old + 5 }) });
}

describe('A5: conflict policies', () => {
  const winners = { newer: 'b', older: 'a', local: 'a', remote: 'b' } as const;
  for (const [policy, winner] of Object.entries(winners)) {
    it(`${policy}: ${winner} wins, the other is in history on its side, and the run counts it`, async () =>
      withPair(async (pair) => {
        await conflicting(pair);
        const ran = await pair.sync('--on-conflict', policy);
        expect(ran.code, ran.stderr).toBe(0);
        pair.expectBoth({ 'f.txt': `from ${winner}`, rest: 'rest of a' });
        const [loser, loserRoot] = winner === 'a' ? (['b', pair.b] as const) : (['a', pair.a] as const);
        expect(history(loserRoot)).toEqual({ 'f.txt': [`from ${loser}`] });
        expect(eventsOf(ran, 'conflict')).toEqual([
          { v: 1, type: 'conflict', path: 'f.txt', what: 'content', winner: winner === 'a' ? 'local' : 'remote' },
        ]);
        expect(eventsOf(ran, 'summary')).toMatchObject([{ conflicts: { settled: 1, open: 0 }, kept: 1 }]);
        await pair.expectIdle();
      }));
  }

  it('both: the loser is kept beside the winner on both sides, extension and all', async () =>
    withPair(async (pair) => {
      await conflicting(pair);
      const ran = await pair.sync('--on-conflict', 'both');
      expect(ran.code).toBe(0);
      const names = fs.readdirSync(pair.a).filter((name) => name !== '.lockstep');
      const [copy] = names.filter((name) => /^f\.conflict-local-\d{8}T\d{6}Z\.txt$/.test(name));
      expect(copy, names.join(' ')).toBeDefined();
      pair.expectBoth({ 'f.txt': 'from b', [copy ?? '']: 'from a', rest: 'rest of a' });
      await pair.expectIdle();
    }));

  it('127: the name of a conflict copy is cut so that it fits, and is taken by nobody', async () =>
    withPair(async (pair) => {
      const name = `${'ö'.repeat(120)}.longext`;
      await pair.agreed({ [name]: 'agreed' });
      write(pair.a, { [name]: file('from a', { mtime: old }) });
      write(pair.b, { [name]: file('from b', { mtime: old + 5 }) });
      expect((await pair.sync('--on-conflict', 'both')).code).toBe(0);
      expect(fs.readdirSync(pair.a).sort()).toEqual(fs.readdirSync(pair.b).sort());
      const [copy] = fs.readdirSync(pair.a).filter((other) => other.includes('.conflict-local-'));
      expect(Buffer.byteLength(copy ?? '')).toBeLessThanOrEqual(255);
      expect(copy).toMatch(/\.longext$/);
      expect(fs.readFileSync(path.join(pair.b, copy ?? ''), 'utf8')).toBe('from a');
    }));

  it('manual: neither is touched, the rest is synced, exit 2, and again until it is settled', async () =>
    withPair(async (pair) => {
      await conflicting(pair);
      for (let run = 1; run <= 2; run += 1) {
        const ran = await pair.sync('--on-conflict', 'manual');
        expect(ran.code).toBe(2);
        expect(eventsOf(ran, 'conflict')).toMatchObject([{ path: 'f.txt', winner: 'open' }]);
        expect(contents(pair.a)).toEqual({ 'f.txt': 'from a', rest: 'rest of a' });
        expect(contents(pair.b)).toEqual({ 'f.txt': 'from b', rest: 'rest of a' });
      }
      expect((await pair.sync('--on-conflict', 'local')).code).toBe(0);
      pair.expectBoth({ 'f.txt': 'from a', rest: 'rest of a' });
    }));

  it('125: newer with equal times leaves the conflict open instead of choosing', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'agreed' });
      write(pair.a, { f: file('from a', { mtime: old }) });
      write(pair.b, { f: file('from b', { mtime: old }) });
      const ran = await pair.sync();
      expect(ran.code).toBe(2);
      expect(eventsOf(ran, 'conflict')).toMatchObject([{ winner: 'open', detail: 'neither is newer' }]);
      expect([contents(pair.a), contents(pair.b)]).toEqual([{ f: 'from a' }, { f: 'from b' }]);
    }));

  it('--deletes win: an edit loses against a deletion, and is in history', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'agreed', g: 'agreed' });
      fs.rmSync(path.join(pair.a, 'f'));
      write(pair.b, { f: 'edited' });
      expect((await pair.sync('--deletes', 'win')).code).toBe(0);
      pair.expectBoth({ g: 'agreed' });
      expect(history(pair.b)).toEqual({ f: ['edited'] });
    }));
});

describe('A14: what --backup keeps', () => {
  /** One plain edit and one deletion from a, one conflict. */
  async function changes(pair: Pair, backup: string): Promise<void> {
    await pair.agreed({ edited: 'old', gone: 'deleted', both: 'agreed', 'd/gone': 'deleted too' });
    write(pair.a, { edited: 'new', both: file('loses', { mtime: old }) });
    write(pair.b, { both: file('wins', { mtime: old + 5 }) });
    fs.rmSync(path.join(pair.a, 'gone'));
    fs.rmSync(path.join(pair.a, 'd'), { recursive: true });
    expect((await pair.sync('--backup', backup)).code).toBe(0);
    pair.expectBoth({ edited: 'new', both: 'wins' });
  }

  it('conflicts: what would exist nowhere else, so not what the source has moved on from', async () =>
    withPair(async (pair) => {
      await changes(pair, 'conflicts');
      expect(history(pair.a)).toEqual({ both: ['loses'] });
      expect(history(pair.b)).toEqual({ gone: ['deleted'], 'd/gone': ['deleted too'] });
    }));

  it('all: every replaced version', async () =>
    withPair(async (pair) => {
      await changes(pair, 'all');
      expect(history(pair.a)).toEqual({ both: ['loses'] });
      expect(history(pair.b)).toEqual({ gone: ['deleted'], 'd/gone': ['deleted too'], edited: ['old'] });
    }));

  it('off: nothing', async () =>
    withPair(async (pair) => {
      await changes(pair, 'off');
      expect([history(pair.a), history(pair.b)]).toEqual([{}, {}]);
      expect(fs.existsSync(path.join(pair.b, '.lockstep', 'history'))).toBe(false);
    }));

  it('keeps several versions of a path, each with a line in the index of its run', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: '0' }, '--backup', 'all');
      for (const version of ['1', '2', '3']) {
        write(pair.a, { f: version });
        await pair.sync('--backup', 'all');
      }
      expect(history(pair.b)).toEqual({ f: ['0', '1', '2'] });
      const runs = fs.readdirSync(path.join(pair.b, '.lockstep', 'history'));
      expect(runs).toHaveLength(3);
      for (const run of runs) {
        const index = fs.readFileSync(path.join(pair.b, '.lockstep', 'history', run, 'index.jsonl'), 'utf8');
        expect(
          index
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as unknown),
        ).toMatchObject([{ path: 'f', at: 'files/f', kind: 'file', size: 1, reason: 'edited' }]);
      }
    }));
});
