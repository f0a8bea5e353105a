/** Vagrant machines: ssh, with what vagrant knows about them. */
import { LockstepError } from '../base/errors.ts';
import type { VagrantEndpoint } from './endpoint.ts';
import type { TransportSettings } from './options.ts';
import { execLine } from './quote.ts';
import { pipeOptions, userOptions } from './ssh.ts';

type Argv = [string, ...string[]];

/** The command whose output is the machine's ssh configuration. */
export function vagrantConfigCommand({ machine }: VagrantEndpoint): Argv {
  return ['vagrant', 'ssh-config', ...(machine === undefined ? [] : [machine])];
}

/**
 * ssh to a machine.
 *
 * The configuration goes to ssh option by option instead of as a file (`-F`): nothing has to be written and cleaned
 * up here. As with `vagrant ssh`, the user's own configuration is not read.
 *
 * @param config what `vagrant ssh-config` printed
 * @throws LockstepError `connection` when that is no configuration of one host
 */
export function vagrantSsh(config: string, words: readonly [string, ...string[]], settings: TransportSettings): Argv {
  const { host, lines } = parseSshConfig(config);
  const options = lines.flatMap((line) => ['-o', line]);
  return [
    'ssh',
    '-F/dev/null',
    ...userOptions(settings),
    ...options,
    ...pipeOptions(settings),
    '--',
    host,
    execLine(words),
  ];
}

/** `Host default` and the indented lines below it, each as ssh takes it after `-o` (quotes included). */
function parseSshConfig(config: string): { host: string; lines: string[] } {
  const lines = config.split(/\r?\n/).map((line) => line.trim());
  const wanted = lines.filter((line) => line !== '' && !line.startsWith('#'));
  // Vagrant's own notices may stand in front.
  const start = wanted.findIndex((line) => /^Host\s/.test(line));
  const host = /^Host\s+(\S+)$/.exec(wanted[start] ?? '')?.[1];
  if (host === undefined || host.startsWith('-')) {
    throw new LockstepError('connection', `vagrant ssh-config printed no ssh configuration`, {
      hint: 'Run it by hand to see what it prints.',
    });
  }
  const body = wanted.slice(start + 1);
  const next = body.findIndex((line) => /^Host\s/.test(line));
  const own = next < 0 ? body : body.slice(0, next);
  return { host, lines: own.filter((line) => /^[A-Za-z][A-Za-z0-9]*[\s=]/.test(line)) };
}
