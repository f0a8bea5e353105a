/**
 * Entry of the program that is sent through a pipe and run by whatever Node is there (transport/loader.ts): bundled into one
 * file, agent.cjs. stdin and stdout are the protocol's.
 */
import { slabInput } from '../../wire/slab-input.ts';
import { servePipe } from './serve-pipe.ts';

const input = slabInput(0);

// The pipe ends with the connection, and everything is put away then. A signal that asks for the end means the same.
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, () => input.destroy());

void servePipe(input, process.stdout).then(() => {
  // Whatever still keeps the event loop alive must not keep the process: nobody would ever end it.
  setTimeout(() => process.exit(), 5000).unref();
});
