/** The agent's half: answers calls on a channel from a replica. */
import { encodeTree } from '../../tree/codec.ts';
import type { Control, Progress, Replica, ScanResult } from '../replica.ts';
import type { Channel, Message } from './channel.ts';
import { toWire } from './errors.ts';

/** A scan's result on its way: the tree packed. */
export type PackedScanResult = Omit<ScanResult, 'changed'> & { changed: readonly Uint8Array[] };

/** Serves a replica until the channel closes; then the replica is closed, too. */
export function serve(replica: Replica, channel: Channel): void {
  const running = new Map<number, AbortController>();
  channel.onMessage((message) => {
    if (message.type === 'cancel') running.get(message.id)?.abort();
    else if (message.type === 'call') {
      // When the other side failed, nobody has cancelled what this one was doing.
      if (message.method === 'close') stopAll();
      void answer(message);
    }
  });
  channel.onClose(() => {
    stopAll();
    void replica.close();
  });

  function stopAll(): void {
    for (const call of running.values()) call.abort();
  }

  async function answer(call: Extract<Message, { type: 'call' }>): Promise<void> {
    const abort = new AbortController();
    running.set(call.id, abort);
    const onProgress = (progress: Progress): void => channel.send({ type: 'progress', id: call.id, progress });
    try {
      const value = await carryOut(replica, call, { signal: abort.signal, onProgress });
      channel.send({ type: 'result', id: call.id, value }, call.method === 'scan' ? ownBuffers(value) : []);
    } catch (error) {
      channel.send({ type: 'error', id: call.id, error: toWire(error) });
    } finally {
      running.delete(call.id);
    }
  }
}

/** A scan's packed tree is handed over, not copied: of a million files it is the largest thing there is. */
function ownBuffers(value: unknown): ArrayBuffer[] {
  return (value as PackedScanResult).changed.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
}

async function carryOut(
  replica: Replica,
  call: Extract<Message, { type: 'call' }>,
  control: Control,
): Promise<unknown> {
  // The two ends are of one build; the client's types are what stands behind these.
  const args = call.args as never[];
  const argument = args[0] as never;
  switch (call.method) {
    case 'probe':
      return replica.probe(argument);
    case 'open':
      return replica.open(argument);
    case 'scan': {
      const { changed, ...rest } = await replica.scan(argument, control);
      return { ...rest, changed: changed.takeChunks() ?? [encodeTree(changed)] } satisfies PackedScanResult;
    }
    case 'digest':
      return replica.digest(argument, control);
    case 'apply':
      return replica.apply(argument, control);
    case 'token':
      return replica.token(argument, args[1]);
    case 'cleanOut':
      return replica.cleanOut(control);
    case 'prune':
      return replica.prune(argument);
    case 'flush':
      return replica.flush(argument);
    case 'close':
      return replica.close();
  }
}
