/** Every kind of endpoint through a stand-in on PATH: called with exactly these arguments, and working. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseCommandEndpoint, parseEndpoint, type RemoteEndpoint } from '../../src/transport/endpoint.ts';
import type { ConnectOptions } from '../../src/transport/bootstrap.ts';
import { probeScript } from '../../src/transport/probe-script.ts';
import { standIns, type StandIns } from '../support/stand-ins.ts';
import { markProcesses, noSurvivors } from '../support/survivors.ts';
import { connectEcho, expectEcho } from './support.ts';

let mark: string;
let programs: StandIns;
beforeAll(() => {
  mark = markProcesses();
});
beforeEach(() => {
  programs = standIns();
});
afterEach(async () => {
  programs.remove();
  await noSurvivors(mark);
});

function remote(text: string): RemoteEndpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint.kind === 'local') throw new Error(`${text} is local`);
  return endpoint;
}

/** Connects through a stand-in and returns how it was called, the probe's own arguments replaced. */
async function called(text: string, options: ConnectOptions = {}): Promise<string[][]> {
  await expectEcho(await connectEcho(remote(text), options));
  return programs.calls().map((call) => call.map(withoutProbe));
}

function withoutProbe(word: string): string {
  if (word === probeScript) return 'PROBE';
  if (/^[0-9a-f]{16}$/.test(word)) return 'HALF';
  const quoted = /^(exec .*)'[0-9a-f]{16}' '[0-9a-f]{16}'( .*)$/s.exec(word);
  return quoted === null ? word : `${quoted[1] ?? ''}HALF HALF${quoted[2] ?? ''}`.replace(`'${probeScript}'`, 'PROBE');
}

const sh = ['sh', '-c', 'PROBE', 'lockstep', 'HALF', 'HALF', '', ''];

describe('containers', () => {
  beforeEach(() => {
    for (const program of ['docker', 'podman', 'kubectl']) programs.addRunner(program);
    programs.add('sudo', 'shift; exec "$@"');
  });

  it.each<[string, string[], ConnectOptions?]>([
    ['docker://web/app', ['docker', 'exec', '-i', 'web', ...sh]],
    ['docker://ann@web/app', ['docker', 'exec', '-i', '-u', 'ann', 'web', ...sh]],
    ['podman://web/app', ['podman', 'exec', '-i', 'web', ...sh]],
    ['compose://web/app', ['docker', 'compose', 'exec', '-T', 'web', ...sh]],
    [
      'compose://web/app',
      ['docker', 'compose', '-f', 'a dir/c.yml', 'exec', '-T', 'web', ...sh],
      { composeFile: 'a dir/c.yml' },
    ],
    ['k8s://shop/web-0/app', ['kubectl', 'exec', '-i', '-n', 'shop', 'web-0', '--', ...sh]],
    [
      'k8s://ann@prod@shop/deploy%2Fweb:main/app',
      ['kubectl', 'exec', '-i', '--context', 'ann@prod', '-n', 'shop', 'deploy/web', '-c', 'main', '--', ...sh],
    ],
  ])('%s', async (text, argv, options) => {
    expect(await called(text, options)).toEqual([argv]);
  });

  it('runs through sudo', async () => {
    expect(await called('docker://web/app', { remoteSudo: true })).toEqual([
      ['docker', 'exec', '-i', 'web', 'sudo', '-n', ...sh],
      ['sudo', '-n', ...sh],
    ]);
  });

  it('hands on a path to Node and a user whose home is meant', async () => {
    const options = { remoteNode: "/it's $HOME/`x`" };
    const [call] = await called('docker://web/~root/x', options);
    expect(call?.slice(-2)).toEqual(["/it's $HOME/`x`", 'root']);
  });
});

/** ssh: what comes after the user's own options. */
const pipe = [
  ...['-T', '-a', '-x', '-o', 'RemoteCommand=none', '-o', 'ClearAllForwardings=yes', '-o', 'ConnectTimeout=30'],
  ...['-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=3', '-o', 'BatchMode=yes'],
];
const line = "exec sh '-c' PROBE 'lockstep' HALF HALF '' ''";

describe('ssh', () => {
  // As sshd does it: the user's shell, -c, and the arguments joined.
  beforeEach(() => programs.add('ssh', 'for last; do :; done; exec "${LOGIN_SHELL:-sh}" -c "$last"'));
  afterEach(() => Reflect.deleteProperty(process.env, 'LOGIN_SHELL'));

  it.each<[string, string[], ConnectOptions?]>([
    ['web:app', ['ssh', ...pipe, '--', 'web', line]],
    ['ann@web:/srv/app', ['ssh', '-l', 'ann', ...pipe, '--', 'web', line]],
    ['ssh://ann@[::1]:2222/srv/app', ['ssh', '-p', '2222', '-l', 'ann', ...pipe, '--', '::1', line]],
    [
      'web:',
      ['ssh', '-o', 'ProxyJump=b', '-v', '-i', '/my key', '-o', 'IdentitiesOnly=yes', ...pipe, '--', 'web', line],
      { sshOptions: ['ProxyJump=b', '-v'], identity: '/my key' },
    ],
  ])('%s', async (text, argv, options) => {
    expect(await called(text, options)).toEqual([argv]);
  });

  it('runs through sudo, from the home of the user who logs in', async () => {
    programs.add('sudo', 'shift; HOME=/nonexistent exec "$@"');
    const connection = await connectEcho(remote('web:app'), { remoteSudo: true });
    expect(connection.facts.workingDirectory).toBe(process.cwd());
    await expectEcho(connection);
    const [ssh, sudo] = programs.calls().map((call) => call.map(withoutProbe));
    expect(ssh?.at(-1)).toBe("exec sudo '-n' 'sh' '-c' PROBE 'lockstep' HALF HALF '' ''");
    expect(sudo).toEqual(['sudo', '-n', ...sh]);
  });

  it('leaves questions to ssh where somebody can answer', async () => {
    const [call] = await called('web:', { interactive: true });
    expect(call).not.toContain('BatchMode=yes');
  });

  const shells = ['dash', 'bash', 'busybox sh', 'zsh', 'mksh', 'fish', 'tcsh'];
  // The last four are other people's: where they are installed.
  it.each(shells.filter((shell) => has(shell.split(' ')[0] ?? '')))(
    'gets through %s as the login shell',
    async (shell) => {
      programs.add('login', `exec ${shell} "$@"`);
      process.env['LOGIN_SHELL'] = 'login';
      await expectEcho(await connectEcho(remote('web:'), { remoteNode: "/a b/$(c)/it's" }));
      expect(programs.calls()).toHaveLength(2);
    },
  );
});

function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('vagrant', () => {
  const config = `Host default
  HostName 127.0.0.1
  User vagrant
  Port 2222
  StrictHostKeyChecking no
  IdentityFile "/my machines/.vagrant/key"
`;
  beforeEach(() => {
    programs.add('vagrant', `cat <<'END'\n==> vagrant: A new version is available\n${config}END`);
    programs.add('ssh', 'for last; do :; done; exec sh -c "$last"');
  });
  const options = [
    ...['-o', 'HostName 127.0.0.1', '-o', 'User vagrant', '-o', 'Port 2222'],
    ...['-o', 'StrictHostKeyChecking no', '-o', 'IdentityFile "/my machines/.vagrant/key"'],
  ];

  it.each([
    ['vagrant:///srv', ['vagrant', 'ssh-config']],
    ['vagrant://db/srv', ['vagrant', 'ssh-config', 'db']],
  ])('%s', async (text, asked) => {
    expect(await called(text)).toEqual([asked, ['ssh', '-F/dev/null', ...options, ...pipe, '--', 'default', line]]);
  });

  it('keeps what ssh really takes out of it', () => {
    // The real ssh agrees on how these options are written.
    const real = execFileSync('/usr/bin/ssh', ['-G', '-F/dev/null', ...options, 'default'], { encoding: 'utf8' });
    expect(real).toContain('identityfile /my machines/.vagrant/key\n');
    expect(real).toContain('port 2222\n');
  });
});

describe('any command', () => {
  it('gets its arguments as they are', async () => {
    programs.add('my-shell', 'exec sh');
    const argv = ['my-shell', 'a b', '', '$HOME', '*', '--'] as const;
    await expectEcho(await connectEcho(parseCommandEndpoint('/x', argv)));
    expect(programs.calls()[0]?.slice(0, 2)).toEqual(['my-shell', 'a b']);
  });

  it('may run the far end through sudo', async () => {
    programs.add('sudo', 'shift; exec "$@"');
    await expectEcho(await connectEcho(parseCommandEndpoint('/x', ['sh']), { remoteSudo: true }));
    expect(programs.calls().map((call) => call.map(withoutProbe))).toEqual([['sudo', '-n', ...sh]]);
  });
});
