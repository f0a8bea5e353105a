/** A scan that knows the record only by digests, and is explained afterwards, comes to what one with the record does. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeTree } from '../../tree/codec.ts';
import { noRules, type IgnoreRules } from '../../tree/ignore/rules.ts';
import type { RelPath } from '../../tree/path.ts';
import type { Tree } from '../../tree/tree.ts';
import { explainResult } from '../explain-changes.ts';
import { digestBytes, digestLayers, digestSet, listingDigest } from '../listing-digest.ts';
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
  const listing = new TextEncoder().encode('as if it were one');
  const salt = new Uint8Array(16);

  it('tell apart directories, contents and scans', () => {
    const other = new Uint8Array(16).fill(1);
    const all = [
      listingDigest(salt, 'd', listing),
      listingDigest(salt, 'e', listing),
      listingDigest(salt, 'd', listing.subarray(1)),
      listingDigest(other, 'd', listing),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(all[0]).toHaveLength(digestBytes);
  });

  it('come back out of a set byte for byte, wherever it lies in its buffer', () => {
    const one = listingDigest(salt, 'd', listing);
    const two = listingDigest(salt, 'e', listing);
    const bytes = Buffer.from(`..${one}${two}`, 'latin1').subarray(2);
    expect(digestSet(bytes)).toEqual(new Set([one, two]));
  });
});
