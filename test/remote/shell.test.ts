/** A far side with nothing but a shell: what can only be seen over one. The whole suite runs over several (far-shells.ts). */
import { execFileSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { makeFarShell } from '../support/far-shells.ts';
import { attempt } from '../support/host.ts';
import { until } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { random } from '../support/random.ts';
import { contents, dir, file, history, litter, write } from '../support/tree.ts';

type Far = Parameters<typeof makeFarShell>[0];

async function withFar(
  far: Far,
  act: (pair: Pair, run: (command: 'sync' | 'push' | 'pull', ...args: string[]) => Promise<Ran>) => Promise<void>,
  replaced: Record<string, string> = {},
): Promise<void> {
  const { program, remove } = makeFarShell(far, replaced);
  try {
    await withPair(async (pair) =>
      act(pair, async (command, ...args) => {
        const roots = command === 'pull' ? [pair.b, pair.a] : [pair.a, pair.b];
        const state = ['--json', '--state-dir', pair.state, '--agent', 'sh'];
        return lockstep([command, ...roots, ...state, ...args, '--', program]);
      }),
    );
  } finally {
    remove();
  }
}

/** A push to the same root, where tools are other ones. */
async function withBroken(
  far: Far,
  tools: Record<string, string>,
  pair: Pair,
  check: (ran: Ran) => void,
): Promise<void> {
  const { program, remove } = makeFarShell(far, tools);
  try {
    const state = ['--json', '--state-dir', path.join(pair.dir, 'other-state'), '--agent', 'sh'];
    check(await lockstep(['push', pair.a, pair.b, ...state, '--', program]));
  } finally {
    remove();
  }
}

const shells = ['busybox', 'dash', 'bash'] as const;

describe.each(shells)('over %s', (shell) => {
  it('names of every kind go there, are renamed, deleted and come back', async () =>
    withFar(shell, async (pair, run) => {
      const odd = [
        'a b',
        '*',
        '-rf',
        "it's",
        '"',
        '$(touch x)',
        '`x`',
        'new\nline',
        'end\n',
        '\\',
        '\\0101',
        '%s',
        '~',
        '\x01\x7f',
      ];
      const names = [...odd, 'é', 'x'.repeat(255), '.hidden', '..x', '!', '&', ';', '|', '#'];
      write(
        pair.a,
        Object.fromEntries(
          names.flatMap((name) => [
            [name, `of ${name}`],
            [`d-${name.slice(0, 200)}/${name}`, name],
          ]),
        ),
      );
      fs.writeFileSync(Buffer.from(`${pair.a}/\xff\xfe\x81`, 'latin1'), 'bytes');
      expect((await run('sync')).code).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
      for (const name of odd) fs.renameSync(path.join(pair.a, name), path.join(pair.a, `${name}2`));
      for (const name of odd) fs.rmSync(path.join(pair.a, `d-${name}`), { recursive: true });
      write(pair.b, { é: file('edited there', { mtime: 1_700_000_000 }) });
      const second = await run('sync', '--max-delete', 'off');
      expect(second.code, second.stdout).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
      expect(fs.readFileSync(path.join(pair.a, 'é'), 'utf8')).toBe('edited there');
      const third = await run('sync');
      expect(eventsOf(third, 'action')).toEqual([]);
      pair.expectClean();
    }));

  it('more small files than one archive holds', async () =>
    withFar(shell, async (pair, run) => {
      const next = random(3);
      write(
        pair.a,
        Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`d${i % 7}/f${i}`, next.bytes(100_000)])),
      );
      expect((await run('sync')).code).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
      fs.rmSync(pair.a, { recursive: true });
      fs.mkdirSync(pair.a);
      const pulled = await run('pull', '--rebaseline');
      expect(pulled.code, pulled.stdout).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
    }));

  it('of a large file only what changed is sent', async () =>
    withFar(shell, async (pair, run) => {
      const large = random(5).bytes(24 << 20);
      write(pair.a, { large: file(large, { mtime: 1_700_000_000 }) });
      expect((await run('push')).code).toBe(0);
      large.write('changed', 10 << 20);
      const edited = Buffer.concat([large, Buffer.from('appended')]);
      // The second one is new there, and like the first.
      write(pair.a, { large: file(edited, { mtime: 1_700_000_100 }), 'large.2': edited });
      const counted = path.join(pair.dir, 'sent');
      const { program, remove } = makeFarShell(shell);
      const counting = path.join(pair.dir, 'counting');
      fs.writeFileSync(counting, `#!/bin/sh\ntee '${counted}' | '${program}'\n`, { mode: 0o755 });
      try {
        // Another program is another place: what is there is met anew, and is older.
        const args = ['push', pair.a, pair.b, '--json', '--state-dir', pair.state, '--agent', 'sh', '--', counting];
        expect((await lockstep(args)).code).toBe(0);
      } finally {
        remove();
      }
      for (const name of ['large', 'large.2']) {
        expect(fs.readFileSync(path.join(pair.b, name)).equals(edited), name).toBe(true);
      }
      expect(fs.statSync(counted).size).toBeLessThan(1 << 20);
    }));

  it('a sparse file stays sparse, and one that could not be put together keeps its old content', async () =>
    withFar(shell, async (pair, run) => {
      const at = (root: string): string => path.join(root, 'image');
      const data = random(6).bytes(9 << 20);
      const makeImage = (last: string): void => {
        fs.writeFileSync(at(pair.a), data);
        // Data, a hole, data: so that it gets its size in the end, whatever becomes of its beginning.
        fs.truncateSync(at(pair.a), 40 << 20);
        const file = fs.openSync(at(pair.a), 'r+');
        fs.writeSync(file, Buffer.from(last), 0, last.length, (32 << 20) + 5);
        fs.closeSync(file);
      };
      makeImage('one');
      expect((await run('push')).code).toBe(0);
      const old = fs.readFileSync(at(pair.b));
      makeImage('two');
      if (shell !== 'busybox') {
        const real = (tool: string): string =>
          execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
        // They write a little of what is to be copied, or added, and fail.
        const dd = `#!/bin/sh
case $* in
  *count=1) ;;
  *skip=*) echo 'dd: error reading: Input/output error' >&2; echo little; exit 1 ;;
esac
exec ${real('dd')} "$@"
`;
        const cat = `#!/bin/sh
case $(readlink /proc/$$/fd/1) in
  */partial/*) head -c 1000; echo 'cat: write error: Input/output error' >&2; exit 1 ;;
esac
exec ${real('cat')} "$@"
`;
        for (const tools of [{ dd }, { cat }]) {
          await withBroken(shell, tools, pair, (broken) => {
            expect(broken.code, broken.stdout + broken.stderr).not.toBe(0);
            expect(broken.stdout).toContain('nput/output error');
            expect(fs.readFileSync(at(pair.b)).equals(old)).toBe(true);
          });
        }
      }
      const ran = await run('push');
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(fs.readFileSync(at(pair.b)).equals(fs.readFileSync(at(pair.a)))).toBe(true);
      expect(fs.statSync(at(pair.b)).blocks * 512).toBeLessThan(16 << 20);
      pair.expectClean();
    }));

  it('--clean-out-first, and parents that are missing: the destination keeps its inode', async () =>
    withFar(shell, async (pair, run) => {
      write(pair.a, { f: 'f', 'd/g': 'g' });
      expect((await run('push')).code).toBe(0);
      const { ino } = fs.statSync(pair.b);
      write(pair.b, { stray: 's', '.dot/x': 'x' });
      const ran = await run('push', '--clean-out-first');
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
      expect(fs.statSync(pair.b).ino).toBe(ino);
      expect(history(pair.b)).toMatchObject({ stray: ['s'], '.dot/x': ['x'] });
      const deep = path.join(pair.dir, 'new', 'er', 'root');
      const { program, remove } = makeFarShell(shell);
      const args = ['push', pair.a, deep, '--json', '--state-dir', pair.state, '--agent', 'sh', '--', program];
      expect((await lockstep(args)).code).toBe(0);
      remove();
      expect(contents(deep)).toEqual(contents(pair.a));
    }));
});

describe('a far side that does not mean well', () => {
  const say = (text: string): string =>
    `m=; for a do case $a in ????????????????????????" "*) m=\${a%% *} ;; esac; done\n` +
    `case "$*" in *-prune*printf*%p*) ${text} ;; *) exec /usr/bin/find "$@" ;; esac`;
  const record = (fields: string): string => `printf '%s ${fields}\\n' "$m"`;
  const root = record('d755 4096 2 1 1700000000.0 1700000000.0 .');
  it.each([
    ['a path that leads out', `${root}; ${record('f644 1 7 1 1700000000.0 1700000000.0 ./../outside/canary')}`],
    ['an absolute path', `${root}; ${record('f644 1 7 1 1700000000.0 1700000000.0 /etc/passwd')}`],
    ['a path through itself', `${root}; ${record('f644 1 7 1 1700000000.0 1700000000.0 ./a/../../x')}`],
    ['an impossible size', `${root}; ${record('f644 99999999999999999999 7 1 1700000000.0 1700000000.0 ./x')}`],
    ['a negative size', `${root}; ${record('f644 -1 7 1 1700000000.0 1700000000.0 ./x')}`],
    ['a time that is none', `${root}; ${record('f644 1 7 1 never 1700000000.0 ./x')}`],
    ['a kind that is none', `${root}; ${record('zzz 1 7 1 1700000000.0 1700000000.0 ./x')}`],
    ['nonsense', 'echo hello'],
    ['a line without an end', `printf '%s ' "$m"; while :; do printf '%1000000d' 0; done`],
  ])('%s: a protocol error, and nothing is touched', async (_, lie) =>
    withFar(
      'dash',
      async (pair, run) => {
        write(pair.a, { f: 'f', 'd/x': 'x' });
        write(path.join(pair.dir, 'outside'), { canary: 'untouched' });
        fs.mkdirSync(pair.b);
        const ran = await run('sync');
        expect([ran.code, eventsOf(ran, 'error')], ran.stdout + ran.stderr).toMatchObject([1, [{ code: 'protocol' }]]);
        expect(contents(pair.a)).toEqual({ f: 'f', d: 'dir', 'd/x': 'x' });
        expect(contents(path.join(pair.dir, 'outside'))).toEqual({ canary: 'untouched' });
      },
      { find: say(lie) },
    ),
  );

  it('honest, it works', async () =>
    withFar(
      'dash',
      async (pair, run) => {
        write(pair.a, { f: 'f' });
        expect((await run('sync')).code).toBe(0);
        pair.expectEqual();
      },
      { find: say('exec /usr/bin/find "$@"') },
    ));
});

it.for([
  ['', {}],
  [', where files have one name only', { ln: 'exit 1' }],
] as const)('nothing is changed in a nested mount, and so it is said%s', async ([, tools], { skip }) =>
  withFar(
    'dash',
    async (pair, run) => {
      const mount = path.join(pair.b, 'm');
      write(pair.a, { 'm/d/f': 'f' });
      write(pair.b, { 'm/': dir() });
      const failed = attempt('mount', '-t', 'tmpfs', 'none', mount);
      if (failed !== undefined) return skip(failed);
      try {
        write(pair.b, { 'm/d/f': 'f' });
        expect((await run('sync')).code).toBe(0);
        const before = contents(pair.b);
        write(pair.a, { 'm/new/deep/g': 'g', 'm/new/f': 'f', 'm/h': 'h' });
        fs.renameSync(path.join(pair.a, 'm/d'), path.join(pair.a, 'm/e'));
        const ran = await run('sync');
        expect(ran.code, ran.stdout).toBe(2);
        for (const skip of eventsOf(ran, 'skip')) expect(skip).toMatchObject({ detail: /nested mount/ });
        const told = eventsOf(ran, 'skip').map(({ path: at }) => at);
        for (const at of ['m/new', 'm/h']) expect(told).toContain(at);
        expect(contents(pair.b)).toEqual(before);
      } finally {
        attempt('umount', mount);
      }
    },
    tools,
  ),
);

it('more than one batch: one is being staged while the one before gets its names', async () =>
  withFar('dash', async (pair, run) => {
    const next = random(11);
    const large = next.bytes(6 << 20);
    const many = Array.from({ length: 6_500 }, (_, i) => [`many/f${i}`, `${i}`] as const);
    write(pair.a, { 'z/large': file(large, { mtime: 1_700_000_000 }) });
    expect((await run('sync')).code).toBe(0);
    large.write('changed', 3 << 20);
    write(pair.a, { ...Object.fromEntries(many), 'z/large': large, 'z/new/f': 'f', 'z/g': 'g' });
    const ran = await run('sync');
    expect(ran.code, ran.stdout.slice(-1000)).toBe(0);
    pair.expectEqual();
    expect(litter(pair.b)).toEqual([]);
  }));

describe('cut and killed', () => {
  /** Kills something while content is on its way. */
  async function killing(whom: 'controller' | 'far'): Promise<void> {
    const { program, remove } = makeFarShell('busybox');
    await withPair(async (pair) => {
      const next = random(9);
      write(
        pair.a,
        Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`d${i % 9}/f${i}`, next.bytes(200_000)])),
      );
      const args = ['sync', pair.a, pair.b, '--json', '--state-dir', pair.state, '--agent', 'sh', '--', program];
      let child: ChildProcess | undefined;
      const running = lockstep(args, { onStart: (started) => (child = started) });
      const staging = path.join(pair.b, '.lockstep', 'staging');
      await until(() => fs.existsSync(staging) && fs.readdirSync(staging, { recursive: true }).length > 20);
      if (whom === 'controller') child?.kill('SIGKILL');
      else {
        const { pid } = JSON.parse(fs.readFileSync(path.join(pair.b, '.lockstep', 'lock'), 'utf8')) as { pid: number };
        process.kill(pid, 'SIGKILL');
      }
      const ran = await running;
      if (whom === 'far') expect([ran.code, eventsOf(ran, 'error')]).toMatchObject([1, [{ code: 'connection' }]]);
      // The far side puts everything away by itself when nobody is there any more.
      else await until(() => litter(pair.b).length === 0);
      const again = await lockstep(args);
      expect(again.code, again.stdout + again.stderr).toBe(0);
      pair.expectClean();
      expect(contents(pair.b)).toEqual(contents(pair.a));
    });
    remove();
  }

  it('the controller: the far side cleans up by itself', async () => killing('controller'));
  it('the far shell: the next run cleans up', async () => killing('far'));

  it('the controller, before anything was done: the root that was made goes again, too', async () =>
    withPair(async (pair) => {
      write(pair.a, { 'd/f': 'x' });
      // Looking at the new root takes as long as this file is there.
      const looking = path.join(pair.dir, 'looking');
      const wait = `: >'${looking}'; while [ -e '${looking}' ]; do sleep 0.05; done`;
      const find = `case $1 in /) ;; *) ${wait} ;; esac; exec /usr/bin/find "$@"`;
      const { program, remove } = makeFarShell('dash', { find });
      const made = path.join(pair.dir, 'new');
      const args = ['sync', pair.a, path.join(made, 'b'), '--state-dir', pair.state, '--agent', 'sh', '--', program];
      let child: ChildProcess | undefined;
      const running = lockstep(args, { onStart: (started) => (child = started) });
      await until(() => fs.existsSync(looking));
      expect(fs.readdirSync(path.join(made, 'b'))).toEqual(['.lockstep']);
      child?.kill('SIGKILL');
      await running;
      fs.rmSync(looking);
      await until(() => !fs.existsSync(made));
      remove();
    }));
});

describe('a tool over there that is killed while the tree is looked at', () => {
  // What it has not told of must not pass for deleted. It dies between two records, where nothing else shows it.
  const gnu = { shell: 'dash', tools: 'gnu' } as const;
  const busybox = { shell: 'dash', tools: 'busybox' } as const;
  const far: Record<string, { far: Far; tool: string; runs: string; others?: Record<string, string> }> = {
    'find that prints': { far: gnu, tool: 'find', runs: '/usr/bin/find "$@"' },
    'find that runs stat': { far: busybox, tool: 'find', runs: 'busybox find "$@"' },
    'stat that find runs': {
      far: gnu,
      tool: 'stat',
      runs: '/usr/bin/stat "$@"',
      others: { find: 'case " $* " in *" -printf "*) exit 1 ;; esac; exec /usr/bin/find "$@"' },
    },
    // Not busybox's find and xargs: they have a stat of their own.
    'stat that xargs runs': { far: { ...gnu, without: 'find' }, tool: 'stat', runs: '/usr/bin/stat "$@"' },
    'stat that the shell runs': {
      far: { shell: 'dash', tools: 'busybox', without: 'find xargs' },
      tool: 'stat',
      runs: 'busybox stat "$@"',
    },
  };

  it.each(Object.entries(far))('%s', async (_, { far: kind, tool, runs, others }) => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-flag-'));
    const flag = path.join(dir, 'flag');
    const program = runs.replace(
      'busybox',
      execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim(),
    );
    // Only while it looks at the files of this tree.
    const script = `if [ -e '${flag}' ]; then case $* in */f1*|*.lockstep*) ${program} | head -n 4; kill -9 $$ ;; esac; fi; exec ${program}`;
    try {
      await withFar(
        kind,
        async (pair, run) => {
          write(pair.a, Object.fromEntries(Array.from({ length: 30 }, (__, i) => [`d${i % 3}/f1${i}`, `f${i}`])));
          expect((await run('sync')).code).toBe(0);
          const before = contents(pair.a);
          fs.writeFileSync(flag, '');
          const cut = await run('sync', '--max-delete', 'off');
          fs.rmSync(flag);
          expect(contents(pair.a)).toEqual(before);
          expect(eventsOf(cut, 'action')).toEqual([]);
          expect([cut.code, eventsOf(cut, 'error')], cut.stdout).toMatchObject([1, [{}]]);
          expect(eventsOf(cut, 'error')[0]?.['message']).toMatch(/killed|cannot be read as a whole/);
          const again = await run('sync');
          expect([again.code, eventsOf(again, 'action')]).toEqual([0, []]);
        },
        { ...others, [tool]: script },
      );
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
  });
});

it('restore gives a directory back its name when what was to come in its place does not', async () => {
  const full = 'echo "cp: error writing: No space left on device" >&2; exit 1';
  const { program, remove } = makeFarShell({ shell: 'dash', tools: 'gnu' }, { cp: full });
  try {
    await withPair(async (pair) => {
      const sync = ['sync', pair.a, pair.b, '--state-dir', pair.state, '--max-delete', 'off', '--agent', 'sh'];
      write(pair.a, { foo: 'file', gone: 'g' });
      expect((await lockstep([...sync, '--', program])).code).toBe(0);
      for (const name of ['foo', 'gone']) fs.rmSync(path.join(pair.a, name));
      expect((await lockstep([...sync, '--', program])).code).toBe(0);
      write(pair.b, { 'foo/deep/in': 'inside' });
      const env = { PATH: `${path.dirname(program)}:${process.env['PATH'] ?? ''}` };
      const there = `docker://c${pair.b}`;
      const ran = await lockstep(['restore', there, '.', '--json', '--agent', 'sh'], { env });
      expect([ran.code, eventsOf(ran, 'restored')], ran.stdout + ran.stderr).toEqual([1, []]);
      expect(ran.stdout).toMatch(/no space left/i);
      expect(contents(pair.b)).toEqual({ foo: 'dir', 'foo/deep': 'dir', 'foo/deep/in': 'inside' });
      expect(litter(pair.b)).toEqual([]);
    });
  } finally {
    remove();
  }
});

it('restore that is cut off while it copies has taken no directory out of the way', async () => {
  const { program, remove } = makeFarShell({ shell: 'dash', tools: 'gnu' }, { cp: 'kill -9 $PPID' });
  try {
    await withPair(async (pair) => {
      const sync = ['sync', pair.a, pair.b, '--state-dir', pair.state, '--max-delete', 'off', '--agent', 'sh'];
      write(pair.a, { foo: 'file', other: 'o' });
      expect((await lockstep([...sync, '--', program])).code).toBe(0);
      fs.rmSync(path.join(pair.a, 'foo'));
      expect((await lockstep([...sync, '--', program])).code).toBe(0);
      write(pair.a, { 'foo/deep/in': 'inside' });
      expect((await lockstep([...sync, '--', program])).code).toBe(0);
      const env = { PATH: `${path.dirname(program)}:${process.env['PATH'] ?? ''}` };
      const ran = await lockstep(['restore', `docker://c${pair.b}`, 'foo', '--json', '--agent', 'sh'], { env });
      expect(ran.code, ran.stdout + ran.stderr).toBe(1);
      expect(contents(pair.b)).toMatchObject({ foo: 'dir', 'foo/deep/in': 'inside' });
      expect((await lockstep([...sync, '--force-unlock', '--', program])).code).toBe(0);
      pair.expectBoth({ foo: 'dir', 'foo/deep': 'dir', 'foo/deep/in': 'inside', other: 'o' });
    });
  } finally {
    remove();
  }
});

it('a file that a dead run had parked is kept by its name, whatever its bytes, or by a made-up one', async () =>
  withFar('dash', async (pair, run) => {
    write(pair.a, { f: 'f' });
    expect((await run('sync')).code).toBe(0);
    const parked = '.lockstep/staging/20260101T000000.000Z-00000000/parked';
    const notes = [Buffer.from('d/\xff', 'latin1'), Buffer.from('../../../../../out'), Buffer.from('')];
    for (const [at, note] of notes.entries()) {
      write(pair.b, { [`${parked}/${at}`]: `only ${at}` });
      fs.writeFileSync(path.join(pair.b, parked, `${at}.name`), note);
    }
    write(pair.b, { [`${parked}/9/sub/f`]: 'only 9', [`${parked}/9.name`]: 'whole' });
    expect((await run('sync')).code).toBe(0);
    const listed = eventsOf(await lockstep(['history', pair.b, '--json']), 'version');
    expect(listed.map((version) => version['path'])).toEqual([
      'd/\udcff',
      'parked-1',
      'parked-2',
      'whole',
      'whole/sub/f',
    ]);
  }));

describe('which agent', () => {
  it('node refuses to fall back, auto takes sh and says so', async (context) => {
    if (fs.existsSync('/usr/local/bin/node')) context.skip('there is a Node where one is always looked for');
    // With it, a login shell is asked, which would find the Node of this machine.
    const { program, remove } = makeFarShell('no-tar', { timeout: 'exit 1' });
    await withPair(async (pair) => {
      write(pair.a, { f: 'f' });
      const run = async (...args: string[]): Promise<Ran> =>
        lockstep(['sync', pair.a, pair.b, '--state-dir', pair.state, ...args, '--', program]);
      const node = await run('--agent', 'node');
      expect([node.code, fs.existsSync(pair.b)]).toEqual([1, false]);
      expect(node.stderr).toMatch(/no Node/);
      const auto = await run('-v');
      expect(auto.code, auto.stderr).toBe(0);
      expect(auto.stderr).toMatch(/served over there by sh, there is no Node/);
    });
    remove();
  });

  it('a far side on which files cannot be told apart is refused; doctor says what is missing', async () => {
    const { program, remove } = makeFarShell({ shell: 'dash', tools: 'gnu', without: 'stat' });
    await withPair(async (pair) => {
      write(pair.a, { f: 'f' });
      const ran = await lockstep(['sync', pair.a, pair.b, '--state-dir', pair.state, '--agent', 'sh', '--', program]);
      expect([ran.code, fs.existsSync(pair.b)]).toEqual([1, false]);
      expect(ran.stderr).toMatch(/stat -c/);
    });
    remove();
    const poor = makeFarShell('no-tar');
    const told = await lockstep(['doctor', '/tmp', '--agent', 'sh', '--', poor.program]);
    expect(told.stdout).toMatch(/tar\b.*\n.*slow with many small files/);
    poor.remove();
  });

  it('leaves no process behind', () => {
    expect(() => execFileSync('pgrep', ['-f', '/lockstep-far-[A-Za-z0-9]*/bin/sh$'])).toThrow();
  });
});

it('what only the agent can do is refused, not ignored', async () =>
  withFar('dash', async (pair, run) => {
    write(pair.a, { f: 'o' });
    for (const option of [
      ['--bwlimit', '1MB'],
      ['--compress', 'on'],
    ]) {
      const ran = await run('sync', ...option);
      expect(ran.code, ran.stdout).toBe(64);
      expect(ran.stdout).toMatch(new RegExp(`${option.join(' ').replace(' 1MB', '')} needs Node over there`));
      expect(fs.existsSync(pair.b)).toBe(false);
    }
    expect((await run('sync', '--bwlimit', '0')).code).toBe(0);
  }));
