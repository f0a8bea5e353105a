/** Content sent and taken: whatever goes wrong with some files, the stream stays in step and the others arrive whole. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LockstepError } from '../../base/errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { BlockwiseSum } from '../../delta/block-sums.ts';
import { InstructionEncoder } from '../../delta/instructions.ts';
import { putRecordHeader, recordEnds, recordHeaderBytes, recordKinds, type ReadRequest } from '../content-stream.ts';
import type { ApplyStep, Failure } from '../replica.ts';
import { Bases } from './bases.ts';
import { ContentFeed } from './content-feed.ts';
import { DirHandles } from './dir-handles.ts';
import { DeltaMismatchError, failureOf } from './failure.ts';
import { OwnDirectory } from './own-directory.ts';
import { Partials } from './partials.ts';
import { ChunkRing, sendContent } from './send-content.ts';
import { signAll } from './sign.ts';
import type { Work } from './slices.ts';
import { observe } from './stat.ts';
import { StreamContent } from './stream-content.ts';

let dir: string;
let handles: DirHandles;
let partials: Partials;

beforeEach(() => {
  dir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-stream-')));
  for (const name of ['from', 'to', 'base']) fs.mkdirSync(path.join(dir, name));
  handles = new DirHandles(path.join(dir, 'base'));
  partials = new Partials(new OwnDirectory(handles.rootPrefix, handles.root), 'run');
});
afterEach(() => {
  handles.close();
  fs.rmSync(dir, { recursive: true });
});

/** What is sent of files; the sender uses its chunks again. */
function* send(requests: readonly ReadRequest[]): Generator<Uint8Array> {
  for (const chunk of sendContent(
    requests,
    (name) => ({ path: path.join(dir, 'from', name), byHandle: false }),
    new ChunkRing(),
  )) {
    if (chunk.length > 0) yield Uint8Array.from(chunk);
  }
}

/** Runs work to its end; when it waits, `feed` is to bring more. */
function run<T>(work: Work<T>, feed: () => void = () => undefined): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if ('until' in step.value) feed();
  }
}

const troubles = ['none', 'none', 'none', 'gone', 'changed', 'no room', 'full', 'not wanted', 'base gone'] as const;

const wanted = fc.record({
  size: fc.constantFrom(0, 1, 15, 4096, 70_000, (1 << 18) - 16, 600_000),
  seed: fc.nat(255),
  holes: fc.boolean(),
  /** What stands there already, made of it by changing a few bytes. */
  delta: fc.boolean(),
  trouble: fc.constantFrom(...troubles),
});

type Wanted = typeof wanted extends fc.Arbitrary<infer T> ? T : never;

function contentOf({ size, seed, holes }: Wanted): Buffer {
  const bytes = Buffer.alloc(size);
  // Not periodic, so that a delta has something to find.
  let state = seed + 1;
  for (let i = 0; i < size; i += 1) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    if (!holes || i % 200_000 < 1000) bytes[i] = state >>> 16;
  }
  return bytes;
}

function seen(name: string): Entry {
  const entry = observe(path.join(dir, name), 0n);
  if (entry === undefined) throw new Error(`no ${name}`);
  return entry;
}

/** After so many calls the system refuses it. */
function failing(call: 'readSync' | 'writeSync', code: string, after: number): void {
  const original = fs[call] as (...args: unknown[]) => number;
  let calls = 0;
  vi.spyOn(fs, call).mockImplementation((...args: unknown[]) => {
    calls += 1;
    if (calls > after) throw Object.assign(new Error(code), { code, syscall: call });
    return original(...args);
  });
}

describe('a stream of content', () => {
  it('stays in step, however it is cut and whatever becomes of single files', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(wanted, { minLength: 1, maxLength: 8 }), cuts, (files, sizes) => {
        for (const name of ['from', 'to', 'base']) {
          for (const old of fs.readdirSync(path.join(dir, name))) fs.rmSync(path.join(dir, name, old));
        }
        const steps: ApplyStep[] = [];
        const requests: ReadRequest[] = [];
        for (const [i, file] of files.entries()) {
          const [name, bytes] = [`f${i}`, contentOf(file)];
          fs.writeFileSync(path.join(dir, 'from', name), bytes);
          const source = seen(`from/${name}`);
          let expected: Entry | undefined;
          const request: ReadRequest = { path: name, expect: source };
          if (file.delta) {
            const older = Buffer.concat([Buffer.from('older'), bytes]);
            fs.writeFileSync(path.join(dir, 'base', name), older);
            expected = seen(`base/${name}`);
            const [signature] = run(signAll(handles, partials, [{ path: name, expect: expected }]));
            if (signature !== undefined) request.signature = signature;
          }
          requests.push(request);
          steps.push({
            op: 'put',
            path: name,
            from: name,
            source,
            expect: expected,
            mode: 0o644,
            keep: false,
            reason: 'edited',
          });
        }
        for (const [i, { trouble }] of files.entries()) {
          const at = path.join(dir, 'from', `f${i}`);
          if (trouble === 'gone') fs.rmSync(at);
          if (trouble === 'changed') fs.appendFileSync(at, 'more');
          if (trouble === 'base gone') fs.rmSync(path.join(dir, 'base', `f${i}`), { force: true });
        }
        const sent = Buffer.concat([...send(requests)]);
        let at = 0;
        let given = 0;
        const feed = new ContentFeed(() => undefined);
        const more = (): void => {
          if (at >= sent.length) feed.end();
          const size = sizes[given % sizes.length] ?? 1;
          feed.push(Uint8Array.from(sent.subarray(at, at + size)));
          at += size;
          given += 1;
        };
        const stream = new StreamContent(feed, steps, new Bases(handles, partials, steps));
        for (const [i, file] of files.entries()) {
          const name = `f${i}`;
          if (file.trouble === 'not wanted') continue;
          const to = path.join(dir, file.trouble === 'no room' ? 'nowhere' : 'to', name);
          const source = requests[i]?.expect ?? seen('from');
          if (file.trouble === 'full') failing('writeSync', 'ENOSPC', 1);
          let failure: Failure | undefined;
          let digest: Uint8Array | undefined;
          try {
            const task = { to, path: name, from: name, source, mode: 0o644, digest: true };
            ({ digest } = run(stream.fetch(task), more));
          } catch (error) {
            failure = failureOf(name, error);
          } finally {
            vi.restoreAllMocks();
          }
          const isGone = file.trouble === 'gone' || file.trouble === 'changed';
          const isBaseGone = file.trouble === 'base gone' && requests[i]?.signature !== undefined;
          if (isGone) expect(failure?.why).toBe('source-changed');
          else if (isBaseGone) expect(failure?.why).toBe('changed-meanwhile');
          else if (file.trouble === 'no room') expect(failure?.why).toBe('failed');
          // What takes one write only goes well.
          else if (file.trouble === 'full' && failure !== undefined) expect(failure.why).toBe('no-space');
          else {
            expect(failure).toBeUndefined();
            expect(fs.readFileSync(to).equals(contentOf(file)), name).toBe(true);
            expect(digest).toHaveLength(32);
            continue;
          }
          expect(fs.existsSync(to)).toBe(false);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('tells of a file that cannot be read to its end, and goes on', () => {
    for (const name of ['f0', 'f1']) fs.writeFileSync(path.join(dir, 'from', name), Buffer.alloc(600_000, name));
    const sources = ['f0', 'f1'].map((name) => ({ path: name, expect: seen(`from/${name}`) }));
    const feed = new ContentFeed(() => undefined);
    let chunks = 0;
    for (const chunk of send(sources)) {
      // The first chunk holds nothing but what the first read gave.
      feed.push(chunk);
      chunks += 1;
      if (chunks === 1) failing('readSync', 'EIO', 0);
      else vi.restoreAllMocks();
    }
    feed.end();
    const steps = sources.map(({ path: name, expect: source }): ApplyStep => {
      return {
        op: 'put',
        path: name,
        from: name,
        source,
        expect: undefined,
        mode: 0o644,
        keep: false,
        reason: 'edited',
      };
    });
    const stream = new StreamContent(feed, steps, new Bases(handles, partials, steps));
    const whys = sources.map(({ path: name, expect: source }) => {
      const task = { to: path.join(dir, 'to', name), path: name, from: name, source, mode: 0o644, digest: false };
      try {
        return run(stream.fetch(task)).bytes;
      } catch (error) {
        return failureOf(name, error).why;
      }
    });
    expect(whys).toEqual(['unreadable', 600_000]);
  });

  /** A record of the last of two blocks as it stands in the base, and a new one in front of it. */
  function ofBlocks(baseBlock: Buffer, lie: Partial<{ blockBytes: number; offset: number }> = {}): Buffer[] {
    const blockBytes = baseBlock.length;
    const head = Buffer.alloc(recordHeaderBytes);
    putRecordHeader(head, 0, { kind: recordKinds.blocks, bits: 0, index: 0, size: 2 * blockBytes });
    const encoder = new InstructionEncoder();
    const fresh = Buffer.alloc(blockBytes, 'new');
    const sum = new BlockwiseSum(blockBytes);
    sum.update(fresh);
    sum.update(baseBlock);
    const number = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value);
      return bytes;
    };
    const instructions = [
      ...encoder.encode({ kind: 'literal', bytes: fresh }),
      ...encoder.encode({ kind: 'copy', offset: lie.offset ?? blockBytes, length: blockBytes }),
    ];
    return [
      head,
      number(lie.blockBytes ?? blockBytes),
      ...instructions.flatMap((bytes) => [number(bytes.length), Buffer.from(bytes)]),
      number(0),
      Buffer.of(recordEnds.intact),
      sum.digest(),
    ];
  }

  it.each([
    ['is put together of blocks that are there and new ones', {}, undefined],
    ['is not what was meant when the base is not, either', { damaged: true }, DeltaMismatchError],
    ['copies from outside the base', { lie: { offset: 1 << 20 } }, /copies bytes/],
    ['has blocks of a size that nobody makes', { lie: { blockBytes: 1 } }, /blocks have 1 bytes/],
    ['is not wanted any more', { passed: true }, undefined],
  ] as const)('that %s', (_, { damaged, lie, passed }: { damaged?: true; lie?: object; passed?: true }, message) => {
    const block = Buffer.alloc(1 << 18, 'same');
    fs.writeFileSync(path.join(dir, 'base/f0'), Buffer.concat([Buffer.alloc(1 << 18, 'old'), block]));
    if (damaged === true) {
      const file = fs.openSync(path.join(dir, 'base/f0'), 'r+');
      fs.writeSync(file, Buffer.from('damaged'), 0, 7, (1 << 18) + 1000);
      fs.closeSync(file);
    }
    fs.writeFileSync(path.join(dir, 'from/f0'), Buffer.concat([Buffer.alloc(1 << 18, 'new'), block]));
    fs.writeFileSync(path.join(dir, 'from/f1'), 'small');
    const steps = ['f0', 'f1'].map((name): ApplyStep => {
      const expected = name === 'f0' ? seen('base/f0') : undefined;
      const put = { op: 'put', mode: 0o644, keep: false, reason: 'edited' } as const;
      return { ...put, path: name, from: name, source: seen(`from/${name}`), expect: expected };
    });
    const feed = new ContentFeed(() => undefined);
    for (const bytes of ofBlocks(block, lie)) feed.push(bytes);
    const rest = Buffer.concat([...send([{ path: 'f1', expect: seen('from/f1') }])]);
    // Alone it was the first of its stream.
    rest.writeUInt32LE(1, 4);
    feed.push(rest);
    feed.end();
    const stream = new StreamContent(feed, steps, new Bases(handles, partials, steps));
    const fetch = (name: string): unknown => {
      const task = { to: path.join(dir, 'to', name), path: name, from: name, mode: 0o644, digest: false };
      return run(stream.fetch({ ...task, source: seen(`from/${name}`) }));
    };
    if (passed !== true && message !== undefined) expect(() => fetch('f0')).toThrow(message);
    else if (passed !== true) fetch('f0');
    const made = fs.existsSync(path.join(dir, 'to/f0'));
    expect(made).toBe(passed !== true && message === undefined);
    if (made) {
      expect(fs.readFileSync(path.join(dir, 'to/f0')).equals(fs.readFileSync(path.join(dir, 'from/f0')))).toBe(true);
    }
    // A breach of protocol ends the stream; whatever else is wrong leaves it in step.
    if (lie !== undefined) return;
    fetch('f1');
    expect(fs.readFileSync(path.join(dir, 'to/f1'), 'utf8')).toBe('small');
  });

  it.each([
    ['finds no room for a large file, leaves nothing of it', 'full', 0],
    ['breaks off in a large file, leaves what had come', 'lost', 1],
  ])('that %s', (_, trouble, left) => {
    fs.writeFileSync(path.join(dir, 'from/large'), Buffer.alloc(10 << 20, 'x'));
    const source = seen('from/large');
    const put = { op: 'put', path: 'large', from: 'large', mode: 0o644, keep: false, reason: 'created' } as const;
    const steps: ApplyStep[] = [{ ...put, source, expect: undefined }];
    const feed = new ContentFeed(() => undefined);
    let sent = 0;
    for (const chunk of send([{ path: 'large', expect: source }])) {
      sent += chunk.length;
      if (trouble === 'full' || sent < 5 << 20) feed.push(chunk);
    }
    feed.end(trouble === 'lost' ? new LockstepError('connection', 'gone') : undefined);
    if (trouble === 'full') failing('writeSync', 'ENOSPC', 40);
    const content = new StreamContent(feed, steps, new Bases(handles, partials, steps));
    const to = path.join(dir, 'to/large');
    expect(() =>
      run(content.fetch({ to, path: 'large', from: 'large', source, mode: 0o644, digest: false })),
    ).toThrow();
    vi.restoreAllMocks();
    expect(fs.readdirSync(path.join(dir, 'to'))).toEqual([]);
    const partial = path.join(dir, 'base/.lockstep/partial');
    expect(fs.readdirSync(partial)).toHaveLength(left);
  });

  it('that breaks off ends whoever waits for more', () => {
    const feed = new ContentFeed(() => undefined);
    feed.push(Uint8Array.of(1, 2));
    expect([...run(feed.exactly(1))]).toEqual([1]);
    const more = (): void => {
      feed.end();
    };
    expect(() => run(feed.exactly(2), more)).toThrow('less content than it was asked for');
    const broken = new ContentFeed(() => undefined);
    broken.end(new Error('the pipe broke'));
    expect(() => run(broken.some(1))).toThrow('the pipe broke');
  });

  it('tells of every chunk that was used up, and skips across them', () => {
    const used: number[] = [];
    const feed = new ContentFeed((bytes) => used.push(bytes));
    for (const chunk of [[1, 2, 3], [], [4], [5, 6]]) feed.push(Uint8Array.from(chunk));
    run(feed.skip(2));
    expect(used).toEqual([]);
    expect([...run(feed.exactly(3))]).toEqual([3, 4, 5]);
    expect(used).toEqual([3, 1]);
    expect([...run(feed.some(9))]).toEqual([6]);
    expect(used).toEqual([3, 1, 2]);
  });
});
