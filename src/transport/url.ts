/** Endpoints written as URLs. */
import { UsageError } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';
import { decodeName } from '../tree/path.ts';
import type {
  ContainerEndpoint,
  KubernetesEndpoint,
  RemoteEndpoint,
  SshEndpoint,
  VagrantEndpoint,
} from './endpoint.ts';
import { checkHost, checkUser } from './host-name.ts';
import { parseRemotePath, type RemotePath } from './remote-path.ts';

/** How each kind is written, for hints. */
const forms = {
  ssh: 'ssh://[user@]host[:port]/absolute/path or ssh://host/~/path/from/home',
  docker: 'docker://CONTAINER/absolute/path',
  podman: 'podman://CONTAINER/absolute/path',
  compose: 'compose://SERVICE/absolute/path',
  k8s: 'k8s://[CONTEXT@]NAMESPACE/POD[:CONTAINER]/absolute/path',
  vagrant: 'vagrant://[MACHINE]/absolute/path',
} as const;

type Scheme = keyof typeof forms;

/** One URL being read: its parts are raw, decoded when they are taken. */
interface Url {
  /** The whole of it, for messages. */
  text: string;
  hint: string;
  authority: string;
  /** From the `/` after the authority on; `''` when there is none. */
  rest: string;
}

/**
 * @param scheme in lower case
 * @param afterScheme what follows `://`
 * @throws UsageError
 */
export function parseUrl(text: string, scheme: string, afterScheme: string): RemoteEndpoint {
  if (!isScheme(scheme)) {
    throw new UsageError(`${escapeControls(text)}: no endpoint is written ${scheme}://`, {
      hint: `There are ${Object.keys(forms).join('://, ')}://, user@host:path and plain paths; ./ in front makes anything a path.`,
    });
  }
  const slash = afterScheme.indexOf('/');
  const url: Url = {
    text,
    hint: `Write ${forms[scheme]}; a literal % is %25.`,
    authority: slash < 0 ? afterScheme : afterScheme.slice(0, slash),
    rest: slash < 0 ? '' : afterScheme.slice(slash),
  };
  switch (scheme) {
    case 'ssh':
      return parseSsh(url);
    case 'docker':
    case 'podman':
    case 'compose':
      return parseContainer(url, scheme);
    case 'k8s':
      return parseKubernetes(url);
    case 'vagrant':
      return parseVagrant(url);
  }
}

function isScheme(scheme: string): scheme is Scheme {
  return Object.hasOwn(forms, scheme);
}

function parseSsh(url: Url): SshEndpoint {
  const [user, target] = splitUser(url.authority);
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(target);
  if (parts === null) {
    throw new UsageError(`${escapeControls(url.text)}: "${escapeControls(target)}" is not a host and a port`, {
      hint: `${url.hint} An IPv6 address stands in brackets: ssh://[::1]/path.`,
    });
  }
  const host = decode(url, parts[1] ?? parts[2] ?? '');
  return {
    kind: 'ssh',
    ...(user === undefined ? {} : { user: checkUser(url.text, decode(url, user), url.hint) }),
    host: checkHost(url.text, 'host', host, url.hint),
    ...(parts[3] === undefined ? {} : { port: parsePort(url, parts[3]) }),
    path: parsePath(url, url.rest),
  };
}

function parsePort(url: Url, text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`${escapeControls(url.text)}: "${escapeControls(text)}" is not a port`, {
    hint: 'A port is a number from 1 to 65535.',
  });
}

function parseContainer(url: Url, kind: ContainerEndpoint['kind']): ContainerEndpoint {
  const [user, container] = splitUser(url.authority);
  const what = kind === 'compose' ? 'service' : 'container';
  return {
    kind,
    ...(user === undefined ? {} : { user: checkUser(url.text, decode(url, user), url.hint) }),
    container: checkHost(url.text, what, decode(url, container), url.hint),
    path: parsePath(url, url.rest),
  };
}

function parseKubernetes(url: Url): KubernetesEndpoint {
  const [context, namespace] = splitUser(url.authority);
  const [, podAndContainer = '', rest = ''] = /^\/([^/]*)(.*)$/s.exec(url.rest) ?? [];
  const colon = podAndContainer.indexOf(':');
  const pod = colon < 0 ? podAndContainer : podAndContainer.slice(0, colon);
  const name = (what: string, raw: string): string => checkHost(url.text, what, decode(url, raw), url.hint);
  return {
    kind: 'k8s',
    ...(context === undefined ? {} : { context: name('context', context) }),
    namespace: name('namespace', namespace),
    pod: name('pod', pod),
    ...(colon < 0 ? {} : { container: name('container', podAndContainer.slice(colon + 1)) }),
    path: parsePath(url, rest),
  };
}

function parseVagrant(url: Url): VagrantEndpoint {
  const machine = decode(url, url.authority);
  return {
    kind: 'vagrant',
    ...(machine === '' ? {} : { machine: checkHost(url.text, 'machine', machine, url.hint) }),
    path: parsePath(url, url.rest),
  };
}

/** At the last `@`: a context or a user may hold one itself. */
function splitUser(authority: string): [user: string | undefined, rest: string] {
  const at = authority.lastIndexOf('@');
  return at < 0 ? [undefined, authority] : [authority.slice(0, at), authority.slice(at + 1)];
}

function parsePath(url: Url, raw: string): RemotePath {
  // `/~` is how a URL says `~`. What merely starts so, as /~backup~, is told apart by the shell's rules.
  const path = decode(url, raw);
  const parsed = parseRemotePath(/^\/~[^/]*(\/|$)/.test(raw) ? path.slice(1) : path, 'refused');
  if (parsed === undefined) {
    const missing = raw === '';
    throw new UsageError(
      missing
        ? `${escapeControls(url.text)} names no path`
        : `${escapeControls(url.text)}: "${escapeControls(path.slice(1))}" is no user's home`,
      { hint: missing ? `${url.hint} The home directory is /~.` : url.hint },
    );
  }
  return parsed;
}

/** Percent-decodes. A path's bytes need not be UTF-8: they come out as everywhere here (tree/path.ts). */
function decode(url: Url, raw: string): string {
  const broken = /%(?![0-9A-Fa-f]{2}).{0,2}/s.exec(raw);
  if (broken !== null) {
    throw new UsageError(`${escapeControls(url.text)}: "${escapeControls(broken[0])}" is not a percent escape`, {
      hint: url.hint,
    });
  }
  return raw.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => decodeName(Buffer.from(escapes.replaceAll('%', ''), 'hex')));
}
