/** What goes wrong, each with its own message and the far side's own words. */
import fs from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InterruptedError } from '../../src/base/errors.ts';
import { connectAgent, openFarSide, type ConnectOptions } from '../../src/transport/bootstrap.ts';
import { parseCommandEndpoint, parseEndpoint, type RemoteEndpoint } from '../../src/transport/endpoint.ts';
import { standIns, type StandIns } from '../support/stand-ins.ts';
import { markProcesses, noSurvivors } from '../support/survivors.ts';
import { connectEcho, echo, failure, unattended } from './support.ts';

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
const command = (...argv: string[]): RemoteEndpoint => parseCommandEndpoint('/x', argv);

/** The first line of the message when a program says `words` and exits so. */
async function told(
  text: string,
  program: string,
  status: number,
  words: string,
  options?: ConnectOptions,
): Promise<string> {
  programs.add(program, `cat >&2 <<'END'\n${words}\nEND\nexit ${status}`);
  const { code, message, hint } = await failure(connectEcho(remote(text), options));
  expect(code).toBe('connection');
  expect(hint).not.toBe('');
  const [first = '', ...rest] = message.split('\n');
  expect(rest).toEqual(['  it said:', ...words.split('\n').map((line) => `    ${line}`)]);
  return first;
}

// Words as the programs say them, from their sources and from running them.
describe.each<[text: string, program: string, status: number, words: string, why: string]>([
  ['docker://web/x', 'docker', 1, 'Error response from daemon: No such container: web', 'it does not exist'],
  [
    'docker://web/x',
    'docker',
    1,
    'Error response from daemon: container 4c01db0b339c is not running',
    'it is not running',
  ],
  [
    'docker://web/x',
    'docker',
    127,
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH: unknown',
    'there is no sh in it',
  ],
  [
    'docker://web/x',
    'docker',
    1,
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    'the container service cannot be reached',
  ],
  [
    'docker://web/x',
    'docker',
    1,
    'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/containers/web/json": dial unix /var/run/docker.sock: connect: permission denied',
    'the container service cannot be reached',
  ],
  [
    'podman://web/x',
    'podman',
    125,
    'Error: no container with name or ID "web" found: no such container',
    'it does not exist',
  ],
  [
    'podman://web/x',
    'podman',
    255,
    'Error: can only create exec sessions on running containers: container state improper',
    'it is not running',
  ],
  ['compose://web/x', 'docker', 1, 'service "web" is not running', 'it is not running'],
  ['compose://web/x', 'docker', 1, 'no such service: web', 'it does not exist'],
  ['compose://web/x', 'docker', 125, "unknown shorthand flag: 'T' in -T", 'this docker has no compose'],
  ['compose://web/x', 'docker', 14, 'no configuration file provided: not found', 'there is no compose file'],
  ['k8s://shop/web/x', 'kubectl', 1, 'Error from server (NotFound): pods "web" not found', 'it does not exist'],
  ['k8s://shop/web/x', 'kubectl', 1, 'error: context "prod" does not exist', 'there is no context of this name'],
  [
    'k8s://shop/web:a/x',
    'kubectl',
    1,
    'Error from server (BadRequest): container a is not valid for pod web',
    'the pod has no container of this name',
  ],
  [
    'k8s://shop/web/x',
    'kubectl',
    1,
    'Error from server (Forbidden): pods "web" is forbidden: User "ann" cannot create resource "pods/exec" in API group "" in the namespace "shop"',
    'the cluster does not permit it',
  ],
  [
    'k8s://shop/web/x',
    'kubectl',
    1,
    'The connection to the server localhost:8080 was refused - did you specify the right host or port?',
    'the cluster cannot be reached',
  ],
  [
    'k8s://shop/web/x',
    'kubectl',
    126,
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": executable file not found in $PATH: unknown\ncommand terminated with exit code 126',
    'there is no sh in it',
  ],
  [
    'vagrant://db/x',
    'vagrant',
    1,
    'The provider for this Vagrant-managed machine is reporting that it\nis not yet ready for SSH.',
    'it is not running',
  ],
  [
    'vagrant:///x',
    'vagrant',
    1,
    'A Vagrant environment or target machine is required to run this\ncommand.',
    'vagrant knows no such machine here',
  ],
  ['docker://web/x', 'docker', 127, 'something new', 'there is no sh that can be run (exit status 127)'],
  ['ssh://web/x', 'ssh', 255, 'kex_exchange_identification: read: Connection reset by peer', 'ssh failed'],
])('%s when %s exits with %i: %s', (text, program, status, words, why) => {
  it(`is told: ${why}`, async () => {
    expect(await told(text, program, status, words)).toMatch(new RegExp(`^cannot connect to .*: ${escape(why)}$`));
  });
});

function escape(text: string): string {
  return text.replace(/[()]/g, '\\$&');
}

describe('sudo', () => {
  it.each([
    ['sudo: a password is required', 'sudo would ask for a password there'],
    [
      'sudo: a terminal is required to read the password; either use the -S option',
      'sudo would ask for a password there',
    ],
    ['ann is not in the sudoers file.', 'this user may not use sudo there'],
    ['bash: line 1: exec: sudo: not found', 'there is no sudo'],
    ['exec: "sudo": executable file not found in $PATH', 'there is no sudo'],
  ])('%s', async (words, why) => {
    expect(await told('ssh://web/x', 'ssh', 1, words, { remoteSudo: true })).toBe(`cannot connect to web: ${why}`);
  });
});

describe('a program that is not there', () => {
  let before: string | undefined;
  beforeEach(() => {
    before = process.env['PATH'];
    process.env['PATH'] = programs.dir;
  });
  afterEach(() => {
    process.env['PATH'] = before;
  });

  it.each([
    [
      'ssh://web/x',
      'ssh',
      'Install the OpenSSH client (the package is called openssh-client or openssh), or put it on PATH.',
    ],
    ['docker://web/x', 'docker', 'Install the Docker command line, or put it on PATH.'],
    ['podman://web/x', 'podman', 'Install Podman, or put it on PATH.'],
    ['compose://web/x', 'docker', 'Install the Docker command line, or put it on PATH.'],
    ['k8s://a/b/x', 'kubectl', 'Install kubectl, or put it on PATH.'],
    ['vagrant:///x', 'vagrant', 'Install Vagrant, or put it on PATH.'],
  ])('%s', async (text, program, hint) => {
    const wanted = {
      code: 'connection',
      message: `the program ${program} is not installed on this machine, or not on PATH`,
      hint,
    };
    expect(await failure(connectEcho(remote(text)))).toEqual(wanted);
    expect(await failure(connectEcho(remote(text), { interactive: true }))).toEqual(wanted);
  });

  it('or cannot be run', async () => {
    fs.writeFileSync(`${programs.dir}/locked`, '', { mode: 0o644 });
    const { message } = await failure(connectEcho(command(`${programs.dir}/locked`)));
    expect(message).toBe(`the program ${programs.dir}/locked cannot be run: permission denied`);
    const asking = await failure(connectEcho(command('locked'), { interactive: true }));
    expect(asking.message).toBe('the program locked cannot be run: permission denied');
  });
});

describe('a far side', () => {
  it('that is no shell', async () => {
    expect((await failure(connectEcho(command('true')))).message).toBe(
      'cannot connect to the command "true": it closed the connection before anything was agreed (exit status 0)',
    );
  });

  it('that echoes what it gets', async () => {
    // The marker is in what was sent, but never in one piece.
    const { message } = await failure(connectEcho(command('cat'), { connectTimeoutMs: 300 }));
    expect(message).toMatch(/^the command "cat" did not answer within 0\.3 s\n {2}it printed:\n {4}exec sh/);
  });

  it('that says nothing', async () => {
    const { message } = await failure(connectEcho(command('sleep', '1000'), { connectTimeoutMs: 300 }));
    expect(message).toBe('the command "sleep 1000" did not answer within 0.3 s');
  });

  it('that hangs in the middle of the probe', async () => {
    programs.add('uname', 'exec sleep 1000');
    const { message } = await failure(connectEcho(command('sh'), { connectTimeoutMs: 1000 }));
    expect(message).toBe('the command "sh" did not answer within 1 s');
  });

  it('that hangs instead of running the program', async () => {
    programs.add('node', '[ "$1" = --version ] && exec echo v20.0.0\nexec sleep 1000');
    const { message } = await failure(connectEcho(command('sh'), { connectTimeoutMs: 1000 }));
    // The time grows with the program's size; this one is small.
    expect(message).toMatch(/^Node v20\.0\.0 \(.*\/node\) on the command "sh" did not answer within 1 s$/);
  });

  it('that prints without end', async () => {
    const { message } = await failure(connectEcho(command('yes', 'no terminal')));
    expect(message).toMatch(
      /^the command .* sent more than 64 KB, and nothing of what was waited for\n {2}it printed: …\n {4}no terminal\n/,
    );
  });

  it('that is a terminal', async () => {
    const { message, hint } = await failure(connectEcho(command('sh', '-c', 'sh | sed -u "s/$/\r/"')));
    expect(message).toMatch(/^there is a terminal between here and the command "sh -c .*", which changes the bytes/);
    expect(hint).toContain('-t of docker');
  });

  it('that is killed on the way', async () => {
    const { message } = await failure(connectEcho(command('sh', '-c', 'echo almost; kill -9 $$')));
    expect(message).toBe(
      `cannot connect to the command "sh -c 'echo almost; kill -9 $$'": it closed the connection before anything was agreed (ended by SIGKILL)\n  it printed:\n    almost`,
    );
  });

  it('that closes its output and lives on', async () => {
    const { message } = await failure(connectEcho(command('sh', '-c', 'exec >&-; read -r x; read -r x; exit 5')));
    expect(message).toContain('(exit status 5)');
  });

  it('whose child holds the pipe', async () => {
    const { message } = await failure(connectEcho(command('sh', '-c', 'read -r x; sleep 5 & exit 4')));
    expect(message).toContain('(exit status 4)');
  });

  it('whose words would drive the terminal', async () => {
    const { message } = await failure(connectEcho(command('sh', '-c', `printf '\\033[2Jgone\\r\\n' >&2; exit 1`)));
    expect(message).toContain('it said:\n    \\x1b[2Jgone');
  });
});

describe('an interrupted attempt', () => {
  it('before it starts', async () => {
    await expect(connectEcho(command('sh'), { signal: AbortSignal.abort() })).rejects.toThrow(InterruptedError);
  });

  it('while nothing answers', async () => {
    const stop = new AbortController();
    const attempt = connectAgent(command('sh', '-c', 'echo up >&2; exec sleep 1000'), echo, {
      ...unattended,
      signal: stop.signal,
      onStderr: () => stop.abort(),
    });
    await expect(attempt).rejects.toThrow(InterruptedError);
  });

  it('between probe and program', async () => {
    const stop = new AbortController();
    const far = await openFarSide(command('sh'), { ...unattended, signal: stop.signal });
    stop.abort();
    if (far.kind === 'served') throw new Error('served');
    await expect(far.startAgent(echo)).rejects.toThrow(InterruptedError);
  });

  it('leaves a connection alone that stands', async () => {
    const stop = new AbortController();
    const connection = await connectEcho(command('sh'), { signal: stop.signal });
    stop.abort();
    expect(await connection.process.close()).toEqual({ code: 0, signal: undefined });
  });
});
