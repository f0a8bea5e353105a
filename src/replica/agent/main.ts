/**
 * Entry of the program that is sent through a pipe and run by whatever Node is there (transport/loader.ts): bundled into one
 * file, agent.cjs. stdin and stdout are the protocol's. It runs once more in the thread that helps with a walk.
 */
import type { Worker } from 'node:worker_threads';
import { workerThreads } from '../../base/builtins.ts';
import { slabInput } from '../../wire/slab-input.ts';
import { serveScanParts } from '../local/scan-help.ts';
import { startWorker, type ScanHelpRequest } from '../worker-file.ts';
import { servePipe } from './serve-pipe.ts';

function serveController(): void {
  const input = slabInput(0);

  // The pipe ends with the connection, and everything is put away then. A signal that asks for the end means the same.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, () => input.destroy());

  // Where the loader keeps the text of this program.
  const source: unknown = Reflect.get(module, 'source');
  const startHelper = (request: ScanHelpRequest): Worker =>
    startWorker({ role: 'scanner', ...request }, String(source));
  void servePipe(input, process.stdout, { startHelper }).then(() => {
    // Whatever still keeps the event loop alive must not keep the process: nobody would ever end it.
    setTimeout(() => process.exit(), 5000).unref();
  });
}

const threads = workerThreads();
if (threads.parentPort === null) serveController();
else serveScanParts(threads.parentPort, threads.workerData as ScanHelpRequest);
