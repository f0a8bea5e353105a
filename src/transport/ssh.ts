/** ssh: the system's own, with the user's own configuration. */
import type { SshEndpoint } from './endpoint.ts';
import type { TransportSettings } from './options.ts';
import { execLine } from './quote.ts';

type Argv = [string, ...string[]];

/**
 * A connection that is shared (ControlMaster) is used where the user's configuration says so, and not otherwise.
 *
 * @param words what is to run there, as argv
 */
export function sshCommand(
  endpoint: SshEndpoint,
  words: readonly [string, ...string[]],
  settings: TransportSettings,
): Argv {
  const { identity } = settings;
  return [
    'ssh',
    ...userOptions(settings),
    ...(identity === undefined ? [] : ['-i', identity, '-o', 'IdentitiesOnly=yes']),
    ...(endpoint.port === undefined ? [] : ['-p', String(endpoint.port)]),
    ...(endpoint.user === undefined ? [] : ['-l', endpoint.user]),
    ...pipeOptions(settings),
    '--',
    endpoint.host,
    // ssh joins its arguments with spaces and hands them to the user's shell over there: one word, quoted here, it is.
    execLine(words),
  ];
}

/** The user's options, first: ssh keeps the first value that it sees. */
export function userOptions(settings: TransportSettings): string[] {
  return settings.sshOptions.flatMap((option) => (option.startsWith('-') ? [option] : ['-o', option]));
}

/** What makes ssh a clean pipe that notices when its other end is gone. */
export function pipeOptions(settings: TransportSettings): string[] {
  const seconds = Math.max(1, Math.ceil(settings.connectTimeoutMs / 1000));
  const options = [
    // A configured RemoteCommand would forbid ours; forwardings that are meant for a terminal session would fail in a
    // second one, and the far side is not trusted with them.
    'RemoteCommand=none',
    'ClearAllForwardings=yes',
    `ConnectTimeout=${seconds}`,
    'ServerAliveInterval=5',
    'ServerAliveCountMax=3',
    // Nobody is there to answer: fail at once instead of waiting for a password.
    ...(settings.interactive ? [] : ['BatchMode=yes']),
  ];
  // -T: no terminal, which would change bytes; -a, -x: neither keys nor screen of the user for the far side.
  return ['-T', '-a', '-x', ...options.flatMap((option) => ['-o', option])];
}
