/** A controller that does not mean well, against the real agent: nothing outside the root is touched, and it ends cleanly. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { controllerGreeting, greetingType } from '../../src/replica/agent/greeting.ts';
import { MessageCodec } from '../../src/replica/agent/protocol.ts';
import { greetRemote, type RemoteReplica } from '../../src/replica/agent/remote.ts';
import type { ApplyStep, Control, ScanRequest } from '../../src/replica/replica.ts';
import type { Entry } from '../../src/tree/entry.ts';
import type { IgnoreRules } from '../../src/tree/ignore/rules.ts';
import { Listing } from '../../src/tree/listing.ts';
import { encode } from '../../src/wire/codec.ts';
import { encodeFrame, FrameDecoder } from '../../src/wire/frames.ts';
import { cliPath } from '../support/cli.ts';
import { peakMemory } from '../support/fake-far-side.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { random, type Random } from '../support/random.ts';
import { contents, litter, write } from '../support/tree.ts';

const agentFile = path.resolve(import.meta.dirname, '../../dist/agent.cjs');

/** Nothing, or why it ended; no stack. */
const clearWords = /^(lockstep: (?!this is a bug).+\n( {2}\S.*\n)*)?$/;

interface Agent {
  stdin: PassThrough;
  stdout: NodeJS.ReadableStream;
  /** Its stderr and how it ended. */
  ended: Promise<{ code: number | null; stderr: string }>;
  /** What it was sent. */
  sent: Buffer[];
}

function startAgent(): Agent {
  const child = spawn(process.execPath, [agentFile], { stdio: ['pipe', 'pipe', 'pipe'] });
  const sent: Buffer[] = [];
  const stdin = new PassThrough();
  stdin.on('data', (chunk: Buffer) => sent.push(chunk));
  stdin.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, stderr }));
  });
  return { stdin, stdout: child.stdout, ended, sent };
}

/** @param ahead what is said before all else */
async function greet({ stdin, stdout }: Agent, root: string, ahead?: ScanRequest): Promise<RemoteReplica> {
  return greetRemote(
    { stdin, stdout: stdout as never },
    {
      root,
      name: 'there',
      place: 'test',
      connection: { compress: 'off', heartbeatMs: 1000, silenceMs: 20_000 },
      greetingMs: 20_000,
      isOurs: true,
      ahead: () => ahead,
      startedAt: Date.now(),
      signal: new AbortController().signal,
      onClosed: async () => Promise.resolve(),
    },
  );
}

const control: Control = { signal: new AbortController().signal };
const rules: IgnoreRules = { patterns: [], presets: [], files: [], perishable: [] };
const entry: Entry = { kind: 'file', mode: 0o644, size: 4, mtimeNs: 10n ** 18n, ctimeNs: 1n, ino: 9n, flags: 0 };
const dirEntry: Entry = { ...entry, kind: 'dir', mode: 0o755, size: 0 };

const put = (to: string, from = 'f'): ApplyStep => ({
  op: 'put',
  path: to,
  from,
  source: entry,
  expect: undefined,
  mode: 0o644,
  keep: true,
  reason: 'created',
});
const unit = (at: string, ...names: string[]): ApplyStep => ({
  op: 'unit',
  path: at,
  source: dirEntry,
  listing: Listing.from(names.map((name) => [name, entry])).bytes,
  filledLater: false,
  reason: 'created',
});

async function opened(replica: RemoteReplica, root: string): Promise<void> {
  await replica.open({
    root,
    access: 'write',
    marks: true,
    create: false,
    runId: '20260101T000000.000Z-00000000',
    command: 'test',
    forceUnlock: false,
  });
}

/** One file of four bytes for each that is wanted. */
async function* fourBytes(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) {
    const record = Buffer.alloc(16 + 5, 65);
    record.fill(0, 0, 16);
    record.writeUInt32LE(index, 4);
    record.writeUInt32LE(4, 8);
    record[20] = 1;
    yield await Promise.resolve(record);
  }
}

async function apply(replica: RemoteReplica, steps: ApplyStep[], files = 1): ReturnType<RemoteReplica['apply']> {
  return replica.apply({ steps, content: { via: 'stream' }, rules }, control, fourBytes(files));
}

async function withAgent(
  act: (replica: RemoteReplica, pair: Pair, agent: Agent) => Promise<void>,
  open = true,
): Promise<void> {
  await withPair(async (pair) => {
    write(pair.b, { f: 'f', 'd/x': 'x' });
    write(path.join(pair.dir, 'outside'), { canary: 'untouched' });
    fs.symlinkSync(path.join(pair.dir, 'outside'), path.join(pair.b, 'link'));
    const agent = startAgent();
    const replica = await greet(agent, pair.b);
    if (open) await opened(replica, pair.b);
    await act(replica, pair, agent);
    await replica.close().catch(() => undefined);
    agent.stdin.end();
    const { stderr } = await agent.ended;
    expect(stderr).toMatch(clearWords);
    expect(contents(path.join(pair.dir, 'outside'))).toEqual({ canary: 'untouched' });
    expect(fs.readdirSync(pair.dir).sort()).toEqual(['a', 'b', 'outside']);
    expect(litter(pair.b)).toEqual([]);
    expect(contents(pair.b)).toMatchObject({ f: 'f', 'd/x': 'x' });
  });
}

const evilPaths = [
  '..',
  '../outside/f',
  '/tmp/f',
  'd/../../outside/f',
  '.lockstep/f',
  'd/.lockstep/f',
  'd//f',
  'f\0',
  '',
];

describe('steps', () => {
  for (const evil of evilPaths) {
    it(`for the path ${JSON.stringify(evil)} end the conversation`, async () =>
      withAgent(async (replica) => {
        await expect(apply(replica, [put(evil)])).rejects.toThrow(/closed the stream/);
      }));
  }

  const more: Record<string, (replica: RemoteReplica) => Promise<unknown>> = {
    'from a path outside': async (replica) => apply(replica, [put('new', '../outside/canary')]),
    'with a listing of evil names': async (replica) => apply(replica, [unit('new', '..')]),
    'with a listing of .lockstep': async (replica) => apply(replica, [unit('new', '.lockstep')]),
    'that move something out': async (replica) =>
      apply(replica, [
        { op: 'moves', path: 'f', moves: [{ op: 'move', path: 'f', to: '../f', expect: entry, reason: 'renamed' }] },
      ]),
    'that remove something outside': async (replica) =>
      apply(replica, [{ op: 'remove', path: '../outside/canary', expect: entry, keep: false, reason: 'deleted' }]),
  };
  for (const [title, act] of Object.entries(more)) {
    it(`${title} end the conversation`, async () =>
      withAgent(async (replica) => {
        await expect(act(replica)).rejects.toThrow(/closed the stream/);
      }));
  }

  it('that take their content from the machine over there cannot be said', async () =>
    withAgent(async (replica, pair) => {
      const content = { via: 'host', hostPath: path.join(pair.dir, 'outside') } as const;
      await expect(replica.apply({ steps: [put('new')], content, rules }, control)).rejects.toThrow(/no case of 'via'/);
    }));

  it('through a symlink, and onto what is there, fail; the same in a free place work', async () =>
    withAgent(async (replica, pair) => {
      const steps = [unit('d', 'y'), unit('fresh', 'z'), put('link/f'), put('f'), put('new')];
      const results = await apply(replica, steps, 5);
      expect(results.map(({ failures }) => failures.map(({ why }) => why))).toEqual([
        ['changed-meanwhile'],
        [],
        ['changed-meanwhile'],
        ['changed-meanwhile'],
        [],
      ]);
      expect(contents(pair.b)).toMatchObject({ new: 'AAAA', fresh: 'dir', 'fresh/z': 'AAAA' });
    }));
});

describe('other calls', () => {
  it('about paths outside end the conversation', async () => {
    const acts: ((replica: RemoteReplica) => Promise<unknown>)[] = [
      async (replica) => replica.digest([{ path: '../outside/canary', expect: entry }], control),
      async (replica) => replica.signatures([{ path: '/etc/passwd', expect: entry }], control),
      async (replica) => replica.read([{ path: '../outside/canary', expect: entry }], control).next(),
      async (replica) => replica.token('../../outside/token', 'x'),
    ];
    for (const act of acts) {
      await withAgent(async (replica) => {
        await expect(act(replica)).rejects.toThrow(/closed the stream/);
      });
    }
  });

  it('before the root is open fail', async () =>
    withAgent(async (replica) => {
      await expect(apply(replica, [put('new')])).rejects.toThrow(/not open/);
      await expect(replica.digest([{ path: 'f', expect: entry }], control)).rejects.toThrow(/not open/);
    }, false));
});

describe('calls without end', () => {
  it('whose answers nobody reads end the conversation, in bounded memory', async () =>
    withPair(async (pair) => {
      fs.mkdirSync(pair.b);
      const agent = spawn(process.execPath, [cliPath, 'serve', '--root', pair.b], { stdio: ['pipe', 'pipe', 'pipe'] });
      agent.stdin.on('error', () => undefined);
      let stderr = '';
      agent.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const ended = new Promise((resolve) => agent.on('exit', resolve));
      const isOver = (): boolean => agent.exitCode !== null || agent.stdin.destroyed;
      const codec = new MessageCodec();
      const say = (type: number, payload: Uint8Array): Buffer =>
        Buffer.concat(encodeFrame({ type, more: false, packing: 'none', payload }));
      agent.stdin.write(say(greetingType, encode(controllerGreeting, { compress: 'off', zstd: false })));
      let peakBytes = 0;
      for (let id = 1; id < 600_000 && !isOver();) {
        const calls: Buffer[] = [];
        for (const last = id + 32; id < last; id += 1) {
          const { type, payload } = codec.encode({ type: 'call', id, method: 'probe', args: [pair.b] });
          calls.push(say(type, payload));
        }
        agent.stdin.write(Buffer.concat(calls));
        await new Promise((resolve) => setTimeout(resolve, 1));
        peakBytes = Math.max(peakBytes, peakMemory(agent));
      }
      agent.stdout.resume();
      await ended;
      expect(stderr).toMatch(/more than 64 calls that are not answered yet/);
      expect(peakBytes).toBeLessThan(250 << 20);
    }));

  it('whose answers are read are answered', async () =>
    withAgent(async (replica) => {
      for (let round = 0; round < 100; round += 1) {
        const asked = Array.from({ length: 50 }, async () => {
          const own: Control = { signal: new AbortController().signal };
          return replica.digest([{ path: 'f', expect: entry }], own);
        });
        expect(await Promise.all(asked)).toHaveLength(50);
      }
    }));
});

// --- fuzz --------------------------------------------------------------------------------------------------------------

/** What an honest controller says in the whole of a run. */
async function honestWords(pair: Pair): Promise<Buffer> {
  const agent = startAgent();
  const digests = { as: 'digests', salt: new Uint8Array(16), digests: new Uint8Array(80) } as const;
  const ahead: ScanRequest = { rules, ignoreFiles: [], scope: [], previous: digests, reportAll: false };
  const replica = await greet(agent, pair.b, ahead);
  await replica.probe();
  await opened(replica, pair.b);
  const { changed } = await replica.scan(ahead, control);
  expect(changed.listing('d')?.names).toEqual(['x']);
  const previous = { as: 'packed', layers: [] } as const;
  await replica.scan({ ...ahead, previous, reportAll: true }, control);
  await replica.digest([{ path: 'f', expect: entry }], control);
  await apply(replica, [unit('made', 'm'), put('put')], 2);
  await replica.token('link', 'token');
  await replica.close();
  agent.stdin.end();
  expect(await agent.ended).toEqual({ code: 0, stderr: '' });
  return Buffer.concat(agent.sent);
}

/** Bytes changed anywhere, which checksums see; or in a frame's payload with its checksum put right, which they do not. */
function mutated(words: Buffer, choice: Random): Buffer {
  if (choice.int(4) === 0) {
    const bytes = Buffer.from(words);
    for (let n = choice.int(4); n >= 0; n -= 1) bytes[choice.int(bytes.length)] = choice.int(256);
    return bytes.subarray(0, choice.int(3) === 0 ? choice.int(bytes.length) : bytes.length);
  }
  const decoder = new FrameDecoder();
  decoder.feed(words);
  const frames: Buffer[] = [];
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
    const payload = Buffer.from(frame.payload);
    if (choice.int(5) === 0 && payload.length > 0) {
      for (let n = choice.int(3); n >= 0; n -= 1) payload[choice.int(payload.length)] = choice.int(256);
    }
    const bytes = Buffer.concat(encodeFrame({ ...frame, payload }));
    for (let n = [1, 1, 1, 1, 1, 1, 0, 2][choice.int(8)] ?? 1; n > 0; n -= 1) frames.push(bytes);
  }
  return Buffer.concat(frames);
}

it(
  'whatever bytes come: the agent ends, says why in clear words, and leaves everything else alone',
  { timeout: 300_000 },
  async () =>
    withPair(async (pair) => {
      write(pair.b, { f: 'f', 'd/x': 'x' });
      write(path.join(pair.dir, 'outside'), { canary: 'untouched' });
      const words = await honestWords(pair);
      const choice = random(7);
      for (let round = 0; round < 60; round += 1) {
        const agent = startAgent();
        (agent.stdout as NodeJS.ReadableStream & { resume: () => void }).resume();
        agent.stdin.end(mutated(words, choice));
        const { stderr } = await agent.ended;
        expect(stderr, `round ${round}`).toMatch(clearWords);
        expect(litter(pair.b), `round ${round}`).toEqual([]);
      }
      expect(contents(path.join(pair.dir, 'outside'))).toEqual({ canary: 'untouched' });
      expect(contents(pair.b)).toMatchObject({ f: 'f', 'd/x': 'x' });
    }),
);
