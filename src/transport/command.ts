/** From an endpoint to the program that is run here so that a POSIX `sh` runs there, with clean pipes to it. */
import { composeCommand, containerCommand } from './container.ts';
import type { RemoteEndpoint, VagrantEndpoint } from './endpoint.ts';
import { kubernetesCommand } from './kubernetes.ts';
import type { TransportSettings } from './options.ts';
import { execLine } from './quote.ts';
import { sshCommand } from './ssh.ts';
import { vagrantSsh } from './vagrant.ts';

/** A program to be run here. */
export interface Command {
  /** Given to the system as it is; no shell sees it on this side. */
  argv: readonly [string, ...string[]];
  /**
   * What is sent first, where the far side is a shell that reads its commands from stdin. One line, and nothing may follow
   * before an answer came: such a shell reads ahead, and what it has read never reaches a program that it starts.
   */
  firstLine: string | undefined;
  /** It may ask the user something at the terminal: a password, whether a host key is right. */
  mayAsk: boolean;
}

/** What is to run over there: `sh -c script lockstep args…`. */
export interface ShellProgram {
  script: string;
  args: readonly string[];
}

/**
 * @param vagrantConfig what `vagrant ssh-config` printed; for vagrant endpoints only (vagrant.ts)
 * @throws UsageError for what no command line can carry
 */
export function commandFor(
  endpoint: Exclude<RemoteEndpoint, VagrantEndpoint> | (VagrantEndpoint & { sshConfig: string }),
  program: ShellProgram,
  settings: TransportSettings,
): Command {
  const words = farWords(program, settings);
  switch (endpoint.kind) {
    case 'ssh':
      return { argv: sshCommand(endpoint, words, settings), firstLine: undefined, mayAsk: true };
    case 'vagrant':
      return { argv: vagrantSsh(endpoint.sshConfig, words, settings), firstLine: undefined, mayAsk: true };
    case 'docker':
    case 'podman':
      return { argv: containerCommand(endpoint, words), firstLine: undefined, mayAsk: false };
    case 'compose':
      return { argv: composeCommand(endpoint, words, settings), firstLine: undefined, mayAsk: false };
    case 'k8s':
      return { argv: kubernetesCommand(endpoint, words), firstLine: undefined, mayAsk: false };
    case 'command':
      return { argv: endpoint.argv, firstLine: `${execLine(words)}\n`, mayAsk: true };
  }
}

/** The program as argv at the far end. */
function farWords({ script, args }: ShellProgram, settings: TransportSettings): [string, ...string[]] {
  // -n: never asks for a password, because stdin is not a terminal but ours.
  const words: [string, ...string[]] = ['sh', '-c', script, 'lockstep', ...args];
  return settings.remoteSudo ? ['sudo', '-n', ...words] : words;
}
