/**
 * Mistakes in what a run is given: each ends with the right code and one clear line that names what is wrong, and nothing
 * is written anywhere. DESIGN §7, §8; SCENARIOS 73, 74, 110, 130, 131.
 */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { bothHere, events, eventsOf, lockstep, type RunOptions } from '../support/cli.ts';
import { asNobody, giveAway } from '../support/host.ts';
import { injecting } from '../support/inject.ts';
import { everything } from '../support/oracles.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, dir, file, link, soon, write } from '../support/tree.ts';

interface Mistake {
  args: readonly string[];
  code: 1 | 3 | 64;
  /** The first line, which names the path or option. */
  says: RegExp;
  /** What to do about it, on the lines below. */
  remedy: RegExp;
}

/** The same for people and for programs, and nothing anywhere is written, not even for a moment that shows. */
async function expectRefused(pair: Pair, { args, code, says, remedy }: Mistake, run: RunOptions = {}): Promise<void> {
  const before = everythingIn(pair);
  const options = { cwd: pair.dir, ...run };
  const ran = await lockstep(args, options);
  const about = `${args.join(' ')}\n${ran.stdout}${ran.stderr}`;
  expect([ran.code, ran.stdout], about).toEqual([code, '']);
  const [first = '', ...rest] = ran.stderr.trimEnd().split('\n');
  expect(first, about).toMatch(/^lockstep: /);
  expect(first, about).toMatch(says);
  expect(rest.join('\n'), about).toMatch(remedy);
  expect(ran.stderr, about).not.toMatch(/^\s+at |bug in Lockstep/m);
  expect(rest.length, about).toBeLessThanOrEqual(2);

  const json = await lockstep([...args, '--json'], options);
  expect(json.code).toBe(code);
  expect(events(json).at(-1), about).toMatchObject({ v: 1, type: 'error', exitCode: code });
  expect(everythingIn(pair), about).toEqual(before);
}

/** Every byte below the pair's directory; times of directories in which our lock came and went aside. */
function everythingIn(pair: Pair): Record<string, string> {
  return Object.fromEntries(
    Object.entries(everything(pair.dir)).map(([name, print]) => {
      const isDirectory = print.split(' ')[1]?.startsWith('4') === true;
      return [name, isDirectory ? print.split(' ').slice(0, 2).join(' ') : print];
    }),
  );
}

/** Two roots that never met, and things that are no roots. */
function mistaken(pair: Pair): void {
  write(pair.a, { f: 'x', 'd/g': 'y' });
  write(pair.b, { h: 'z' });
  write(pair.dir, {
    'to-a': link('a'),
    'to-d': link('a/d'),
    'up/to-a': link('../a'),
    circle: link('circle'),
    nowhere: link('not/there'),
    file: 'a file',
  });
}

describe('roots that are none', () => {
  const guard = 3;
  const table: Mistake[] = [
    { args: ['sync', 'nope', 'b'], code: guard, says: /\/nope does not exist/, remedy: /Check the path/ },
    { args: ['push', 'nope', 'b'], code: guard, says: /\/nope does not exist/, remedy: /Check the path/ },
    { args: ['pull', 'nope', 'b'], code: guard, says: /\/nope does not exist/, remedy: /Check the path/ },
    { args: ['push', 'nope', 'b', '--delete'], code: guard, says: /\/nope does not exist/, remedy: /Check the path/ },
    { args: ['sync', 'nowhere', 'b'], code: guard, says: /\/nowhere does not exist/, remedy: /Check the path/ },
    { args: ['sync', 'file', 'b'], code: guard, says: /\/file is not a directory/, remedy: /--path FILE/ },
    { args: ['sync', 'a', 'file'], code: guard, says: /\/file is not a directory/, remedy: /--path FILE/ },
    { args: ['push', 'a', 'a/f'], code: guard, says: /\/f is not a directory/, remedy: /--path FILE/ },
    { args: ['sync', 'a', 'file/in'], code: guard, says: /\/file\/in is not a directory/, remedy: /--path FILE/ },
    { args: ['sync', 'a', 'circle'], code: guard, says: /\/circle cannot be read/, remedy: /Check the path/ },
    { args: ['sync', 'a', 'nowhere'], code: 1, says: /cannot make \S+\/nowhere/, remedy: /mounted/ },
    { args: ['sync', 'a', 'x'.repeat(300)], code: guard, says: /x cannot be read: name too long/, remedy: /Check/ },
    { args: ['sync', 'a\n', 'b'], code: 64, says: /\/a\\n ends in a line break/, remedy: /Remove the line break/ },
    { args: ['sync', 'a', 'b\n'], code: 64, says: /\/b\\n ends in a line break/, remedy: /Remove the line break/ },
    { args: ['push', 'a', 'c\r'], code: 64, says: /\/c\\r ends in a line break/, remedy: /Remove the line break/ },
    { args: ['pull', 'b\n', 'a'], code: 64, says: /\/b\\n ends in a line break/, remedy: /Remove the line break/ },
    { args: ['sync', '', 'b'], code: 64, says: /a root is empty/, remedy: /Name two directories/ },
    { args: ['push', 'a', ' '], code: 64, says: /a root is empty/, remedy: /Name two directories/ },
    { args: ['history', 'nope'], code: 1, says: /nope does not exist/, remedy: /the root/ },
    { args: ['history', 'file'], code: 1, says: /file is not a directory/, remedy: /the root/ },
    { args: ['restore', 'nope', 'f'], code: 1, says: /nope does not exist/, remedy: /the root/ },
  ];
  it('are named, with what to do about it', async () =>
    withPair(async (pair) => {
      mistaken(pair);
      for (const mistake of table) {
        const state = ['sync', 'push', 'pull'].includes(mistake.args[0] ?? '') ? ['--state-dir', pair.state] : [];
        await expectRefused(pair, { ...mistake, args: [...mistake.args, ...state] });
      }
    }));

  it('130: the same directory, or one in the other, by whatever way it is named', async () =>
    withPair(async (pair) => {
      mistaken(pair);
      const same = { code: 3, says: /are the same directory/, remedy: /two different/ } as const;
      const nested = { code: 3, says: /lie one inside the other/, remedy: /Choose a directory outside/ } as const;
      const equal = ['a a', 'a ./a/', 'a to-a', 'up/to-a to-a', 'a/d to-d'];
      const inside = [
        'a a/d',
        'a/d a',
        'to-d a',
        'to-a a/d',
        'a to-d',
        'a a/new/deeper',
        'a to-d/new',
        'a up/to-a/new',
        'a .',
      ];
      for (const [rows, mistake] of [
        [equal, same],
        [inside, nested],
      ] as const) {
        for (const row of rows) {
          const roots = row.split(' ');
          await expectRefused(pair, { ...mistake, args: ['sync', ...roots, '--state-dir', pair.state] });
        }
      }
      for (const args of [
        ['push', 'a', 'to-d'],
        ['push', 'a', 'to-a/new', '--delete'],
        ['pull', 'a', 'a/new'],
      ]) {
        await expectRefused(pair, { ...nested, args: [...args, '--state-dir', pair.state] });
      }
      await expectRefused(pair, { ...same, args: ['pull', 'to-a', 'a', '--state-dir', pair.state] });
    }));
});

describe('options that are none', () => {
  const usage = 64;
  const table: Mistake[] = [
    { args: ['sync', 'a'], code: usage, says: /sync takes two directories/, remedy: /sync --help/ },
    { args: ['push'], code: usage, says: /push takes a source and a destination/, remedy: /push --help/ },
    { args: ['pull', 'a', 'b', 'c'], code: usage, says: /too many arguments/, remedy: /pull --help/ },
    { args: ['restore', 'a'], code: usage, says: /missing required argument 'PATH'/, remedy: /restore --help/ },
    {
      args: ['sync', 'a', 'b', '--mode', 'three-way'],
      code: usage,
      says: /--mode three-way: not one of two-way, additive/,
      remedy: /--mode/,
    },
    {
      args: ['sync', 'a', 'b', '--on-conflict', 'newst'],
      code: usage,
      says: /--on-conflict newst: not one of newer, older/,
      remedy: /--on-conflict/,
    },
    {
      args: ['sync', 'a', 'b', '--deletes', 'maybe'],
      code: usage,
      says: /--deletes maybe: not one of lose, win/,
      remedy: /--deletes/,
    },
    {
      args: ['sync', 'a', 'b', '--skip-deletion', 'left'],
      code: usage,
      says: /--skip-deletion left: not one of local, remote/,
      remedy: /--skip-deletion/,
    },
    {
      args: ['sync', 'a', 'b', '--backup', 'some'],
      code: usage,
      says: /--backup some: not one of conflicts, all, off/,
      remedy: /--backup/,
    },
    {
      args: ['sync', 'a', 'b', '--max-delete', 'nonsense'],
      code: usage,
      says: /--max-delete nonsense: neither a number/,
      remedy: /--max-delete/,
    },
    { args: ['sync', 'a', 'b', '--max-delete', '-5'], code: usage, says: /--max-delete -5/, remedy: /--max-delete/ },
    {
      args: ['sync', 'a', 'b', '--keep-days', 'x'],
      code: usage,
      says: /--keep-days x: not a number/,
      remedy: /--keep-days/,
    },
    {
      args: ['sync', 'a', 'b', '--keep-versions', '1.5'],
      code: usage,
      says: /--keep-versions 1.5/,
      remedy: /--keep-versions/,
    },
    {
      args: ['sync', 'a', 'b', '--keep-size', 'big'],
      code: usage,
      says: /--keep-size big: not a size/,
      remedy: /--keep-size/,
    },
    { args: ['sync', 'a', 'b', '--preset', 'nod'], code: usage, says: /no preset "nod"/, remedy: /node, python/ },
    { args: ['sync', 'a', 'b', '--exclude', ''], code: usage, says: /the pattern ""/, remedy: /(?:)/ },
    {
      args: ['sync', 'a', 'b', '--path', '../x'],
      code: usage,
      says: /--path \.\.\/x is not a path inside/,
      remedy: /--path src/,
    },
    {
      args: ['sync', 'a', 'b', '--path', '/etc'],
      code: usage,
      says: /--path \/etc is not a path inside/,
      remedy: /--path src/,
    },
    {
      args: ['sync', 'a', 'b', '--state-dir', ''],
      code: usage,
      says: /--state-dir : it is empty/,
      remedy: /--state-dir/,
    },
    {
      args: ['sync', 'a', 'b', '--exlcude', 'x'],
      code: usage,
      says: /unknown option '--exlcude'/,
      remedy: /Did you mean --exclude\?/,
    },
    {
      args: ['sync', 'a', 'b', '--dry-rum'],
      code: usage,
      says: /unknown option '--dry-rum'/,
      remedy: /Did you mean --dry-run\?/,
    },
    {
      args: ['restore', 'a', 'f', '--tp', 'x'],
      code: usage,
      says: /unknown option '--tp'/,
      remedy: /Did you mean --to\?/,
    },
    { args: ['snyc', 'a', 'b'], code: usage, says: /unknown command 'snyc'/, remedy: /Did you mean sync\?/ },
    { args: ['psuh', 'a', 'b'], code: usage, says: /unknown command 'psuh'/, remedy: /Did you mean push\?/ },
    { args: ['help', 'snyc'], code: usage, says: /unknown command 'snyc'/, remedy: /Did you mean sync\?/ },
  ];
  const conflicting: Mistake[] = [
    {
      args: ['sync', 'a', 'b', '--delete'],
      code: usage,
      says: /--delete.*belong to push and pull/,
      remedy: /sync --help/,
    },
    {
      args: ['sync', 'a', 'b', '--force'],
      code: usage,
      says: /--force.*belong to push and pull/,
      remedy: /sync --help/,
    },
    {
      args: ['sync', 'a', 'b', '--mode', 'mirror'],
      code: usage,
      says: /--mode mirror/,
      remedy: /push SRC DST --delete/,
    },
    {
      args: ['push', 'a', 'b', '--delete', '--mode', 'additive'],
      code: usage,
      says: /--mode additive belongs to sync/,
      remedy: /push --help/,
    },
    {
      args: ['sync', 'a', 'b', '-q', '-v'],
      code: usage,
      says: /'-q, --quiet' cannot be used with option '-v, --verbose'/,
      remedy: /sync --help/,
    },
    {
      args: ['push', 'a', 'b', '--clean-out-first', '--path', 'd'],
      code: usage,
      says: /--clean-out-first empties the whole .*--path/,
      remedy: /push --help/,
    },
    {
      args: ['restore', 'a', 'f', '--at', '1d', '--version', '1'],
      code: usage,
      says: /--at.*cannot be used with.*--version/,
      remedy: /restore --help/,
    },
  ];
  for (const mistake of [...table, ...conflicting]) {
    it(mistake.args.join(' '), async () =>
      withPair(async (pair) => {
        mistaken(pair);
        const env = { XDG_STATE_HOME: pair.state, HOME: pair.dir };
        await expectRefused(pair, mistake, { env });
      }),
    );
  }
});

/** The command line run by an ordinary user to whom everything below the pair belongs. */
function ordinarily(context: TestContext, pair: Pair): string[] {
  const nobody = asNobody();
  if ('reason' in nobody) return context.skip(nobody.reason);
  giveAway(pair.dir);
  return nobody.under;
}

describe('what may not be read or written', () => {
  it('a root that is somebody else’s', async (context) =>
    withPair(async (pair) => {
      mistaken(pair);
      write(pair.dir, { 'secret/in/f': 's', 'theirs/f': 't' });
      const under = ordinarily(context, pair);
      for (const name of ['secret', 'secret/in', 'theirs']) fs.chownSync(path.join(pair.dir, name), 0, 0);
      fs.chmodSync(path.join(pair.dir, 'secret'), 0o700);
      const unread = {
        code: 3,
        says: /\/secret(\/in|\/new)? cannot be read: permission denied/,
        remedy: /permissions/,
      } as const;
      const unwritten = {
        code: 1,
        says: /cannot (write into|make) \S+\/theirs(\/new)?: permission denied/,
        remedy: /permissions/,
      } as const;
      const table: Mistake[] = [
        { args: ['sync', 'secret', 'b'], ...unread },
        { args: ['sync', 'a', 'secret'], ...unread },
        { args: ['sync', 'a', 'secret/in'], ...unread },
        { args: ['sync', 'a', 'secret/new'], ...unread },
        { args: ['push', 'secret', 'b', '--delete'], ...unread },
        { args: ['push', 'a', 'secret', '--delete'], ...unread },
        { args: ['pull', 'secret', 'b'], ...unread },
        { args: ['sync', 'a', 'theirs'], ...unwritten },
        { args: ['sync', 'theirs', 'b'], ...unwritten },
        { args: ['push', 'a', 'theirs'], ...unwritten },
        { args: ['push', 'a', 'theirs/new'], ...unwritten },
      ];
      for (const mistake of table) {
        await expectRefused(pair, { ...mistake, args: [...mistake.args, '--state-dir', pair.state] }, { under });
      }
      // To read from, it is good enough.
      const ran = await lockstep(['push', 'theirs', 'c', '--state-dir', pair.state], { cwd: pair.dir, under });
      expect(ran.code, ran.stderr).toBe(0);
      expect(contents(path.join(pair.dir, 'c'))).toEqual({ f: 't' });
    }));

  it('the place of the record: nothing is synced without one', async (context) =>
    withPair(async (pair) => {
      mistaken(pair);
      write(pair.dir, { 'theirs/': dir() });
      const under = ordinarily(context, pair);
      fs.chownSync(path.join(pair.dir, 'theirs'), 0, 0);
      for (const command of ['sync', 'push']) {
        for (const place of ['theirs', 'theirs/deeper', 'file', 'file/in']) {
          const mistake: Mistake = {
            args: [command, 'a', 'b', '--state-dir', place],
            code: 1,
            says: new RegExp(`the state in \\S+/${place}: (permission denied|not a directory)`),
            remedy: /--state-dir/,
          };
          await expectRefused(pair, mistake, { under });
          // The same in the place where it is by default.
          const env = { XDG_STATE_HOME: path.join(pair.dir, place) };
          const says = new RegExp(`the state in \\S+/${place}/lockstep: (permission denied|not a directory)`);
          await expectRefused(pair, { ...mistake, args: [command, 'a', 'b'], says }, { under, env });
        }
      }
    }));

  it('a user without a home directory is asked for --state-dir, and with it all goes well', async (context) =>
    withPair(async (pair) => {
      mistaken(pair);
      ordinarily(context, pair);
      // Whom no user database knows: Node would find the home of others there.
      const stranger = 54_321;
      fs.chmodSync(pair.dir, 0o777);
      for (const root of [pair.a, pair.b]) {
        for (const name of ['', ...Object.keys(contents(root))])
          fs.chownSync(path.join(root, name), stranger, stranger);
      }
      const without = ['env', '-u', 'HOME', '-u', 'XDG_STATE_HOME'];
      const under = [...without, 'setpriv', `--reuid=${stranger}`, `--regid=${stranger}`, '--clear-groups'];
      const mistake = {
        code: 64,
        says: /no home directory to keep the state in/,
        remedy: /HOME or XDG_STATE_HOME.*--state-dir/,
      } as const;
      for (const args of [
        ['sync', 'a', 'b'],
        ['push', 'a', 'b', '--delete'],
        ['sync', 'a', 'b', '--dry-run'],
      ]) {
        await expectRefused(pair, { ...mistake, args }, { under });
      }
      // Nor is one that is set to nothing, or to what is no place of its own.
      for (const home of ['', 'here']) {
        await expectRefused(
          pair,
          { ...mistake, args: ['sync', 'a', 'b'] },
          { env: { HOME: home, XDG_STATE_HOME: '' } },
        );
      }
      const ran = await lockstep(['sync', 'a', 'b', '--state-dir', 'state'], { cwd: pair.dir, under });
      expect(ran.code, ran.stderr).toBe(0);
      pair.expectBoth({ f: 'x', d: 'dir', 'd/g': 'y', h: 'z' });
      expect(fs.existsSync(path.join(pair.state, 'links'))).toBe(true);
    }));

  it('73, 74: a file and a directory in a root: told, never taken for deleted, and everything else is synced', async (context) =>
    withPair(async (pair) => {
      write(pair.a, { secret: 's', 'shut/f': '1', 'shut/d/g': '2', 'd/secret': 't', 'd/f': 'o', gone: 'g' });
      const under = ordinarily(context, pair);
      expect((await pair.run('sync', [], { under })).code).toBe(0);
      for (const name of ['secret', 'd/secret', 'shut']) fs.chmodSync(path.join(pair.a, name), 0);
      write(pair.a, { 'd/f': 'edited', 'new/n': 'n', 'new/secret': 'u' });
      fs.chmodSync(path.join(pair.a, 'new/secret'), 0);
      fs.rmSync(path.join(pair.a, 'gone'));
      giveAway(path.join(pair.a, 'new'));
      write(pair.b, { 'shut/d/g': file('edited on b', { mtime: soon() }) });

      for (const command of ['sync', 'push'] as const) {
        const args = command === 'push' ? ['--delete', '--rebaseline'] : [];
        const ran = await pair.run(command, args, { under });
        expect(ran.code, ran.stdout + ran.stderr).toBe(2);
        const told = eventsOf(ran, 'skip');
        expect(told.map(({ path: at }) => at)).toEqual(expect.arrayContaining(['shut', 'new/secret']));
        expect(told.find(({ path: at }) => at === 'shut')).toMatchObject({
          why: 'unreadable',
          detail: 'permission denied',
        });
        const there = contents(pair.b);
        expect(there).toMatchObject({ secret: 's', 'd/secret': 't', 'shut/f': '1', 'd/f': 'edited', 'new/n': 'n' });
        // Only a mirror may undo what was edited there, and only if it can see what it should be.
        expect(there['shut/d/g']).toBe('edited on b');
        expect(there, ran.stdout).not.toHaveProperty('gone');
        expect(there).not.toHaveProperty('new/secret');
      }
      // For people: each by its name.
      const ran = await lockstep(['sync', pair.a, pair.b, '--rebaseline', '--state-dir', pair.state], { under });
      expect(ran.code, ran.stderr).toBe(2);
      expect(ran.stderr).toMatch(/^skipped: \S+\/a\/shut: cannot be read \(permission denied\)$/m);
      expect(ran.stderr).toMatch(/^skipped: \S+\/a\/new\/secret: cannot be read \(permission denied\)$/m);

      fs.chmodSync(path.join(pair.a, 'shut'), 0o755);
      for (const name of ['secret', 'd/secret', 'new/secret']) fs.chmodSync(path.join(pair.a, name), 0o644);
      const healed = await pair.run('sync', [], { under });
      expect(healed.code, healed.stdout + healed.stderr).toBe(0);
      pair.expectEqual();
      pair.expectKept('edited on b');
    }));

  it('110: a directory that gives an I/O error: nothing in or below it is deleted, the rest is synced', async () =>
    withPair(async (pair) => {
      const tree = { 'bad/f': '1', 'bad/d/g': '2', 'good/f': 'o', gone: 'g' };
      await pair.agreed(tree);
      write(pair.a, { 'good/f': 'edited' });
      fs.rmSync(path.join(pair.a, 'gone'));
      const failing = "throw Object.assign(new Error('EIO: i/o error, scandir'), { code: 'EIO', syscall: 'scandir' });";
      const env = injecting(pair.dir, { call: 'readdirSync', match: /\/a\/bad( |$)/, nth: 'every', run: failing });
      const ran = await pair.run('sync', ['--max-delete', 'off'], { env });
      expect(ran.code, ran.stdout + ran.stderr).toBe(2);
      expect(eventsOf(ran, 'skip')).toMatchObject([
        { side: 'local', path: 'bad', why: 'unreadable', detail: 'input/output error' },
      ]);
      const expected = { bad: 'dir', 'bad/f': '1', 'bad/d': 'dir', 'bad/d/g': '2', good: 'dir', 'good/f': 'edited' };
      pair.expectBoth(expected);
      await pair.expectIdle();
    }));
});

it('a directory where nothing can be made: the run ends and says which it is', async (context) => {
  if (process.platform !== 'linux' || !bothHere) context.skip('needs /proc of this machine');
  await withPair(async (pair) => {
    write(pair.a, { f: 'o' });
    // Not even SIGTERM ends a process that spins.
    const run: RunOptions = { under: ['timeout', '-s', 'KILL', '30'] };
    const root = await lockstep(['sync', pair.a, '/proc/self/xx/y', '--state-dir', pair.state], run);
    expect(root.code, root.stderr).toBe(1);
    expect(root.stderr).toContain(
      'cannot make /proc/self/xx/y: no such file or directory (/proc/self/xx)\n  Check the permissions',
    );
    const state = await lockstep(['sync', pair.a, pair.b, '--state-dir', '/proc/xx/y'], run);
    expect(state.code, state.stderr).toBe(1);
    expect(state.stderr).toContain('cannot write the state in /proc/xx/y: no such file or directory\n  Without');
    expect(contents(pair.dir)).toEqual({ a: 'dir', 'a/f': 'o' });
    expect(fs.readdirSync(pair.a)).toEqual(['f']);
  });
});
