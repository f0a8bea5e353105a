import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { workerThreads } from '../base/builtins.ts';
import type { ScanRequest } from './replica.ts';

/** The bundle that every worker thread runs (src/replica/agent/worker.ts); `scripts/build.js` puts it beside the others. */
const workerFile = path.join(import.meta.dirname, 'agent-worker.cjs');

/** A worker's objects die young or are few: a small young generation costs no time and saves some 20 MB a thread. */
const workerLimits = { maxYoungGenerationSizeMb: 6 };

/** What a thread that helps with a walk is started with (local/scan-help.ts). */
export interface ScanHelpRequest {
  root: string;
  /** The directory that is walked, `dev:ino`. */
  inode: string;
  granularityNs: bigint;
  request: ScanRequest;
}

/** What a worker thread is started for: to serve a root, to help with staging, or with one walk. */
export type WorkerRole = { role: 'agent' } | { role: 'stager' } | ({ role: 'scanner' } & ScanHelpRequest);

/** Starts a thread of this program. @param source the program's text, where it was sent and there is no file of it */
export function startWorker(role: WorkerRole, source?: string): Worker {
  const { Worker } = workerThreads();
  const options = { workerData: role, resourceLimits: workerLimits };
  return source === undefined ? new Worker(workerFile, options) : new Worker(source, { ...options, eval: true });
}

/** The program that is sent to a machine where a root is (src/replica/agent/main.ts). */
export const agentFile = path.join(import.meta.dirname, 'agent.cjs');
