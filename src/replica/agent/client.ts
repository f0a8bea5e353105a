/** The controller's half: a `Replica` whose work is done at the other end of a channel. */
import { AsyncQueue } from '../../base/async-queue.ts';
import { InterruptedError, LockstepError, unreachable } from '../../base/errors.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import { CreditMeter, Credits } from '../../wire/credit.ts';
import { contentWindow, type ReadRequest } from '../content-stream.ts';
import { treeOfChunks } from '../../tree/packer.ts';
import type { Tree } from '../../tree/tree.ts';
import { decode } from '../../wire/codec.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../history.ts';
import type {
  ApplyBatch,
  Control,
  DigestRequest,
  Failure,
  OpenedRoot,
  OpenRequest,
  Progress,
  Replica,
  Retention,
  RootProbe,
  ScanRequest,
  ScanResult,
  SignatureRequest,
  StepResult,
} from '../replica.ts';
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from '../watching.ts';
import type { Channel, Message, Method, WireError } from './channel.ts';
import { fromWire, toWire } from './errors.ts';
import { owned, PartQueue } from './parts.ts';
import type { PackedLookResult, PackedScanResult } from './serve.ts';
import { watchEvent } from './values.ts';

/** More than this of a scan is not believed: some eight million entries. */
const maxTreeBytes = 1 << 30;
/** So many each part of a scan counts at least: its bytes are not all that it takes. An honest one has two in a megabyte. */
const leastTreePart = 1 << 16;

/** So many events of a watch wait for whoever takes them. */
const maxWaitingEvents = 1000;

/** A call whose result is still to come. */
interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  onProgress: ((progress: Progress) => void) | undefined;
  signal: AbortSignal | undefined;
  /** For what we send with it. */
  credits: Credits;
  /** Takes what is sent to us with it; none is expected where it is undefined. */
  onPart: ((bytes: Uint8Array) => void) | undefined;
}

/** What a call has beside its arguments. */
interface CallExtras {
  control?: Control;
  onPart?: (bytes: Uint8Array) => void;
  content?: AsyncIterable<Uint8Array>;
  /** Told the call's number before it is sent. */
  onId?: (id: number) => void;
}

export class AgentClient implements Replica {
  readonly #channel: Channel;
  readonly #far: string | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #gone: Error | undefined;
  #closed: Promise<void> | undefined;

  /** @param far what the other end is called, where it is not a thread of ours */
  constructor(channel: Channel, far?: string) {
    this.#channel = channel;
    this.#far = far;
    channel.onMessage((message) => this.#receive(message));
    channel.onClose((reason) => this.#lost(reason));
  }

  async probe(root: string): Promise<RootProbe> {
    return this.#call('probe', [root]);
  }

  async open(request: OpenRequest): Promise<OpenedRoot> {
    return this.#call('open', [request]);
  }

  async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    const [result, changed] = await this.#callForTree<PackedScanResult>('scan', request, control);
    return { ...withoutChunks(result), changed };
  }

  async *watch(options: WatchOptions, control: Control): AsyncGenerator<WatchEvent, void, undefined> {
    const incoming = new AsyncQueue<WatchEvent>();
    const abort = new AbortController();
    const signal = AbortSignal.any([control.signal, abort.signal]);
    const ended = this.#call('watch', [options], {
      control: { signal },
      onPart: (bytes) => {
        const event = decode(watchEvent, bytes);
        // Nobody takes them: what has changed is not worth remembering one by one.
        if (incoming.size < maxWaitingEvents) incoming.push(event);
        else if (incoming.size === maxWaitingEvents) incoming.push({ type: 'lost', reason: 'changes came too fast' });
      },
    }).then(
      () => incoming.end(),
      (error: unknown) => incoming.end(error instanceof Error ? error : new InterruptedError()),
    );
    try {
      yield* incoming;
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error;
    } finally {
      abort.abort();
      incoming.drop();
      await ended;
    }
  }

  async look(request: LookRequest, control: Control): Promise<LookResult> {
    const [result, below] = await this.#callForTree<PackedLookResult>('look', request, control);
    return { ...withoutChunks(result), below };
  }

  /** A call whose result comes with a tree in parts. */
  async #callForTree<T extends { chunks: number[] }>(
    method: Method,
    request: unknown,
    control: Control,
  ): Promise<[T, Tree]> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    const onPart = (part: Uint8Array): void => {
      bytes += Math.max(part.length, leastTreePart);
      if (bytes > maxTreeBytes) throw new LockstepError('protocol', 'the other side sent a tree without end');
      parts.push(owned(part));
    };
    const result = await this.#call<T>(method, [request], { control, onPart });
    const joined = rejoin(parts, result.chunks);
    this.checkTree(joined);
    return [result, treeOfChunks(joined)];
  }

  async digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]> {
    return inFull('digests', requests, await this.#call<DigestAnswer[]>('digest', [requests], { control }));
  }

  async signatures(requests: readonly SignatureRequest[], control: Control): Promise<(Uint8Array | undefined)[]> {
    const answers = await this.#call<(Uint8Array | undefined)[]>('signatures', [requests], { control });
    return inFull('signatures', requests, answers);
  }

  async *read(requests: readonly ReadRequest[], control: Control): AsyncGenerator<Uint8Array, void, undefined> {
    const incoming = new PartQueue();
    const meter = new CreditMeter(contentWindow);
    const abort = new AbortController();
    const signal = AbortSignal.any([control.signal, abort.signal]);
    let id = 0;
    const ended = this.#call('read', [requests], {
      control: { ...control, signal },
      onPart: (bytes) => {
        meter.arrived(bytes.length);
        incoming.push(bytes);
      },
      onId: (own) => {
        id = own;
      },
    }).then(
      () => incoming.end(),
      (error: unknown) => incoming.end(error instanceof Error ? error : new InterruptedError()),
    );
    try {
      for await (const chunk of incoming) {
        yield chunk;
        const bytes = meter.consumed(chunk.length);
        if (bytes > 0 && this.#waiting.has(id)) this.#channel.send({ type: 'credit', id, bytes });
      }
    } finally {
      abort.abort();
      incoming.drop();
      await ended;
    }
  }

  async apply(batch: ApplyBatch, control: Control, content?: AsyncIterable<Uint8Array>): Promise<StepResult[]> {
    const args = [batch, content !== undefined];
    const extras = { control, ...(content === undefined ? {} : { content }) };
    const results = inFull('results', batch.steps, await this.#call<StepResult[]>('apply', args, extras));
    const wrong = results.findIndex(({ step }, at) => step !== at);
    if (wrong >= 0) throw new LockstepError('protocol', `the other side sent results in another order than its steps`);
    return results;
  }

  async token(linkId: string, write?: string): Promise<string | undefined> {
    return this.#call('token', [linkId, write]);
  }

  async cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }> {
    return this.#call('cleanOut', [], { control });
  }

  async prune(retention: Retention): Promise<{ removed: number; bytes: number }> {
    return this.#call('prune', [retention]);
  }

  async history(root: string, under: string): Promise<HistoryVersion[]> {
    return this.#call('history', [root, under]);
  }

  async restore(root: string, path: string, options: RestoreOptions, control: Control): Promise<RestoreSummary> {
    return this.#call('restore', [root, path, options], { control });
  }

  async flush(timeoutMs: number): Promise<boolean> {
    return this.#call('flush', [timeoutMs]);
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      if (this.#gone === undefined) await this.#call('close', []);
    } finally {
      await this.#channel.close();
    }
  }

  /** Looks at a scan's tree before it is believed. A thread of our own needs no checking. */
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- for whoever overrides it
  protected checkTree(_chunks: readonly Uint8Array[]): void {
    return;
  }

  async #call<T>(method: Method, args: unknown[], extras: CallExtras = {}): Promise<T> {
    const { control, onPart, content } = extras;
    if (this.#gone !== undefined) throw this.#gone;
    if (control?.signal.aborted === true) throw new InterruptedError();
    const id = this.#next++;
    extras.onId?.(id);
    const cancel = (): void => this.#channel.send({ type: 'cancel', id });
    control?.signal.addEventListener('abort', cancel, { once: true });
    const credits = new Credits(contentWindow);
    try {
      const answered = new Promise<T>((resolve, reject) => {
        this.#waiting.set(id, {
          resolve: resolve as (value: unknown) => void,
          reject,
          onProgress: control?.onProgress,
          signal: control?.signal,
          credits,
          onPart,
        });
      });
      this.#channel.send({ type: 'call', id, method, args });
      if (content !== undefined) void this.#sendContent(id, content, credits);
      return await answered;
    } finally {
      // Nobody waits any more, also where it could not even be sent.
      this.#waiting.delete(id);
      control?.signal.removeEventListener('abort', cancel);
      // Who still waits to send sees that nobody waits for it any more.
      credits.abort(new InterruptedError());
    }
  }

  /** Sends what belongs to a call until it is answered; whether it was all wanted is the answer's affair. */
  async #sendContent(id: number, content: AsyncIterable<Uint8Array>, credits: Credits): Promise<void> {
    let error: unknown;
    try {
      for await (const bytes of content) {
        if (bytes.length > 0) await credits.take(bytes.length);
        await this.#channel.room();
        if (!this.#waiting.has(id)) return;
        if (bytes.length > 0) this.#channel.send({ type: 'part', id, bytes });
      }
    } catch (thrown) {
      error = thrown;
    }
    if (!this.#waiting.has(id)) return;
    this.#channel.send(error === undefined ? { type: 'end', id } : { type: 'end', id, error: toWire(error) });
  }

  #receive(message: Message): void {
    if (message.type === 'call' || message.type === 'cancel' || message.type === 'end') {
      throw new LockstepError('protocol', `an agent does not send "${message.type}"`);
    }
    const waiting = this.#waiting.get(message.id);
    // What was under way when a call was cancelled.
    if (waiting === undefined) return;
    switch (message.type) {
      case 'progress':
        waiting.onProgress?.(message.progress);
        return;
      case 'part':
        if (waiting.onPart === undefined) throw new LockstepError('protocol', 'bytes that nobody asked for');
        waiting.onPart(message.bytes);
        return;
      case 'credit':
        waiting.credits.give(message.bytes);
        return;
      case 'result':
        this.#waiting.delete(message.id);
        waiting.resolve(message.value);
        return;
      case 'error':
        this.#waiting.delete(message.id);
        waiting.reject(this.#errorFrom(message.error, waiting));
        return;
      default:
        unreachable(message);
    }
  }

  #errorFrom(wire: WireError, { signal }: Waiting): Error {
    const error = fromWire(wire, this.#far);
    // Closing stops whatever is still being done there.
    const isAsked = signal?.aborted === true || this.#closed !== undefined;
    if (!(error instanceof InterruptedError) || isAsked) return error;
    const far = this.#far ?? 'the agent';
    return new LockstepError('protocol', `${far}: says that it was interrupted, and nobody did that`);
  }

  #lost(reason: Error): void {
    this.#gone = reason;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

/** @throws LockstepError `protocol` when there is not one answer to each request */
function inFull<T>(what: string, requests: readonly unknown[], answers: T[]): T[] {
  if (answers.length === requests.length) return answers;
  throw new LockstepError(
    'protocol',
    `the other side sent ${answers.length} ${what} where ${requests.length} were due`,
  );
}

function withoutChunks<T extends { chunks: number[] }>(result: T): Omit<T, 'chunks'> {
  const rest: Partial<T> = { ...result };
  delete rest.chunks;
  return rest as Omit<T, 'chunks'>;
}

/** Chunks that were cut into parts for sending. @throws LockstepError `protocol` when the lengths do not fit */
function rejoin(parts: readonly Uint8Array[], lengths: readonly number[]): Uint8Array[] {
  const sameCut = parts.length === lengths.length && parts.every(({ length }, at) => length === lengths[at]);
  if (sameCut) return [...parts];
  const all = Buffer.concat(parts);
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(all.subarray(at, at + length));
    at += length;
  }
  if (at !== all.length) throw new LockstepError('protocol', 'a tree came in other pieces than announced');
  return chunks;
}
