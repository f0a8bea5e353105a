/**
 * Entry of the command line. Starts an agent before anything else is even loaded: its thread comes up while the command line
 * is being read. The other root is looked at in this thread (looked-at-here.ts).
 */
import { setFlagsFromString } from 'node:v8';
import { startAgentThread } from '../replica/agent/thread.ts';
import type { Replica } from '../replica/replica.ts';

// Megabytes of a young generation, per thread. What is allocated here dies at once or stays; V8's own choice of 16 would
// only make a large sync larger: 70 MB at a million entries.
setFlagsFromString('--max-semi-space-size=2');
// Both roots are looked at at the same time: helpers of the garbage collector would only take processors from that, 4 % of
// a run in which nothing changed. Asked anew at each collection, so it may be set when V8 is already running. That is not so
// of every such flag: --single-threaded-gc crashes.
setFlagsFromString('--no-parallel-scavenge');

/** For the second of two local roots, if the command is going to have any: `--help` and mistakes need no agents. */
function startAgents(args: readonly string[]): Replica[] {
  const [command] = args;
  if (command !== 'sync' && command !== 'push' && command !== 'pull') return [];
  if (args.length < 3 || args.includes('--help') || args.includes('-h')) return [];
  // Beside a far end the local root needs no thread (workspace/remote.ts). A guess will do: what is missing is started later.
  const isRemote = args.includes('--') || args.some((word) => /^[^-/][^/]*:/.test(word));
  return isRemote ? [] : [startAgentThread()];
}

async function main(): Promise<void> {
  const agents = startAgents(process.argv.slice(2));
  const { runProgram } = await import('./program.ts');
  const exitCode = await runProgram(process.argv, agents);
  process.exitCode = exitCode;
  // What is still queued for a pipe must get out before the process is ended (NODE.md).
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
  process.exit(exitCode);
}

void main();
