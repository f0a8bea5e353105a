/** What may be believed of the files of a baseline, whatever became of them: never more than was once true. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../tree/entry.ts';
import { Listing } from '../../tree/listing.ts';
import { joinPath } from '../../tree/path.ts';
import { Baseline } from './baseline.ts';

const key = { identity: { a: 'id-a', b: 'id-b' }, mode: 'two-way', rules: 'rules' };
const session = { a: 'boot/a', b: 'boot/b' };

let stateDir: string;
beforeEach(() => {
  stateDir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-baseline-'));
});
afterEach(() => {
  fs.rmSync(stateDir, { recursive: true, force: true });
});

function file(seed: number): Entry {
  const time = BigInt(seed) * 1_000_000_007n;
  return { kind: 'file', mode: 0o644, size: seed, mtimeNs: time, ctimeNs: time, ino: BigInt(seed), flags: 0 };
}

function load(swapped = false): Baseline {
  return Baseline.load(stateDir, 'link', swapped);
}

/** Everything that a baseline claims, comparable. */
function claims(baseline: Baseline): string {
  const side = (tree: Baseline['a']): string[] =>
    [...tree.listings()]
      .flatMap(([dir, listing]) =>
        [...listing.entries()].map(([name, { ino, size }]) => `${joinPath(dir, name)}=${ino}/${size}`),
      )
      .sort();
  return JSON.stringify([side(baseline.a), side(baseline.b)]);
}

interface Written {
  /** What was claimed after each step, oldest first; before them the snapshot's. */
  states: string[];
  tokens: string[];
  /** The state in which the third run began. */
  thirdFrom: string;
}

/** Three runs: a snapshot with something in it, then changes in the log. */
function writeSome(): Written {
  const first = load();
  first.begin(key, session);
  first.intend();
  first.record('f', file(1), file(101));
  first.record('d/g', file(2), file(102));
  first.flush();
  first.end();
  // A change of the rules folds everything into a snapshot.
  const second = load();
  second.begin({ ...key, rules: 'others' }, session);
  const states = [claims(second)];
  const tokens: string[] = [];
  let thirdFrom = '';
  for (const run of [1, 2, 3]) {
    thirdFrom = claims(second);
    tokens.push(second.intend());
    second.record('f', file(10 * run), file(100 * run));
    second.record(`new-${run}`, file(run), file(run + 50));
    second.flush();
    states.push(claims(second));
    if (run === 3) second.record('d/g', undefined, undefined);
    second.flush();
    states.push(claims(second));
    second.recordListings([{ dir: `dir-${run}`, a: Listing.from([['x', file(run)]]), b: Listing.empty }]);
    states.push(claims(second));
    if (run === 2) second.markDurable();
  }
  second.recordMoves([{ from: 'new-1', to: 'renamed' }]);
  states.push(claims(second));
  second.end();
  return { states, tokens, thirdFrom };
}

/** Places in a file: all at its beginning and end, where lengths and checksums are, and every seventh in between. */
function positions(length: number): number[] {
  return Array.from({ length }, (_, at) => at).filter((at) => at < 100 || at >= length - 60 || at % 7 === 0);
}

const paths = (): { snapshot: string; log: string } => ({
  snapshot: path.join(stateDir, 'links/link'),
  log: path.join(stateDir, 'links/link.log'),
});

describe('a baseline read back', () => {
  it('claims what was recorded', () => {
    const { states, tokens } = writeSome();
    const baseline = load();
    expect(claims(baseline)).toBe(states.at(-1));
    expect(baseline.exists).toBe(true);
    expect(baseline.acceptsToken(tokens[2])).toBe(true);
    expect(baseline.acceptsToken(tokens[1])).toBe(false);
    expect(baseline.acceptsToken(undefined)).toBe(false);
  });

  it('claims the same whichever way round the roots are named', () => {
    const { states } = writeSome();
    const [a, b] = JSON.parse(states.at(-1) ?? '') as [string[], string[]];
    const swapped = load(true);
    expect(claims(swapped)).toBe(JSON.stringify([b, a]));
    expect(swapped.identity).toEqual({ a: 'id-b', b: 'id-a' });
    swapped.begin({ ...key, identity: { a: 'id-b', b: 'id-a' }, rules: 'others' }, session);
    swapped.record('f', file(7), file(8));
    swapped.end();
    expect(load().a.get('f')?.ino).toBe(8n);
    expect(load().b.get('f')?.ino).toBe(7n);
  });

  it('accepts the token before an intent of which nothing came', () => {
    const { tokens } = writeSome();
    const baseline = load();
    const latest = baseline.intend();
    baseline.end();
    for (const token of [latest, tokens[2]]) expect(load().acceptsToken(token)).toBe(true);
    expect(load().acceptsToken(tokens[1])).toBe(false);
  });
});

describe('a damaged snapshot', () => {
  /** Whatever is wrong with it, there is no baseline: nothing is claimed, and nothing is thrown. */
  function expectLost(bytes: Buffer): void {
    fs.writeFileSync(paths().snapshot, bytes);
    const baseline = load();
    expect(baseline.exists).toBe(false);
    expect(baseline.lost?.reason).toMatch(/damaged/);
    expect(claims(baseline)).toBe('[[],[]]');
  }

  it('with a bit flipped anywhere is no baseline', () => {
    writeSome();
    const whole = fs.readFileSync(paths().snapshot);
    for (const at of positions(whole.length)) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      expectLost(bytes);
    }
  });

  it('cut short anywhere is no baseline', () => {
    writeSome();
    const whole = fs.readFileSync(paths().snapshot);
    for (const length of positions(whole.length)) expectLost(whole.subarray(0, length));
  });

  it('with bytes behind it, or with ranges zeroed, is no baseline', () => {
    writeSome();
    const whole = fs.readFileSync(paths().snapshot);
    expectLost(Buffer.concat([whole, Buffer.alloc(1)]));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 64 }), (from, length) => {
        const bytes = Buffer.from(whole).fill(0, from, Math.min(from + length, whole.length));
        if (!bytes.equals(whole)) expectLost(bytes);
      }),
    );
  });
});

describe('a damaged log', () => {
  /** Whatever is wrong with it, what is claimed is a state that once was; with the last token, one of its run. */
  function expectPrefix(bytes: Buffer, { states, tokens, thirdFrom }: Written): void {
    fs.writeFileSync(paths().log, bytes);
    const baseline = load();
    expect(baseline.exists).toBe(true);
    const state = states.indexOf(claims(baseline));
    expect(state).toBeGreaterThanOrEqual(0);
    const beforeThird = states.indexOf(thirdFrom);
    if (baseline.acceptsToken(tokens[2])) expect(state).toBeGreaterThanOrEqual(beforeThird);
    else expect(state).toBeLessThanOrEqual(beforeThird);
    // It can be gone on with, and the torn part is not in the way.
    baseline.begin({ ...key, rules: 'others' }, session);
    baseline.record('more', file(99), file(99));
    baseline.end();
    expect(load().a.get('more')?.ino).toBe(99n);
  }

  it('with a bit flipped anywhere ends before the damage', () => {
    const written = writeSome();
    const whole = fs.readFileSync(paths().log);
    for (const at of positions(whole.length)) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      expectPrefix(bytes, written);
    }
  });

  it('cut short anywhere ends before the cut', () => {
    const written = writeSome();
    const whole = fs.readFileSync(paths().log);
    for (const length of positions(whole.length)) expectPrefix(whole.subarray(0, length), written);
  });

  it('with zeros behind it, as after a power cut, ends before them', () => {
    const written = writeSome();
    const whole = fs.readFileSync(paths().log);
    for (const zeros of [1, 3, 8, 9, 4096]) {
      expectPrefix(Buffer.concat([whole, Buffer.alloc(zeros)]), written);
    }
  });

  it('with ranges zeroed, repeated or exchanged claims nothing that never was', () => {
    const written = writeSome();
    const whole = fs.readFileSync(paths().log);
    const at = fc.nat(whole.length - 1);
    fc.assert(
      fc.property(at, at, fc.constantFrom('zero', 'drop', 'rubbish'), (one, two, how) => {
        const [from, to] = one < two ? [one, two] : [two, one];
        const bytes =
          how === 'zero'
            ? Buffer.from(whole).fill(0, from, to)
            : how === 'drop'
              ? Buffer.concat([whole.subarray(0, from), Buffer.from([0xff])])
              : Buffer.concat([whole.subarray(0, from), Buffer.alloc(to - from, 0xa5)]);
        expectPrefix(bytes, written);
      }),
      { numRuns: 100 },
    );
  });

  it('of another snapshot is not read', () => {
    const { states } = writeSome();
    const log = fs.readFileSync(paths().log);
    const baseline = load();
    baseline.begin({ ...key, rules: 'third' }, session);
    baseline.end();
    fs.writeFileSync(paths().log, log);
    expect(claims(load())).toBe(states.at(-1));
    expect(fs.readFileSync(paths().log).equals(log)).toBe(true);
  });
});

describe('restored from an older copy', () => {
  it('a baseline does not accept the newer token, nor a newer one an older token', () => {
    writeSome();
    const older = [paths().snapshot, paths().log].map((name) => fs.readFileSync(name));
    const baseline = load();
    const token = baseline.intend();
    baseline.record('f', file(77), file(78));
    baseline.end();
    expect(load().acceptsToken(token)).toBe(true);
    for (const [index, name] of [paths().snapshot, paths().log].entries()) {
      fs.writeFileSync(name, older[index] ?? Buffer.alloc(0));
    }
    expect(load().acceptsToken(token)).toBe(false);
  });
});

describe('records that are not known to be stored', () => {
  it('are forgotten in another session, and kept in the same', () => {
    writeSome();
    const same = load();
    same.checkSessions(session);
    expect(same.exists).toBe(true);
    for (const other of [
      { a: 'boot2/a', b: 'boot/b' },
      { a: 'boot/a', b: 'boot2/b' },
    ]) {
      const baseline = load();
      baseline.checkSessions(other);
      expect(baseline.exists).toBe(false);
      expect(baseline.lost?.reason).toMatch(/went down/);
      expect(claims(baseline)).toBe('[[],[]]');
    }
  });

  it('are kept in another session once both disks were flushed, until the next record', () => {
    writeSome();
    const baseline = load();
    baseline.markDurable();
    baseline.end();
    const other = { a: 'boot2/a', b: 'boot2/b' };
    const later = load();
    later.checkSessions(other);
    expect(later.exists).toBe(true);
    later.begin({ ...key, rules: 'others' }, other);
    later.record('f', file(5), file(5));
    later.end();
    const back = load();
    back.checkSessions(session);
    expect(back.exists).toBe(false);
  });

  it('stay what they are when the log is folded into a snapshot', () => {
    writeSome();
    const baseline = load();
    baseline.begin({ ...key, rules: 'third' }, session);
    baseline.end();
    const back = load();
    back.checkSessions({ a: 'boot2/a', b: 'boot/b' });
    expect(back.exists).toBe(false);
  });
});

describe('the record of one link', () => {
  it('is not that of another', () => {
    writeSome();
    expect(Baseline.load(stateDir, 'other').exists).toBe(false);
  });

  it('says why it cannot be read, with the path', () => {
    fs.mkdirSync(path.join(stateDir, 'links'), { recursive: true });
    fs.mkdirSync(paths().snapshot);
    expect(() => load()).toThrow(expect.objectContaining({ code: 'state', path: stateDir }));
  });
});

it('a token that cannot be recorded is not given to anybody', () => {
  const baseline = load();
  baseline.begin(key, session);
  baseline.intend();
  const write = vi.spyOn(fs, 'writeSync').mockImplementation(() => {
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  });
  try {
    baseline.record('f', file(1), file(101));
    expect(() => baseline.flush()).toThrow(expect.objectContaining({ code: 'state' }));
  } finally {
    write.mockRestore();
  }
  // There is room again, but what is on record ends before.
  expect(() => baseline.intend()).toThrow(expect.objectContaining({ code: 'state' }));
});
