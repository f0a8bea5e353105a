/** Reading what the far side says, up to something that was waited for: with a limit, and with a deadline. */
import { monotonicMs } from '../base/clock.ts';
import type { Exit, PipedProcess } from './process.ts';

/** What was waited for did not come. */
export type Silence =
  /** The far side ended, or closed its output. */
  | { kind: 'closed'; exit: Exit; heard: Buffer }
  | { kind: 'timeout'; ms: number; heard: Buffer }
  /** More came than anybody would say. */
  | { kind: 'noise'; limit: number; heard: Buffer };

export class SilenceError extends Error {
  constructor(readonly silence: Silence) {
    super(`the far side is silent: ${silence.kind}`);
  }
}

/** Something found in what was heard: its meaning, and where it ends. */
export interface Found<T> {
  value: T;
  end: number;
}

/** Login noise and answers are short; what is longer is neither. */
const limit = 64 * 1024;
/** How long output that is already on its way may take once the process has ended. */
const drainMs = 250;
/** How long a process that has closed its output may take to end. */
const lastBreathMs = 5000;

/**
 * Reads until `find` finds something. What came after it is put back: it belongs to whoever reads next.
 *
 * @param find looks at everything heard so far, from the start
 * @throws SilenceError
 */
export async function hear<T>(
  process: PipedProcess,
  timeoutMs: number,
  find: (heard: Buffer) => Found<T> | undefined,
): Promise<T> {
  const { stdout } = process;
  const deadline = monotonicMs() + timeoutMs;
  let heard = Buffer.alloc(0);
  for (;;) {
    const chunk = stdout.read() as Buffer | null;
    if (chunk !== null) {
      heard = Buffer.concat([heard, chunk]);
      const found = find(heard);
      if (found !== undefined) {
        // At once: once the stream has noticed its end, nothing can be put back.
        if (found.end < heard.length) stdout.unshift(heard.subarray(found.end));
        return found.value;
      }
      if (heard.length > limit) throw new SilenceError({ kind: 'noise', limit, heard });
      continue;
    }
    const next = await change(process, deadline - monotonicMs());
    if (next === 'timeout') throw new SilenceError({ kind: 'timeout', ms: timeoutMs, heard });
    if (next === 'closed' && stdout.readableLength === 0) {
      // It may have closed its output and live on, but most likely it is about to say why in its exit status.
      throw new SilenceError({ kind: 'closed', exit: await process.close(lastBreathMs), heard });
    }
  }
}

/** Waits until there is something to read, or never will be, or the time is over. */
async function change({ stdout, exited }: PipedProcess, ms: number): Promise<'readable' | 'closed' | 'timeout'> {
  if (stdout.readableEnded || stdout.destroyed) return 'closed';
  let over = false;
  const timers: NodeJS.Timeout[] = [];
  const listeners: [event: string, listener: () => void][] = [];
  try {
    return await new Promise((resolve) => {
      const on = (event: string, outcome: 'readable' | 'closed'): void => {
        const listener = (): void => resolve(outcome);
        listeners.push([event, listener]);
        stdout.on(event, listener);
      };
      on('readable', 'readable');
      on('end', 'closed');
      on('close', 'closed');
      timers.push(setTimeout(() => resolve('timeout'), Math.max(0, ms)));
      // A grandchild may hold the pipe open for ever.
      void exited.then(() => {
        if (!over) timers.push(setTimeout(() => resolve('closed'), drainMs));
      });
    });
  } finally {
    over = true;
    for (const timer of timers) clearTimeout(timer);
    for (const [event, listener] of listeners) stdout.off(event, listener);
  }
}
