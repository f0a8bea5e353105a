/** When what is told of is looked at; all times are given (DESIGN C2). */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Side } from '../../reconcile/options.ts';
import { Pending, type Timing } from './pending.ts';

const timing: Timing = { firstMs: 2, quietMs: 20, maxWaitMs: 200, settleMs: 100 };

let pending: Pending;
beforeEach(() => {
  pending = new Pending(timing);
});

function told(side: Side, path: string, now: number): boolean {
  const [dir, name] = path.includes('/') ? path.split('/') : ['', path];
  return pending.note(side, [{ dir: dir ?? '', names: [name ?? ''] }], now);
}

/** What is taken at a time, as paths by side. */
function taken(now: number): string[] {
  const due = pending.take(now);
  return (['a', 'b'] as const).flatMap((side) =>
    due[side].flatMap(({ dir, names }) => (names ?? ['*']).map((name) => `${side} ${dir}/${name}`)),
  );
}

describe('a change', () => {
  it('after a quiet time goes almost at once, and takes along what came with it', () => {
    told('a', 'd/f', 1000);
    told('a', 'd/g', 1001);
    expect(pending.dueAt).toBe(1002);
    expect(taken(1002)).toEqual(['a d/f', 'a d/g']);
    expect(pending.dueAt).toBeUndefined();
  });

  it('that follows others waits until it is quiet, but not for ever', () => {
    told('a', 'f', 1000);
    expect(taken(1002)).toEqual(['a /f']);
    let now = 1010;
    told('b', 'g0', now);
    for (let i = 1; pending.dueAt !== undefined && pending.dueAt > now && i < 100; i += 1) {
      now += 10;
      told('b', `g${i}`, now);
    }
    expect(now).toBeGreaterThanOrEqual(1010 + timing.maxWaitMs);
    expect(now).toBeLessThan(1010 + timing.maxWaitMs + 50);
    expect(taken(now)).toContain('b /g0');
  });

  it('is not taken before its time', () => {
    told('a', 'f', 1000);
    expect(taken(1001)).toEqual([]);
    expect(pending.dueAt).toBe(1002);
  });
});

describe('a growing file', () => {
  it('waits until it rests, while others go', () => {
    told('a', 'd/log', 1000);
    taken(1002);
    told('a', 'd/log', 1030);
    told('a', 'd/other', 1030);
    expect(taken(1060)).toEqual(['a d/other']);
    expect(pending.dueAt).toBe(1130);
    told('a', 'd/log', 1120);
    expect(taken(1130)).toEqual([]);
    expect(taken(1220)).toEqual(['a d/log']);
    expect(pending.dueAt).toBeUndefined();
  });

  it('goes as it is after two seconds', () => {
    let now = 1000;
    let sentAt: number | undefined;
    for (; now < 5000 && sentAt === undefined; now += 50) {
      told('a', 'log', now);
      if ((pending.dueAt ?? Infinity) <= now && taken(now).length > 0 && now > 1100) sentAt = now;
    }
    expect(sentAt).toBeGreaterThan(2900);
    expect(sentAt).toBeLessThan(3400);
  });
});

describe('what we wrote ourselves', () => {
  it('is nobody’s change, and is looked at all the same', () => {
    pending.wrote('b', ['d/f'], 1000);
    expect(told('b', 'd/f', 1010)).toBe(false);
    expect(pending.dueAt).toBe(1060);
    expect(taken(1060)).toEqual(['b d/f']);
  });

  it('may have been told of before it was known to be ours', () => {
    expect(told('b', 'd/f', 1000)).toBe(true);
    told('b', 'd/g', 1000);
    pending.wrote('b', ['d/f'], 1001);
    pending.wrote('b', ['d/g'], 1001);
    expect(pending.dueAt).toBe(1051);
    expect(taken(1051)).toEqual(['b d/f', 'b d/g']);
  });

  it('goes along with somebody’s change', () => {
    pending.wrote('b', ['d/f'], 1000);
    told('b', 'd/f', 1010);
    expect(told('b', 'd/g', 1012)).toBe(true);
    expect(taken(1014)).toEqual(['b d/g', 'b d/f']);
  });

  it('lets somebody’s change go first when it is much, but does not wait for ever', () => {
    const own = Array.from({ length: 200 }, (_, i) => `d/f${i}`);
    pending.wrote('b', own, 1000);
    for (const path of own) told('b', path, 1010);
    told('a', 'd/g', 1100);
    expect(taken(1120)).toEqual(['a d/g']);
    expect(pending.dueAt).toBe(1060);
    expect(taken(1121)).toHaveLength(200);

    pending.wrote('b', own, 2000);
    for (const path of own) told('b', path, 2010);
    told('a', 'd/g', 3100);
    expect(taken(3120)).toHaveLength(201);
  });

  it('goes along even when it is much, where somebody’s change is in the same directory: it may be a rename', () => {
    const own = Array.from({ length: 200 }, (_, i) => `d/f${i}`);
    told('b', 'old', 1000);
    for (const path of own) told('b', path, 1000);
    pending.wrote('b', ['old', ...own], 1010);
    told('b', 'new', 1020);
    expect(taken(1040)).toEqual(['b /new', 'b /old']);
  });

  it('is somebody’s change after a while, and on the other side at once', () => {
    pending.wrote('b', ['d/f'], 1000);
    expect(told('a', 'd/f', 1010)).toBe(true);
    expect(told('b', 'd/f', 1400)).toBe(true);
  });
});

describe('more than can be kept in mind', () => {
  it('of directories means a look at everything', () => {
    for (let i = 0; i < 50_001; i += 1) pending.note('a', [{ dir: `d${i}`, names: ['f'] }], 1000);
    expect(pending.dueAt).toBeLessThanOrEqual(1200);
    expect(pending.take(1200).lost).toContain('more has changed');
    expect(pending.take(1200)).toEqual({ a: [], b: [], lost: undefined });
  });

  it('of paths to look at again is due, though nothing else is', () => {
    for (let i = 0; i < 20_001; i += 1) pending.later('a', 'd', `f${i}`, 5000);
    expect(pending.dueAt).toBeLessThanOrEqual(1000);
    expect(pending.take(1000).lost).toContain('more has changed');
  });

  it('of both together means a look at everything', () => {
    for (let i = 0; i < 49_990; i += 1) pending.note('a', [{ dir: `d${i}`, names: ['f'] }], 1000);
    for (let i = 0; i < 50; i += 1) pending.later('a', `l${i}`, 'f', 1000);
    expect(pending.take(1200).lost).toContain('more has changed');
  });

  it('is forgotten with a look at everything', () => {
    told('a', 'f', 1000);
    pending.lose('why', 1000);
    expect(pending.take(1002).lost).toBe('why');
    expect(pending.dueAt).toBeUndefined();
  });
});
