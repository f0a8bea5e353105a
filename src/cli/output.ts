/** What becomes of a run whose output cannot be written: the disk is full, or the terminal is gone. */
import { exitCodes, LockstepError, reasonOf } from '../base/errors.ts';
import { printError } from './render/error.ts';

const streams = { output: process.stdout, messages: process.stderr };

/**
 * From now on, a run goes on to its end when nobody can be told of it: it has locks and staging to put away. A reader that
 * stops reading (`| head`) wants no more, and that is no error; whatever else keeps output from being written is one.
 */
export function guardOutput(): { end: (exitCode: number) => Promise<number> } {
  let isLost = false;
  for (const [what, stream] of Object.entries(streams)) {
    let isStopped = false;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || isStopped) return;
      isLost = isStopped = true;
      stopWriting(stream);
      // Over what is being shown there of the progress.
      if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
      printError(new LockstepError('io', `the ${what} cannot be written: ${reasonOf(error)}`), false);
    });
  }
  const isSound: readonly number[] = [exitCodes.inStep, exitCodes.incomplete];
  return {
    /** Writes what is still queued for a pipe. @returns the exit code that is due then */
    async end(exitCode) {
      for (const stream of Object.values(streams)) {
        await new Promise<void>((resolve) => stream.write('', () => resolve()));
      }
      return isLost && isSound.includes(exitCode) ? exitCodes.failed : exitCode;
    },
  };
}

/** Nothing more comes after a gap: lines with some missing between them would be taken for all there is. */
function stopWriting(stream: NodeJS.WriteStream): void {
  stream.write = (_text: unknown, ...rest: unknown[]): boolean => {
    const done = rest.find((argument) => typeof argument === 'function') as (() => void) | undefined;
    if (done !== undefined) queueMicrotask(done);
    return true;
  };
}
