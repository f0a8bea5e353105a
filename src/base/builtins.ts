/**
 * Node's heavier modules, loaded when first used: they cost a starting process or thread several milliseconds that most
 * runs never need.
 */
import type * as ChildProcess from 'node:child_process';
import type * as Crypto from 'node:crypto';
import { createRequire } from 'node:module';
import type * as PerfHooks from 'node:perf_hooks';
import type * as V8 from 'node:v8';
import type * as WorkerThreads from 'node:worker_threads';
import type * as Zlib from 'node:zlib';

export function crypto(): typeof Crypto {
  return builtin('node:crypto') as typeof Crypto;
}

export function childProcess(): typeof ChildProcess {
  return builtin('node:child_process') as typeof ChildProcess;
}

export function perfHooks(): typeof PerfHooks {
  return builtin('node:perf_hooks') as typeof PerfHooks;
}

export function v8(): typeof V8 {
  return builtin('node:v8') as typeof V8;
}

export function workerThreads(): typeof WorkerThreads {
  return builtin('node:worker_threads') as typeof WorkerThreads;
}

export function zlib(): typeof Zlib {
  return builtin('node:zlib') as typeof Zlib;
}

/** SHA-256 of some bytes; in one call where Node has it (20.12), which is much cheaper for small ones. */
export function sha256(bytes: Uint8Array): Uint8Array {
  const { hash, createHash } = crypto() as Partial<typeof Crypto> & typeof Crypto;
  return new Uint8Array(
    typeof hash === 'function' ? hash('sha256', bytes, 'buffer') : createHash('sha256').update(bytes).digest(),
  );
}

/** An agent may run on Node 18, which has no `getBuiltinModule`; where from one requires a built-in module does not matter. */
function builtin(name: string): unknown {
  const own = process as Partial<Pick<NodeJS.Process, 'getBuiltinModule'>>;
  return own.getBuiltinModule === undefined ? createRequire(process.execPath)(name) : own.getBuiltinModule(name);
}
