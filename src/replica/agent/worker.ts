/** Entry of every worker thread: an agent for one local root, without a pipe, or a stager that helps one. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { LocalReplica } from '../local/local-replica.ts';
import { serveStagings } from '../local/stagers.ts';
import type { WorkerRole } from '../worker-file.ts';
import type { Message } from './channel.ts';
import { serve } from './serve.ts';

function serveRoot(port: MessagePort): void {
  void serve(new LocalReplica(), {
    send: (message: Message, transfer: readonly ArrayBuffer[] = []) => {
      port.postMessage(message, transfer);
    },
    room: () => undefined,
    onMessage: (listener) => {
      port.on('message', listener);
    },
    onClose: (listener) => {
      port.on('close', () => listener(new Error('the controller is gone')));
    },
    close: async () => {
      port.close();
      return Promise.resolve();
    },
  });
}

if (parentPort === null) throw new Error('the worker was started outside a worker thread');
if ((workerData as WorkerRole).role === 'stager') serveStagings(parentPort);
else serveRoot(parentPort);
