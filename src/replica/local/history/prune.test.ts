import fs from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { InterruptedError } from '../../../base/errors.ts';
import type { Retention } from '../../replica.ts';
import { LocalReplica } from '../local-replica.ts';
import { finish } from '../slices.ts';
import { pruneHistory } from './prune.ts';
import { HistoryReader, listVersions } from './read.ts';
import { dayMs, runAt, TestRoot } from '../../../../test/support/history-root.ts';

const now = Date.now();
const none: Retention = { days: 0, versions: 0, bytes: 0 };

function paths(on: TestRoot): string[] {
  return listVersions(on.own).map(({ path, size }) => `${path} ${size}`);
}

function prune(on: TestRoot, limits: Partial<Retention>, at = now): { removed: number; bytes: number } {
  return finish(pruneHistory(on.own, { ...none, ...limits }, at));
}

/** As while a run holds the lock. */
function lock(on: TestRoot, run: string): void {
  fs.writeFileSync(`${on.own}/lock`, JSON.stringify({ run }));
}

describe('limits', () => {
  it('without any, and without history, nothing goes', () => {
    const on = new TestRoot();
    expect(prune(on, { days: 1, versions: 1, bytes: 1 })).toEqual({ removed: 0, bytes: 0 });
    expect(fs.existsSync(on.own)).toBe(false);
    on.keptAt(now - 1000 * dayMs, { a: 'x'.repeat(1000) });
    expect(prune(on, {})).toEqual({ removed: 0, bytes: 0 });
    expect(paths(on)).toEqual(['a 1000']);
  });

  it('days count from when a version was kept, whatever its mtime; emptied runs go', () => {
    const on = new TestRoot();
    const old = on.keptAt(now - 31 * dayMs, { a: '1', 'd/b': '22' });
    const young = on.run(runAt(now - 29 * dayMs), (keep) => {
      on.write('c', 'old mtime');
      fs.utimesSync(on.at('c'), 1, 1);
      keep.file('c');
    });
    expect(prune(on, { days: 30 })).toEqual({ removed: 2, bytes: 3 });
    expect(paths(on)).toEqual(['c 9']);
    expect(on.runs()).toEqual([young]);
    expect(on.runs()).not.toContain(old);
    expect(prune(on, { days: 30 })).toEqual({ removed: 0, bytes: 0 });
  });

  it('a long run loses its old versions and keeps its new ones, and their lines', () => {
    const on = new TestRoot();
    const run = on.run(runAt(now - 40 * dayMs), (keep) => ['old', 'new'].forEach((name) => keep.text(name, name)));
    const lines = fs.readFileSync(on.index(run), 'utf8').trim().split('\n');
    const [old = '', young = ''] = lines;
    const dated = old.replace(/"time":"[^"]*"/, `"time":"${new Date(now - 35 * dayMs).toISOString()}"`);
    fs.writeFileSync(on.index(run), `${dated}\n${young}\n`);
    expect(prune(on, { days: 30 })).toEqual({ removed: 1, bytes: 3 });
    expect(paths(on)).toEqual(['new 3']);
    expect(fs.readFileSync(on.index(run), 'utf8')).toBe(`${young}\n`);
  });

  it('of each path the newest versions are kept', () => {
    const on = new TestRoot();
    for (let n = 1; n <= 5; n += 1) on.keptAt(now - (10 - n) * 1000, { f: 'x'.repeat(n), [`once-${n}`]: '' });
    on.run(runAt(now), (keep) => ['x'.repeat(6), 'x'.repeat(7)].forEach((text) => keep.text('f', text)));
    expect(prune(on, { versions: 3 })).toEqual({ removed: 4, bytes: 1 + 2 + 3 + 4 });
    expect(paths(on).filter((line) => line.startsWith('f'))).toEqual(['f 5', 'f 6', 'f 7']);
    expect(paths(on).filter((line) => line.startsWith('once'))).toHaveLength(5);
  });

  it('bytes: the oldest go first, whatever their path, and no more than needed', () => {
    const on = new TestRoot();
    on.keptAt(now - 4000, { a: 'x'.repeat(100) });
    on.keptAt(now - 3000, { b: 'x'.repeat(100) });
    on.keptAt(now - 2000, { a: 'x'.repeat(101) });
    expect(prune(on, { bytes: 301 })).toEqual({ removed: 0, bytes: 0 });
    expect(prune(on, { bytes: 300 })).toEqual({ removed: 1, bytes: 100 });
    expect(paths(on)).toEqual(['a 101', 'b 100']);
    expect(prune(on, { bytes: 150 })).toEqual({ removed: 1, bytes: 100 });
    expect(on.runs()).toHaveLength(1);
  });

  it('directories go when nothing is left in them, and with what was in them', () => {
    const on = new TestRoot();
    on.run(runAt(now - 40 * dayMs), (keep) => {
      keep.text('d/f', 'x');
      keep.directory('d');
    });
    const run = on.runs()[0] ?? '';
    const index = fs.readFileSync(on.index(run), 'utf8');
    fs.writeFileSync(
      on.index(run),
      index.replaceAll(/"time":"[^"]*"/g, `"time":"${new Date(now - 40 * dayMs).toISOString()}"`),
    );
    expect(prune(on, { days: 30 })).toEqual({ removed: 2, bytes: 1 });
    expect(on.runs()).toEqual([]);
  });

  it('a directory kept whole goes with everything in it, FIFOs and nested roots too', () => {
    const on = new TestRoot();
    on.write('d/sub/f', 'x');
    on.write('d/.lockstep/id', 'nested');
    fs.mkdirSync(on.at('d/empty'));
    const run = on.run(runAt(now), (keep) => keep.file('d', 'clean-out'));
    fs.chmodSync(`${on.own}/history/${run}/files/d/sub`, 0o555);
    expect(prune(on, { days: 1 }, now + dayMs / 2)).toEqual({ removed: 0, bytes: 0 });
    expect(prune(on, { days: 1 }, now + 2 * dayMs)).toMatchObject({ bytes: 7 });
    expect(on.runs()).toEqual([]);
  });
});

describe('what is not ours stays', () => {
  it('foreign files and runs, and what symlinks point to', () => {
    const on = new TestRoot();
    on.write('precious/f', 'x');
    const run = on.keptAt(now - 100 * dayMs, { a: 'a' });
    const history = `${on.own}/history`;
    fs.writeFileSync(`${history}/notes.txt`, 'mine');
    fs.writeFileSync(`${history}/${run}/notes.txt`, 'mine');
    fs.symlinkSync(on.at('precious'), `${history}/${run}/files-2`);
    fs.symlinkSync(on.at('precious'), `${history}/${runAt(now - 100 * dayMs)}`);
    on.run(runAt(now - 99 * dayMs), (keep) => {
      fs.symlinkSync(on.at('precious'), on.at('link'));
      keep.file('link');
    });
    // The symlink was kept today by its record: its run alone is old.
    expect(prune(on, { days: 30, bytes: 1, versions: 1 })).toEqual({ removed: 1, bytes: 1 });
    expect(prune(on, { days: 30 }, now + 31 * dayMs)).toEqual({ removed: 1, bytes: 0 });
    expect(listVersions(on.own)).toEqual([]);
    expect(on.read('precious/f')).toBe('x');
    expect(fs.readFileSync(`${history}/${run}/notes.txt`, 'utf8')).toBe('mine');
    expect(fs.readFileSync(`${history}/notes.txt`, 'utf8')).toBe('mine');
  });

  it('the run that holds the lock keeps its directories and its index, and can go on keeping', () => {
    const on = new TestRoot();
    const run = runAt(now);
    on.run(run, (keep) => {
      fs.mkdirSync(on.own);
      lock(on, run);
      for (const text of ['1', '2', '3']) keep.text('d/f', text);
      const index = fs.readFileSync(on.index(run), 'utf8');
      expect(prune(on, { versions: 1 })).toEqual({ removed: 2, bytes: 2 });
      expect(fs.readFileSync(on.index(run), 'utf8')).toBe(index);
      for (const text of ['4', '5']) keep.text('d/f', text);
    });
    expect(listVersions(on.own).map(({ fullPath }) => fs.readFileSync(fullPath, 'utf8'))).toEqual(['3', '4', '5']);
    fs.rmSync(`${on.own}/lock`);
    expect(prune(on, { versions: 1 })).toEqual({ removed: 2, bytes: 2 });
    expect(fs.readFileSync(on.index(run), 'utf8').trim().split('\n')).toHaveLength(1);
  });

  it('what the present run has just kept is not taken for the sake of bytes, and goes with the next run', () => {
    const on = new TestRoot();
    on.keptAt(now - 5000, { old: 'x'.repeat(50) });
    const run = on.keptAt(now, { one: 'x'.repeat(90), two: 'x'.repeat(91) });
    lock(on, run);
    expect(prune(on, { bytes: 100 })).toEqual({ removed: 1, bytes: 50 });
    expect(paths(on)).toEqual(['one 90', 'two 91']);
    lock(on, runAt(now + 1));
    expect(prune(on, { bytes: 100 })).toEqual({ removed: 1, bytes: 90 });
  });

  it.each([0, 1500])(
    'what is larger than the limit stays for an hour, and nothing goes for it; %i others',
    (others) => {
      const on = new TestRoot();
      const names = Array.from({ length: others }, (_, n) => `d/${n}`);
      on.keptAt(now - 5000, { old: 'x'.repeat(50), ...Object.fromEntries(names.map((name) => [name, ''])) });
      const run = on.keptAt(now, { huge: 'x'.repeat(500) });
      lock(on, run);
      expect(prune(on, { bytes: 100 })).toEqual({ removed: 0, bytes: 0 });
      lock(on, runAt(now + 10));
      on.keptAt(now + 1, { more: 'x'.repeat(40) });
      expect(prune(on, { bytes: 100 }, now + 2)).toEqual({ removed: 0, bytes: 0 });
      on.keptAt(now + 3, { most: 'x'.repeat(51) });
      expect(prune(on, { bytes: 100 }, now + 4)).toEqual({ removed: 1, bytes: 50 });
      expect(prune(on, { bytes: 100 }, now + 3_600_001)).toEqual({ removed: 1, bytes: 500 });
      expect(paths(on).filter((line) => !line.startsWith('d/'))).toEqual(['more 40', 'most 51']);
    },
  );
});

describe('a large history', () => {
  const limits: Retention = { days: 30, versions: 10, bytes: 1_000_000 };
  function large(): TestRoot {
    const on = new TestRoot();
    for (let run = 0; run < 12; run += 1) {
      const files = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`run-${run}/${n}`, 'xx']));
      on.keptAt(now - 20 * dayMs + run * 1000, { ...files, hot: String(run).padStart(4, '0') });
    }
    return on;
  }
  const summaryOf = (on: TestRoot): string => `${on.own}/history/summary.json`;

  it('is not read again while nothing is due', () => {
    const on = large();
    expect(prune(on, limits)).toEqual({ removed: 2, bytes: 8 });
    expect(fs.existsSync(summaryOf(on))).toBe(true);
    const reads = vi.spyOn(HistoryReader.prototype, 'versionsOf');
    expect(prune(on, limits, now + 1)).toEqual({ removed: 0, bytes: 0 });
    expect(reads).not.toHaveBeenCalled();
    const run = on.keptAt(now + 2, { new: 'x' });
    expect(prune(on, limits, now + 3)).toEqual({ removed: 0, bytes: 0 });
    expect(reads.mock.calls).toEqual([[run]]);
    reads.mockRestore();
  });

  it('finds the path that has too many now without reading the others', () => {
    const on = large();
    prune(on, limits);
    on.keptAt(now + 1, { hot: 'newest' });
    const reads = vi.spyOn(HistoryReader.prototype, 'versionsOf');
    expect(prune(on, limits, now + 2)).toEqual({ removed: 1, bytes: 4 });
    for (const [, under] of reads.mock.calls.slice(1)) expect(under).toBe('hot');
    reads.mockRestore();
    expect(listVersions(on.own, 'hot')).toHaveLength(10);
  });

  it('of the run that is going on, only the end of the index is read', () => {
    const on = large();
    prune(on, limits);
    const run = runAt(now);
    on.run(run, (keep) => {
      lock(on, run);
      keep.text('first', '1');
      prune(on, limits, now + 1);
      const reads = vi.spyOn(HistoryReader.prototype, 'versionsOf');
      keep.text('second', '22');
      fs.mkdirSync(on.at('whole'));
      on.write('whole/third', '333');
      keep.file('whole', 'restored');
      expect(prune(on, limits, now + 2)).toEqual({ removed: 0, bytes: 0 });
      expect(reads).not.toHaveBeenCalled();
      reads.mockRestore();
      const summary = JSON.parse(fs.readFileSync(summaryOf(on), 'utf8')) as { runs: Record<string, object> };
      expect(summary.runs[run]).toMatchObject({ versions: 4, bytes: 6, open: true });
    });
  });

  it('days, bytes and changed limits are met all the same', () => {
    const on = large();
    prune(on, limits);
    expect(prune(on, limits, now + 11 * dayMs).removed).toBe(1090);
    expect(on.runs()).toEqual([]);
    expect(fs.existsSync(summaryOf(on))).toBe(false);
    const other = large();
    prune(other, limits);
    expect(prune(other, { ...limits, bytes: 2000 }, now + 1)).toEqual({ removed: 100, bytes: 200 });
    expect(prune(other, { ...limits, bytes: 2000, versions: 5 }, now + 2)).toEqual({ removed: 5, bytes: 20 });
  });

  it('is gone through, and removed from, in small steps', () => {
    const on = large();
    const calls = ['lstatSync', 'unlinkSync', 'rmdirSync'] as const;
    const spies = calls.map((call) => vi.spyOn(fs, call));
    const made = (): number => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    let [before, most, steps] = [made(), 0, 0];
    const work = pruneHistory(on.own, { ...none, days: 10 }, now);
    while (work.next().done !== true) {
      most = Math.max(most, made() - before);
      before = made();
      steps += 1;
    }
    for (const spy of spies) spy.mockRestore();
    expect(on.runs()).toEqual([]);
    expect(steps).toBeGreaterThan(2000);
    // Once, all runs are looked at, and all that is left in one of their directories: as many as there are of either.
    expect(most).toBeLessThan(100);
  });

  it('leaves others a word in meanwhile, and is left as it is when its replica is closed', async () => {
    const on = large();
    const runId = runAt(now);
    const open = async (): Promise<LocalReplica> => {
      const replica = new LocalReplica();
      const how = { access: 'write', marks: false, create: false, command: 'test', forceUnlock: false } as const;
      await replica.open({ root: on.root, runId, ...how });
      return replica;
    };
    const closed = await open();
    const pruning = expect(closed.prune({ ...none, days: 10 })).rejects.toThrow(InterruptedError);
    await closed.close();
    await pruning;
    expect(fs.existsSync(`${on.own}/lock`)).toBe(false);
    expect(on.runs()).toHaveLength(12);
    const replica = await open();
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      next = setImmediate(turn);
    };
    let next = setImmediate(turn);
    expect(await replica.prune({ ...none, days: 10 })).toMatchObject({ removed: 1092 });
    clearImmediate(next);
    expect(turns).toBeGreaterThan(2);
    await replica.close();
  });

  it('that was not gone through to the end is the next time', () => {
    const on = large();
    const work = pruneHistory(on.own, { ...none, days: 10 }, now);
    for (let step = 0; step < 1500; step += 1) expect(work.next().done).toBe(false);
    work.return(undefined as never);
    expect(fs.existsSync(summaryOf(on))).toBe(false);
    const left = paths(on).length;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(1092);
    expect(prune(on, { days: 10 }).removed).toBe(left);
    expect(on.runs()).toEqual([]);
  });

  it('room that somebody made by hand is noticed before anything goes for bytes', () => {
    const on = large();
    const tight = { ...limits, bytes: 2200 };
    prune(on, tight);
    const [, second = '', third = ''] = on.runs();
    fs.rmSync(`${on.own}/history/${second}`, { recursive: true });
    fs.rmSync(`${on.own}/history/${third}/files/run-2`, { recursive: true });
    on.keptAt(now + 1, { big: 'x'.repeat(300) });
    expect(prune(on, tight, now + 2 * 3_600_000)).toEqual({ removed: 0, bytes: 0 });
  });

  it('a damaged summary is as good as none', () => {
    const on = large();
    prune(on, limits);
    const text = fs.readFileSync(summaryOf(on), 'utf8');
    for (const damaged of ['', text.slice(0, 100), '{"v":1}', '[]', text.replace(/"versions":90/, '"versions":-1')]) {
      fs.writeFileSync(summaryOf(on), damaged);
      expect(prune(on, limits, now + 1)).toEqual({ removed: 0, bytes: 0 });
      expect(JSON.parse(fs.readFileSync(summaryOf(on), 'utf8'))).toMatchObject({ v: 1, countedMs: now + 1 });
    }
  });
});
