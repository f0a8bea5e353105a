/** What went wrong on the way to the far side, in words a person can act on, with the far side's own words below. */
import path from 'node:path';
import { LockstepError, unreachable } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';
import type { Silence } from './conversation.ts';
import type { RemoteEndpoint } from './endpoint.ts';
import { describeTarget } from './names.ts';
import type { Exit } from './process.ts';

/** Everything that is known about a failed attempt. */
export interface Failure {
  endpoint: RemoteEndpoint;
  /** What was being started over there; none when it had not answered at all yet. */
  starting?: string | undefined;
  silence: Silence;
  /** The end of what was said on stderr. */
  stderr: string;
}

/** One thing that goes wrong, by the words in which the programs tell it. */
interface Known {
  /** Which programs say so; none: any may. */
  programs?: readonly string[];
  words: RegExp;
  why: string;
  hint: string;
}

const containers = ['docker', 'podman', 'compose'] as const;

/** The first that fits is it: the more particular ones stand before the more general. */
const known: readonly Known[] = [
  {
    programs: ['ssh'],
    words: /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    why: 'its host key is not the one that was known',
    hint: 'If the machine was set up anew, remove the old key with ssh-keygen -R HOST; if not, somebody may be in between.',
  },
  {
    programs: ['ssh'],
    words: /Host key verification failed|No .* host key is known/i,
    why: 'its host key is not known here',
    hint: 'Connect once by hand with ssh, compare the fingerprint, and accept it.',
  },
  {
    programs: ['ssh'],
    words: /Permission denied \(|Too many authentication failures|^.*: Permission denied/m,
    why: 'it does not let this user in',
    hint: 'Check user and key; --identity names a key. Where nobody can be asked for a password, only keys work (ssh-add).',
  },
  {
    programs: ['ssh'],
    words: /Could not resolve hostname/,
    why: 'there is no host of this name',
    hint: 'Check the name and ~/.ssh/config.',
  },
  {
    programs: ['ssh'],
    words: /Connection refused/,
    why: 'nothing listens there',
    hint: 'Check that an ssh server runs there, and on which port: ssh://host:port/path.',
  },
  {
    programs: ['ssh'],
    words: /No route to host|Network is unreachable/,
    why: 'there is no way to it',
    hint: 'Check network and VPN.',
  },
  {
    programs: ['ssh'],
    words: /timed out|Timeout, server .* not responding/,
    why: 'it does not answer',
    hint: 'Check that it is up, and that no firewall is in between.',
  },
  {
    programs: ['ssh'],
    words: /Bad configuration option|Bad owner or permissions|command-line: line/,
    why: 'ssh refuses its configuration',
    hint: 'Check --ssh-option and ~/.ssh/config.',
  },
  {
    programs: containers,
    words: /executable file.*not found|exec: "sh"|OCI runtime.*not found|no such file or directory: OCI/i,
    why: 'there is no sh in it',
    hint: 'Lockstep needs at least a POSIX sh there, as busybox has it. Use an image with one, or a volume that another container shares.',
  },
  {
    programs: ['compose'],
    words: /unknown shorthand flag: '[Tf]'|'compose' is not a docker command/,
    why: 'this docker has no compose',
    hint: 'Install its compose plugin (the package is called docker-compose-plugin or docker-compose-v2).',
  },
  {
    programs: containers,
    words: /No such container|no container with (?:name|ID)|no such service/i,
    why: 'it does not exist',
    hint: 'See which there are with ps -a of the same program.',
  },
  {
    programs: containers,
    words: /is not running|is paused|container state improper|can only create exec sessions on running/i,
    why: 'it is not running',
    hint: 'Start it first.',
  },
  {
    programs: containers,
    words: /no configuration file provided|no such file or directory.*compose|compose.*no such file or directory/i,
    why: 'there is no compose file',
    hint: 'Run in the directory of the compose file, or name it with --compose-file.',
  },
  {
    programs: containers,
    words: /Cannot connect to the Docker daemon|dial unix|connection refused|Cannot connect to Podman/i,
    why: 'the container service cannot be reached',
    hint: 'Check that it runs, and that this user may use it.',
  },
  {
    programs: ['kubectl'],
    words: /executable file.*not found|exec: "sh"/i,
    why: 'there is no sh in it',
    hint: 'Lockstep needs at least a POSIX sh there, as busybox has it.',
  },
  {
    programs: ['kubectl'],
    words: /context .* does not exist|no context exists/i,
    why: 'there is no context of this name',
    hint: 'See which there are with kubectl config get-contexts.',
  },
  {
    programs: ['kubectl'],
    words: /container .* (?:not found|is not valid for pod)/i,
    why: 'the pod has no container of this name',
    hint: 'Write k8s://NAMESPACE/POD:CONTAINER/path with one of its containers.',
  },
  {
    programs: ['kubectl'],
    words: /not ?found/i,
    why: 'it does not exist',
    hint: 'See which there are with kubectl get pods -n NAMESPACE.',
  },
  {
    programs: ['kubectl'],
    words: /completed pod|not running|ContainerCreating|unable to upgrade connection/i,
    why: 'it is not running',
    hint: 'Wait until it is ready, or start it.',
  },
  {
    programs: ['kubectl'],
    words: /forbidden|Unauthorized|must be logged in/i,
    why: 'the cluster does not permit it',
    hint: 'The account needs the right to create pods/exec there.',
  },
  {
    programs: ['kubectl'],
    words: /connection to the server|Unable to connect to the server|no such host|connection refused/i,
    why: 'the cluster cannot be reached',
    hint: 'Check kubectl config current-context, and the network.',
  },
  {
    programs: ['vagrant'],
    words: /not (?:yet )?(?:ready|created)|must be (?:created|running)|is not running|poweroff/i,
    why: 'it is not running',
    hint: 'Start it with vagrant up.',
  },
  {
    programs: ['vagrant'],
    words: /Vagrant environment or target machine is required|was not found|Vagrantfile/i,
    why: 'vagrant knows no such machine here',
    hint: 'Run in the directory of its Vagrantfile, or use the id that vagrant global-status shows.',
  },
  {
    words: /sudo: .*(?:password is required|a terminal is required|no tty)/i,
    why: 'sudo would ask for a password there',
    hint: 'Permit it without one in sudoers (NOPASSWD), or connect as the user who owns the files.',
  },
  {
    words: /not in the sudoers file|sudo: .*not allowed/i,
    why: 'this user may not use sudo there',
    hint: 'Permit it in sudoers, or connect as the user who owns the files.',
  },
  {
    words:
      /sudo: (?:command )?not found|sudo: No such file|"sudo": executable file not found|find command 'sudo'|Unknown command.*sudo/i,
    why: 'there is no sudo',
    hint: 'Leave out --remote-sudo, and connect as the user who owns the files.',
  },
];

/** @returns the error to be thrown */
export function diagnose({ endpoint, starting, silence, stderr }: Failure): LockstepError {
  const target = describeTarget(endpoint);
  const who = escapeControls(starting === undefined ? target : `${starting} on ${target}`);
  const error = (what: string, hint?: string): LockstepError =>
    new LockstepError('connection', `${what}${farWords(silence.heard, stderr)}`, hint === undefined ? {} : { hint });

  switch (silence.kind) {
    case 'timeout': {
      const seconds = (silence.ms / 1000).toLocaleString('en-US', { maximumFractionDigits: 1 });
      return error(
        `${who} did not answer within ${seconds} s`,
        'Check that it is up and reachable, and that no login script there waits for something; or give it more time.',
      );
    }
    case 'noise':
      return error(
        `${who} sent more than ${Math.floor(silence.limit / 1024)} KB, and nothing of what was waited for`,
        'A login script there prints without end; let it print only for interactive shells.',
      );
    case 'closed': {
      if (starting !== undefined) {
        return error(
          `${who} ended before it was ready (${describeExit(silence.exit)})`,
          'Try it there by hand; --remote-node names another Node.',
        );
      }
      const programs = programsOf(endpoint);
      const said = known.find(
        (one) =>
          (one.programs === undefined || one.programs.some((program) => programs.includes(program))) &&
          one.words.test(stderr),
      );
      if (said !== undefined) return error(`cannot connect to ${escapeControls(target)}: ${said.why}`, said.hint);
      const unsaid = byExit(silence.exit, programs);
      return error(`cannot connect to ${escapeControls(target)}: ${unsaid.why}`, unsaid.hint);
    }
    default:
      return unreachable(silence);
  }
}

/** Whose words are to be expected. With a command it is the user's choice, and likely one of the known. */
function programsOf(endpoint: RemoteEndpoint): readonly string[] {
  switch (endpoint.kind) {
    case 'k8s':
      return ['kubectl'];
    case 'vagrant':
      return ['vagrant', 'ssh'];
    case 'command':
      return [path.basename(endpoint.argv[0])];
    case 'ssh':
    case 'docker':
    case 'podman':
    case 'compose':
      return [endpoint.kind];
  }
}

/** By exit status, where nothing that was said is known. */
function byExit(exit: Exit, programs: readonly string[]): { why: string; hint: string } {
  if (exit.code === 255 && programs.includes('ssh')) {
    return { why: 'ssh failed', hint: 'Try the same with ssh by hand; --ssh-option -v makes it tell more.' };
  }
  if (exit.code === 127 || exit.code === 126) {
    return {
      why: `there is no sh that can be run (exit status ${exit.code})`,
      hint: 'Lockstep needs at least a POSIX sh there, as busybox has it, or behind a forced command lockstep by its full path.',
    };
  }
  return {
    why: `it closed the connection before anything was agreed (${describeExit(exit)})`,
    hint: 'What is at the far end must give a POSIX sh on its stdin and stdout, or be lockstep serve.',
  };
}

function describeExit({ code, signal }: Exit): string {
  return signal === undefined ? `exit status ${code ?? 'unknown'}` : `ended by ${signal}`;
}

/** Lines kept of what was said: the last ones tell why. */
const keptLines = 6;
const keptWidth = 300;

/** What the far side said, on lines of their own; `''` when it was silent. */
function farWords(heard: Buffer, stderr: string): string {
  return `${quoteLines('it said:', stderr)}${quoteLines('it printed:', heard.toString())}`;
}

function quoteLines(title: string, text: string): string {
  const lines = text
    .split(/[\r\n]+/)
    .map((line) => escapeControls(line.trim()))
    .filter((line) => line !== '');
  if (lines.length === 0) return '';
  const last = lines.slice(-keptLines).map((line) => (line.length > keptWidth ? `${line.slice(0, keptWidth)}…` : line));
  return `\n  ${title}${lines.length > keptLines ? ' …' : ''}${last.map((line) => `\n    ${line}`).join('')}`;
}

/** A server of another version answered. */
export function foreignServer(endpoint: RemoteEndpoint, version: string): LockstepError {
  return new LockstepError(
    'connection',
    `${escapeControls(describeTarget(endpoint))} runs lockstep serve in version ${version} of its greeting, which is not spoken here`,
    { hint: 'Install the same version of lockstep on both sides.' },
  );
}
