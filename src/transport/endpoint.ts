/**
 * Endpoints: how a root is named on the command line and in configuration.
 *
 *     path                                    a directory here
 *     [user@]host:path                        over ssh, as scp and rsync write it; `[::1]:path` for an IPv6 address
 *     ssh://[user@]host[:port]/abs            over ssh, as a URL; `/~/rel` from the home directory
 *     docker://[user@]CONTAINER/abs           docker exec; podman:// likewise
 *     compose://[user@]SERVICE/abs            docker compose exec
 *     k8s://[CONTEXT@]NAMESPACE/POD[:CONTAINER]/abs
 *     vagrant://[MACHINE]/abs                 ssh with what `vagrant ssh-config` says
 *     path -- CMD ARG…                        any command that gives a shell on its stdin and stdout
 */
import { UsageError } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';
import { checkHost, checkUser } from './host-name.ts';
import { parseRemotePath, type RemotePath } from './remote-path.ts';
import { parseUrl } from './url.ts';

export interface LocalEndpoint {
  kind: 'local';
  /** As given: relative to the working directory, or absolute. */
  path: string;
}

export interface SshEndpoint {
  kind: 'ssh';
  user?: string;
  /** A name (also an alias of the user's ssh configuration) or an address; IPv6 without brackets. */
  host: string;
  port?: number;
  path: RemotePath;
}

export interface ContainerEndpoint {
  kind: 'docker' | 'podman' | 'compose';
  user?: string;
  /** A container's name or id; with compose, a service. */
  container: string;
  path: RemotePath;
}

export interface KubernetesEndpoint {
  kind: 'k8s';
  context?: string;
  namespace: string;
  /** A pod; `deploy/web` (written `deploy%2Fweb`) is kubectl's choice among the pods of a deployment. */
  pod: string;
  container?: string;
  path: RemotePath;
}

export interface VagrantEndpoint {
  kind: 'vagrant';
  /** None: the only machine, or the primary one. */
  machine?: string;
  path: RemotePath;
}

export interface CommandEndpoint {
  kind: 'command';
  /** The program and its arguments; run as they stand, without a shell here. */
  argv: readonly [string, ...string[]];
  path: RemotePath;
}

/** A root somewhere else, reached through a program that runs here. */
export type RemoteEndpoint = SshEndpoint | ContainerEndpoint | KubernetesEndpoint | VagrantEndpoint | CommandEndpoint;

export type Endpoint = LocalEndpoint | RemoteEndpoint;

/**
 * Reads an endpoint.
 *
 * Whether `a:b` is a host follows rsync: a `/` before the first `:` makes it a local path, so `./a:b` always is one.
 *
 * @throws UsageError with a hint that says how it is written
 */
export function parseEndpoint(text: string): Endpoint {
  if (text === '') throw new UsageError('a root is empty', { hint: 'Name a directory or an endpoint.' });
  const url = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text);
  if (url !== null) return parseUrl(text, (url[1] ?? '').toLowerCase(), url[2] ?? '');
  return parseScpLike(text) ?? local(text);
}

function local(path: string): LocalEndpoint {
  if (path.includes('\0')) {
    throw new UsageError(`${escapeControls(path)} holds a NUL character, which no path can`, {
      hint: 'Remove it (a quoting mistake in a script?).',
    });
  }
  return { kind: 'local', path };
}

/** `[user@]host:path`; none for a local path. */
function parseScpLike(text: string): SshEndpoint | undefined {
  const bracketed = /^(?:([^/[]*)@)?\[([^\]/]*)\]:(.*)$/s.exec(text);
  if (bracketed !== null) return sshEndpoint(text, bracketed[1], bracketed[2] ?? '', bracketed[3] ?? '');
  const colon = text.indexOf(':');
  const slash = text.indexOf('/');
  if (colon < 0 || (slash >= 0 && slash < colon)) return undefined;
  if (text.startsWith('::', colon)) {
    throw new UsageError(`${escapeControls(text)} names a module of an rsync daemon, which is not spoken here`, {
      hint: 'Use one colon to go over ssh: host:path. An IPv6 address stands in brackets: [::1]:path.',
    });
  }
  const target = text.slice(0, colon);
  // A user's name may hold an @ itself (ann@corp@host); the last one is ours, as in ssh.
  const at = target.lastIndexOf('@');
  return sshEndpoint(text, at < 0 ? undefined : target.slice(0, at), target.slice(at + 1), text.slice(colon + 1));
}

function sshEndpoint(text: string, user: string | undefined, host: string, pathText: string): SshEndpoint {
  const hint = `Write [user@]host:path, or ./${escapeControls(text)} if it is a path on this machine.`;
  const path = parseRemotePath(pathText, 'home');
  if (path === undefined) throw new UsageError(`${escapeControls(text)} names no path`, { hint });
  return {
    kind: 'ssh',
    ...(user === undefined ? {} : { user: checkUser(text, user, hint) }),
    host: checkHost(text, 'host', host, hint),
    path,
  };
}

/**
 * The command form: `push SRC /abs -- CMD ARG…`.
 *
 * @param path absolute, or from `~`: a bare relative path would depend on where the command happens to start its shell
 * @throws UsageError
 */
export function parseCommandEndpoint(path: string, argv: readonly string[]): CommandEndpoint {
  const [program, ...rest] = argv;
  if (program === undefined || program === '') {
    throw new UsageError('there is no command after --', {
      hint: 'Name one that gives a shell on its stdin and stdout, for example: -- docker exec -i web sh',
    });
  }
  const bad = argv.find((word) => word.includes('\0'));
  if (bad !== undefined) {
    throw new UsageError(`the argument ${escapeControls(bad)} holds a NUL character, which no command line can carry`, {
      hint: 'Remove it (a quoting mistake in a script?).',
    });
  }
  const parsed = parseRemotePath(path, 'refused');
  if (parsed === undefined) {
    throw new UsageError(`${path === '' ? 'an empty path' : escapeControls(path)} is not absolute`, {
      path,
      hint: 'With a command after --, the path at its far end is absolute (/srv/app) or starts from home (~/app).',
    });
  }
  return { kind: 'command', argv: [program, ...rest], path: parsed };
}
