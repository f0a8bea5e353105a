/**
 * The messages between a controller and an agent at the end of a pipe: one schema for both ends, and what each end checks
 * before it believes the other. A message is a type (its place in `types`) and a payload that begins with the call's number.
 */
import { LockstepError } from '../../base/errors.ts';
import {
  bool,
  bytes,
  count,
  float,
  i64,
  oneOf,
  optional,
  Reader,
  struct,
  tagged,
  text,
  Writer,
  type Codec,
} from '../../wire/codec.ts';
import type { Recorded, ScanRequest } from '../replica.ts';
import { methods, type AheadRequest, type Message, type Method, type WireError } from './channel.ts';
import {
  digest,
  dirtyDirectory,
  entry,
  failure,
  fileName,
  hostPath,
  list,
  mark,
  lookPatch,
  orUndefined,
  path,
  pathOrRoot,
  recorded,
  rules,
  step,
  stepResult,
  tuple,
} from './values.ts';

/** Largest message that is accepted, bytes: a directory of a million files and its results. */
export const maxMessageBytes = 1 << 28;

const types = ['call', 'cancel', 'progress', 'result', 'error', 'part', 'end', 'credit'] as const;

/** Type of what is said before the greeting, if anything is: an `AheadRequest`. The greeting's own is in greeting.ts. */
export const aheadType = 11;

/** Parts are most of what is sent: they go by themselves, so that their bytes need not be copied. */
export const partType = types.indexOf('part');

/** What comes before a part's bytes. */
export function partHead(id: number): Uint8Array {
  const out = new Writer();
  count.write(out, id);
  return out.finish();
}

const nothing: Codec<undefined> = { write: () => undefined, read: () => undefined };
const signature = bytes(1 << 26);
const expected = struct({ path, expect: entry });

const wireError: Codec<WireError> = struct({
  name: text,
  code: text,
  message: text,
  hint: orUndefined(text),
  path: orUndefined(text),
  option: orUndefined(text),
  stack: orUndefined(text),
});

const progress = struct({ entries: count, bytes: count, path: text });

const rootProbe = struct({
  kind: oneOf('directory', 'missing', 'other', 'unreadable'),
  realPath: hostPath,
  inode: text,
  dangerous: bool,
  reason: optional(text),
});

const openRequest = struct({
  root: hostPath,
  access: oneOf('read', 'write'),
  marks: bool,
  create: bool,
  runId: fileName,
  command: text,
  forceUnlock: bool,
});

const openedRoot = struct({
  identity: text,
  capabilities: struct({ foldsNames: bool, granularityNs: i64, hostPath: orUndefined(hostPath) }),
  freeBytes: count,
  created: bool,
  recovered: list(text),
  session: text,
});

const scanRequest = struct({
  rules,
  ignoreFiles: list(struct({ dir: pathOrRoot, name: fileName, text: orUndefined(text) })),
  scope: list(path),
  previous: recorded,
  reportAll: bool,
});

const aheadRequest = struct({ root: hostPath, request: scanRequest });

const scanResult = struct({
  unreadable: list(struct({ path: pathOrRoot, reason: text })),
  ignoredIn: list(pathOrRoot),
  ignoreFiles: list(struct({ dir: pathOrRoot, name: fileName, text })),
  entries: count,
  bytes: count,
  unmatchedPatterns: list(text),
  mountsGone: list(path),
  chunks: list(count),
});

const lookResult = struct({
  root: orUndefined(entry),
  patches: list(lookPatch),
  unreadable: list(struct({ path: pathOrRoot, reason: text })),
  ignoredIn: list(pathOrRoot),
  rulesChanged: bool,
  looked: count,
  chunks: list(count),
});

const date: Codec<Date> = {
  write: (out, value) => float.write(out, value.getTime()),
  read: (input) => new Date(float.read(input)),
};

const digestAnswer: Codec<Uint8Array | 'unreadable' | 'changed'> = {
  write(out, value) {
    out.uint8(value === 'unreadable' ? 1 : value === 'changed' ? 2 : 0);
    if (typeof value !== 'string') digest.write(out, value);
  },
  read(input) {
    const kind = input.uint8();
    return kind === 1 ? 'unreadable' : kind === 2 ? 'changed' : digest.read(input);
  },
};

const applyBatch = struct({
  steps: list(step),
  // Never `via: 'host'`: a path of the machine over there is no source of ours.
  content: orUndefined(tagged('via', { stream: struct({}) })),
  rules,
});

const kept = oneOf('file', 'dir', 'symlink');
const historyVersion = struct({
  path: pathOrRoot,
  version: count,
  kind: kept,
  size: count,
  mode: count,
  kept: text,
  modified: text,
  reason: text,
  run: text,
  file: hostPath,
  target: optional(text),
  problem: optional(text),
});
const restoreOptions = struct({
  at: optional(date),
  version: optional(count),
  to: optional(hostPath),
  dryRun: optional(bool),
  forceUnlock: optional(bool),
  command: optional(text),
});
const restoreSummary = struct({
  restored: list(struct({ path: pathOrRoot, target: hostPath, kind: kept, size: count, kept: text, replaced: bool })),
  unchanged: count,
  bytes: count,
  failures: list(failure),
  recovered: list(text),
  dryRun: bool,
});

/** What a call takes and gives, on the wire. */
const signatures: Record<Method, { args: Codec<unknown[]>; result: Codec<unknown> }> = {
  probe: { args: tuple(hostPath), result: rootProbe },
  open: { args: tuple(openRequest), result: openedRoot },
  scan: { args: tuple(scanRequest), result: scanResult },
  digest: { args: tuple(list(expected)), result: list(digestAnswer) },
  signatures: {
    args: tuple(list(struct({ path, expect: orUndefined(entry), at: optional(path), blocks: optional(mark) }))),
    result: list(orUndefined(signature)),
  },
  read: {
    args: tuple(list(struct({ path, expect: entry, signature: optional(signature) }))),
    result: nothing,
  },
  apply: { args: tuple(applyBatch, bool), result: list(stepResult) },
  token: { args: tuple(fileName, orUndefined(text)), result: orUndefined(text) },
  cleanOut: { args: tuple(), result: struct({ removed: count, failures: list(failure) }) },
  prune: {
    args: tuple(struct({ days: count, versions: count, bytes: count })),
    result: struct({ removed: count, bytes: count }),
  },
  history: { args: tuple(hostPath, text), result: list(historyVersion) },
  restore: { args: tuple(hostPath, text, restoreOptions), result: restoreSummary },
  flush: { args: tuple(count), result: bool },
  close: { args: tuple(), result: nothing },
  watch: { args: tuple(struct({ pollMs: count })), result: nothing },
  look: { args: tuple(struct({ directories: list(dirtyDirectory) })), result: lookResult },
};

/** Encodes and decodes the messages of one connection: a result's form depends on the call that it answers. */
export class MessageCodec {
  /** Methods of the calls that are not answered yet. */
  readonly #calls = new Map<number, Method>();
  /** The record that was told ahead, until a scan goes by it: it is not sent twice. */
  #told: Recorded | undefined;

  encodeAhead(ahead: AheadRequest): Uint8Array {
    const out = new Writer();
    const { scope, ignoreFiles, ...request } = ahead.request;
    const copied = { ...request, scope: [...scope], ignoreFiles: [...ignoreFiles] };
    aheadRequest.write(out, { ...ahead, request: copied });
    this.#told = ahead.request.previous;
    return out.finish();
  }

  /** @throws LockstepError `protocol` for what is none */
  decodeAhead(payload: Uint8Array): AheadRequest {
    const input = new Reader(payload);
    const { root, request } = aheadRequest.read(input);
    const { previous } = request;
    if (input.left > 0 || previous.as === 'told') throw new LockstepError('protocol', 'a request ahead that is none');
    this.#told = previous;
    return { root, request: { ...request, previous } };
  }

  /** @returns the type and payload for the wire */
  encode(message: Message): { type: number; payload: Uint8Array } {
    const out = new Writer();
    count.write(out, message.id);
    this.#writeBody(out, message);
    return { type: types.indexOf(message.type), payload: out.finish() };
  }

  /** @throws LockstepError `protocol` for what is no message; views of `payload` are in the result */
  decode(type: number, payload: Uint8Array): Message {
    const input = new Reader(payload);
    const id = count.read(input);
    const message = this.#readBody(types[type], id, input);
    if (input.left > 0) throw new LockstepError('protocol', `a message "${types[type] ?? ''}" is too long`);
    return message;
  }

  #writeBody(out: Writer, message: Message): void {
    switch (message.type) {
      case 'call':
        this.#calls.set(message.id, message.method);
        out.uint8(methods.indexOf(message.method));
        signatures[message.method].args.write(out, this.#withoutTold(message.method, message.args));
        return;
      case 'cancel':
        return;
      case 'progress':
        progress.write(out, message.progress);
        return;
      case 'result':
        this.#resultOf(message.id).write(out, message.value);
        this.#calls.delete(message.id);
        return;
      case 'error':
        this.#calls.delete(message.id);
        wireError.write(out, message.error);
        return;
      case 'part':
        out.raw(message.bytes);
        return;
      case 'end':
        optional(wireError).write(out, message.error);
        return;
      case 'credit':
        count.write(out, message.bytes);
    }
  }

  #readBody(type: (typeof types)[number] | undefined, id: number, input: Reader): Message {
    switch (type) {
      case 'call': {
        const method = methods[input.uint8()];
        if (method === undefined) throw new LockstepError('protocol', 'a call of nothing that there is');
        if (this.#calls.has(id)) throw new LockstepError('protocol', 'a call has the number of another');
        this.#calls.set(id, method);
        return { type, id, method, args: this.#withTold(method, signatures[method].args.read(input)) };
      }
      case 'cancel':
        return { type, id };
      case 'progress':
        return { type, id, progress: progress.read(input) };
      case 'result': {
        const value: unknown = this.#resultOf(id).read(input);
        this.#calls.delete(id);
        return { type, id, value };
      }
      case 'error':
        this.#calls.delete(id);
        return { type, id, error: wireError.read(input) };
      case 'part':
        // It would cost no credit, and there could be any number of them.
        if (input.left === 0) throw new LockstepError('protocol', 'an empty part of a stream');
        return { type, id, bytes: input.raw(input.left) };
      case 'end': {
        const error = optional(wireError).read(input);
        return error === undefined ? { type, id } : { type, id, error };
      }
      case 'credit':
        return { type, id, bytes: count.read(input) };
      case undefined:
        throw new LockstepError('protocol', 'a message of no known type');
    }
  }

  #withoutTold(method: Method, args: unknown[]): unknown[] {
    if (method !== 'scan' || this.#told === undefined) return args;
    const [request] = args as [ScanRequest];
    const told = this.#told;
    this.#told = undefined;
    return isTold(request.previous, told) ? [{ ...request, previous: { as: 'told' } }] : args;
  }

  #withTold(method: Method, args: unknown[]): unknown[] {
    if (method !== 'scan') return args;
    const [request] = args as [Omit<ScanRequest, 'previous'> & { previous: Recorded | { as: 'told' } }];
    const told = this.#told;
    this.#told = undefined;
    if (request.previous.as !== 'told') return args;
    if (told === undefined) throw new LockstepError('protocol', 'a scan by a record that was never told');
    return [{ ...request, previous: told }];
  }

  #resultOf(id: number): Codec<unknown> {
    const method = this.#calls.get(id);
    if (method === undefined) throw new LockstepError('protocol', 'an answer to what nobody asked');
    return signatures[method].result;
  }
}

function isTold(one: Recorded, told: Recorded): boolean {
  return one.as === 'digests' && told.as === 'digests' && one.salt === told.salt && one.digests === told.digests;
}
