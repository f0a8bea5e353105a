/**
 * Entry of the command line. Starts an agent's thread before anything else is even loaded: it comes up while the command line
 * is being read. The other root is looked at in this thread (looked-at-here.ts).
 */
import type { Worker } from 'node:worker_threads';
import { startWorker } from '../replica/worker-file.ts';

/** For the second of two local roots, if the command is going to have any: `--help` and mistakes need no agents. */
function startWorkers(args: readonly string[]): Worker[] {
  const [command] = args;
  if (command !== 'sync' && command !== 'push' && command !== 'pull') return [];
  if (args.length < 3 || args.includes('--help') || args.includes('-h')) return [];
  // Beside a far end the local root needs no thread (workspace/remote.ts). A guess will do: what is missing is started later.
  const isRemote = args.includes('--') || args.some((word) => /^[^-/][^/]*:/.test(word));
  return isRemote ? [] : [startWorker({ role: 'agent' })];
}

async function main(): Promise<void> {
  const workers = startWorkers(process.argv.slice(2));
  const { runProgram } = await import('./program.ts');
  process.exit(await runProgram(process.argv, workers));
}

void main();
