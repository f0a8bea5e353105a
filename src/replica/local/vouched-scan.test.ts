/** A record that vouches for its names: a scan that goes by it finds what one finds that reads every directory. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { flags } from '../../tree/entry.ts';
import { encodeTree } from '../../tree/codec.ts';
import { Listing } from '../../tree/listing.ts';
import { noRules, type IgnoreRules } from '../../tree/ignore/rules.ts';
import type { Tree } from '../../tree/tree.ts';
import type { ScanResult } from '../replica.ts';
import { DirHandles } from './dir-handles.ts';
import { listsByTimes } from './platform.ts';
import { scanRoot } from './scan.ts';

const tickMs = 10;
let root: string;
let handles: DirHandles;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-vouched-'));
  handles = new DirHandles(root);
});
afterEach(() => {
  vi.restoreAllMocks();
  handles.close();
  fs.rmSync(root, { recursive: true });
});

function scan(recorded: Tree | undefined, rules = noRules, granularityMs = tickMs): ScanResult {
  const layers = recorded === undefined ? [] : [encodeTree(recorded)];
  const previous = { as: 'packed', layers } as const;
  const request = { rules, ignoreFiles: [], scope: [], reportAll: false, previous };
  const work = scanRoot(handles, BigInt(granularityMs) * 1_000_000n, request);
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Until what was written last is older than the clock's tick. */
function rest(): void {
  for (const until = Date.now() + 2 * tickMs + 1; Date.now() < until;);
}

/** The root as it is, recorded, and as a second scan vouches for it. */
function record(rules = noRules): { plain: Tree; vouched: Tree; complete: string[] } {
  rest();
  const plain = scan(undefined, rules).changed;
  // Sorted out with its marks: racy entries are none, so it can be told from the plain one by them only.
  const { complete = [] } = scan(plain, rules);
  const vouched = plain.clone();
  for (const { dir, mark } of complete) vouched.setListing(dir, (plain.listing(dir) ?? Listing.empty).withMark(mark));
  return { plain, vouched, complete: complete.map(({ dir }) => dir) };
}

function write(at: string, text = at): void {
  fs.mkdirSync(path.dirname(path.join(root, at)), { recursive: true });
  fs.writeFileSync(path.join(root, at), text);
}

interface Differences extends Pick<ScanResult, 'entries' | 'bytes' | 'ignoreFiles'> {
  listings: Record<string, unknown>;
}

/** What differs, marks apart: whether names were read is no part of a result. Nor is how fresh a file is at the moment. */
function differences({ changed, entries, bytes, ignoreFiles }: ScanResult): Differences {
  const listings = [...changed.listings()].map(([dir, listing]) => [
    dir,
    [...listing.entries()].map(([name, entry]) => [name, { ...entry, flags: entry.flags & ~flags.racy }]),
  ]);
  return { listings: Object.fromEntries(listings) as Differences['listings'], entries, bytes, ignoreFiles };
}

describe.runIf(listsByTimes(os.tmpdir()))('a record that vouches for its names', () => {
  it('saves every scan but the first from reading directories', () => {
    write('a/b/c');
    write('a/d/e');
    const { vouched, complete } = record();
    expect(complete.sort()).toEqual(['a', 'a/b', 'a/d']);
    const read = vi.spyOn(fs, 'readdirSync');
    const result = scan(vouched);
    expect(differences(result)).toEqual({ listings: {}, entries: 5, bytes: 10, ignoreFiles: [] });
    expect(result.complete).toEqual([]);
    // The root itself: nobody has just looked at its times.
    expect(read.mock.calls.length).toBe(1);
  });

  it('is not believed of a directory that has changed, and vouches for nothing that may still be changing', () => {
    write('a/b/c');
    write('d/e');
    const { vouched } = record();
    write('a/b/new');
    fs.rmSync(path.join(root, 'd/e'));
    expect(Object.keys(differences(scan(vouched)).listings).sort()).toEqual(['', 'a', 'a/b', 'd']);
    // All of it within one tick of a clock as coarse as that.
    expect(scan(scan(undefined).changed, noRules, 3_600_000).complete).toEqual([]);
  });

  it('does not vouch for a directory of which the record leaves something out', () => {
    write('a/b');
    write('a/no');
    const rules: IgnoreRules = { ...noRules, patterns: ['no'] };
    expect(record(rules).complete).toEqual([]);
    // What the rules once left out and now do not is met for the first time.
    const { vouched } = record(rules);
    expect(Object.keys(differences(scan(vouched)).listings)).toEqual(['a']);
  });

  it('gives way when a recorded name is gone all the same', () => {
    write('a/b');
    write('a/c');
    const { vouched } = record();
    const lstat = fs.lstatSync;
    let isGone = false;
    // As if it were deleted between the look at the directory and the look at the file.
    vi.spyOn(fs, 'lstatSync').mockImplementation(((at: string, options: object) => {
      if (at === path.join(root, 'a/b') && !isGone) {
        isGone = true;
        fs.rmSync(at);
      }
      return lstat(at, options);
    }) as typeof fs.lstatSync);
    expect(scan(vouched).changed.listing('a')?.names).toEqual(['c']);
  });

  it('makes no difference to what is found', () => {
    const at = fc.array(fc.constantFrom('x', 'y', 'z', '.ignore'), { minLength: 1, maxLength: 4 });
    const edit = fc.record({ at, make: fc.constantFrom('file', 'dir', 'link', 'nothing', 'chmod') });
    const edits = fc.array(edit, { maxLength: 10 });
    const rules: fc.Arbitrary<IgnoreRules> = fc.record({
      patterns: fc.subarray(['z', '!x/z']),
      presets: fc.constant([]),
      files: fc.subarray(['.ignore']),
      perishable: fc.constant([]),
    });
    fc.assert(
      fc.property(edits, edits, rules, rules, (before, after, rulesThen, rulesNow) => {
        for (const old of fs.readdirSync(root)) fs.rmSync(path.join(root, old), { recursive: true });
        before.forEach(make);
        const { plain, vouched } = record(rulesThen);
        after.forEach(make);
        expect(differences(scan(vouched, rulesNow))).toEqual(differences(scan(plain, rulesNow)));
      }),
      { numRuns: 60 },
    );
  });
});

function make({ at, make: kind }: { at: string[]; make: string }): void {
  const full = path.join(root, ...at);
  try {
    if (kind === 'chmod') {
      fs.chmodSync(full, 0o755);
      return;
    }
    fs.mkdirSync(path.dirname(full), { recursive: true });
    fs.rmSync(full, { recursive: true, force: true });
    if (kind === 'dir') fs.mkdirSync(full);
    else if (kind === 'link') fs.symlinkSync('x', full);
    else if (kind === 'file') fs.writeFileSync(full, at.at(-1) === '.ignore' ? 'y\n' : 'text');
  } catch {
    // Something that is no directory is in the way, or nothing is there.
  }
}
