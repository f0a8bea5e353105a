import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { countingProxy } from './counting-proxy.js';
import { run } from './process.js';

/** The far end's name: an alias only the configuration files made here know. */
export const HOST = 'lockstep-bench';

/**
 * @typedef {object} Sshd a real sshd on loopback
 * @property {string} config for `ssh -F`: straight to the server
 * @property {string} countedConfig for `ssh -F`: past a counter, which costs time and so has no place in a measured run
 * @property {() => Promise<number>} takeBytes waits until counted connections have closed; bytes both ways since last time
 */

/**
 * Runs `use` with a server that has keys and configuration of its own: nothing of the machine's or the user's ssh is
 * read or changed, and nothing of it stays.
 *
 * @template T
 * @param {string} farState where programs at the far end keep state, configuration and caches
 * @param {(sshd: Sshd) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withSshd(farState, use) {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-bench-sshd-'));
  try {
    for (const key of ['host_key', 'user_key']) {
      await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', join(dir, key)]);
    }
    writeFileSync(join(dir, 'authorized_keys'), readFileSync(join(dir, 'user_key.pub')), { mode: 0o600 });
    // sshd wants it, and does not make it itself.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    const port = await freePort();
    writeFileSync(join(dir, 'sshd_config'), serverConfig(dir, port, farState));
    const server = await listening(join(dir, 'sshd_config'));
    const proxy = await countingProxy(port);
    try {
      const config = clientConfig(dir, 'direct', port);
      const countedConfig = clientConfig(dir, 'counted', proxy.port);
      return await use({ config, countedConfig, takeBytes: proxy.take });
    } finally {
      proxy.close();
      server.kill('SIGTERM');
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * @param {string} config
 * @returns {Promise<import('node:child_process').ChildProcess>} once it takes connections
 */
function listening(config) {
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let log = '';
    child.stderr.on('data', (/** @type {Buffer} */ chunk) => {
      // It is read to the end, or a full pipe would stop the server; a line for each connection need not be kept.
      log = (log + chunk.toString()).slice(-4000);
      if (log.includes('Server listening')) resolve(child);
    });
    child.once('error', (error) => reject(new Error(`sshd does not start: ${error.message}`)));
    child.once('exit', () => reject(new Error(`sshd does not start: ${log.trim()}`)));
  });
}

/**
 * @param {string} dir
 * @param {number} port
 * @param {string} farState
 */
function serverConfig(dir, port, farState) {
  const env = {
    // The same Node at both ends, wherever the one running this was installed.
    PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    XDG_STATE_HOME: join(farState, 'xdg-state'),
    XDG_CONFIG_HOME: join(farState, 'xdg-config'),
    XDG_CACHE_HOME: join(farState, 'xdg-cache'),
  };
  const words = Object.entries(env).map(([name, value]) => `"${name}=${value}"`);
  return `SetEnv ${words.join(' ')}
Port ${port}
ListenAddress 127.0.0.1
HostKey ${dir}/host_key
AuthorizedKeysFile ${dir}/authorized_keys
PidFile none
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
# The keys lie below a directory everybody may write to.
StrictModes no
UsePAM no
PrintMotd no
`;
}

/**
 * @param {string} dir
 * @param {string} name
 * @param {number} port
 * @returns {string} the file's path
 */
function clientConfig(dir, name, port) {
  const knownHosts = join(dir, `${name}.hosts`);
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${readFileSync(join(dir, 'host_key.pub'), 'latin1')}`);
  const file = join(dir, `${name}.conf`);
  const text = `Host ${HOST}
  HostName 127.0.0.1
  Port ${port}
  User ${userInfo().username}
  IdentityFile ${dir}/user_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${knownHosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
`;
  writeFileSync(file, text);
  return file;
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port on 127.0.0.1');
  return address.port;
}
