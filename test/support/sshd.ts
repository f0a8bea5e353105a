/**
 * A real sshd on loopback, on a free port, with keys and configuration of its own: nothing of the machine's ssh is read
 * or changed.
 *
 *     const sshd = await startSshd({ serverConfig: ['SetEnv LANG=C'] });
 *     … { sshOptions: sshd.sshOptions }, endpoint `${sshd.host}:/path`
 *     await sshd.stop();
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

export interface SshdOptions {
  /** Further lines of sshd_config; they come first, so they win. */
  serverConfig?: readonly string[];
  /** Put before the key in authorized_keys: `command="…",restrict`. */
  keyOptions?: string;
}

export interface Sshd {
  /** An alias that only the configuration of `sshOptions` knows. */
  host: string;
  port: number;
  user: string;
  /** Where keys and configuration are. */
  dir: string;
  /** The client's configuration file, for `ssh -F`, `rsync -e`. */
  clientConfig: string;
  /** For `TransportOptions.sshOptions`. */
  sshOptions: string[];
  /** What the server logged so far. */
  log(): string;
  /** Changes what the key may do (`''`: everything), for connections from now on. */
  setKeyOptions(options: string): void;
  stop(): Promise<void>;
}

const host = 'lockstep-test';

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-sshd-'));
  const file = (name: string): string => path.join(dir, name);
  const user = os.userInfo().username;
  for (const key of ['host_key', 'user_key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', file(key)]);
  }
  const publicKey = (name: string): string => fs.readFileSync(file(`${name}.pub`), 'utf8').trim();
  const setKeyOptions = (keyOptions: string): void => {
    const prefix = keyOptions === '' ? '' : `${keyOptions} `;
    fs.writeFileSync(file('authorized_keys'), `${prefix}${publicKey('user_key')}\n`, { mode: 0o600 });
  };
  setKeyOptions(options.keyOptions ?? '');
  // sshd wants it, and does not make it itself.
  if (process.getuid?.() === 0) fs.mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });

  let tries = 0;
  for (;;) {
    const port = await freePort();
    fs.writeFileSync(file('sshd_config'), serverConfig(dir, port, options.serverConfig ?? []));
    fs.writeFileSync(file('ssh_config'), clientConfig(dir, port, user));
    fs.writeFileSync(file('known_hosts'), `[127.0.0.1]:${port} ${publicKey('host_key')}\n`);
    let log = '';
    const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file('sshd_config')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const up = await new Promise<boolean>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        if (log.includes('Server listening')) resolve(true);
      });
      child.once('error', () => resolve(false));
      child.once('exit', () => resolve(false));
    });
    if (up) {
      return {
        host,
        port,
        user,
        dir,
        clientConfig: file('ssh_config'),
        sshOptions: [`-F${file('ssh_config')}`],
        log: () => log,
        setKeyOptions,
        stop: async () => {
          await end(child);
          fs.rmSync(dir, { recursive: true, force: true });
        },
      };
    }
    tries += 1;
    // Another process may have taken the port in between; anything else fails every time.
    if (tries === 3) {
      fs.rmSync(dir, { recursive: true, force: true });
      throw new Error(`sshd does not start:\n${log}`);
    }
  }
}

function serverConfig(dir: string, port: number, first: readonly string[]): string {
  return `${[
    ...first,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${dir}/host_key`,
    `AuthorizedKeysFile ${dir}/authorized_keys`,
    `PidFile ${dir}/pid`,
    'PubkeyAuthentication yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    // The keys lie below /tmp, which everybody may write to.
    'StrictModes no',
    'UsePAM no',
    'PrintMotd no',
    'MaxStartups 100',
    // What a test sets for the command line (inject.ts) is meant for the far side as well.
    'AcceptEnv NODE_OPTIONS LOCKSTEP_TEST_*',
  ].join('\n')}\n`;
}

function clientConfig(dir: string, port: number, user: string): string {
  return `Host ${host}
  HostName 127.0.0.1
  Port ${port}
  User ${user}
Host *
  IdentityFile ${dir}/user_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${dir}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  SendEnv NODE_OPTIONS LOCKSTEP_TEST_*
`;
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}
