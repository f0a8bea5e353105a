/** Entry of every worker thread: an agent for one local root, without a pipe, or one that helps it. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { LocalReplica } from '../local/local-replica.ts';
import { serveScanParts } from '../local/scan-help.ts';
import { serveStagings } from '../local/stagers.ts';
import type { WorkerRole } from '../worker-file.ts';
import type { Message } from './channel.ts';
import { serve } from './serve.ts';
import type { AheadMessage } from './thread.ts';

function serveRoot(port: MessagePort): void {
  const replica = new LocalReplica();
  void serve(replica, {
    send: (message: Message, transfer: readonly ArrayBuffer[] = []) => {
      port.postMessage(message, transfer);
    },
    room: () => undefined,
    onMessage: (listener) => {
      port.on('message', (message: Message | AheadMessage) => {
        if (message.type !== 'ahead') listener(message);
        else replica.lookAhead(message.root, message.request, new AbortController().signal);
      });
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
const role = workerData as WorkerRole;
switch (role.role) {
  case 'agent':
    serveRoot(parentPort);
    break;
  case 'stager':
    serveStagings(parentPort);
    break;
  case 'scanner':
    serveScanParts(parentPort, role);
    break;
}
