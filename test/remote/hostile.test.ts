/**
 * A far side that does not mean well: every attack ends with a clear error, in bounded memory, and nothing outside the roots
 * and nothing of the local one was touched. Each has a twin that is the same but honest, and works.
 */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Message, WireError } from '../../src/replica/agent/channel.ts';
import { agentGreeting, greetingType, protocolVersion } from '../../src/replica/agent/greeting.ts';
import { putRecordHeader, recordHeaderBytes, recordKinds } from '../../src/replica/content-stream.ts';
import { LocalReplica } from '../../src/replica/local/local-replica.ts';
import type { Control, Replica, ScanRequest, ScanResult, StepResult } from '../../src/replica/replica.ts';
import { serveGreeting } from '../../src/transport/serve-greeting.ts';
import type { Entry } from '../../src/tree/entry.ts';
import { Listing, packListing } from '../../src/tree/listing.ts';
import { Tree } from '../../src/tree/tree.ts';
import { encode } from '../../src/wire/codec.ts';
import { encodeFrame, maxPayload } from '../../src/wire/frames.ts';
import { eventsOf, lockstep } from '../support/cli.ts';
import { faceLies, withFarSide, type Faced, type Lies } from '../support/fake-far-side.ts';
import { until } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { random } from '../support/random.ts';
import { contents, file, write } from '../support/tree.ts';

const mostBytes = 400 << 20;
const past = 1_700_000_000;

interface Attack {
  lies: Lies;
  /** What the error's message holds. */
  says: RegExp;
  code?: string;
  args?: readonly string[];
  timeout?: number;
}

/** A pair with something to do in both directions, for which a large file of either side is sent as a delta. */
async function prepare(pair: Pair): Promise<void> {
  const large = random(5).bytes(400_000);
  write(pair.a, { f: 'f', 'd/x': 'x', large: file(large, { mtime: past }), theirs: file(large, { mtime: past }) });
  write(path.join(pair.dir, 'outside'), { canary: 'untouched' });
  const first = await faceLies(pair, {});
  expect(first.code, first.stdout + first.stderr).toBe(0);
  pair.expectEqual();
  large.write('edited', 200_000);
  write(pair.a, { f: file('edited here', { mtime: past + 9 }), 'new/n': 'n', large: file(large, { mtime: past + 9 }) });
  write(pair.b, {
    'd/x': file('edited there', { mtime: past + 9 }),
    'made/m': 'm',
    theirs: file(large, { mtime: past + 9 }),
  });
}

const own = ['f', 'd', 'large', 'new', 'new/n'];

async function expectHarmless(attack: Attack): Promise<void> {
  await withPair(async (pair) => {
    await prepare(pair);
    const before = contents(pair.a);
    const ran = await faceLies(pair, attack.lies, attack.args);
    expectRefused(ran, attack);
    const now = contents(pair.a);
    for (const name of own) expect(now[name] === before[name], `${name} of the local root`).toBe(true);
    for (const [name, text] of Object.entries(now)) {
      const honest = [before[name], contents(pair.b)[name]];
      expect(honest.includes(text), `${name} came into the local root`).toBe(true);
    }
    expect(fs.readdirSync(pair.dir).sort()).toEqual(['a', 'b', 'outside', 'state']);
    expect(contents(path.join(pair.dir, 'outside'))).toEqual({ canary: 'untouched' });
    // With an honest far side all is well again.
    const next = await faceLies(pair, {});
    expect(next.code, next.stdout + next.stderr).toBe(0);
    pair.expectEqual();
    pair.expectClean();
  });
}

function expectRefused(ran: Faced, { says, code = 'protocol' }: Attack): void {
  expect([ran.code, ran.signal], ran.stdout.slice(-2000) + ran.stderr).toEqual([1, null]);
  const errors = eventsOf(ran, 'error');
  expect(errors, ran.stdout.slice(-2000)).toMatchObject([{ code, exitCode: 1 }]);
  expect(errors[0]?.['message']).toMatch(says);
  expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at |\\n\s+at |bug in Lockstep/m);
  expect(ran.peakBytes).toBeLessThan(mostBytes);
}

function attacks(title: string, table: Record<string, Attack>): void {
  describe(title, () => {
    for (const [name, attack] of Object.entries(table)) it(name, async () => expectHarmless(attack));
  });
}

// --- what comes before the first call ----------------------------------------------------------------------------------

const greeting = encode(agentGreeting, {
  protocol: protocolVersion,
  version: 'fake',
  node: '20',
  platform: 'linux',
  clockMs: Date.now(),
  zstd: false,
  roots: [],
  readOnly: false,
});
const frame = (type: number, payload: Uint8Array, more = false): Buffer =>
  Buffer.concat(encodeFrame({ type, more, packing: 'none', payload }));
const saying = (...pieces: Uint8Array[]): Lies => ({
  instead: (socket) => void socket.write(Buffer.concat([Buffer.from(serveGreeting), ...pieces])),
});
const hello = frame(greetingType, greeting);

/** Compresses to next to nothing. */
function bomb(bytes: number, type: number, more: boolean): Buffer {
  const payload = zlib.deflateRawSync(Buffer.alloc(bytes), { level: 9 });
  return Buffer.concat(encodeFrame({ type, more, packing: 'deflate', payload }));
}

/** Sends a piece again and again, as fast as it is taken. */
function endless(...start: Uint8Array[]): (piece: Uint8Array) => Lies {
  return (piece) => ({
    instead: (socket) => {
      socket.write(Buffer.concat([Buffer.from(serveGreeting), ...start]));
      const on = (): void => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on('drain', on);
      on();
    },
  });
}

/** Alive, as far as can be told, but it never greets. */
const pinging: Lies = {
  instead: (socket) => {
    socket.write(serveGreeting);
    const ping = setInterval(() => socket.write(frame(13, Buffer.alloc(0))), 200);
    socket.on('close', () => clearInterval(ping));
  },
};

attacks('a far side that does not speak our language', {
  'says nothing': {
    lies: saying(),
    args: ['--timeout', '5'],
    code: 'connection',
    says: /nothing was heard from the other end for 5/,
  },
  'only shows signs of life': {
    lies: pinging,
    args: ['--timeout', '30', '--connect-timeout', '2'],
    code: 'connection',
    says: /did not greet within 2.0s/,
  },
  'hangs up at once': {
    lies: { instead: (socket) => void socket.end(serveGreeting) },
    code: 'connection',
    says: /the other end closed the stream/,
  },
  'does not greet': { lies: saying(frame(3, greeting)), says: /does not greet/ },
  'greets in another version': {
    lies: { greeting: { protocol: protocolVersion + 1 } },
    says: /another version of Lockstep/,
  },
  'greets with half a greeting': { lies: saying(frame(greetingType, greeting.subarray(0, 5))), says: /malformed/ },
  'sends random bytes': { lies: saying(random(1).bytes(100_000)), says: /does not understand/ },
  'sends random bytes after the greeting': {
    lies: saying(hello, random(2).bytes(100_000)),
    says: /does not understand/,
  },
  'declares a huge frame': {
    lies: saying(hello, Buffer.from([0, 0, 0, 0x40, 3])),
    says: /a frame of .*, where .* is the limit/,
  },
  'sets unknown bits': { lies: saying(hello, Buffer.from([1, 0, 0, 0, 0x83])), says: /unknown bits/ },
  'sends a frame with a wrong checksum': {
    lies: saying(hello, Buffer.from([1, 0, 0, 0, 3, 9, 1, 2, 3, 4])),
    says: /checksum/,
  },
  'sends a message of no known type': { lies: saying(hello, frame(11, Buffer.alloc(3))), says: /says more than that/ },
  'waits more than all of its time': {
    lies: saying(hello, frame(15, Buffer.of(200, 0, 0, 0, 0))),
    says: /more than all its time/,
  },
  'puts something into a ping': { lies: saying(hello, frame(13, Buffer.alloc(9))), says: /ping or a goodbye/ },
  'goes on after its goodbye': {
    lies: saying(hello, frame(14, Buffer.alloc(0)), frame(3, Buffer.alloc(9))),
    says: /after its goodbye/,
  },
  'sends a bomb': { lies: saying(hello, bomb(64 << 20, 3, false)), says: /too large when decompressed/ },
  'sends a message of bombs without end': {
    lies: endless(hello)(bomb(maxPayload, 3, true)),
    says: /a message of more than/,
  },
  'sends a message in tiny pieces': { lies: endless(hello)(frame(3, Buffer.alloc(1), true)), says: /in pieces of 1 / },
  'answers what nobody asked': { lies: saying(hello, frame(3, Buffer.from([99, 0]))), says: /says more than that/ },
});

it.each([
  ['says nothing', saying(), 'SIGINT'],
  ['only shows signs of life', pinging, 'SIGTERM'],
] as const)('a far side that %s instead of greeting can be interrupted', async (_, lies, signal) => {
  await withPair(async (pair) => {
    let isThere = false;
    const { instead } = lies;
    const noting: Lies = {
      instead: (socket) => {
        isThere = true;
        instead?.(socket);
      },
    };
    const roots = ['sync', pair.a, pair.b, '--json', '--state-dir', pair.state, '--timeout', '60'];
    let sentAt = 0;
    const onStart = (child: ChildProcess): void => {
      void until(() => isThere).then(async () => {
        // What comes next is the wait for the greeting.
        await new Promise((resolve) => setTimeout(resolve, 300));
        sentAt = performance.now();
        child.kill(signal);
      });
    };
    const ran = await withFarSide(pair, noting, async (far) =>
      lockstep([...roots, '--connect-timeout', '60', ...far], { onStart }),
    );
    expect([ran.code, ran.signal], ran.stdout + ran.stderr).toEqual([130, null]);
    expect(performance.now() - sentAt).toBeLessThan(5000);
  });
});

// --- messages ----------------------------------------------------------------------------------------------------------

/** Does something else instead of the answer to the n-th call. */
function insteadOf(
  method: (message: Message) => boolean,
  lie: (message: Message, honest: (message: Message) => void) => void,
): Lies {
  let done = false;
  return {
    send: (message, honest) => {
      if (done || !method(message)) return honest(message);
      done = true;
      lie(message, honest);
    },
  };
}
const aResult = ({ type }: Message): boolean => type === 'result';
const aPart = ({ type }: Message): boolean => type === 'part';
const anApplied = (message: Message): boolean =>
  message.type === 'result' &&
  Array.isArray(message.value) &&
  message.value.some((item) => typeof item === 'object' && item !== null && 'failures' in item);

function failure(name: string, stack?: string): WireError {
  const message = 'an error\u001b[2J of its own';
  return { name, code: 'protocol', message, hint: undefined, path: undefined, option: undefined, stack };
}

attacks('an agent that breaks the rules', {
  'calls its controller': {
    lies: insteadOf(aResult, (_, honest) => honest({ type: 'call', id: 700, method: 'close', args: [] })),
    says: /an agent does not send "call"/,
  },
  cancels: {
    lies: insteadOf(aResult, ({ id }, honest) => honest({ type: 'cancel', id })),
    says: /does not send "cancel"/,
  },
  'sends bytes that nobody asked for': {
    lies: insteadOf(aResult, ({ id }, honest) => honest({ type: 'part', id, bytes: Buffer.alloc(9) })),
    says: /nobody asked for/,
  },
  'sends more of a stream than it may': {
    lies: insteadOf(
      // The first bytes of the content: the record of a whole file.
      (message) => message.type === 'part' && message.bytes.subarray(0, 8).every((byte) => byte === 0),
      ({ id }, honest) => {
        for (let i = 0; i < 100; i += 1) honest({ type: 'part', id, bytes: Buffer.alloc(256 << 10) });
      },
    ),
    // Whichever is seen first.
    says: /bytes of a stream, with credit for|files in another order/,
  },
  'sends an empty part': {
    lies: insteadOf(aPart, ({ id }, honest) => honest({ type: 'part', id, bytes: Buffer.alloc(0) })),
    says: /an empty part/,
  },
  'sends a tree in tiny parts': {
    lies: insteadOf(aPart, ({ id }, honest) => {
      for (let i = 0; i < 20_000; i += 1) honest({ type: 'part', id, bytes: Buffer.alloc(1) });
    }),
    says: /a tree without end/,
  },
  'gives credit that was never spent': {
    lies: insteadOf(anApplied, ({ id }, honest) => honest({ type: 'credit', id, bytes: 1 << 30 })),
    says: /credit for .* never sent/,
  },
  'fails with something that is no error of ours': {
    lies: insteadOf(aResult, ({ id }, honest) =>
      honest({
        type: 'error',
        id,
        error: failure('LockstepError'),
      }),
    ),
    says: /an error.* of its own/,
  },
  'says that the user has interrupted it': {
    lies: insteadOf(aResult, ({ id }, honest) => honest({ type: 'error', id, error: failure('InterruptedError') })),
    says: /: says that it was interrupted, and nobody did that/,
  },
  'sends other parts of a tree than it announced': {
    lies: insteadOf(aPart, (message, honest) => {
      if (message.type === 'part') honest({ ...message, bytes: Buffer.concat([message.bytes, Buffer.alloc(9)]) });
    }),
    says: /in other pieces than announced/,
  },
});

it('an unknown failure of the far side is told as its own, and sends nothing to the terminal', async () =>
  withPair(async (pair) => {
    write(pair.a, { f: 'f' });
    fs.mkdirSync(pair.b);
    const error = failure('TypeError', 'Error: \u001b[31mRED\u001b]0;owned\u0007 at x\n    at y');
    const lies = insteadOf(aResult, ({ id }, honest) => honest({ type: 'error', id, error }));
    const ran = await withFarSide(pair, lies, async (far) =>
      lockstep(['sync', pair.a, pair.b, '--state-dir', pair.state, ...far]),
    );
    expect(ran.code).toBe(1);
    expect(ran.stdout + ran.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f]|this is a bug in Lockstep/);
    expect(ran.stderr).toMatch(/^lockstep: .*: failed over there in an unknown way: TypeError: an error\\x1b/);
    expect(ran.stderr).toContain('Error: \\x1b[31mRED');
  }));

// --- scans -------------------------------------------------------------------------------------------------------------

class EvilScan extends LocalReplica {
  readonly #change: (tree: Tree) => Tree;

  constructor(change: (tree: Tree) => Tree) {
    super({ piped: true });
    this.#change = change;
  }

  override async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    const honest = await super.scan({ ...request, reportAll: true }, control);
    const tree = new Tree(() => new Map(honest.changed.listings()));
    tree.root = honest.changed.root;
    return { ...honest, changed: this.#change(tree) };
  }
}

const evil: Entry = { kind: 'file', mode: 0o644, size: 4, mtimeNs: 10n ** 18n, ctimeNs: 1n, ino: 9n, flags: 0 };
const evilLink = (target: string): Entry => ({ ...evil, kind: 'symlink', mode: 0, size: 0, target });

/** A scan in which a directory holds something more. */
function scanned(dir: string, ...more: [name: string, entry: Entry][]): Lies {
  return scanning((tree) => {
    tree.setListing(dir, Listing.from([...(tree.listing(dir) ?? Listing.empty).entries(), ...more]));
    return tree;
  });
}

function scanning(change: (tree: Tree) => Tree): Lies {
  return { replica: () => new EvilScan(change) };
}

/** A root listing of raw bytes. */
function listed(bytes: Uint8Array): Lies {
  return scanning((tree) => {
    tree.setListing('', new Listing(bytes));
    return tree;
  });
}

function raw(count: number, names: readonly string[], records = count): Uint8Array {
  const bytes = packListing(new Uint8Array(records * 40), records, names, []);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, count, true);
  return bytes;
}

attacks('a scan', {
  'with ..': { lies: scanned('', ['..', evil]), says: /a tree that cannot be: .*"\.\."/ },
  'with a name that has a slash': { lies: scanned('', ['up/../../outside', evil]), says: /a tree that cannot be/ },
  'with an absolute path': { lies: scanned('', ['/tmp', evil]), says: /a tree that cannot be/ },
  'with a NUL in a name': { lies: scanned('', ['f\0', evil]), says: /a tree that cannot be/ },
  'with an empty name': { lies: scanned('', ['', evil]), says: /a tree that cannot be/ },
  'with .lockstep': {
    lies: scanned('', ['.lockstep', { ...evil, kind: 'dir' }]),
    says: /a tree that cannot be: .*"\.lockstep"/,
  },
  'with .lockstep further down': {
    lies: scanned('d', ['.lockstep', evil]),
    says: /a tree that cannot be: .*"\.lockstep"/,
  },
  'with a name twice': { lies: listed(raw(2, ['f', 'f'])), says: /not in order, or twice/ },
  'with names out of order': { lies: listed(raw(2, ['g', 'f'])), says: /not in order, or twice/ },
  'with more entries than it has': { lies: listed(raw(1_000_000_000, ['f'], 1)), says: /a tree that cannot be/ },
  'with fewer names than entries': { lies: listed(raw(3, ['f'])), says: /a tree that cannot be/ },
  'with a file of an impossible size': {
    lies: scanned('', ['z', { ...evil, size: Number.MAX_SAFE_INTEGER * 4 }]),
    says: /impossible size/,
  },
  'of a directory that is nowhere': {
    lies: scanning((tree) => {
      tree.setListing('../outside', Listing.from([['canary', evil]]));
      return tree;
    }),
    says: /a tree that cannot be: a directory/,
  },
  'cut short': {
    lies: insteadOf(aPart, (message, honest) => {
      if (message.type === 'part') honest({ ...message, bytes: message.bytes.fill(255, 0, 4) });
    }),
    says: /a tree that cannot be/,
  },
});

// --- content -----------------------------------------------------------------------------------------------------------

class EvilRead extends LocalReplica {
  readonly #stream: () => Iterable<Uint8Array>;

  constructor(stream: () => Iterable<Uint8Array>) {
    super({ piped: true });
    this.#stream = stream;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as the interface has it
  override async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#stream();
  }
}

function record(kind: number, index: number, size: number, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(recordHeaderBytes);
  putRecordHeader(bytes, 0, { kind, bits: 0, index, size });
  return Buffer.concat([bytes, body]);
}

const reading = (...pieces: Uint8Array[]): Lies => ({ replica: () => new EvilRead(() => pieces) });

attacks('content', {
  'that is no content': { lies: reading(Buffer.alloc(1000, 255)), says: /a record that is none/ },
  'of another file': { lies: reading(record(recordKinds.whole, 7, 1, Buffer.from([1, 1]))), says: /in another order/ },
  'that ends too early': { lies: reading(record(recordKinds.whole, 0, 1)), says: /less content than it was asked for/ },
  'of nothing at all': { lies: reading(), says: /less content than it was asked for/ },
  'with an endless reason for a failure': {
    lies: reading(record(recordKinds.failed, 0, 1_000_000_000, Buffer.alloc(9000, 65))),
    says: /an endless reason/,
  },
});

// --- results -----------------------------------------------------------------------------------------------------------

class EvilResults extends LocalReplica {
  readonly #change: (results: StepResult[]) => StepResult[];

  constructor(change: (results: StepResult[]) => StepResult[]) {
    super({ piped: true });
    this.#change = change;
  }

  override async apply(...args: Parameters<Replica['apply']>): Promise<StepResult[]> {
    return this.#change(await super.apply(...args));
  }
}

const applied = (change: (results: StepResult[]) => StepResult[]): Lies => ({
  replica: () => new EvilResults(change),
});
const eachWith = (more: Partial<StepResult>): Lies => applied((results) => results.map((one) => ({ ...one, ...more })));

attacks('results', {
  'of fewer steps': { lies: applied(() => []), says: /results/ },
  'of more steps': { lies: applied((results) => [...results, ...results]), says: /results/ },
  'about a path outside': { lies: eachWith({ path: '../outside' }), says: /malformed.*the path "\.\.\/outside"/ },
  'with a listing of evil names': {
    lies: eachWith({ listing: Listing.from([['..', evil]]).bytes }),
    says: /malformed.*the name "\.\."/,
  },
  'with failures outside': {
    lies: eachWith({ failures: [{ path: '/etc/passwd', why: 'failed', detail: 'x' }] }),
    says: /malformed.*the path "\/etc\/passwd"/,
  },
});

// --- what is no error, but must do no harm -----------------------------------------------------------------------------

describe('a far side that lies', () => {
  /** Whatever becomes of it: nothing leaves the root. */
  async function expectContained(pair: Pair, lies: Lies): Promise<Faced> {
    write(path.join(pair.dir, 'outside'), { canary: 'untouched' });
    write(pair.a, { f: 'f' });
    fs.mkdirSync(pair.b);
    write(pair.b, { 'real/canary': 'theirs' });
    const ran = await faceLies(pair, lies);
    expect([0, 1, 2], ran.stdout + ran.stderr).toContain(ran.code);
    expect(ran.stdout + ran.stderr).not.toMatch(/^\s+at |\\n\s+at |bug in Lockstep/m);
    expect(contents(path.join(pair.dir, 'outside'))).toEqual({ canary: 'untouched' });
    expect(contents(pair.a)['f']).toBe('f');
    return ran;
  }

  it('of a symlink that has children: they do not get through it', async () =>
    withPair(async (pair) => {
      const outside = path.join(pair.dir, 'outside');
      const lies = scanning((tree) => {
        const root = [...(tree.listing('') ?? Listing.empty).entries()].filter(([name]) => name !== 'real');
        tree.setListing('', Listing.from([...root, ['real', evilLink(outside)]]));
        return tree;
      });
      await expectContained(pair, lies);
    }));

  it('of a directory that turns into a symlink in the next run', async () =>
    withPair(async (pair) => {
      await expectContained(pair, {});
      const outside = path.join(pair.dir, 'outside');
      fs.rmSync(path.join(pair.b, 'real'), { recursive: true });
      fs.symlinkSync(outside, path.join(pair.b, 'real'));
      const lies = scanned('real', ['canary', { ...evil, size: 6 }]);
      const ran = await faceLies(pair, lies);
      expect(ran.stdout + ran.stderr).not.toMatch(/bug in Lockstep/);
      expect(contents(outside)).toEqual({ canary: 'untouched' });
    }));

  it('about the size of a file: it does not arrive', async () =>
    withPair(async (pair) => {
      const ran = await expectContained(pair, {
        replica: () => new EvilRead(() => [record(recordKinds.whole, 0, 3, Buffer.from([65, 65, 65, 1]))]),
      });
      expect(ran.code).toBe(2);
      expect(Object.keys(contents(pair.a))).not.toContain('real/canary');
    }));

  it('about the digest of a delta, and copies from beyond what there is: the old file stays', async () => {
    // An instruction of a copy far beyond the end; and content that does not fit its digest.
    const pieces = [Buffer.from([1, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0x7f]), Buffer.from([0, 3, 65, 65, 65])];
    for (const piece of pieces) {
      await withPair(async (pair) => {
        await prepare(pair);
        const before = contents(pair.a)['theirs'];
        const length = Buffer.alloc(4);
        length.writeUInt32LE(piece.length);
        const end = Buffer.concat([Buffer.alloc(4), Buffer.from([1]), Buffer.alloc(32, 9)]);
        let calls = 0;
        const ran = await faceLies(pair, {
          replica: () =>
            new (class extends LocalReplica {
              override async *read(
                ...args: Parameters<LocalReplica['read']>
              ): AsyncGenerator<Uint8Array, void, undefined> {
                const [requests] = args;
                calls += 1;
                const at = requests.findIndex(({ path: name }) => name === 'theirs');
                if (at < 0) return yield* super.read(...args);
                if (requests[at]?.signature === undefined) return yield record(recordKinds.failed, at, 0);
                for (const [index, { path: name }] of requests.entries()) {
                  if (name !== 'theirs') yield record(recordKinds.failed, index, 0);
                  else yield record(recordKinds.delta, index, 400_000, Buffer.concat([length, piece, end]));
                }
              }
            })(),
        });
        expect(calls).toBeGreaterThan(0);
        expect([1, 2], ran.stdout + ran.stderr).toContain(ran.code);
        expect(ran.stdout + ran.stderr).not.toMatch(/bug in Lockstep|\\n\s+at /);
        expect(contents(pair.a)['theirs'] === before).toBe(true);
        const next = await faceLies(pair, {});
        expect(next.code, next.stdout).toBe(0);
        pair.expectEqual();
        pair.expectClean();
      });
    }
  });

  it('in nothing: the same with an honest one works', async () =>
    withPair(async (pair) => {
      await prepare(pair);
      const honest = faceLies(pair, { ...scanned('d'), send: (message, send) => send(message) });
      const ran = await honest;
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      pair.expectEqual();
      pair.expectClean();
    }));
});
