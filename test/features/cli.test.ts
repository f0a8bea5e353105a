/** The command line itself: help, mistakes, exit codes, what goes to which stream, colours, pipes. FEATURES G1. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { cliPath, events, lockstep, onlyHere, overShell, overSsh } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, file, write } from '../support/tree.ts';

const commands = ['sync', 'push', 'pull', 'history', 'restore'];
const old = 1_600_000_000;

/** `lockstep sync A B ARGS…` for people, without `--json`. */
async function plain(
  pair: Pair,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): ReturnType<typeof lockstep> {
  return lockstep(['sync', 'a', 'b', '--state-dir', pair.state, ...args], { cwd: pair.dir, env });
}

describe('help', () => {
  it('goes to stdout, exits 0, and shows the commands, examples and exit codes', async () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const ran = await lockstep(args);
      expect([ran.code, ran.stderr]).toEqual([0, '']);
      for (const command of commands) expect(ran.stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
      expect(ran.stdout).toMatch(/Examples:[^]*Exit codes:[^]*130 interrupted/);
    }
  });

  for (const command of commands) {
    it(`of ${command} has examples that name it, and fits 110 columns`, async () => {
      const ran = await lockstep([command, '--help']);
      expect([ran.code, ran.stderr]).toEqual([0, '']);
      expect(ran.stdout).toMatch(new RegExp(`Examples:\\n  lockstep ${command} `));
      expect(Math.max(...ran.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(110);
    });
  }

  it('without a command is wrong usage, on stderr', async () => {
    const ran = await lockstep([]);
    expect([ran.code, ran.stdout]).toEqual([64, '']);
    expect(ran.stderr).toContain('Usage: lockstep');
  });

  it('--version is that of the package', async () => {
    const { version } = JSON.parse(fs.readFileSync(path.resolve('package.json'), 'utf8')) as { version: string };
    expect((await lockstep(['--version'])).stdout).toBe(`${version}\n`);
  });
});

describe('mistakes', () => {
  const table: { args: string[]; says: RegExp }[] = [
    { args: ['snyc', 'a', 'b'], says: /^lockstep: unknown command 'snyc'\n {2}Did you mean sync\?/ },
    {
      args: ['sync', 'a', 'b', '--exlude', 'x'],
      says: /^lockstep: unknown option '--exlude'\n {2}Did you mean --exclude\?/,
    },
    { args: ['sync', 'a', 'b', '--dryrun'], says: /--dry-run/ },
    { args: ['push', 'a', 'b', '--forse'], says: /--force/ },
    { args: ['sync', 'a'], says: /Try: lockstep sync --help/ },
    { args: ['pull', 'a', 'b', 'c'], says: /Try: lockstep pull --help/ },
    { args: ['sync', '', 'b'], says: /a root is empty/ },
    {
      args: ['sync', 'a', 'b', '--on-conflict', 'newest'],
      says: /--on-conflict.*[^]*newer.*older.*local.*remote.*both.*manual/,
    },
    { args: ['sync', 'a', 'b', '--mode', 'mirror'], says: /push SRC DST --delete/ },
    { args: ['push', 'a', 'b', '--mode', 'additive'], says: /belongs to sync/ },
    { args: ['sync', 'a', 'b', '--delete'], says: /belong to push and pull/ },
    { args: ['sync', 'a', 'b', '--state-dir', ''], says: /--state-dir/ },
    { args: ['sync', 'a', 'b', '--max-delete', 'some'], says: /--max-delete/ },
    { args: ['sync', 'a', 'b', '--keep-size', 'big'], says: /--keep-size.*not a size such as 500MB/ },
    { args: ['sync', 'a', 'b', '--exclude'], says: /--exclude/ },
  ];
  for (const { args, says } of table) {
    it(args.join(' '), async () => {
      const ran = await lockstep(args, { cwd: os.tmpdir() });
      expect([ran.code, ran.stdout]).toEqual([64, '']);
      expect(ran.stderr).toMatch(says);
      expect(ran.stderr).toMatch(/^lockstep: /);
      expect(ran.stderr).not.toMatch(/^\s+at /m);
    });
  }

  it('with --json are an event on stdout too', async () => {
    for (const args of [
      ['sync', 'a', 'b', '--exlude', 'x'],
      ['sync', 'a', 'b', '--path', '../x'],
    ]) {
      const ran = await lockstep([...args, '--json']);
      expect(ran.code).toBe(64);
      expect(events(ran)).toMatchObject([{ v: 1, type: 'error', code: 'usage', exitCode: 64 }]);
    }
  });

  it('takes no duration that is longer than any timer', async () => {
    for (const option of ['--connect-timeout', '--timeout', '--rescan', '--poll-interval', '--settle']) {
      const ran = await lockstep(['sync', 'a', 'b', option, '2200000000']);
      expect([ran.code, ran.stdout], option).toEqual([64, '']);
      expect(ran.stderr).toMatch(new RegExp(`^lockstep: ${option} 2200000000: more than \\d+\n`));
    }
  });

  it('130, 131: roots that nobody means are refused before anything is written', async (context) =>
    withPair(async (pair) => {
      if (overSsh || overShell) context.skip('the far side has a home of its own');
      write(pair.a, { 'd/f': 'x', '..d/e/f': 'x' });
      fs.symlinkSync(path.join(pair.a, 'd'), path.join(pair.dir, 'link'));
      const home = path.join(pair.dir, 'home');
      fs.mkdirSync(home);
      const table: [args: string[], code: string][] = [
        [['sync', 'a', 'a/'], 'roots-overlap'],
        [['sync', 'a', 'a/d'], 'roots-overlap'],
        [['sync', 'a', 'a/..d'], 'roots-overlap'],
        [['push', 'a/..d/e', 'a'], 'roots-overlap'],
        [['push', 'a/d', 'a'], 'roots-overlap'],
        [['sync', 'a', 'link'], 'roots-overlap'],
        [['push', 'a', 'a/new/dir'], 'roots-overlap'],
        [['push', 'a', home, '--delete'], 'dangerous-target'],
        [['push', 'a', home, '--clean-out-first'], 'dangerous-target'],
        [['sync', 'a', home], 'dangerous-target'],
        [['sync', 'missing', 'b'], 'root-missing'],
        [['sync', 'a/d/f', 'b'], 'root-not-directory'],
      ];
      for (const [args, code] of table) {
        const ran = await lockstep([...args, '--json', '--state-dir', pair.state], {
          cwd: pair.dir,
          env: { HOME: home },
        });
        expect(ran.code, args.join(' ')).toBe(3);
        expect(events(ran), args.join(' ')).toMatchObject([{ type: 'error', code, exitCode: 3 }]);
      }
      expect(contents(pair.dir)).toMatchObject({ home: 'dir', 'a/d/f': 'x' });
      expect(fs.readdirSync(pair.dir).sort()).toEqual(['a', 'home', 'link']);
      expect(fs.readdirSync(pair.a)).toEqual(['..d', 'd']);
    }));
});

describe('what is said', () => {
  beforeEach((context) => onlyHere(context, 'these run with roots as a person names them here'));

  it('by default: the summary on stdout, the rest on stderr', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'xyz', d: '' });
      const ran = await plain(pair);
      expect(ran.code).toBe(0);
      expect(ran.stdout).toMatch(/^in step: → 2 new \(3 B\) in \d+\.\ds\n$/);
      expect(ran.stderr).toBe('');
      expect((await plain(pair)).stdout).toMatch(/^in step: nothing to do in /);
    }));

  it('-v: every path', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', gone: 'o', 'd/x': 'o', name: 'renamed later' });
      write(pair.a, { f: 'edited', n: 'new' });
      fs.rmSync(path.join(pair.b, 'gone'));
      fs.renameSync(path.join(pair.a, 'name'), path.join(pair.a, 'other'));
      fs.chmodSync(path.join(pair.a, 'd/x'), 0o600);
      const { stdout, stderr } = await plain(pair, ['-v']);
      expect(stderr).toBe('');
      const lines = stdout.trim().split('\n');
      expect(lines.slice(0, -1).sort()).toEqual(
        [
          '→ renamed  name → other',
          '→ changed  f  6 B',
          '→ new      n  3 B',
          '→ metadata d/x',
          '← deleted  gone',
        ].sort(),
      );
      expect(lines.at(-1)).toMatch(
        /^in step: → 1 new, 1 changed, 1 renamed, 1 metadata; ← 1 deleted \(9 B\), 1 kept in history in/,
      );
    }));

  it('-q: nothing when all is well; what needs attention otherwise', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', g: 'o' });
      write(pair.a, { f: file('a', { mtime: old }), g: file('a', { mtime: old }) });
      write(pair.b, { f: file('b', { mtime: old }), g: file('b', { mtime: old + 9 }) });
      const ran = await plain(pair, ['-q']);
      expect([ran.code, ran.stdout]).toEqual([2, '']);
      expect(ran.stderr).toBe('conflict: f: changed on both sides; left as it is (neither is newer)\n');
      expect(await plain(pair, ['-q', '--on-conflict', 'local'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    }));

  it('of a conflict: who won, and where to go on when it is open', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o' });
      write(pair.a, { f: file('a', { mtime: old }) });
      write(pair.b, { f: file('b', { mtime: old + 9 }) });
      const open = await plain(pair, ['--on-conflict', 'manual']);
      expect(open.code).toBe(2);
      expect(open.stderr).toMatch(
        /f: changed on both sides; left as it is[^]*--on-conflict newer\|older\|local\|remote\|both/,
      );
      const settled = await plain(pair);
      expect(settled.stderr).toBe('conflict: f: changed on both sides; took that of b\n');
      expect(settled.stdout).toMatch(/1 conflict settled, 1 kept in history/);
    }));

  it('of a guard: what was seen and what continues', async () =>
    withPair(async (pair) => {
      const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}`, 'o']));
      await pair.agreed(files);
      for (const name of Object.keys(files).slice(0, 40)) fs.rmSync(path.join(pair.a, name));
      const ran = await plain(pair);
      expect(ran.code).toBe(3);
      expect(ran.stderr).toMatch(
        /^lockstep: 40 deletions of 60 would be carried to .*\/b\n {2}Nothing was changed\..*--max-delete off/,
      );
      // The dry run that it speaks of shows them all.
      const dry = await plain(pair, ['--dry-run']);
      expect(dry.code).toBe(3);
      expect(dry.stdout.match(/^→ deleted {2}f\d+$/gm)).toHaveLength(40);
      expect(Object.keys(contents(pair.b))).toHaveLength(60);
    }));

  it('of what looks like a lost mount: no number lets it through, and none is offered', async () =>
    withPair(async (pair) => {
      await pair.agreed(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d/f${i}`, 'o'])));
      for (const name of fs.readdirSync(path.join(pair.a, 'd'))) fs.rmSync(path.join(pair.a, 'd', name));
      const ran = await plain(pair, ['--max-delete', '1000']);
      expect(ran.code).toBe(3);
      expect(ran.stderr).toMatch(/all of d\/ is gone on the other side\)\n.*run again with --max-delete off\.\n/);
      expect((await plain(pair, ['--max-delete', 'off'])).code).toBe(0);
      expect(contents(pair.b)).toEqual({ d: 'dir' });
    }));

  it('names with control characters and broken UTF-8 are escaped on the terminal', async () =>
    withPair(async (pair) => {
      write(pair.a, { 'evil\u001b[31m\n': 'x' });
      fs.writeFileSync(Buffer.concat([Buffer.from(`${pair.a}/`), Buffer.from([0x66, 0xff])]), 'y');
      const { stdout } = await plain(pair, ['-v']);
      expect(stdout).toContain('evil\\x1b[31m\\n');
      expect(stdout).toContain('f\\xff');
      expect(stdout).not.toContain('\u001b');
      expect(fs.readdirSync(pair.b, 'latin1').sort()).toEqual(['.lockstep', 'evil\u001b[31m\n', 'f\u00ff']);
    }));
});

describe('exit codes', () => {
  it('1 when the run fails: here the state cannot be written', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'x' });
      const ran = await lockstep(['sync', pair.a, pair.b, '--state-dir', path.join(pair.a, 'f/state')]);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(/^lockstep: .*f\/state.*: not a directory\n/);
      expect(ran.stderr).not.toMatch(/bug in Lockstep/);
      pair.expectClean();
    }));

  it('2 when paths were skipped, each of them named', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'x', 'd/g': 'y' });
      expect(spawnSync('mkfifo', [path.join(pair.a, 'd/pipe')]).status).toBe(0);
      const ran = await plain(pair);
      expect(ran.code).toBe(2);
      expect(ran.stderr).toBe('skipped: a/d/pipe: is a FIFO, socket or device, which are not synced\n');
      expect(ran.stdout).toMatch(/^incomplete: .* 1 path skipped in/);
      expect(contents(pair.b)).toEqual({ f: 'x', d: 'dir', 'd/g': 'y' });
    }));
});

describe('colours', () => {
  it('none in a pipe or with NO_COLOR, some with FORCE_COLOR', async () =>
    withPair(async (pair) => {
      const coloured = async (env: Record<string, string>): Promise<boolean> => {
        write(pair.a, { [`f${Math.random()}`]: 'x' });
        return (await plain(pair, ['-v'], env)).stdout.includes('\u001b[');
      };
      expect(await coloured({ NO_COLOR: '' })).toBe(false);
      expect(await coloured({ NO_COLOR: '', FORCE_COLOR: '1' })).toBe(true);
      expect(await coloured({ NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(false);
    }));
});

describe('pipes', () => {
  const bash = async (args: string[], options: { cwd: string }): Promise<{ stdout: string; stderr: string }> =>
    promisify(execFile)('bash', args, options);

  it('a reader that goes away is no error, and the run is carried to its end', async () =>
    withPair(async (pair) => {
      const names = Array.from({ length: 4000 }, (_, i) => `a-rather-long-name-that-fills-the-pipe-${i}`);
      write(pair.a, Object.fromEntries(names.map((name) => [name, 'x'])));
      const command = `"${process.execPath}" "${cliPath}" sync a b -v --state-dir st | head -1`;
      const ran = await bash(['-c', `${command}; echo "status \${PIPESTATUS[0]}"`], { cwd: pair.dir });
      expect(ran.stdout).toMatch(/^→ new .*\nstatus 0\n$/);
      expect(ran.stderr).toBe('');
      expect(fs.readdirSync(pair.b)).toHaveLength(names.length + 1);
      pair.expectClean();
    }));

  it('so is one of --help', () => {
    const ran = spawnSync('bash', ['-c', `"${process.execPath}" "${cliPath}" sync --help | head -1`], {
      encoding: 'utf8',
    });
    expect([ran.stdout, ran.stderr]).toEqual(['Usage: lockstep sync [options] <A> <B> [C…]\n', '']);
  });
});

describe('output that cannot be written', () => {
  const unwritable = 'the output cannot be written: no space left on the device';

  function onFullDisk(pair: Pair, args: string): ReturnType<typeof spawnSync> {
    const command = `"${process.execPath}" "${cliPath}" ${args} --state-dir st > /dev/full`;
    return spawnSync('sh', ['-c', command], {
      cwd: pair.dir,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
    });
  }

  for (const option of ['-v', '--json']) {
    it(`fails, and the run is carried to its end (${option})`, () =>
      withPair((pair) => {
        const names = Array.from({ length: 300 }, (_, i) => `f${i}`);
        write(pair.a, Object.fromEntries(names.map((name) => [name, 'x'])));
        const ran = onFullDisk(pair, `push a b ${option}`);
        expect([ran.status, ran.stderr]).toEqual([1, `lockstep: ${unwritable}\n`]);
        expect(contents(pair.b)).toEqual(contents(pair.a));
        pair.expectClean();
        return Promise.resolve();
      }));
  }

  it('fails where nothing else does', () =>
    withPair((pair) => {
      const help = onFullDisk(pair, 'sync --help');
      expect([help.status, help.stderr]).toEqual([1, `lockstep: ${unwritable}\n`]);
      const wrong = onFullDisk(pair, 'push a nowhere/b --json');
      expect([wrong.status, wrong.stderr]).toEqual([1, `lockstep: ${unwritable}\n`]);
      return Promise.resolve();
    }));

  it('does not end what is kept in step', () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'one' });
      const args = ['push', 'a', 'b', '--watch', '-v', '--state-dir', 'st'];
      const full = fs.openSync('/dev/full', 'w');
      const child = spawn(process.execPath, [cliPath, ...args], { cwd: pair.dir, stdio: ['ignore', full, 'pipe'] });
      fs.closeSync(full);
      let stderr = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const ended = new Promise((resolve) => child.on('close', resolve));
      await vi.waitFor(() => expect(stderr).toContain(unwritable), 20_000);
      write(pair.a, { g: 'two' });
      await vi.waitFor(() => expect(contents(pair.b)).toEqual({ f: 'one', g: 'two' }), 20_000);
      child.kill('SIGINT');
      expect(await ended).toBe(130);
      expect(stderr.split(unwritable)).toHaveLength(2);
      pair.expectClean();
    }));
});

describe('G1: progress', () => {
  const script = spawnSync('script', ['--version']).status === 0;

  function onTerminal(pair: Pair, args: string): Promise<string> {
    const command = `"${process.execPath}" "${cliPath}" sync a b --state-dir st ${args}`;
    // Node takes a terminal under CI for one without colours.
    const unwanted = ['NO_COLOR', 'CI'];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !unwanted.includes(name)));
    return new Promise((resolve, reject) => {
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        cwd: pair.dir,
        env: { ...env, TERM: 'xterm-256color', COLUMNS: '100' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      child.on('error', reject);
      child.on('close', () => resolve(text));
    });
  }

  /** Enough for the line to be drawn more than once. */
  function much(pair: Pair): void {
    for (let dir = 0; dir < 12; dir += 1) {
      fs.mkdirSync(path.join(pair.a, `d${dir}`));
      for (let i = 0; i < 400; i += 1) fs.writeFileSync(path.join(pair.a, `d${dir}/f${i}`), 'x'.repeat(5000));
    }
    for (let i = 0; i < 12; i += 1) fs.writeFileSync(path.join(pair.a, `large${i}`), Buffer.alloc(16 << 20, i));
  }

  it('on a terminal is a line with bar, files, bytes and rate, and gone at the end', async (context) => {
    if (!script) return context.skip('no script(1) here');
    await withPair(async (pair) => {
      much(pair);
      const text = await onTerminal(pair, '');
      expect(text).toMatch(
        /\r\u001b\[K\[[#.]{20}\] \d+% {2}[\d,]+\/[\d,]+ files, [\d.]+ \w+\/[\d.]+ MB, [\d.]+ \wB\/s, .* left/,
      );
      // The last thing drawn is cleared before the summary.
      const lines = text.split(/\r\n/);
      expect(lines[0]).toMatch(/\r\u001b\[Kin step: /);
      expect(fs.readdirSync(pair.b)).toContain('large11');
    });
  });

  it('-q shows none; colours are used', async (context) => {
    if (!script) return context.skip('no script(1) here');
    await withPair(async (pair) => {
      much(pair);
      expect(await onTerminal(pair, '-q')).toBe('');
      write(pair.a, { new: 'x' });
      expect(await onTerminal(pair, '-v')).toContain('\u001b[32mnew');
    });
  });

  it('elsewhere nothing is redrawn', async () =>
    withPair(async (pair) => {
      much(pair);
      const ran = await plain(pair);
      expect(ran.stderr).toBe('');
      expect(ran.stdout).not.toContain('\r');
    }));
});
