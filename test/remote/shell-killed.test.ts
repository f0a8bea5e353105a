/**
 * Tools over there that are killed in the middle (out of memory): whatever they have not told of must not pass for something
 * that is not there. The walk of the tree: shell.test.ts.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { makeFarShell } from '../support/far-shells.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, history, write } from '../support/tree.ts';

type Far = Parameters<typeof makeFarShell>[0];

const busyboxPath = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
/**
 * Busybox's own shell, find and xargs have a stat of their own, so dash runs these, with and without xargs. Its cpio has tests of its
 * own below.
 */
const fars: Record<string, { far: Far; real: string; takes: { tool: string; call: string } }> = {
  gnu: { far: { shell: 'dash', tools: 'gnu' }, real: '/usr/bin/', takes: { tool: 'dd', call: 'bs=' } },
  'busybox, no xargs, no cpio': {
    far: { shell: 'dash', tools: 'busybox', without: 'xargs cpio' },
    real: `${busyboxPath} `,
    takes: { tool: 'dd', call: 'bs=' },
  },
};

interface Killing {
  tool: string;
  /** Which of its calls: a pattern of the shell that its arguments, joined by spaces, match. */
  when: string;
  /** Lines, or bytes, that it gets out before. */
  after: string;
  /** What it does before instead, for tools that give nothing out. */
  instead?: string;
  /** Not by a signal, but by itself. */
  exits?: true;
}

interface Play {
  pair: Pair;
  run: (command: 'sync' | 'push' | 'pull', ...args: string[]) => Promise<Ran>;
  /** The same while the tool is killed. */
  cut: (command: 'sync' | 'push' | 'pull', ...args: string[]) => Promise<Ran>;
}

async function withKilled(
  { far, real, more = {} }: { far: Far; real: string; more?: Record<string, string> },
  { tool, when, after, instead, exits }: Killing,
  act: (play: Play) => Promise<void>,
): Promise<void> {
  await withPair(async (pair) => {
    const flag = path.join(pair.dir, 'flag');
    const mark = path.join(pair.dir, 'killed');
    const own = `${real}${tool} "$@"`;
    const end = exits === true ? 'exit 1' : 'kill -9 $$';
    const dies =
      instead !== undefined ? `${instead};` : after === '' ? '' : `${own} | { head ${after}; cat >/dev/null; };`;
    const script = `if [ -e '${flag}' ]; then case "$*" in ${when}) : >'${mark}'; ${dies} ${end} ;; esac; fi; exec ${own}`;
    const { program, remove } = makeFarShell(far, { ...more, [tool]: script });
    const run: Play['run'] = async (command, ...args) => {
      const roots = command === 'pull' ? [pair.b, pair.a] : [pair.a, pair.b];
      const state = ['--json', '--state-dir', pair.state, '--agent', 'sh'];
      return lockstep([command, ...roots, ...state, ...args, '--', program]);
    };
    const cut: Play['cut'] = async (command, ...args) => {
      fs.writeFileSync(flag, '');
      const ran = await run(command, ...args);
      fs.rmSync(flag);
      expect(fs.existsSync(mark), `${tool} was not called so: ${ran.stdout}${ran.stderr}`).toBe(true);
      expect(ran.stderr).not.toMatch(/bug in Lockstep/);
      return ran;
    };
    try {
      await act({ pair, run, cut });
    } finally {
      remove();
    }
  });
}

function expectFailed(ran: Ran, message: RegExp): void {
  expect([ran.code, eventsOf(ran, 'error')], ran.stdout + ran.stderr).toMatchObject([1, [{}]]);
  expect(eventsOf(ran, 'error')[0]?.['message']).toMatch(message);
}

async function expectHeals({ pair, run }: Play): Promise<void> {
  const next = await run('sync');
  expect(next.code, next.stdout + next.stderr).toBe(0);
  expect(contents(pair.b)).toEqual(contents(pair.a));
  expect(eventsOf(await run('sync'), 'action')).toEqual([]);
  pair.expectClean();
}

const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f1${i}`, `content ${i}`]));

/** So many files of 5 KiB, each unlike the others. */
function larger(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, `${i} `.repeat(5120).slice(0, 5120)]));
}

describe.each(Object.entries(fars))('over %s', (_, far) => {
  const looking = { tool: 'stat', when: '*%N*./f1*', after: '-n 6' };

  it.each([
    ['killed', looking],
    ['that gives up', { ...looking, exits: true }],
  ] as const)('a stat %s while paths are looked at ends the run', async (__, killing) =>
    withKilled(far, killing, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { ...files, other: 'o' });
      expect((await run('sync')).code).toBe(0);
      for (const name of Object.keys(files)) {
        if (name.endsWith('5')) fs.rmSync(path.join(pair.a, name));
        else write(pair.a, { [name]: 'edited' });
      }
      const after = contents(pair.a);
      expectFailed(await cut('sync', '--max-delete', 'off'), /not be looked at as a whole/);
      expect(contents(pair.a)).toEqual(after);
      await expectHeals(play);
      expect(contents(pair.a)).toEqual(after);
    }),
  );

  const dead = 'dead-run';
  const parked = `.lockstep/staging/${dead}/parked`;
  it.each([
    ['its names are counted', { tool: 'stat', when: '*%h*parked*', after: '' }],
    ['it is found', { tool: 'stat', when: '*./1', after: '' }],
    ['its name is read', { tool: 'cat', when: '*.name', after: '' }],
  ] as const)('what a dead run had parked is not lost when a tool dies while %s', async (__, killing) =>
    withKilled(far, killing, async ({ pair, run, cut }) => {
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      write(pair.b, { [`${parked}/1`]: 'the only one', [`${parked}/1.name`]: 'd/f' });
      expectFailed(await cut('sync'), /cannot read|not be looked at as a whole/);
      expect(fs.readFileSync(path.join(pair.b, parked, '1'), 'utf8')).toBe('the only one');
      expect((await run('sync')).code).toBe(0);
      expect(history(pair.b)).toEqual({ 'd/f': ['the only one'] });
    }),
  );

  it('a cat killed while the identity is read makes no new one', async () =>
    withKilled(far, { tool: 'cat', when: '*.lockstep/id', after: '-c 9' }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      const id = fs.readFileSync(path.join(pair.b, '.lockstep/id'), 'utf8');
      expectFailed(await cut('sync'), /cannot read .*\.lockstep\/id/);
      expect(fs.readFileSync(path.join(pair.b, '.lockstep/id'), 'utf8')).toBe(id);
      await expectHeals(play);
    }));

  it("a cat killed while another's lock is read does not free it", async () =>
    withKilled(far, { tool: 'cat', when: '*.lockstep/lock', after: '-c 9' }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      const lock = path.join(pair.b, '.lockstep/lock');
      const text = JSON.stringify({ host: 'elsewhere', boot: '', pid: 1, start: '', run: 'theirs', command: 'sync' });
      fs.writeFileSync(lock, text);
      expectFailed(await cut('sync'), /cannot read .*\.lockstep\/lock/);
      expect(fs.readFileSync(lock, 'utf8')).toBe(text);
      expect((await run('sync')).code).toBe(3);
      fs.rmSync(lock);
      await expectHeals(play);
    }));

  it('a mv killed before it has renamed a directory has not renamed it', async () =>
    withKilled(far, { tool: 'mv', when: '*/new', after: '' }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { 'old/f': 'in it', other: 'o' });
      expect((await run('sync')).code).toBe(0);
      fs.renameSync(path.join(pair.a, 'old'), path.join(pair.a, 'new'));
      const after = contents(pair.a);
      const ran = await cut('sync');
      expect([ran.code, eventsOf(ran, 'skip')], ran.stdout).toMatchObject([2, [{ path: 'new', why: 'failed' }]]);
      await expectHeals(play);
      expect(contents(pair.a)).toEqual(after);
    }));

  it.each([
    ['killed', {}],
    ['that finds no room', { exits: true }],
  ] as const)('where files have one name only, a cp %s over the old version leaves that in place', async (__, more) => {
    // cp -pP -- FROM TO/
    const instead = `${far.real}head -c 3 -- "$3" >"$4$3"`;
    const killing = { tool: 'cp', when: '*./f12*', after: '', instead, ...more };
    return withKilled({ ...far, more: { ln: 'exit 1' } }, killing, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, files);
      expect((await run('sync')).code).toBe(0);
      write(pair.a, { f12: 'edited', f13: 'edited' });
      const ran = await cut('sync', '--backup', 'all');
      expect([ran.code, eventsOf(ran, 'skip')], ran.stdout).toMatchObject([2, [{ path: 'f12', why: 'failed' }]]);
      expect(contents(pair.b)).toMatchObject({ f12: 'content 2', f13: 'edited' });
      expect((await run('sync', '--backup', 'all')).code).toBe(0);
      expect(history(pair.b)).toEqual({ f12: ['content 2'], f13: ['content 3'] });
      await expectHeals(play);
    });
  });

  it('a cat killed while content is sent brings nothing torn', async () =>
    withKilled(far, { tool: 'cat', when: '*./f1*', after: '-c 5' }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      write(pair.b, files);
      const ran = await cut('sync');
      expect([ran.code, eventsOf(ran, 'action')], ran.stdout).toEqual([2, []]);
      expect(eventsOf(ran, 'skip').length).toBe(30);
      expect(contents(pair.a)).toEqual({ other: 'o' });
      await expectHeals(play);
    }));

  it('a cat killed while an ignore file is read ignores nothing by half of it', async () =>
    withKilled(far, { tool: 'cat', when: '*.gitignore', after: '-c 5' }, async ({ pair, run, cut }) => {
      write(pair.a, { other: 'o', '.gitignore': 'f13\nf14\n', ...files });
      expect((await run('sync', '--gitignore')).code).toBe(0);
      write(pair.b, { f14: 'theirs' });
      await cut('sync', '--gitignore');
      expect(contents(pair.a)['f14']).toBe('content 4');
      expect((await run('sync', '--gitignore')).code).toBe(0);
      expect(contents(pair.a)['f14']).toBe('content 4');
      expect(contents(pair.b)['f14']).toBe('theirs');
    }));

  it('what a sha256sum that is killed has not told of is asked for again', async () =>
    withKilled(far, { tool: 'sha256sum', when: '*./f1*', after: '-n 3' }, async ({ pair, run, cut }) => {
      // Alike but for one, at a first meeting: only the content can tell.
      write(pair.a, files);
      write(pair.b, { ...files, f17: 'CONTENT 7' });
      const ran = await cut('sync', '--on-conflict', 'local');
      expect(ran.code, ran.stdout).toBe(0);
      expect(eventsOf(ran, 'conflict')).toMatchObject([{ path: 'f17' }]);
      expect(contents(pair.b)).toEqual(contents(pair.a));
      expect(eventsOf(await run('sync'), 'action')).toEqual([]);
    }));

  it('a tar killed over content: what it was at gets no name without its time and mode', async () =>
    withKilled(far, { tool: 'tar', when: '*x*', after: '' }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      write(pair.a, files);
      expectFailed(await cut('sync'), /tar was killed/);
      expect(contents(pair.b)).toEqual({ other: 'o' });
      await expectHeals(play);
    }));

  it('a find killed over a run in history: its index stays', async () =>
    withKilled(far, { tool: 'find', when: '*index.jsonl', after: '' }, async ({ pair, run, cut }) => {
      for (const n of [1, 2]) {
        write(pair.a, { f: `f ${n}`, g: `g ${n}`, other: 'o' });
        expect((await run('sync', '--backup', 'all')).code).toBe(0);
      }
      const index = path.join(
        pair.b,
        '.lockstep/history',
        fs.readdirSync(`${pair.b}/.lockstep/history`)[0] ?? '',
        'index.jsonl',
      );
      const before = fs.readFileSync(index, 'utf8');
      write(pair.a, { f: 'f 3' });
      expect((await cut('sync', '--backup', 'all', '--keep-versions', '1')).code).toBe(0);
      expect(history(pair.b)).toEqual({ f: ['f 2'], g: ['g 1'] });
      expect(fs.readFileSync(index, 'utf8')).toBe(before);
    }));

  it.each([
    [
      'when its shell is told to end',
      'kill -TERM $(/usr/bin/sed "s/.*\\"pid\\":\\([0-9]*\\).*/\\1/" .lockstep/lock)',
      true,
    ],
    ['when mv is killed once it has renamed it', ':', false],
  ])('a file that has lost its name to a swap is not lost %s', async (__, then, ends) => {
    const killing = { tool: 'mv', when: '*/parked/*', after: '', instead: `${far.real}mv "$@"; ${then}` };
    return withKilled(far, killing, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { a: 'was a', b: 'was b' });
      expect((await run('sync')).code).toBe(0);
      const move = (from: string, to: string): void => fs.renameSync(path.join(pair.a, from), path.join(pair.a, to));
      move('a', 'c');
      move('b', 'a');
      move('c', 'b');
      const ran = await cut('sync');
      if (ends) expectFailed(ran, /connection was lost/);
      else {
        expect([ran.code, eventsOf(ran, 'skip').length], ran.stdout).toEqual([2, 2]);
        expect(contents(pair.b)).toEqual({ a: 'was a', b: 'was b' });
      }
      // Nothing that is only here may be needed for it.
      const before = contents(pair.a);
      fs.rmSync(pair.a, { recursive: true });
      write(pair.a, { other: 'o' });
      const there = await lockstep(['push', pair.a, pair.b, '--json', '--state-dir', `${pair.state}2`]);
      expect(there.code, there.stdout).toBe(0);
      pair.expectKept('was a', 'was b');
      expect(before).toEqual({ a: 'was b', b: 'was a' });
    });
  });

  it('an old version is kept when somebody saves over the new one in that moment', async () => {
    const instead = `${far.real}mv "$@"; echo saved >new; ${far.real}mv -f new f`;
    return withKilled(far, { tool: 'mv', when: '-f*/f?.', after: '', instead, exits: true }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { f: 'old' });
      expect((await run('sync')).code).toBe(0);
      write(pair.a, { f: 'from a' });
      write(pair.b, { f: 'from b' });
      expect((await cut('sync', '--on-conflict', 'local')).code).toBe(2);
      expect(contents(pair.b)).toEqual({ f: 'saved\n' });
      pair.expectKept('from a', 'from b', 'saved\n');
      expect((await run('sync', '--on-conflict', 'local')).code).toBe(0);
      pair.expectKept('from a', 'from b', 'saved\n');
    });
  });

  const edit = 'printf "slipped in" >f';
  const killController =
    'kill -9 $(/usr/bin/cut -d" " -f4 /proc/$(/usr/bin/sed "s/.*\\"pid\\":\\([0-9]*\\).*/\\1/" .lockstep/lock)/stat)';

  it.each([
    ['replaced', 'edited', '-f*/f?.', '', []],
    ['removed', undefined, '--?./f*', '; echo "of another" >f', []],
    ['removed for good', undefined, '--?./f*', '; echo "of another" >f', ['--backup', 'off']],
  ])(
    'an edit that slipped in just before a file is %s is not lost when nobody listens any more',
    async (__, text, when, then, args) => {
      const instead = `${edit}; ${far.real}mv "$@"${then}; ${killController}`;
      return withKilled(far, { tool: 'mv', when, after: '', instead, exits: true }, async (play) => {
        const { pair, run, cut } = play;
        write(pair.a, { f: 'old', other: 'o' });
        expect((await run('sync')).code).toBe(0);
        if (text === undefined) fs.rmSync(path.join(pair.a, 'f'));
        else write(pair.a, { f: text });
        expect((await cut('sync', ...args)).code).not.toBe(0);
        const next = await run('sync', ...args);
        expect(next.code, next.stdout).toBe(0);
        pair.expectKept('slipped in');
        pair.expectClean();
      });
    },
  );

  it('a walk that tells of nothing but a complaint is none', async () => {
    const instead = "echo 'find: ./locked: Permission denied' >&2";
    return withKilled(far, { tool: 'find', when: '.*', after: '', instead, exits: true }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, files);
      expect((await run('sync')).code).toBe(0);
      expectFailed(await cut('sync', '--max-delete', 'off'), /cannot be read as a whole/);
      expect(contents(pair.a)).toEqual(files);
      await expectHeals(play);
    });
  });

  it('what tar could not store in the end gets no name', async () => {
    const instead = `${far.real}tar "$@"; echo 'tar: f12: Cannot close: Input/output error' >&2`;
    return withKilled(far, { tool: 'tar', when: '*x*', after: '', instead, exits: true }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      write(pair.a, files);
      expectFailed(await cut('sync'), /Cannot close/);
      expect(contents(pair.b)).toEqual({ other: 'o' });
      await expectHeals(play);
    });
  });

  it('where files have one name only, what is edited while copies are made is not replaced', async () => {
    const killing = {
      tool: 'cp',
      when: '*./f12*',
      after: '',
      instead: `${far.real}cp "$@"; echo edited there >f12; exit 0`,
    };
    return withKilled({ ...far, more: { ln: 'exit 1' } }, killing, async ({ pair, run, cut }) => {
      write(pair.a, files);
      expect((await run('sync')).code).toBe(0);
      write(pair.a, { f12: 'edited', f13: 'edited' });
      const ran = await cut('sync');
      expect([ran.code, eventsOf(ran, 'skip')], ran.stdout).toMatchObject([
        2,
        [{ path: 'f12', why: 'changed-meanwhile' }],
      ]);
      expect(contents(pair.b)).toMatchObject({ f12: 'edited there\n', f13: 'edited' });
    });
  });

  it.each([
    ['the lock', '[0-9][0-9][0-9]*', '', files],
    ['content', '[0-9][0-9][0-9][0-9]*', '', files],
    // All is taken from the pipe, so that nothing is left to stumble over, and the end of it is not passed on.
    ['blocks of content', '*?count=[2-9]*', '-c 131072', larger(40)],
  ])('when what takes bytes from the pipe is killed over %s, the run ends', async (__, bytes, after, given) =>
    withKilled(far, { tool: far.takes.tool, when: `${far.takes.call}${bytes}`, after }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      write(pair.a, given);
      expectFailed(await cut('sync'), /connection was lost/);
      expect(contents(pair.b)).toEqual({ other: 'o' });
      await expectHeals(play);
    }),
  );
});

describe("over busybox's cpio", () => {
  const far = { far: { shell: 'dash', tools: 'busybox' }, real: `${busyboxPath} ` } as const;
  const size = 100_000;
  const given = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [`c${i}`, `${i} of many\n`.repeat(size).slice(0, size)]),
  );
  /** Over content, all but the first 200,000 bytes of an archive stay where they are. */
  const some =
    `case $PWD in */staging/*) ;; *) exec ${far.real}cpio "$@" ;; esac; ` +
    `${busyboxPath} dd bs=1000 count=200 iflag=fullblock 2>/dev/null | ${far.real}cpio "$@" 2>/dev/null`;

  it('one that is killed over content: what it was at gets no name, and the next run does', async () =>
    withKilled(far, { tool: 'cpio', when: '-imu', after: '', instead: some }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      write(pair.a, given);
      expectFailed(await cut('sync'), /had started was killed/);
      expect(contents(pair.b)).toEqual({ other: 'o' });
      await expectHeals(play);
    }));

  it('what one that gives up has not taken is neither code nor content', async () => {
    const instead = `${some}; echo x >>../../../n; echo 'cpio: write error' >&2`;
    return withKilled(far, { tool: 'cpio', when: '-imu', after: '', instead, exits: true }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { other: 'o' });
      expect((await run('sync')).code).toBe(0);
      write(pair.a, given);
      const ran = await cut('push');
      expect(ran.code, ran.stdout).toBe(2);
      const skips = eventsOf(ran, 'skip');
      for (const skip of skips) expect(skip).toMatchObject({ side: 'remote', why: 'failed', detail: 'write error' });
      // It was called once, tar did the rest, and all that is there is whole.
      const { n, ...there } = contents(pair.b);
      expect([n, skips.length > 0, skips.length < 100]).toEqual(['x\n', true, true]);
      expect(Object.keys(there)).toHaveLength(101 - skips.length);
      expect({ ...given, other: 'o' }).toMatchObject(there);
      fs.rmSync(path.join(pair.b, 'n'));
      await expectHeals(play);
    });
  });

  it('a time that it cannot say goes to tar', async () =>
    withPair(async (pair) => {
      const { program, remove } = makeFarShell(far.far);
      try {
        write(pair.a, { old: 'old', now: 'now', far: 'far', 'dir/in': 'in' });
        // Of a negative number Node makes the present.
        fs.utimesSync(path.join(pair.a, 'old'), new Date(-86_400_000), new Date(-86_400_000));
        fs.utimesSync(path.join(pair.a, 'far'), 5_000_000_000, 5_000_000_000);
        fs.utimesSync(path.join(pair.a, 'dir'), 4_000_000_000, 4_000_000_000);
        const args = ['push', pair.a, pair.b, '--json', '--state-dir', pair.state, '--agent', 'sh', '--', program];
        expect((await lockstep(args)).code).toBe(0);
        const seconds = (name: string): number => fs.statSync(path.join(pair.b, name)).mtimeMs / 1000;
        expect(['old', 'far', 'dir'].map(seconds)).toEqual([-86_400, 5_000_000_000, 4_000_000_000]);
        expect(eventsOf(await lockstep(args), 'action')).toEqual([]);
      } finally {
        remove();
      }
    }));

  it('what is made in a directory that gives its group to what is in it gets that group', async () =>
    withPair(async (pair) => {
      const { program, remove } = makeFarShell(far.far);
      try {
        fs.mkdirSync(pair.b, { recursive: true });
        fs.chownSync(pair.b, 0, 1234);
        fs.chmodSync(pair.b, 0o2775);
        write(pair.a, { f: 'f', 'dir/in': 'in' });
        const args = ['push', pair.a, pair.b, '--json', '--state-dir', pair.state, '--agent', 'sh', '--', program];
        expect((await lockstep(args)).code).toBe(0);
        for (const name of ['f', 'dir', 'dir/in']) expect(fs.statSync(path.join(pair.b, name)).gid).toBe(1234);
      } finally {
        remove();
      }
    }));
});

describe('over gnu', () => {
  const far = { far: { shell: 'dash', tools: 'gnu' }, real: '/usr/bin/' } as const;

  it('what cannot be looked at when it is to be removed does not count as removed', async () => {
    const others = `for x do shift; [ "$x" = ./gone ] || set -- "$@" "$x"; done; ${far.real}stat "$@"`;
    const instead = `${others}; echo "stat: cannot statx './gone': Input/output error" >&2`;
    return withKilled(far, { tool: 'stat', when: '*./gone*', after: '', instead, exits: true }, async (play) => {
      const { pair, run, cut } = play;
      write(pair.a, { gone: 'g', other: 'o' });
      expect((await run('sync')).code).toBe(0);
      fs.rmSync(path.join(pair.a, 'gone'));
      const ran = await cut('sync');
      expect([ran.code, eventsOf(ran, 'skip')], ran.stdout).toMatchObject([2, [{ path: 'gone' }]]);
      await expectHeals(play);
      expect(contents(pair.a)).toEqual({ other: 'o' });
    });
  });

  it.each([
    ['is stored', 'exit 0', true],
    ['could not be stored', 'exit 1', false],
  ])('a record is durable only if what was written %s', async (_, instead, isDurable) =>
    withKilled(far, { tool: 'sync', when: '-f?--?*', after: '', instead }, async ({ pair, run, cut }) => {
      write(pair.a, { f: 'f' });
      expect((await run('sync')).code).toBe(0);
      write(pair.a, { f: 'edited' });
      expect((await cut('sync')).code).toBe(0);
      const records = Object.values(contents(pair.state)).join('').split('"edited"').at(-1) ?? '';
      expect(records.trimEnd().endsWith('{"type":"durable"}'), records.slice(-300)).toBe(isDurable);
    }),
  );
});
