/** The agent's half: answers calls on a channel from a replica. */
import { InterruptedError, LockstepError } from '../../base/errors.ts';
import { encodeTree } from '../../tree/codec.ts';
import { CreditMeter, Credits } from '../../wire/credit.ts';
import { contentWindow } from '../content-stream.ts';
import type { Control, Progress, Replica, ScanResult } from '../replica.ts';
import { watching, type LookResult } from '../watching.ts';
import { encode } from '../../wire/codec.ts';
import type { Tree } from '../../tree/tree.ts';
import type { Channel, Message } from './channel.ts';
import { fromWire, toWire } from './errors.ts';
import { PartQueue } from './parts.ts';
import { watchEvent } from './values.ts';

/** A scan's result on its way: the tree came in parts, pieces of one string of bytes that is cut into chunks so long. */
export type PackedScanResult = Omit<ScanResult, 'changed'> & { chunks: number[] };

/** Likewise of a look. */
export type PackedLookResult = Omit<LookResult, 'below'> & { chunks: number[] };

/** The largest part that is sent: a heartbeat must not wait long behind it. */
const partBytes = 1 << 20;

/** So many calls may be without an answer at once; an honest controller has a handful. */
const mostCalls = 64;

type Call = Extract<Message, { type: 'call' }>;

/** A call that is being carried out. */
interface Running {
  abort: AbortController;
  /** For what we send. */
  credits: Credits;
  /** What we are sent. */
  incoming: PartQueue;
  meter: CreditMeter;
}

/** Serves a replica until the channel closes; then the replica is closed, too. @returns when it is */
export async function serve(replica: Replica, channel: Channel): Promise<void> {
  const running = new Map<number, Running>();
  channel.onMessage((message) => {
    switch (message.type) {
      case 'call':
        // When the other side failed, nobody has cancelled what this one was doing.
        if (message.method === 'close') stopAll();
        if (running.size >= mostCalls) {
          throw new LockstepError('protocol', `more than ${mostCalls} calls that are not answered yet`);
        }
        void answer(message);
        return;
      case 'cancel':
        stop(running.get(message.id));
        return;
      case 'part':
        receive(running.get(message.id), message.bytes);
        return;
      case 'end':
        running.get(message.id)?.incoming.end(message.error && fromWire(message.error));
        return;
      case 'credit':
        running.get(message.id)?.credits.give(message.bytes);
        return;
      case 'progress':
      case 'result':
      case 'error':
        throw new LockstepError('protocol', `a controller does not send "${message.type}"`);
    }
  });
  await new Promise<void>((resolve) => {
    channel.onClose(() => {
      stopAll();
      void replica.close().finally(resolve);
    });
  });

  function stopAll(): void {
    for (const call of running.values()) stop(call);
  }

  async function answer(call: Call): Promise<void> {
    const { id } = call;
    if (running.has(id)) throw new LockstepError('protocol', 'a call has the number of another');
    const abort = new AbortController();
    const own: Running = {
      abort,
      credits: new Credits(contentWindow),
      incoming: new PartQueue(),
      meter: new CreditMeter(contentWindow),
    };
    running.set(id, own);
    const onProgress = (progress: Progress): void => channel.send({ type: 'progress', id, progress });
    try {
      const value = await carryOut(call, own, { signal: abort.signal, onProgress });
      await reply(own, { type: 'result', id, value });
    } catch (error) {
      await reply(own, { type: 'error', id, error: toWire(error) });
    } finally {
      running.delete(id);
    }
  }

  /**
   * Who asks on and on and never reads has his answers wait as calls, of which there are only so many. Others are read from
   * meanwhile: both ends may have much to send.
   */
  async function reply({ incoming }: Running, answer: Message): Promise<void> {
    incoming.drop();
    await channel.room();
    channel.send(answer);
  }

  async function carryOut(call: Call, own: Running, control: Control): Promise<unknown> {
    const { id } = call;
    // The two ends are of one build; what comes through a pipe has been checked (protocol.ts).
    const args = call.args as never[];
    const argument = args[0] as never;
    switch (call.method) {
      case 'probe':
        return replica.probe(argument);
      case 'open':
        return replica.open(argument);
      case 'scan': {
        const { changed, ...rest } = await replica.scan(argument, control);
        return { ...rest, chunks: await sendTree(id, changed, control) } satisfies PackedScanResult;
      }
      case 'watch':
        for await (const event of watching(replica).watch(argument, control)) {
          // Who is slow to take it is told of more at once (root-watcher.ts).
          await channel.room();
          if (control.signal.aborted) throw new InterruptedError();
          channel.send({ type: 'part', id, bytes: encode(watchEvent, event) });
        }
        return undefined;
      case 'look': {
        const { below, ...rest } = await watching(replica).look(argument, control);
        return { ...rest, chunks: await sendTree(id, below, control) } satisfies PackedLookResult;
      }
      case 'digest':
        return replica.digest(argument, control);
      case 'signatures':
        return replica.signatures(argument, control);
      case 'read':
        for await (const chunk of replica.read(argument, control)) {
          if (chunk.length > 0) await own.credits.take(chunk.length);
          await channel.room();
          if (control.signal.aborted) throw new InterruptedError();
          if (chunk.length > 0) channel.send({ type: 'part', id, bytes: chunk });
        }
        return undefined;
      case 'apply':
        return replica.apply(argument, control, call.args[1] === true ? received(id, own) : undefined);
      case 'token':
        return replica.token(argument, args[1]);
      case 'cleanOut':
        return replica.cleanOut(control);
      case 'prune':
        return replica.prune(argument);
      case 'history':
        return replica.history(argument, args[1] as never);
      case 'restore':
        return replica.restore(argument, args[1] as never, args[2] as never, control);
      case 'flush':
        return replica.flush(argument);
      case 'close':
        return replica.close();
    }
  }

  /** @returns the lengths of the tree's chunks */
  async function sendTree(id: number, tree: Tree, control: Control): Promise<number[]> {
    const chunks = tree.takeChunks() ?? [encodeTree(tree)];
    const lengths = chunks.map(({ length }) => length);
    for (const chunk of chunks) await sendPacked(id, chunk, control);
    return lengths;
  }

  /** A scan's packed tree is handed over, not copied: of a million files it is the largest thing there is. */
  async function sendPacked(id: number, chunk: Uint8Array, { signal }: Control): Promise<void> {
    const isSmall = chunk.length <= partBytes * 2;
    const length = isSmall ? chunk.length : partBytes;
    for (let at = 0; at < chunk.length; at += length) {
      await channel.room();
      if (signal.aborted) throw new InterruptedError();
      const bytes = isSmall ? chunk : chunk.slice(at, at + length);
      channel.send({ type: 'part', id, bytes }, isSmall ? ownBuffer(chunk) : []);
    }
  }

  async function* received(id: number, { incoming, meter }: Running): AsyncGenerator<Uint8Array> {
    for await (const chunk of incoming) {
      yield chunk;
      const bytes = meter.consumed(chunk.length);
      if (bytes > 0) channel.send({ type: 'credit', id, bytes });
    }
  }
}

function receive(call: Running | undefined, bytes: Uint8Array): void {
  // What was under way when the call ended.
  if (call === undefined) return;
  call.meter.arrived(bytes.length);
  call.incoming.push(bytes);
}

function stop(call: Running | undefined): void {
  if (call === undefined) return;
  call.abort.abort();
  call.incoming.end(new InterruptedError());
  call.credits.abort(new InterruptedError());
}

function ownBuffer({ buffer }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}
