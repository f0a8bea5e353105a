/** Starting the thread of an agent: all that must be loaded before it can come up, while what talks to it is loaded. */
import { Worker } from 'node:worker_threads';
import { workerFile, workerLimits, type WorkerRole } from '../worker-file.ts';

/** Starts a thread that serves one root, to be given to `agentIn` (thread.ts). */
export function startAgentWorker(): Worker {
  return new Worker(workerFile, {
    workerData: { role: 'agent' } satisfies WorkerRole,
    resourceLimits: workerLimits,
  });
}
