/** Over a real sshd on loopback. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectAgent, connectShell, openFarSide } from '../../src/transport/bootstrap.ts';
import { parseEndpoint, type SshEndpoint } from '../../src/transport/endpoint.ts';
import { freePort, startSshd, type Sshd } from '../support/sshd.ts';
import { markProcesses, markSetting, noSurvivors, survivors } from '../support/survivors.ts';
import { connectEcho, echo, expectEcho, failure, readAll, unattended } from './support.ts';

let sshd: Sshd;
let mark: string;
let home: string;

beforeAll(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "lockstep it's home "));
  // The server itself is not to be found among the survivors, its sessions are.
  const far = markProcesses();
  Reflect.deleteProperty(process.env, 'LOCKSTEP_TEST_MARK');
  sshd = await startSshd({ serverConfig: [`SetEnv ${markSetting(far)} "HOME=${home}"`] });
  process.env['LOCKSTEP_TEST_MARK'] = mark = far;
});
afterEach(() => noSurvivors(mark));
afterAll(async () => {
  await sshd.stop();
  fs.rmSync(home, { recursive: true, force: true });
});

function at(text: string): SshEndpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint.kind !== 'ssh') throw new Error(`${text} is not ssh`);
  return endpoint;
}
const options = (): { sshOptions: string[]; interactive: false; connectTimeoutMs: number } => ({
  ...unattended,
  sshOptions: sshd.sshOptions,
});

describe('a host', () => {
  it('runs a program', async () => {
    const connection = await connectEcho(at(`${sshd.host}:src`), options());
    expect(connection.roundTrips).toBe(2);
    expect(connection.facts.home).toBe(home);
    await expectEcho(connection);
  });

  it('is named by URL, address and port', async () => {
    await expectEcho(await connectEcho(at(`ssh://${sshd.user}@127.0.0.1:${sshd.port}/~/src`), options()));
  });

  it('gives a plain shell, and paths arrive as they are', async () => {
    const connection = await connectShell(at(`${sshd.host}:`), options());
    connection.process.stdin.end('echo "$HOME"\n');
    expect((await readAll(connection.process.stdout)).toString()).toBe(`${home}\n`);
    await connection.process.exited;
  });

  it('tells where paths from home lead', async () => {
    const far = await openFarSide(at(`${sshd.host}:./a $b\nc/`), options());
    expect(far.kind === 'waiting' && far.root).toBe(`${home}/a $b\nc`);
    if (far.kind === 'waiting') await far.close();
  });

  it('keeps the program in the cache of its home', async () => {
    const first = await connectEcho(at(`${sshd.host}:`), { ...options(), agentCache: true });
    await expectEcho(first);
    const second = await connectEcho(at(`${sshd.host}:`), { ...options(), agentCache: true });
    await expectEcho(second);
    expect([first.cached, second.cached]).toEqual([false, true]);
    expect(fs.readdirSync(path.join(home, '.cache/lockstep'))).toHaveLength(1);
    fs.rmSync(path.join(home, '.cache'), { recursive: true });
  });

  it('reuses a connection that the user shares', async () => {
    const socket = path.join(sshd.dir, 'master');
    const shared = { ...options(), sshOptions: [...sshd.sshOptions, 'ControlMaster=auto', `ControlPath=${socket}`] };
    const first = await connectEcho(at(`${sshd.host}:`), shared);
    const sessions = (): number => sshd.log().split('Accepted publickey').length;
    const before = sessions();
    const second = await connectEcho(at(`${sshd.host}:`), shared);
    await expectEcho(second);
    expect(sessions()).toBe(before);
    await expectEcho(first);
  });

  it('leaves a connection alone that the user wants to persist', async () => {
    const control = ['ControlMaster=auto', 'ControlPersist=60', `ControlPath=${path.join(sshd.dir, 'persist')}`];
    const persistent = { ...options(), sshOptions: [...sshd.sshOptions, ...control] };
    await expectEcho(await connectEcho(at(`${sshd.host}:`), persistent));
    const second = await connectEcho(at(`${sshd.host}:`), persistent);
    expect(await second.process.close()).toEqual({ code: 0, signal: undefined });
    const ssh = control.flatMap((option) => ['-o', option]);
    execFileSync('ssh', [...sshd.sshOptions, ...ssh, '-O', 'exit', sshd.host], { stdio: 'ignore' });
  });

  it('stands when Ctrl-C reaches ssh, too', async () => {
    const connection = await connectEcho(at(`${sshd.host}:`), { ...options(), interactive: true });
    const ssh = survivors(mark).filter((line) => /^\d+ ssh -F/.test(line));
    expect(ssh).toHaveLength(1);
    process.kill(Number(ssh[0]?.split(' ')[0]), 'SIGINT');
    await expectEcho(connection);
  });

  it('ends with the connection', async () => {
    const connection = await connectEcho(at(`${sshd.host}:`), options());
    expect(await connection.process.close()).toEqual({ code: 0, signal: undefined });
    const killed = await connectEcho(at(`${sshd.host}:`), options());
    expect(await killed.process.kill()).toMatchObject({ code: 255 });
  });
});

describe('a forced command', () => {
  afterEach(() => sshd.setKeyOptions(''));

  it('is a server that speaks at once', async () => {
    sshd.setKeyOptions(`command="printf 'LOCKSTEP-SERVE 1\\nfirst'; exec cat"`);
    const connection = await connectAgent(at(`${sshd.host}:/x`), echo, options());
    expect(connection).toMatchObject({ kind: 'served', roundTrips: 1 });
    connection.process.stdin.end('+more');
    expect((await readAll(connection.process.stdout)).toString()).toBe('first+more');
    await connection.process.exited;
  });

  it('may be a server of another version', async () => {
    sshd.setKeyOptions(`command="printf 'LOCKSTEP-SERVE 7\\n'; exec cat"`);
    expect(await failure(connectAgent(at(`${sshd.host}:/x`), echo, options()))).toEqual({
      code: 'connection',
      message: 'lockstep-test runs lockstep serve in version 7 of its greeting, which is not spoken here',
      hint: 'Install the same version of lockstep on both sides.',
    });
  });

  it('may be something else', async () => {
    sshd.setKeyOptions('command="echo only backups here"');
    const { message } = await failure(connectAgent(at(`${sshd.host}:/x`), echo, options()));
    expect(message).toBe(
      'cannot connect to lockstep-test: it closed the connection before anything was agreed (exit status 0)\n  it printed:\n    only backups here',
    );
  });
});

describe('failures', () => {
  const told = async (text: string, ...more: string[]): Promise<string> => {
    const sshOptions = [...more, ...sshd.sshOptions];
    const { code, message, hint } = await failure(connectEcho(at(text), { ...options(), sshOptions }));
    expect(code).toBe('connection');
    expect(hint).not.toBe('');
    return message;
  };

  it('a host that is not known', async () => {
    const message = await told('no-such-host.invalid:x');
    expect(message).toMatch(
      /^cannot connect to no-such-host\.invalid: there is no host of this name\n {2}it said:\n {4}ssh: Could not resolve/,
    );
  });

  it('a port where nothing listens', async () => {
    const message = await told(`ssh://127.0.0.1:${await freePort()}/x`);
    expect(message).toMatch(/^cannot connect to 127\.0\.0\.1: nothing listens there\n.*\n.*Connection refused/);
  });

  it('a host key that is not known', async () => {
    const message = await told(`${sshd.host}:x`, 'UserKnownHostsFile=/dev/null');
    expect(message).toMatch(/^cannot connect to lockstep-test: its host key is not known here\n/);
  });

  it('a host key that changed', async () => {
    const other = path.join(sshd.dir, 'other_hosts');
    const key = fs.readFileSync(path.join(sshd.dir, 'user_key.pub'), 'utf8');
    fs.writeFileSync(other, `[127.0.0.1]:${sshd.port} ${key}`);
    const message = await told(`${sshd.host}:x`, `UserKnownHostsFile=${other}`);
    expect(message).toMatch(/^cannot connect to lockstep-test: its host key is not the one that was known\n/);
  });

  it('a key that is not let in', async () => {
    const message = await told(`ssh://127.0.0.1:${sshd.port}/x`, 'PubkeyAuthentication=no');
    expect(message).toMatch(/^cannot connect to 127\.0\.0\.1: it does not let this user in\n.*\n.*Permission denied/);
  });

  it('an option that ssh does not know', async () => {
    const message = await told(`${sshd.host}:x`, 'NoSuchOption=1');
    expect(message).toMatch(/^cannot connect to lockstep-test: ssh refuses its configuration\n/);
  });

  it('a proxy that fails', async () => {
    const message = await told(`${sshd.host}:x`, 'ProxyCommand=sh -c "echo no way >&2"');
    expect(message).toMatch(/^cannot connect to lockstep-test: ssh failed\n {2}it said:\n {4}no way\n/);
  });

  it('a host that takes the connection and says nothing', async () => {
    const { message } = await failure(
      connectEcho(at(`${sshd.host}:x`), {
        ...options(),
        sshOptions: ['ProxyCommand=sleep 1000', ...sshd.sshOptions],
        connectTimeoutMs: 300,
      }),
    );
    expect(message).toMatch(/^lockstep-test did not answer within 0\.3 s/);
  });
});
