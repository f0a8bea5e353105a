/** Starting an agent in a worker thread. */
import { Worker } from 'node:worker_threads';
import { LockstepError } from '../../base/errors.ts';
import { probeRoot } from '../local/probe.ts';
import type { Replica, RootProbe } from '../replica.ts';
import { workerFile, workerLimits, type WorkerRole } from '../worker-file.ts';
import type { Channel, Message } from './channel.ts';
import { AgentClient } from './client.ts';

/** Starts a thread that serves one root. Starting is not waited for: the first call is. */
export function startAgentThread(): Replica {
  const worker = new Worker(workerFile, {
    workerData: { role: 'agent' } satisfies WorkerRole,
    resourceLimits: workerLimits,
  });
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
  return new ThreadClient(channel);
}

/** A root on this machine can be looked at from here, while the thread is still coming up. */
class ThreadClient extends AgentClient {
  override async probe(root: string): Promise<RootProbe> {
    return Promise.resolve(probeRoot(root));
  }
}

function lost(reason: string): LockstepError {
  return new LockstepError('io', `lost the agent: ${reason}`, { hint: 'Run again: it continues where it stopped.' });
}
