import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../base/errors.ts';
import { parseCommandEndpoint, parseEndpoint, type Endpoint } from './endpoint.ts';
import { describeTarget, endpointIdentity, formatEndpoint } from './names.ts';
import { parseRemotePath, resolveRemotePath } from './remote-path.ts';

const root = (path: string) => ({ from: 'root', path }) as const;
const home = (path: string) => ({ from: 'home', path }) as const;

describe('what is read', () => {
  it.each<[string, Endpoint]>([
    // Local, as rsync decides it: a slash before the first colon.
    ['/srv/app', { kind: 'local', path: '/srv/app' }],
    ['app', { kind: 'local', path: 'app' }],
    ['./a:b', { kind: 'local', path: './a:b' }],
    ['/a:b', { kind: 'local', path: '/a:b' }],
    ['a/b:c', { kind: 'local', path: 'a/b:c' }],
    ['~/a', { kind: 'local', path: '~/a' }],
    ['-x', { kind: 'local', path: '-x' }],
    ['a@b', { kind: 'local', path: 'a@b' }],
    ['[x]', { kind: 'local', path: '[x]' }],
    [' ', { kind: 'local', path: ' ' }],
    // ssh, as scp writes it.
    ['web:app', { kind: 'ssh', host: 'web', path: home('app') }],
    ['c:app', { kind: 'ssh', host: 'c', path: home('app') }],
    ['web:', { kind: 'ssh', host: 'web', path: home('') }],
    ['web:.', { kind: 'ssh', host: 'web', path: home('') }],
    ['web:/', { kind: 'ssh', host: 'web', path: root('/') }],
    ['web:/srv//app/', { kind: 'ssh', host: 'web', path: root('/srv/app') }],
    ['web:~', { kind: 'ssh', host: 'web', path: home('') }],
    ['web:~/src/', { kind: 'ssh', host: 'web', path: home('src') }],
    ['web:~ann/src', { kind: 'ssh', host: 'web', path: { from: 'user-home', user: 'ann', path: 'src' } }],
    ['web:~ann', { kind: 'ssh', host: 'web', path: { from: 'user-home', user: 'ann', path: '' } }],
    ['web:./~ann', { kind: 'ssh', host: 'web', path: home('~ann') }],
    ['web:~a$(b)/c', { kind: 'ssh', host: 'web', path: home('~a$(b)/c') }],
    ['web:../x', { kind: 'ssh', host: 'web', path: home('../x') }],
    ['web:a:b', { kind: 'ssh', host: 'web', path: home('a:b') }],
    ['web:a b\'"$x\n*', { kind: 'ssh', host: 'web', path: home('a b\'"$x\n*') }],
    ['web:%41', { kind: 'ssh', host: 'web', path: home('%41') }],
    ['ann@web:/a', { kind: 'ssh', user: 'ann', host: 'web', path: root('/a') }],
    ['ann@corp@web:/a', { kind: 'ssh', user: 'ann@corp', host: 'web', path: root('/a') }],
    ['CORP\\ann@web:/a', { kind: 'ssh', user: 'CORP\\ann', host: 'web', path: root('/a') }],
    ['[::1]:/a', { kind: 'ssh', host: '::1', path: root('/a') }],
    ['ann@[fe80::1%eth0]:a', { kind: 'ssh', user: 'ann', host: 'fe80::1%eth0', path: home('a') }],
    // ssh, as a URL.
    ['ssh://web/srv/a', { kind: 'ssh', host: 'web', path: root('/srv/a') }],
    ['SSH://ann@web:2222/a', { kind: 'ssh', user: 'ann', host: 'web', port: 2222, path: root('/a') }],
    ['ssh://[::1]:22/a', { kind: 'ssh', host: '::1', port: 22, path: root('/a') }],
    ['ssh://web/~', { kind: 'ssh', host: 'web', path: home('') }],
    ['ssh://web/~/a', { kind: 'ssh', host: 'web', path: home('a') }],
    ['ssh://web/~ann/a', { kind: 'ssh', host: 'web', path: { from: 'user-home', user: 'ann', path: 'a' } }],
    ['ssh://web//~/a', { kind: 'ssh', host: 'web', path: root('/~/a') }],
    ['ssh://web/%7E/a', { kind: 'ssh', host: 'web', path: root('/~/a') }],
    ['ssh://web/', { kind: 'ssh', host: 'web', path: root('/') }],
    ['ssh://a%40b@web/%25%20%0A?x#y', { kind: 'ssh', user: 'a@b', host: 'web', path: root('/% \n?x#y') }],
    ['ssh://web/%FF%C3%A9', { kind: 'ssh', host: 'web', path: root('/\udcffé') }],
    // The others.
    ['docker://web/app', { kind: 'docker', container: 'web', path: root('/app') }],
    ['docker://ann@web/~/x', { kind: 'docker', user: 'ann', container: 'web', path: home('x') }],
    ['podman://web/app', { kind: 'podman', container: 'web', path: root('/app') }],
    ['compose://web/app', { kind: 'compose', container: 'web', path: root('/app') }],
    ['k8s://shop/web-0/app', { kind: 'k8s', namespace: 'shop', pod: 'web-0', path: root('/app') }],
    [
      'k8s://ann@prod@shop/deploy%2Fweb:main/app',
      { kind: 'k8s', context: 'ann@prod', namespace: 'shop', pod: 'deploy/web', container: 'main', path: root('/app') },
    ],
    ['k8s://a/b/', { kind: 'k8s', namespace: 'a', pod: 'b', path: root('/') }],
    ['vagrant:///srv', { kind: 'vagrant', path: root('/srv') }],
    ['vagrant://db/srv', { kind: 'vagrant', machine: 'db', path: root('/srv') }],
  ])('%s', (text, wanted) => {
    expect(parseEndpoint(text)).toEqual(wanted);
  });

  it.each([
    ['/srv/app', root('/srv/app')],
    ['~', home('')],
    ['~/a', home('a')],
  ])('%s -- CMD', (text, path) => {
    expect(parseCommandEndpoint(text, ['sh', ''])).toEqual({ kind: 'command', argv: ['sh', ''], path });
  });
});

describe('what is refused', () => {
  it.each([
    ['', 'a root is empty'],
    [':app', ':app names no host'],
    ['@web:app', '@web:app names no user'],
    ['ann@:app', 'ann@:app names no host'],
    ['[]:app', '[]:app names no host'],
    ['-oProxyCommand=x:app', '-oProxyCommand=x:app: a host cannot start with "-": it would be taken for an option'],
    ['-l@web:app', '-l@web:app: a user cannot start with "-": it would be taken for an option'],
    ['we b:app', 'we b:app: a host cannot hold the character " "'],
    ['a;b:app', 'a;b:app: a host cannot hold the character ";"'],
    ['$(x):app', '$(x):app: a host cannot hold the character "$"'],
    ['a\nb:app', 'a\\nb:app: a host cannot hold the character "\\n"'],
    ['a\0b:app', 'a\\x00b:app: a host cannot hold the character "\\x00"'],
    ['web:a\0b', 'the path a\\x00b holds a NUL character, which no path can'],
    ['a\0b', 'a\\x00b holds a NUL character, which no path can'],
    ['web::module', 'web::module names a module of an rsync daemon, which is not spoken here'],
    ['rsync://web/a', 'rsync://web/a: no endpoint is written rsync://'],
    ['s3://bucket', 's3://bucket: no endpoint is written s3://'],
    ['ssh://web', 'ssh://web names no path'],
    ['ssh:///a', 'ssh:///a names no host'],
    ['ssh://@web/a', 'ssh://@web/a names no user'],
    ['ssh://web:/a', 'ssh://web:/a: "" is not a port'],
    ['ssh://web:0/a', 'ssh://web:0/a: "0" is not a port'],
    ['ssh://web:65536/a', 'ssh://web:65536/a: "65536" is not a port'],
    ['ssh://web:2x/a', 'ssh://web:2x/a: "2x" is not a port'],
    ['ssh://::1/a', 'ssh://::1/a: "::1" is not a host and a port'],
    ['ssh://[::1]x/a', 'ssh://[::1]x/a: "[::1]x" is not a host and a port'],
    ['ssh://%2Dx/a', 'ssh://%2Dx/a: a host cannot start with "-": it would be taken for an option'],
    ['ssh://a%0Ab/a', 'ssh://a%0Ab/a: a host cannot hold the character "\\n"'],
    ['ssh://web/a%00', 'the path /a\\x00 holds a NUL character, which no path can'],
    ['ssh://web/%zz', 'ssh://web/%zz: "%zz" is not a percent escape'],
    ['ssh://web/100%', 'ssh://web/100%: "%" is not a percent escape'],
    ['ssh://web/~$x/a', 'ssh://web/~$x/a: "~$x/a" is no user\'s home'],
    ['docker:///app', 'docker:///app names no container'],
    ['docker://web', 'docker://web names no path'],
    [
      'docker://--privileged/app',
      'docker://--privileged/app: a container cannot start with "-": it would be taken for an option',
    ],
    ['compose:///app', 'compose:///app names no service'],
    ['k8s://shop', 'k8s://shop names no pod'],
    ['k8s://shop/web', 'k8s://shop/web names no path'],
    ['k8s:///web/app', 'k8s:///web/app names no namespace'],
    ['k8s://shop/:c/app', 'k8s://shop/:c/app names no pod'],
    ['k8s://shop/web:/app', 'k8s://shop/web:/app names no container'],
    ['k8s://@shop/web/app', 'k8s://@shop/web/app names no context'],
    ['vagrant://', 'vagrant:// names no path'],
    ['vagrant://-x/a', 'vagrant://-x/a: a machine cannot start with "-": it would be taken for an option'],
  ])('%s', (text, message) => {
    const error = thrown(() => parseEndpoint(text));
    expect(error.message).toBe(message);
    expect(error.hint ?? '').not.toBe('');
  });

  it.each<[string, string[], string]>([
    ['/a', [], 'there is no command after --'],
    ['/a', [''], 'there is no command after --'],
    ['/a', ['sh', 'a\0'], 'the argument a\\x00 holds a NUL character, which no command line can carry'],
    ['a', ['sh'], 'a is not absolute'],
    ['', ['sh'], 'an empty path is not absolute'],
  ])('%s -- %j', (path, argv, message) => {
    expect(thrown(() => parseCommandEndpoint(path, argv)).message).toBe(message);
  });
});

function thrown(act: () => unknown): UsageError {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('names', () => {
  it.each([
    ['web:src', 'web:~/src', 'ssh://web/~/src', 'web'],
    ['ssh://web/~/src/', 'web:~/src', 'ssh://web/~/src', 'web'],
    ['ann@[::1]:/a b', 'ann@[::1]:/a b', 'ssh://ann@[::1]/a%20b', 'ann@::1'],
    ['ssh://ann@web:2222/a', 'ssh://ann@web:2222/a', 'ssh://ann@web:2222/a', 'ann@web'],
    ['docker://web/a', 'docker://web/a', 'docker://web/a', 'docker container web'],
    ['compose://ann@web/a', 'compose://ann@web/a', 'compose://ann@web/a', 'compose service web'],
    ['k8s://c@n/p:x/a', 'k8s://c@n/p:x/a', 'k8s://c@n/p:x/a', 'pod p in namespace n'],
    ['vagrant:///a', 'vagrant:///a', 'vagrant:///a', 'the vagrant machine'],
    ['vagrant://db/a', 'vagrant://db/a', 'vagrant://db/a', 'vagrant machine db'],
  ])('%s', (text, shown, identity, target) => {
    const endpoint = parseEndpoint(text);
    if (endpoint.kind === 'local') throw new Error('local');
    expect([formatEndpoint(endpoint), endpointIdentity(endpoint), describeTarget(endpoint)]).toEqual([
      shown,
      identity,
      target,
    ]);
  });

  it('local paths and commands', () => {
    expect(endpointIdentity(parseEndpoint('/a b'))).toBe('/a b');
    expect(formatEndpoint(parseEndpoint('a b'))).toBe('a b');
    const command = parseCommandEndpoint('~/x', ['docker', 'exec', '-i', 'a b', 'sh']);
    expect(formatEndpoint(command)).toBe("~/x (-- docker exec -i 'a b' sh)");
    expect(endpointIdentity(command)).toBe('command://docker+exec+-i+a%20b+sh/~/x');
    // What separates is escaped inside.
    const joined = parseCommandEndpoint('~/x', ['docker+exec', '-i/a']);
    expect(endpointIdentity(joined)).toBe('command://docker%2Bexec+-i%2Fa/~/x');
  });

  it('an identity is read as the endpoint it was made of', () => {
    const host = fc.stringMatching(/^[A-Za-z0-9_.][A-Za-z0-9_.%-]{0,8}$/);
    const user = fc.stringMatching(/^[A-Za-z0-9_.@\\%:/[\]]{1,8}$/);
    const part = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }),
      fc.constantFrom('~', '~ann', '..', '%41', '\udcff', 'a:b', '#?'),
    );
    const clean = part.filter((text) => !/[\0/]/.test(text) && text !== '.' && isName(text));
    const path = fc.oneof(
      fc.array(clean).map((parts) => root(`/${parts.join('/')}`)),
      fc.array(clean).map((parts) => home(parts.join('/'))),
    );
    const ssh = fc.record(
      { kind: fc.constant('ssh' as const), user, host, port: fc.integer({ min: 1, max: 65_535 }), path },
      { requiredKeys: ['kind', 'host', 'path'] },
    );
    const k8s = fc.record(
      { kind: fc.constant('k8s' as const), context: user, namespace: host, pod: host, container: host, path },
      { requiredKeys: ['kind', 'namespace', 'pod', 'path'] },
    );
    const docker = fc.record({ kind: fc.constant('docker' as const), container: host, path });
    const usable = fc
      .oneof(ssh, k8s, docker)
      .filter((endpoint) => !(endpoint.kind === 'k8s' && /\\/.test(endpoint.context ?? '')));
    fc.assert(
      fc.property(usable, (endpoint) => {
        expect(parseEndpoint(endpointIdentity(endpoint))).toEqual(endpoint);
      }),
      { numRuns: 1000 },
    );
  });
});

/** No lone surrogates but those that stand for bytes, and these not in a row that would be UTF-8. */
function isName(text: string): boolean {
  return text === '\udcff' || text.isWellFormed();
}

describe('remote paths', () => {
  it.each([
    ['/a', '/a'],
    ['~', '/home/me'],
    ['a/b', '/home/me/a/b'],
    ['~ann/b', '/home/ann/b'],
  ])('%s is %s', (text, wanted) => {
    const path = parseRemotePath(text, 'home');
    expect(path && resolveRemotePath(path, { home: '/home/me', userHome: '/home/ann' })).toBe(wanted);
  });

  it('at a home that is the root', () => {
    expect(resolveRemotePath(home('a'), { home: '/', userHome: undefined })).toBe('/a');
    expect(resolveRemotePath(home(''), { home: '/', userHome: undefined })).toBe('/');
  });

  it('without a home', () => {
    for (const unknown of [undefined, '', 'relative']) {
      expect(() => resolveRemotePath(home('a'), { home: unknown, userHome: undefined })).toThrow(
        '~/a is meant from the home directory, but the far side did not say where that is',
      );
    }
  });
});
