/** A walk with help finds what one without it finds, also when the help fails half-way. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { noRules, type IgnoreRules } from '../../tree/ignore/rules.ts';
import { DirectoryDigest, listingDigest } from '../listing-digest.ts';
import type { ScanRequest, ScanResult } from '../replica.ts';
import { DirHandles, inodeOf } from './dir-handles.ts';
import { isWorthHelp, ScanHelp, serveScanParts, type WalkPort } from './scan-help.ts';
import { scanRoot } from './scan.ts';
import { drive } from './slices.ts';

let root: string;
let handles: DirHandles;
const granularityNs = 1_000_000n;
const salt = new Uint8Array(16);
const control = { signal: new AbortController().signal };

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-help-'));
  handles = new DirHandles(root);
});
afterEach(() => {
  handles.close();
  fs.rmSync(root, { recursive: true });
});

/** Directories of the same few files, three levels of them; every tenth has an ignore file. */
function grow(width: number): void {
  const make = (dir: string, depth: number): void => {
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(dir, 'file'), dir);
    fs.writeFileSync(path.join(dir, 'left.out'), '');
    fs.symlinkSync('file', path.join(dir, 'link'));
    for (let at = 0; depth > 0 && at < width; at += 1) make(path.join(dir, `d${at}`), depth - 1);
  };
  make(root, 3);
  for (let at = 0; at < width; at += 2) fs.writeFileSync(path.join(root, `d${at}/.ignore`), 'left.out\nd1\n');
}

interface Found extends Omit<ScanResult, 'changed'> {
  listings: [string, unknown][];
}

/** In an order of its own: whoever finds a directory first is no part of a result. */
function sorted({ changed, ...rest }: ScanResult): Found {
  const listings = [...changed.listings()].map(([dir, listing]): [string, unknown] => [dir, [...listing.entries()]]);
  return {
    ...rest,
    listings: listings.sort(([one], [other]) => (one < other ? -1 : 1)),
    ignoredIn: [...rest.ignoredIn].sort(),
    unreadable: [...rest.unreadable].sort((one, other) => (one.path < other.path ? -1 : 1)),
    ignoreFiles: [...rest.ignoreFiles].sort((one, other) => (one.dir < other.dir ? -1 : 1)),
    unmatchedPatterns: [...rest.unmatchedPatterns].sort(),
  };
}

function requestOf(rules: IgnoreRules, recorded?: ScanResult): ScanRequest {
  const digest = new DirectoryDigest(salt);
  const digests = [...(recorded?.changed.listings() ?? [])].map(([dir, { bytes }]) =>
    listingDigest(digest, dir, bytes),
  );
  const previous = { as: 'digests', salt, digests: Buffer.from(digests.join(''), 'latin1') } as const;
  return { rules, ignoreFiles: [], scope: [], reportAll: false, previous };
}

interface Helped {
  result: Found;
  /** Parts that the help has answered. */
  parts: number;
}

/** @param failsAfter so many parts, as a thread that runs out of memory does */
async function scanWithHelp(request: ScanRequest, failsAfter = Infinity): Promise<Helped> {
  const { port1, port2 } = new MessageChannel();
  let parts = 0;
  const theirs: WalkPort = {
    postMessage: (answer, transfer = []) => {
      if (answer.type === 'part' && parts === failsAfter) {
        port2.close();
        return;
      }
      if (answer.type === 'part') parts += 1;
      port2.postMessage(answer, transfer);
    },
    on: (event, listener) => port2.on(event, listener),
  };
  const help = new ScanHelp(port1);
  serveScanParts(theirs, { root, inode: inodeOf(handles), granularityNs, request });
  try {
    // Not before it is up: how far the walk is by then is a matter of luck.
    await new Promise<void>((resolve) => port1.once('message', () => resolve()));
    const matcher = new IgnoreMatcher(request.rules);
    const result = await drive(
      scanRoot(handles, granularityNs, request, { matcher, watcher: undefined, help }),
      control,
    );
    return { result: sorted(result), parts };
  } finally {
    port1.close();
  }
}

async function scanAlone(request: ScanRequest): Promise<ScanResult> {
  return drive(scanRoot(handles, granularityNs, request), control);
}

const ignoring: IgnoreRules = { ...noRules, patterns: ['*.out', 'matches-nothing'], files: ['.ignore'] };

it.each([
  ['no rules', noRules],
  ['patterns and ignore files', ignoring],
])('finds what a walk alone finds, with %s', async (_what, rules) => {
  grow(8);
  const request = requestOf(rules);
  const alone = await scanAlone(request);
  const { result, parts } = await scanWithHelp(request);
  expect(result).toEqual(sorted(alone));
  expect(parts).toBeGreaterThan(0);
});

it('reports nothing of a tree that is as recorded, and what has changed in it', async () => {
  grow(8);
  fs.utimesSync(root, 1, 1);
  const tick = Date.now() + 5;
  while (Date.now() < tick);
  const recorded = await scanAlone(requestOf(noRules));
  const request = requestOf(noRules, recorded);
  expect((await scanWithHelp(request)).result).toMatchObject({ listings: [], entries: recorded.entries });
  fs.writeFileSync(path.join(root, 'd3/d5/d7/file'), 'changed');
  fs.rmSync(path.join(root, 'd6'), { recursive: true });
  const { result } = await scanWithHelp(request);
  expect(result).toEqual(sorted(await scanAlone(request)));
  expect(result.listings.map(([dir]) => dir)).toEqual(['', 'd3/d5/d7']);
});

it('does itself what the help did not answer', async () => {
  grow(8);
  const request = requestOf(ignoring);
  const alone = sorted(await scanAlone(request));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 5 }), async (failsAfter) => {
      const { result, parts } = await scanWithHelp(request, failsAfter);
      expect(result).toEqual(alone);
      expect(parts).toBeLessThanOrEqual(failsAfter);
    }),
    { numRuns: 6 },
  );
});

it('takes no help from one that looks at another directory', () => {
  const request = requestOf(noRules);
  const port: WalkPort = { postMessage: () => undefined, on: () => undefined };
  expect(() => serveScanParts(port, { root, inode: '1:1', granularityNs, request })).toThrow('was replaced');
});

it('is asked for only where there is much to look at', () => {
  const digests = (directories: number): ScanRequest => ({
    ...requestOf(noRules),
    previous: { as: 'digests', salt, digests: new Uint8Array(8 * directories) },
  });
  expect(isWorthHelp(digests(10_000))).toBe(true);
  expect(isWorthHelp({ ...digests(10_000), scope: ['a'] })).toBe(false);
  expect(isWorthHelp(digests(100))).toBe(false);
  expect(isWorthHelp({ ...digests(10_000), previous: { as: 'packed', layers: [] } })).toBe(false);
});
