/** Starting an agent in a worker thread. */
import type { Worker } from 'node:worker_threads';
import { LockstepError } from '../../base/errors.ts';
import { probeRoot } from '../local/probe.ts';
import type { Replica, RootProbe, ScanRequest } from '../replica.ts';
import type { AheadRequest, Channel, Message } from './channel.ts';
import { AgentClient } from './client.ts';
import { startWorker } from '../worker-file.ts';

/** Starts a thread that serves one root. Starting is not waited for: the first call is. */
export function startAgentThread(): Replica {
  return agentIn(startWorker({ role: 'agent' }));
}

/** The agent in a thread that was just started: nothing of what the thread said may have come yet. */
export function agentIn(worker: Worker): Replica {
  const channel: Channel = {
    send: (message, transfer = []) => {
      // A view takes the whole of its buffer along when it is copied.
      if (message.type === 'part' && transfer.length === 0) {
        const bytes = new Uint8Array(message.bytes);
        worker.postMessage({ ...message, bytes }, [bytes.buffer]);
      } else worker.postMessage(message, transfer);
    },
    room: () => undefined,
    onMessage: (listener: (message: Message) => void) => {
      worker.on('message', listener);
    },
    onClose: (listener) => {
      worker.on('error', (error) => listener(lost(error.message)));
      worker.on('exit', () => listener(lost('its thread ended')));
    },
    close: async () => {
      void worker.terminate();
      return Promise.resolve();
    },
  };
  return new ThreadClient(channel, (message) => worker.postMessage(message));
}

/** Said to a thread beside the calls (local/ahead-scan.ts). */
export interface AheadMessage extends AheadRequest {
  type: 'ahead';
}

/** A root on this machine can be looked at from here, while the thread is still coming up. */
class ThreadClient extends AgentClient {
  readonly #tell: (message: AheadMessage) => void;

  constructor(channel: Channel, tell: (message: AheadMessage) => void) {
    super(channel);
    this.#tell = tell;
  }

  /** Ends with the scan that is asked for, or when this is closed. */
  lookAhead(root: string, request: ScanRequest): void {
    this.#tell({ type: 'ahead', root, request });
  }

  override async probe(root: string): Promise<RootProbe> {
    return Promise.resolve(probeRoot(root));
  }
}

function lost(reason: string): LockstepError {
  return new LockstepError('io', `lost the agent: ${reason}`, { hint: 'Run again: it continues where it stopped.' });
}
