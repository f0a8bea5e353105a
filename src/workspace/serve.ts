/** Serving some directories on this process's stdin and stdout. */
import { Transform } from 'node:stream';
import type { Restriction } from '../replica/agent/restricted.ts';
import { servePipe } from '../replica/agent/serve-pipe.ts';
import { startWorker } from '../replica/worker-file.ts';
import { serveGreeting } from '../transport/serve-greeting.ts';

/** Serves until the other side says goodbye or is gone. */
export async function serveRoots(restriction: Restriction): Promise<void> {
  process.stdout.write(serveGreeting);
  const input = new WithoutShellLine();
  process.stdin.on('error', (error) => input.destroy(error));
  process.stdin.pipe(input);
  await servePipe(input, process.stdout, {
    restriction,
    startHelper: (request) => startWorker({ role: 'scanner', ...request }),
  });
  process.stdin.destroy();
}

/**
 * Leaves out a first line `exec …`: what the other side says where it expects a shell (transport/command.ts). No frame
 * begins so (wire/frames.ts): it would be the head of one of 1.6 GB.
 */
class WithoutShellLine extends Transform {
  #start: Buffer | undefined = Buffer.alloc(0);

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error, chunk?: Buffer) => void): void {
    if (this.#start === undefined) {
      done(undefined, chunk);
      return;
    }
    this.#start = Buffer.concat([this.#start, chunk]);
    const start = this.#start;
    const end = start.indexOf('\n') + 1;
    const isLine = start.subarray(0, 5).equals(Buffer.from('exec ').subarray(0, start.length));
    if (isLine && end === 0 && start.length < 65_536) done();
    else {
      this.#start = undefined;
      done(undefined, isLine && end > 0 ? start.subarray(end) : start);
    }
  }
}
