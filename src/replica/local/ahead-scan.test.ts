/** A scan begun ahead is the answer to its own request, and to nothing else. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeTree } from '../../tree/codec.ts';
import { noRules } from '../../tree/ignore/rules.ts';
import type { OpenRequest, ScanRequest, ScanResult } from '../replica.ts';
import { LocalReplica } from './local-replica.ts';

let base: string;
let root: string;
let replica: LocalReplica;
const control = { signal: new AbortController().signal };
const everything: ScanRequest = {
  rules: noRules,
  ignoreFiles: [],
  scope: [],
  previous: { as: 'packed', layers: [] },
  reportAll: false,
};

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-ahead-')));
  root = path.join(base, 'root');
  fs.mkdirSync(path.join(root, 'sub'), { recursive: true });
  fs.writeFileSync(path.join(root, 'sub/old'), 'old');
  replica = new LocalReplica();
});
afterEach(async () => {
  await replica.close();
  fs.rmSync(base, { recursive: true });
});

async function open(access: OpenRequest['access'] = 'read', by = replica): Promise<void> {
  await by.open({
    root,
    access,
    marks: false,
    create: false,
    runId: 'run',
    command: 'test',
    forceUnlock: false,
  });
}

function names({ changed }: ScanResult): string[] {
  return [...changed.listings()].flatMap(([dir, listing]) => listing.names.map((name) => path.join(dir, name))).sort();
}

/** Begins a scan and then adds a file two levels down: who sees it has looked again. */
function lookAheadThenChange(request: ScanRequest): void {
  replica.lookAhead(root, request, new AbortController().signal);
  // Its first slice walks all of so small a tree.
  fs.writeFileSync(path.join(root, 'sub/new'), 'new');
}

it('answers the request that it was begun with', async () => {
  lookAheadThenChange(everything);
  await open();
  const { changed, ...first } = await replica.scan({ ...everything, rules: { ...noRules } }, control);
  expect(names({ changed, ...first })).toEqual(['sub', 'sub/old']);
  // Once: whoever asks again wants to know what is there now.
  expect(names(await replica.scan(everything, control))).toEqual(['sub', 'sub/new', 'sub/old']);
});

it.each<[string, Partial<ScanRequest>]>([
  ['other rules', { rules: { ...noRules, patterns: ['nothing'] } }],
  ['another scope', { scope: ['sub'] }],
  ['all of it', { reportAll: true }],
  ['ignore files as told', { ignoreFiles: [{ dir: '', name: '.ignore', text: 'nothing' }] }],
  ['digests', { previous: { as: 'digests', salt: new Uint8Array(16), digests: new Uint8Array(0) } }],
])('does not answer a request for %s', async (_what, change) => {
  lookAheadThenChange(everything);
  await open();
  expect(names(await replica.scan({ ...everything, ...change }, control))).toContain('sub/new');
});

it('does not answer when something else is recorded', async () => {
  await open();
  const { changed } = await replica.scan(everything, control);
  await replica.close();
  replica = new LocalReplica();
  lookAheadThenChange(everything);
  await open();
  const request: ScanRequest = { ...everything, previous: { as: 'packed', layers: [encodeTree(changed)] } };
  expect(names(await replica.scan(request, control))).toContain('sub/new');
});

it('does not answer for a root that was replaced, or that has something new in it', async () => {
  lookAheadThenChange(everything);
  fs.renameSync(root, path.join(base, 'aside'));
  fs.mkdirSync(root);
  fs.writeFileSync(path.join(root, 'other'), '');
  await open();
  expect(names(await replica.scan(everything, control))).toEqual(['other']);
  await replica.close();

  replica = new LocalReplica();
  replica.lookAhead(root, everything, new AbortController().signal);
  fs.writeFileSync(path.join(root, 'another'), '');
  await open();
  expect(names(await replica.scan(everything, control))).toEqual(['another', 'other']);
});

it('does not answer after this replica has changed something', async () => {
  fs.mkdirSync(path.join(root, '.lockstep'));
  lookAheadThenChange(everything);
  await open('write');
  const steps = [{ op: 'directory-time' as const, path: 'sub', mtimeUs: 1_000_000n }];
  await replica.apply({ steps, content: undefined, rules: noRules }, control);
  const { changed } = await replica.scan(everything, control);
  expect(changed.get('sub')?.mtimeNs).toBe(1_000_000_000n);
});

it('leaves what is wrong with a root to be told when it is opened, and ends when it is closed', async () => {
  replica.lookAhead(path.join(base, 'missing'), everything, new AbortController().signal);
  replica.lookAhead(root, everything, new AbortController().signal);
  await replica.close();
  await expect(replica.scan(everything, control)).rejects.toThrow('not open');
});

it('does not answer where making our directory has changed the time of the root', async () => {
  // Node sets times in microseconds.
  execFileSync('touch', ['-d', '@1000000000.123456789', root]);
  lookAheadThenChange(everything);
  await open('write');
  expect(names(await replica.scan(everything, control))).toEqual(['sub', 'sub/new', 'sub/old']);
});

it('answers where making our directory leaves that time as it was', async () => {
  fs.utimesSync(root, 1, 1);
  lookAheadThenChange(everything);
  await open('write');
  expect(names(await replica.scan(everything, control))).toEqual(['sub', 'sub/old']);
});

it('answers in a root that has our directory', async () => {
  fs.mkdirSync(path.join(root, '.lockstep'));
  lookAheadThenChange(everything);
  await open('write');
  expect(names(await replica.scan(everything, control))).toEqual(['sub', 'sub/old']);
});

/** What another run may have half done when this one looked at it. */
describe.each([
  ['with our directory', true],
  ['without our directory', false],
])('in a root %s', (_what, isMarked) => {
  let other: LocalReplica;
  beforeEach(() => {
    fs.utimesSync(root, 1, 1);
    if (isMarked) fs.mkdirSync(path.join(root, '.lockstep'));
    other = new LocalReplica();
  });
  afterEach(async () => other.close());

  it('does not answer when another run was at work when it was begun', async () => {
    await open('write', other);
    lookAheadThenChange(everything);
    await other.close();
    await open('write');
    expect(names(await replica.scan(everything, control))).toContain('sub/new');
  });

  it('does not answer when another run came and went before the root was opened', async () => {
    lookAheadThenChange(everything);
    await open('write', other);
    await other.close();
    await open('write');
    expect(names(await replica.scan(everything, control))).toContain('sub/new');
  });

  it('does not answer when another run is at work in a root that is only read', async () => {
    lookAheadThenChange(everything);
    await open('write', other);
    await open('read');
    expect(names(await replica.scan(everything, control))).toContain('sub/new');
  });
});
