/**
 * Something that happens at an exact moment inside a run: just before or after a certain file call of the built command
 * line, in whichever of its threads makes it. A race of microseconds becomes a test that cannot miss.
 *
 * The command is run as it is; only Node's `fs` is told to call us.
 */
import fs from 'node:fs';
import path from 'node:path';

export interface Injection {
  /** Name of a synchronous function of `fs`. */
  call: string;
  /** Which calls of it: a pattern that its arguments, joined by spaces, match. Paths come as `/proc/self/fd/N/name`. */
  match: RegExp;
  /** The n-th of them, counted in each thread; `every`: all of them. */
  nth?: number | 'every';
  when?: 'before' | 'after';
  /**
   * JavaScript. There are `fs`, `path`; `args` and, afterwards, the `result` of the call, which may be changed, and what is
   * returned takes its place; `halt()`, which stops the whole process until somebody continues it, and `pause(ms)`, which
   * stops this thread for a while.
   */
  run: string;
}

const preload = `
const fs = require('node:fs');
const path = require('node:path');
const pause = (ms) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const halt = () => {
  fs.writeFileSync(process.env.LOCKSTEP_TEST_HALTED, String(process.pid));
  process.kill(process.pid, 'SIGSTOP');
  // The signal needs a moment to reach this thread.
  pause(50);
};
for (const { call, match, nth, when, run } of JSON.parse(process.env.LOCKSTEP_TEST_INJECT)) {
  const original = fs[call];
  const pattern = new RegExp(match);
  const act = new Function('fs', 'path', 'args', 'halt', 'pause', 'result', run);
  let count = 0;
  let acting = false;
  fs[call] = function (...args) {
    const hit = !acting && pattern.test(args.map(String).join(' ')) && (++count === nth || nth === 'every');
    const happen = (result) => {
      acting = true;
      try { return act(fs, path, args, halt, pause, result); } finally { acting = false; }
    };
    if (hit && when === 'before') happen();
    const result = original.apply(this, args);
    return (hit && when === 'after' ? happen(result) : undefined) ?? result;
  };
}
`;

/** Environment for a run in which these things happen. @param dir where the means for it are put */
export function injecting(dir: string, ...injections: readonly Injection[]): Record<string, string> {
  const file = path.join(dir, 'inject.cjs');
  fs.writeFileSync(file, preload);
  const plain = injections.map(({ call, match, nth = 1, when = 'before', run }) => ({
    call,
    match: match.source,
    nth,
    when,
    run,
  }));
  return {
    NODE_OPTIONS: `--require ${file}`,
    LOCKSTEP_TEST_INJECT: JSON.stringify(plain),
    LOCKSTEP_TEST_HALTED: haltedMark(dir),
  };
}

function haltedMark(dir: string): string {
  return path.join(dir, 'halted');
}

/** Returns when a run under `injecting` has reached its `halt()`. @returns the process that is stopped: the run's, or its far side's */
export async function untilHalted(dir: string): Promise<number> {
  await until(() => fs.existsSync(haltedMark(dir)) && fs.statSync(haltedMark(dir)).size > 0);
  return Number(fs.readFileSync(haltedMark(dir), 'utf8'));
}

/** Polls for what cannot be waited for otherwise. */
export async function until(condition: () => boolean, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
