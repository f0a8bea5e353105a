/** A scan that knows the record only by digests, and is explained afterwards, comes to what one with the record does. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeTree } from '../../tree/codec.ts';
import { flags, type Entry } from '../../tree/entry.ts';
import { noRules, type IgnoreRules } from '../../tree/ignore/rules.ts';
import { Listing } from '../../tree/listing.ts';
import type { RelPath } from '../../tree/path.ts';
import type { Tree } from '../../tree/tree.ts';
import { explainResult } from '../explain-changes.ts';
import { digestBytes, digestLayers, digestSet, DirectoryDigest, listingDigest, msAt } from '../listing-digest.ts';
import { DirHandles } from './dir-handles.ts';
import { scanRoot } from './scan.ts';
import type { Recorded, ScanRequest, ScanResult } from '../replica.ts';

let root: string;
let handles: DirHandles;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-explain-'));
  handles = new DirHandles(root);
});
afterEach(() => {
  handles.close();
  fs.rmSync(root, { recursive: true });
});

function scan(previous: Recorded, given: Partial<ScanRequest> = {}): { request: ScanRequest; result: ScanResult } {
  const request = { rules: noRules, ignoreFiles: [], scope: [], reportAll: false, previous, ...given };
  const work = scanRoot(handles, 0n, request);
  for (;;) {
    const step = work.next();
    if (step.done === true) return { request, result: step.value };
  }
}

function listings(tree: Tree): Record<RelPath, unknown> {
  return Object.fromEntries([...tree.listings()].map(([dir, listing]) => [dir, [...listing.entries()]]));
}

const name = fc.constantFrom('x', 'y', 'z', 'no', '.ignore');
const edit = fc.record({
  at: fc.array(name, { minLength: 1, maxLength: 3 }),
  make: fc.constantFrom('file', 'dir', 'link', 'nothing'),
  text: fc.constantFrom('no', 'y\n', 'x/no'),
});

function make({ at, make: kind, text }: { at: string[]; make: string; text: string }): void {
  const full = path.join(root, ...at);
  try {
    fs.mkdirSync(path.dirname(full), { recursive: true });
    fs.rmSync(full, { recursive: true, force: true });
    if (kind === 'dir') fs.mkdirSync(full);
    else if (kind === 'link') fs.symlinkSync(text, full);
    else if (kind === 'file') fs.writeFileSync(full, text);
  } catch {
    // Something that is no directory is in the way.
  }
}

describe('explainResult', () => {
  it('makes of a scan with digests what a scan with the record gives', () => {
    const rules: fc.Arbitrary<IgnoreRules> = fc.record({
      patterns: fc.subarray(['no', 'z/', '!y', 'never']),
      presets: fc.constant([]),
      files: fc.subarray(['.ignore']),
      perishable: fc.constant([]),
    });
    const edits = fc.array(edit, { maxLength: 12 });
    const scopes = fc.constantFrom<RelPath[]>([], [], ['x'], ['x/y', 'z'], ['y/no']);
    const story = fc.tuple(edits, edits, edits, rules, rules, scopes, fc.boolean());
    fc.assert(
      fc.property(story, ([first, second, third, before, rulesNow, scope, reportAll]) => {
        for (const old of fs.readdirSync(root)) fs.rmSync(path.join(root, old), { recursive: true });
        first.forEach(make);
        const nothing: Recorded = { as: 'packed', layers: [] };
        const { result: older } = scan(nothing, { rules: before });
        second.forEach(make);
        // Two layers, as a baseline with a log has them.
        const { result: newer } = scan({ as: 'packed', layers: [encodeTree(older.changed)] }, { rules: before });
        third.forEach(make);
        const layers = [newer.changed, older.changed];
        const salt = new Uint8Array(16).fill(7);
        const given = { rules: rulesNow, scope, reportAll };
        const exact = scan({ as: 'packed', layers: [...layers].reverse().map((tree) => encodeTree(tree)) }, given);
        const far = scan({ as: 'digests', salt, digests: digestLayers(salt, layers) }, given);
        explainResult(far.result, far.request, layers);
        const comparable = ({ result }: { result: ScanResult }): object => ({
          ...result,
          changed: listings(result.changed),
          // Only who has the record can vouch for it.
          complete: undefined,
        });
        expect(comparable(far)).toEqual(comparable(exact));
      }),
      { numRuns: 150 },
    );
  });
});

describe('digests of listings', () => {
  const salt = new Uint8Array(16);
  const file = (change: Partial<Entry> = {}): Entry => ({
    kind: 'file',
    mode: 0o644,
    size: 5,
    mtimeNs: 1_700_000_000_123_456_789n,
    ctimeNs: 1_700_000_001_000_000_001n,
    ino: 99n,
    flags: 0,
    ...change,
  });
  const of = (dir: RelPath, entries: Record<string, Entry>, by = salt): string =>
    listingDigest(new DirectoryDigest(by), dir, Listing.from(Object.entries(entries)).bytes);

  it('tell apart directories, entries and scans', () => {
    const all = [
      of('d', { x: file() }),
      of('e', { x: file() }),
      of('d', { x: file() }, new Uint8Array(16).fill(1)),
      of('d', {}),
      of('d', { y: file() }),
      of('d', { x: file(), y: file() }),
      of('d', { x: file({ size: 6 }) }),
      of('d', { x: file({ size: 5 + 2 ** 32 }) }),
      of('d', { x: file({ ino: 98n }) }),
      of('d', { x: file({ mode: 0o600 }) }),
      of('d', { x: file({ kind: 'special' }) }),
      of('d', { x: file({ flags: flags.racy }) }),
      of('d', { x: file({ mtimeNs: file().mtimeNs + 1000n }) }),
      of('d', { x: file({ ctimeNs: file().ctimeNs + 1000n }) }),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(all[0]).toHaveLength(digestBytes);
  });

  it('come back out of a set byte for byte, wherever it lies in its buffer', () => {
    const [one, two] = [of('d', {}), of('e', {})];
    const bytes = Buffer.from(`..${one}${two}`, 'latin1').subarray(2);
    expect(digestSet(bytes)).toEqual(new Set([one, two]));
  });

  it('make of nanoseconds the milliseconds that stats have', () => {
    const view = new DataView(new ArrayBuffer(8));
    const nearSeconds = fc.tuple(fc.integer({ min: -3e9, max: 9e9 }), fc.integer({ min: -3, max: 3 }));
    const times = fc.oneof(
      fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
      nearSeconds.map(([seconds, ns]) => BigInt(seconds) * 1_000_000_000n + BigInt(ns)),
    );
    fc.assert(
      fc.property(times, (ns) => {
        view.setBigInt64(0, ns, true);
        const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
        expect(msAt(view, 0)).toBe(Number((ns - rest) / 1_000_000_000n) * 1000 + Number(rest) / 1e6);
      }),
    );
    // Node itself: should it ever reckon in another way, every directory would look changed over a pipe.
    const place = path.join(root, 'times');
    fs.writeFileSync(place, '');
    for (const seconds of [0, 1, 1.5, 1_700_000_000.123457, 1_700_000_000.999999, 4_000_000_000.000001]) {
      fs.utimesSync(place, seconds, seconds);
      view.setBigInt64(0, fs.statSync(place, { bigint: true }).mtimeNs, true);
      expect(msAt(view, 0)).toBe(fs.statSync(place).mtimeMs);
      view.setBigInt64(0, fs.statSync(place, { bigint: true }).ctimeNs, true);
      expect(msAt(view, 0)).toBe(fs.statSync(place).ctimeMs);
    }
  });
});
