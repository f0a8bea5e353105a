/** Endpoints written back: for people, and as keys. */
import { shellWord } from '../base/text.ts';
import { encodeName } from '../tree/path.ts';
import type { Endpoint, RemoteEndpoint } from './endpoint.ts';
import { formatRemotePath, type RemotePath } from './remote-path.ts';

/** As a person would write it, for messages. Names are not escaped: whoever prints does that. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'local') return endpoint.path;
  if (endpoint.kind === 'command') {
    return `${formatRemotePath(endpoint.path)} (-- ${endpoint.argv.map(shellWord).join(' ')})`;
  }
  // With a port there is only the URL; else the short form, which is what people type.
  if (endpoint.kind !== 'ssh' || endpoint.port !== undefined) return endpointIdentity(endpoint);
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return `${endpoint.user === undefined ? '' : `${endpoint.user}@`}${host}:${formatRemotePath(endpoint.path)}`;
}

/** What is being connected to, without the path: `ann@web`, `docker container web`. */
export function describeTarget(endpoint: RemoteEndpoint): string {
  switch (endpoint.kind) {
    case 'ssh':
      return `${endpoint.user === undefined ? '' : `${endpoint.user}@`}${endpoint.host}`;
    case 'docker':
    case 'podman':
      return `${endpoint.kind} container ${endpoint.container}`;
    case 'compose':
      return `compose service ${endpoint.container}`;
    case 'k8s':
      return `pod ${endpoint.pod} in namespace ${endpoint.namespace}`;
    case 'vagrant':
      return endpoint.machine === undefined ? 'the vagrant machine' : `vagrant machine ${endpoint.machine}`;
    case 'command':
      return `the command "${endpoint.argv.map(shellWord).join(' ')}"`;
  }
}

/**
 * One string per place, however it was written: what a link's id is made of. `host:src`, `host:~/src/` and
 * `ssh://host/~/src` are the same. What only the far side could tell (which user ssh's configuration picks, where a
 * link leads) is not looked into. For all but local paths and commands it is a URL that parses to the same endpoint.
 *
 * @param endpoint a local path must be absolute already: this room does not know from where it is meant
 */
export function endpointIdentity(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'local':
      return endpoint.path;
    case 'ssh': {
      const host = endpoint.host.includes(':') ? `[${escapePart(endpoint.host, ':')}]` : escapePart(endpoint.host);
      const port = endpoint.port === undefined ? '' : `:${endpoint.port}`;
      return `ssh://${userPart(endpoint.user)}${host}${port}${pathPart(endpoint.path)}`;
    }
    case 'docker':
    case 'podman':
    case 'compose':
      return `${endpoint.kind}://${userPart(endpoint.user)}${escapePart(endpoint.container)}${pathPart(endpoint.path)}`;
    case 'k8s': {
      const container = endpoint.container === undefined ? '' : `:${escapePart(endpoint.container)}`;
      const pod = `${escapePart(endpoint.pod)}${container}`;
      return `k8s://${userPart(endpoint.context)}${escapePart(endpoint.namespace)}/${pod}${pathPart(endpoint.path)}`;
    }
    case 'vagrant':
      return `vagrant://${escapePart(endpoint.machine ?? '')}${pathPart(endpoint.path)}`;
    case 'command':
      return `command://${endpoint.argv.map((word) => escapePart(word)).join('+')}${pathPart(endpoint.path)}`;
  }
}

function userPart(user: string | undefined): string {
  return user === undefined ? '' : `${escapePart(user)}@`;
}

function pathPart(path: RemotePath): string {
  const written = formatRemotePath(path);
  if (path.from !== 'root') return `/${escapePart(written, '/~')}`;
  // An absolute path whose first part starts with ~ must not be read as a home.
  return escapePart(written, '/~').replace(/^\/~/, '//~');
}

/** Percent-encodes everything but what is safe anywhere in a URL, and `also`. */
function escapePart(text: string, also = ''): string {
  let escaped = '';
  for (const byte of encodeName(text)) {
    const character = String.fromCharCode(byte);
    escaped += /[A-Za-z0-9._-]/.test(character) || also.includes(character) ? character : percent(byte);
  }
  return escaped;
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
