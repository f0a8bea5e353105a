import path from 'node:path';

/** The bundle that every worker thread runs (src/replica/agent/worker.ts); `scripts/build.js` puts it beside the others. */
export const workerFile = path.join(import.meta.dirname, 'agent-worker.cjs');

/** A worker's objects die young or are few: a small young generation costs no time and saves some 20 MB a thread. */
export const workerLimits = { maxYoungGenerationSizeMb: 6 };

/** What a worker thread is started for. */
export type WorkerRole = { role: 'agent' } | { role: 'stager' };

/** The program that is sent to a machine where a root is (src/replica/agent/main.ts). */
export const agentFile = path.join(import.meta.dirname, 'agent.cjs');
