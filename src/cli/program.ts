/** The command tree, and the one place where an error becomes a message and an exit code. */
import type { Worker } from 'node:worker_threads';
import { Command, CommanderError } from '@commander-js/extra-typings';
import { v8 } from '../base/builtins.ts';
import { exitCodes, LockstepError, UsageError } from '../base/errors.ts';
import { pullCommand, pushCommand, syncCommand, type Run } from './commands/sync.ts';
import { agentIn } from '../replica/agent/thread.ts';
import { version } from '../base/version.ts';
import { guardOutput } from './output.ts';
import { printError } from './render/error.ts';
import { withValuesNamed } from './value-lists.ts';

const help = `
Examples:
  lockstep sync ~/work/project /mnt/backup/project     keep both in step, in both directions
  lockstep push ./site web:/srv/www --delete           over ssh; make the destination a mirror
  lockstep pull docker://db/var/backups ./backups      from a container
  lockstep push ./site /srv/www -- docker exec -i web sh    through any command that gives a shell
  lockstep sync ~/work/project server:project --watch  and every change from then on, as it is made
  lockstep sync a b --dry-run                          show what would be done
  lockstep history ~/work/project                      what was replaced or deleted
  lockstep restore ~/work/project notes.txt            bring it back

Exit codes:
  0  in step (settled conflicts are reported)   2   done, but open conflicts or skipped paths remain
  1  failed                                     3   stopped by a guard, nothing was changed
  64 wrong usage                                130 interrupted
`;

/**
 * Runs a command line.
 *
 * @param workers threads for agents, just started
 * @returns the exit code; never throws for what a user can do wrong
 */
export async function runProgram(argv: readonly string[], workers: readonly Worker[]): Promise<number> {
  const output = guardOutput();
  return output.end(await runCommand(argv, workers));
}

async function runCommand(argv: readonly string[], workers: readonly Worker[]): Promise<number> {
  const agents = workers.map(agentIn);
  for (const worker of workers) worker.once('online', spareProcessors);
  if (workers.length === 0) setImmediate(spareProcessors);
  let exitCode: number = exitCodes.inStep;
  const setExitCode = (code: number): void => void (exitCode = code);
  const program = new Command('lockstep')
    .description('Keeps directories in step: one-way or two-way, fast, and without losing a file.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', help)
    // `restore ROOT PATH --version 2` is the command's --version, not the program's.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(ownWords(text)) })
    .helpCommand('help [command]', 'show help for a command')
    .configureHelp({
      helpWidth: Math.min(process.stdout.columns || 100, 110),
      // As its usage has it: to commander itself, what our own check asks for is optional.
      subcommandTerm: (command) => `${command.name()} ${command.usage()}`,
    });
  const { words, command } = splitCommand(argv);
  const run: Run = { agents, remoteCommand: command, setExitCode };
  const commands = await commandsFor(words[2], run);
  for (const command of commands) program.addCommand(inheritSettings(command, program));
  try {
    await program.parseAsync(withoutHelpFor(withRootsApart(words, commands), commands));
    return exitCode;
  } catch (error) {
    return codeOf(error, argv);
  } finally {
    await Promise.allSettled(agents.map((agent) => agent.close()));
  }
}

const syncing = { sync: syncCommand, push: pushCommand, pull: pullCommand };

function isSyncing(command: string | undefined): command is keyof typeof syncing {
  return command !== undefined && Object.hasOwn(syncing, command);
}

/** The commands; of a line that begins with one of those that sync, only that: the others need not be loaded. */
async function commandsFor(first: string | undefined, run: Run): Promise<Command[]> {
  if (isSyncing(first)) return [syncing[first](run)];
  const { doctorCommand, historyCommand, restoreCommand, serveCommand } = await import('./commands/others.ts');
  return [
    ...Object.values(syncing).map((make) => make(run)),
    historyCommand(),
    restoreCommand(),
    serveCommand(),
    doctorCommand(run),
  ];
}

/**
 * Both roots are looked at at the same time: helpers of the garbage collector would only take processors from that, 4 % of a run
 * in which nothing changed. V8 asks anew at each collection, so it may be set when V8 is already running; that is not so of
 * every such flag: --single-threaded-gc crashes. But not before a thread is up: with any flag changed, V8 does not use what
 * it keeps ready compiled, and a thread takes 50 ms to start instead of 24.
 */
function spareProcessors(): void {
  v8().setFlagsFromString('--no-parallel-scavenge');
}

/** What stands behind `--` of the commands that sync is the command that leads to the far side: commander never sees it. */
function splitCommand(argv: readonly string[]): { words: string[]; command: string[] | undefined } {
  const at = argv.indexOf('--');
  const syncs = ['sync', 'push', 'pull', 'doctor'].includes(argv[2] ?? '');
  if (at < 0 || !syncs) return { words: [...argv], command: undefined };
  return { words: argv.slice(0, at), command: argv.slice(at + 1) };
}

/** Of a command that syncs: what is a root, and what a value of an option (value-lists.ts). @throws UsageError */
function withRootsApart(argv: readonly string[], commands: readonly Command[]): readonly string[] {
  const [node = '', script = '', first = '', ...words] = argv;
  const command = commands.find((each) => each.name() === first);
  if (command === undefined || !isSyncing(first)) return argv;
  return [node, script, first, ...withValuesNamed(words, command.options, first === 'pull' ? 2 : Infinity)];
}

/** `help snyc` as `snyc`, so that the mistake is named: commander itself would show the general help. */
function withoutHelpFor(argv: readonly string[], commands: readonly Command[]): string[] {
  const [node = '', script = '', first, topic, ...rest] = argv;
  const isMistaken = first === 'help' && topic !== undefined && !/^-|^help$/.test(topic);
  if (!isMistaken || commands.some((command) => command.name() === topic)) return [...argv];
  return [node, script, topic, ...rest];
}

function inheritSettings(command: Command, program: Command): Command {
  return command
    .copyInheritedSettings(program)
    .exitOverride()
    .helpOption('-h, --help', 'show help')
    .configureOutput({
      outputError: (text, write) => {
        write(ownWords(text));
        write(`  Try: lockstep ${command.name()} --help\n`);
      },
    });
}

/** Commander's complaints in the form of ours. */
function ownWords(text: string): string {
  return text.replace(/^error: /, 'lockstep: ').replace(/\n\((Did you mean .*)\)/, '\n  $1');
}

function codeOf(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError) {
    // Help and version end with 0; everything else that commander finds is wrong usage, already printed for people.
    if (error.exitCode === 0) return exitCodes.inStep;
    if (argv.includes('--json')) printError(new UsageError(error.message.replace(/^error: /, '')), true);
    return exitCodes.usage;
  }
  printError(error, argv.includes('--json'));
  return error instanceof LockstepError ? error.exitCode : exitCodes.failed;
}
