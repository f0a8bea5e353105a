/** The bootstrap through every shell at hand: as `-- CMD`, reading its commands from stdin, and noisy ones. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectAgent, connectShell, openFarSide } from '../../src/transport/bootstrap.ts';
import { parseCommandEndpoint } from '../../src/transport/endpoint.ts';
import { packProgram } from '../../src/transport/loader.ts';
import { markProcesses, noSurvivors } from '../support/survivors.ts';
import { connectEcho, expectEcho, failure, readAll, unattended } from './support.ts';

function installed(program: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const posix: [name: string, argv: string[]][] = [
  ['sh', ['sh']],
  ['dash', ['dash']],
  ['bash', ['bash']],
  ['busybox', ['busybox', 'sh']],
];
// Other shells, where they are installed. fish is not among them: it reads no commands from a socket, which Node's pipes
// are. As a login shell behind ssh it works (endpoints.test.ts).
const others: [name: string, argv: string[]][] = [
  ['zsh', ['zsh']],
  ['mksh', ['mksh']],
  ['tcsh', ['tcsh']],
];
const logins = others.filter(([name]) => installed(name));

let mark: string;
let dir: string;
const env = { ...process.env };

beforeAll(() => {
  mark = markProcesses();
});
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-transport-'));
});
afterEach(() => noSurvivors(mark));
afterEach(() => {
  for (const name of ['HOME', 'PATH', 'XDG_CACHE_HOME', 'NODE_OPTIONS']) {
    if (env[name] === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = env[name];
  }
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const at = (argv: readonly string[], to = '/tmp') => parseCommandEndpoint(to, argv);
let scripts = 0;

/** A script to be used as the command. */
function script(body: string): string {
  scripts += 1;
  const file = path.join(dir, `script${scripts}`);
  fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

describe.each([...posix, ...logins])('%s', (_name, argv) => {
  it('runs a program that has its streams for itself', async () => {
    const connection = await connectEcho(at(argv));
    expect(connection.roundTrips).toBe(2);
    expect(connection.facts.node?.version).toBe(execFileSync('node', ['--version'], { encoding: 'utf8' }).trim());
    await expectEcho(connection);
    expect(connection.process.bytesOut).toBeGreaterThan(300_000);
    expect(connection.process.bytesIn).toBeGreaterThan(300_000);
  });

  it('gives a plain shell', async () => {
    const connection = await connectShell(at(argv), unattended);
    connection.process.stdin.end('echo "$((6 * 7))"; exit 3\n');
    expect((await readAll(connection.process.stdout)).toString()).toBe('42\n');
    expect(await connection.process.exited).toEqual({ code: 3, signal: undefined });
  });

  it('is noisy before it starts', async () => {
    const noisy = script(
      `yes 'Welcome! $(boo) LOCKSTEP-SERVE' | head -c 10000; printf 'no line break'; exec ${argv.join(' ')}`,
    );
    await expectEcho(await connectEcho(at([noisy])));
  });
});

describe('the probe', () => {
  it('tells what is there', async () => {
    process.env['HOME'] = dir;
    const far = await openFarSide(at(['sh'], '~/in/here'), unattended);
    if (far.kind === 'served') throw new Error('served');
    const { facts } = far;
    expect(facts.system).toBe(execFileSync('uname', ['-s', '-m'], { encoding: 'utf8' }).trim());
    expect(facts.uid).toBe(process.getuid?.());
    const umask = /^Umask:\s*(\d+)/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1];
    expect(facts.umask).toBe(Number.parseInt(umask ?? '', 8));
    expect(facts.home).toBe(dir);
    expect(facts.workingDirectory).toBe(process.cwd());
    expect(far.root).toBe(`${dir}/in/here`);
    expect([...facts.tools]).toEqual(expect.arrayContaining(['find', 'stat', 'tar', 'sha256sum', 'head', 'dd', 'mv']));
    expect(facts.tools.has('zstd')).toBe(installed('zstd'));
    expect(Math.abs((facts.clock?.seconds ?? 0) * 1000 - (facts.clock?.readAtMs ?? 0))).toBeLessThan(60_000);
    await far.close();
  });

  it('finds the home of a user', async () => {
    const far = await openFarSide(at(['sh'], '~root/x'), unattended);
    expect(far.kind === 'waiting' && far.root).toBe('/root/x');
    if (far.kind === 'waiting') await far.close();
  });

  it('says that there is no such user', async () => {
    const far = await openFarSide(at(['sh'], '~no-such-user-here/x'), unattended);
    if (far.kind === 'served') throw new Error('served');
    expect(() => far.root).toThrow('the far side knows no user no-such-user-here, so there is no ~no-such-user-here/x');
    await far.close();
  });

  it('carries a home that is not UTF-8, and does not guess at one with a line break', async () => {
    const strange = await openFarSide(
      at([script(`HOME=$(printf '/h\\377me'); export HOME; exec sh`)], '~'),
      unattended,
    );
    expect(strange.kind === 'waiting' && strange.root).toBe('/h\udcffme');
    if (strange.kind === 'waiting') await strange.close();
    const broken = await openFarSide(at([script(`HOME='/a\nb'; export HOME; exec sh`)], '~'), unattended);
    expect(broken.kind === 'waiting' && broken.facts.home).toBeUndefined();
    expect(() => broken.kind === 'waiting' && broken.root).toThrow('did not say where that is');
    if (broken.kind === 'waiting') await broken.close();
  });
});

describe('finding Node', () => {
  /** A PATH with the tools, and without Node. */
  function toolsOnly(): string {
    const tools = path.join(dir, 'tools');
    if (fs.existsSync(tools)) return tools;
    fs.mkdirSync(tools);
    for (const tool of ['sh', 'id', 'uname', 'date', 'head', 'timeout', 'yes']) {
      const real = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', tool], { encoding: 'utf8' }).trim();
      fs.symlinkSync(real, path.join(tools, tool));
    }
    return tools;
  }

  function home(name: string, nodes: Record<string, string>): string {
    const at = path.join(dir, name);
    for (const [file, body] of Object.entries(nodes)) {
      fs.mkdirSync(path.dirname(path.join(at, file)), { recursive: true });
      fs.writeFileSync(path.join(at, file), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    fs.mkdirSync(at, { recursive: true });
    return at;
  }
  const version = (text: string): string => `echo ${text}`;
  const real = `exec '${process.execPath}' "$@"`;
  /** sh -lc reads /etc/profile, which sets PATH anew: a login shell that finds none is one that is not told of it. */
  const isolated = (homeDir: string): readonly string[] => {
    const quiet = path.join(homeDir, '.profile');
    fs.writeFileSync(quiet, 'PATH=/nowhere\n');
    return ['env', `HOME=${homeDir}`, `PATH=${toolsOnly()}`, 'sh'];
  };
  const hidden = (file: string): boolean => fs.existsSync(file);
  // Their places are absolute: on a machine that has Node there, nothing can be shown about what comes after.
  const bare = !hidden('/usr/local/bin/node') && !hidden('/opt/homebrew/bin/node');

  it.runIf(bare)('takes the newest of nvm, by number', async () => {
    const at1 = home('nvm', {
      '.nvm/versions/node/v9.11.2/bin/node': version('v9.11.2'),
      '.nvm/versions/node/v20.1.0/bin/node': real,
      '.nvm/versions/node/v100.0.0/lib': '',
    });
    const connection = await connectEcho(at(isolated(at1)));
    expect(connection.facts.node?.path).toBe(`${at1}/.nvm/versions/node/v20.1.0/bin/node`);
    await expectEcho(connection);
  });

  it.runIf(bare)('goes on behind one that is too old or broken', async () => {
    const at1 = home('volta', {
      '.local/bin/node': version('v16.20.2'),
      '.nvm/versions/node/v18.0.0/bin/node': 'exit 1',
      '.volta/bin/node': real,
    });
    const connection = await connectEcho(at(isolated(at1)));
    expect(connection.facts.node?.path).toBe(`${at1}/.volta/bin/node`);
    expect(connection.facts.tried).toEqual([
      { path: `${at1}/.nvm/versions/node/v18.0.0/bin/node`, version: undefined },
      { path: `${at1}/.local/bin/node`, version: 'v16.20.2' },
    ]);
    await expectEcho(connection);
  });

  it.runIf(bare)('asks a login shell last, and reads past what that prints', async () => {
    const at1 = home('login', { 'own/node': real });
    const argv = isolated(at1);
    fs.writeFileSync(path.join(at1, '.profile'), `echo hello; PATH='${at1}/own'; read -r stolen\n`);
    const connection = await connectEcho(at(argv));
    expect(connection.facts.node?.path).toBe(`${at1}/own/node`);
    await expectEcho(connection);
  });

  it('tries the one that was named first', async () => {
    const at1 = home("it's $HOME; a", { 'my node': real });
    const connection = await connectEcho(at(['sh']), { remoteNode: path.join(at1, 'my node') });
    expect(connection.facts.node?.path).toBe(path.join(at1, 'my node'));
    await expectEcho(connection);
    const fromHome = await connectEcho(at(['env', `HOME=${at1}`, 'sh']), { remoteNode: '~/my node' });
    expect(fromHome.facts.node?.path).toBe(path.join(at1, 'my node'));
    await expectEcho(fromHome);
  });

  it.runIf(bare)('says where it looked', async () => {
    expect(await failure(connectEcho(at(isolated(home('none', {})))))).toMatchObject({
      code: 'connection',
      message: expect.stringMatching(
        /^there is no Node on the command "env .*\n {2}looked for: node and nodejs on PATH/,
      ) as string,
      hint: 'Install Node 18 or later there, or name its path with --remote-node.',
    });
    const old = home('old', { '.local/bin/node': version('v16.20.2') });
    const { message } = await failure(connectEcho(at(isolated(old))));
    expect(message).toMatch(/^no Node on .* is new enough: 18 or later is needed/);
    expect(message).toContain(`found: ${old}/.local/bin/node (v16.20.2)`);
  });

  it('believes the loader, where a Node lies about its version', async () => {
    const lying = home('lying', {
      node: `[ "$1" = --version ] && exec echo v22.0.0\nshift; exec '${process.execPath}' -e 'Object.defineProperty(process.versions,"node",{value:"14.1.0"});Object.defineProperty(process,"version",{value:"v14.1.0"});eval(process.argv[1])' "$@"`,
    });
    const { message } = await failure(connectEcho(at(['sh']), { remoteNode: `${lying}/node` }));
    expect(message).toContain(`found: ${lying}/node (v14.1.0)`);
  });

  it('tells how a Node ended that does not start', async () => {
    const dying = home('dying', {
      node: '[ "$1" = --version ] && exec echo v22.0.0\necho "bad instruction" >&2; exit 9',
    });
    const { message } = await failure(connectEcho(at(['sh']), { remoteNode: `${dying}/node` }));
    expect(message).toMatch(
      /^Node v22\.0\.0 \(.*\/node\) on the command "sh" ended before it was ready \(exit status 9\)/,
    );
    expect(message).toContain('it said:\n    bad instruction');
  });
});

describe('what is started', () => {
  it('may end at once', async () => {
    const quick = packProgram(`process.stdout.write('bye')`);
    const connection = await connectAgent(at(['sh']), quick, unattended);
    expect((await readAll(connection.process.stdout)).toString()).toBe('bye');
    expect(await connection.process.exited).toEqual({ code: 0, signal: undefined });
  });

  it('can require, import, start threads', async () => {
    const source = `
      const { Worker } = require('node:worker_threads');
      import('node:os').then((os) => new Worker('require("worker_threads").parentPort.postMessage(7)', { eval: true })
        .on('message', (n) => process.stdout.write(typeof os.cpus + n + __filename)));
      process.stdin.resume();`;
    const connection = await connectAgent(at(['sh']), packProgram(source), unattended);
    connection.process.stdin.end();
    expect((await readAll(connection.process.stdout)).toString()).toBe('function7/agent.cjs');
    await connection.process.exited;
  });

  it('is told from damage on the way', async () => {
    const changed = packProgram('1');
    const { message } = await failure(connectAgent(at(['sh']), { ...changed, sha256: '0'.repeat(64) }, unattended));
    expect(message).toBe('the program sent to the command "sh" arrived damaged');
  });

  it('comes from the cache the second time, and only if it is the right one', async () => {
    process.env['XDG_CACHE_HOME'] = path.join(dir, 'cache');
    const cacheDir = path.join(dir, 'cache/lockstep');
    const run = async (): Promise<[boolean, number]> => {
      const connection = await connectEcho(at(['sh']), { agentCache: true });
      await expectEcho(connection);
      return [connection.cached, connection.roundTrips];
    };
    expect(await run()).toEqual([false, 3]);
    expect(await run()).toEqual([true, 2]);
    const [name = '', ...rest] = fs.readdirSync(cacheDir);
    expect(name).toMatch(/^agent-[0-9a-f]{64}\.cjs$/);
    expect(rest).toEqual([]);
    expect(fs.statSync(path.join(cacheDir, name)).mode & 0o777).toBe(0o600);
    fs.writeFileSync(path.join(cacheDir, name), 'process.stdout.write("evil")');
    expect(await run()).toEqual([false, 3]);
    expect(await run()).toEqual([true, 2]);
  });

  it('does without a cache that cannot be written', async () => {
    fs.writeFileSync(path.join(dir, 'file'), '');
    process.env['XDG_CACHE_HOME'] = path.join(dir, 'file');
    const connection = await connectEcho(at(['sh']), { agentCache: true });
    expect([connection.cached, connection.roundTrips]).toEqual([false, 3]);
    await expectEcho(connection);
  });

  it('writes nothing without the cache', async () => {
    const empty = path.join(dir, 'empty');
    fs.mkdirSync(empty);
    Object.assign(process.env, { HOME: empty, XDG_CACHE_HOME: empty });
    await expectEcho(await connectEcho(at([script(`cd '${empty}'; exec sh`)])));
    expect(fs.readdirSync(empty)).toEqual([]);
  });

  it('is lockstep serve, where that speaks first', async () => {
    const server = script(`echo 'Last login: yesterday'; echo 'LOCKSTEP-SERVE 1'; printf '\\001\\002data'; exec cat`);
    const connection = await connectAgent(at([server]), packProgram(''), unattended);
    expect(connection.kind).toBe('served');
    connection.process.stdin.end();
    // A server that was not forced upon us gets the line for a shell, too.
    expect((await readAll(connection.process.stdout)).toString('latin1')).toMatch(/^\u0001\u0002dataexec sh '-c' '/);
    await connection.process.exited;
  });
});
