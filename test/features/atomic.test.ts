/** FEATURES A18: directories that are taken as one thing, with git repositories that are in use on both sides. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bothHere, clockDoubtMs, eventsOf, keepsSeconds, notInShell } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { injecting, untilHalted } from '../support/inject.ts';
import { comparable, contents, file, fingerprints, history, write } from '../support/tree.ts';

/** Without GIT_OPTIONAL_LOCKS a mere `git status` rewrites the index, and so counts as a change of `.git`. */
function git(cwd: string, ...args: string[]): string {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: cwd,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_AUTHOR_NAME: 'T',
    GIT_AUTHOR_EMAIL: 't@example.org',
    GIT_COMMITTER_NAME: 'T',
    GIT_COMMITTER_EMAIL: 't@example.org',
  };
  const { status, stdout, stderr } = spawnSync('git', args, { cwd, env, encoding: 'utf8' });
  expect(status, `git ${args.join(' ')}: ${stderr}`).toBe(0);
  return stdout.trim();
}

function commit(root: string, name: string, text: string): string {
  write(root, { [name]: text });
  git(root, 'add', '-A', '--', name);
  git(root, 'commit', '-q', '-m', `${name}: ${text}`);
  return git(root, 'rev-parse', 'HEAD');
}

async function sync(pair: Pair, ...args: string[]): Promise<ReturnType<Pair['sync']>> {
  return pair.sync('--atomic', '.git', ...args);
}

async function repository(pair: Pair): Promise<void> {
  git(pair.a, 'init', '-q', '-b', 'main');
  commit(pair.a, 'f', 'one');
  commit(pair.a, 'src/g', 'one');
  expect((await sync(pair)).code).toBe(0);
}

function expectSound(root: string): void {
  git(root, 'fsck', '--full', '--strict');
}

function expectClean(root: string): void {
  expectSound(root);
  expect(git(root, 'status', '--porcelain', '--', '.', ':!.lockstep')).toBe('');
}

describe('A18: a git repository on both sides', () => {
  it('commits, branches, merges and gc on one side arrive whole, in turn', async () =>
    withPair(async (pair) => {
      await repository(pair);
      expectClean(pair.b);
      const work: ((root: string) => void)[] = [
        (root) => void commit(root, 'f', 'two'),
        (root) => {
          git(root, 'checkout', '-q', '-b', 'topic');
          commit(root, 'src/h', 'topic');
          git(root, 'checkout', '-q', 'main');
          commit(root, 'f', 'three');
        },
        (root) => void git(root, 'merge', '-q', '--no-edit', 'topic'),
        (root) => {
          git(root, 'branch', '-q', '-D', 'topic');
          git(root, 'tag', 'v1');
          git(root, 'gc', '-q', '--prune=now');
        },
        (root) => void git(root, 'reset', '-q', '--hard', 'HEAD~1'),
      ];
      for (const [turn, act] of work.entries()) {
        const [from, to] = turn % 2 === 0 ? [pair.a, pair.b] : [pair.b, pair.a];
        act(from);
        const ran = await sync(pair);
        expect(ran.code, ran.stdout + ran.stderr).toBe(0);
        expect(git(to, 'rev-parse', 'HEAD')).toBe(git(from, 'rev-parse', 'HEAD'));
        expect(git(to, 'log', '--all', '--oneline')).toBe(git(from, 'log', '--all', '--oneline'));
        expectClean(to);
        // A file that git writes again as it was, in less time than a far tool can tell, keeps the time that it had.
        const seen = keepsSeconds ? contents : comparable;
        expect(seen(pair.a)).toEqual(seen(pair.b));
      }
    }));

  it('uncommitted work on one side while the other commits: both survive', async () =>
    withPair(async (pair) => {
      await repository(pair);
      const head = commit(pair.a, 'f', 'two');
      write(pair.b, { 'src/g': 'being edited', untracked: 'u' });
      expect((await sync(pair)).code).toBe(0);
      for (const root of [pair.a, pair.b]) {
        expectSound(root);
        expect(git(root, 'rev-parse', 'HEAD')).toBe(head);
        expect(git(root, 'status', '--porcelain', '--', 'f', 'src', 'untracked').split('\n')).toEqual([
          ' M src/g'.trim(),
          '?? untracked',
        ]);
      }
    }));

  it('commits on both sides: one conflict, one whole winner, the loser whole in history', async () =>
    withPair(async (pair) => {
      await repository(pair);
      const lost = commit(pair.a, 'from-a', 'a');
      await new Promise((resolve) => setTimeout(resolve, 30 + clockDoubtMs));
      const won = commit(pair.b, 'from-b', 'b');
      const loserGit = contents(path.join(pair.a, '.git'));
      const ran = await sync(pair);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(eventsOf(ran, 'conflict')).toEqual([
        { v: 1, type: 'conflict', path: '.git', what: 'directory', winner: 'remote' },
      ]);
      for (const root of [pair.a, pair.b]) {
        expectSound(root);
        expect(git(root, 'rev-parse', 'HEAD')).toBe(won);
        // The work tree is merged file by file: what was committed over there is here, uncommitted.
        expect(git(root, 'status', '--porcelain', '--', '.', ':!.lockstep')).toBe('?? from-a');
      }
      expect(contents(path.join(pair.b, '.git'))).toEqual(contents(path.join(pair.a, '.git')));
      // Taken out of history, the loser is a repository with its commit.
      const [run] = fs.readdirSync(path.join(pair.a, '.lockstep/history'));
      const kept = path.join(pair.a, '.lockstep/history', run ?? '', 'files/.git');
      const files = (all: Record<string, string>): Record<string, string> =>
        Object.fromEntries(Object.entries(all).filter(([, text]) => text !== 'dir'));
      expect(files(contents(kept))).toEqual(files(loserGit));
      expect(git(pair.a, `--git-dir=${kept}`, 'rev-parse', 'HEAD')).toBe(lost);
      const again = await sync(pair);
      expect(eventsOf(again, 'action')).toEqual([]);
    }));

  it('a mere `git status` on the other side does not win over a commit', async () =>
    withPair(async (pair) => {
      await repository(pair);
      const head = commit(pair.a, 'f', 'two');
      await new Promise((resolve) => setTimeout(resolve, 30 + clockDoubtMs));
      const index = (): Buffer => fs.readFileSync(path.join(pair.b, '.git/index'));
      const before = index();
      git(pair.b, '-c', 'core.checkStat=default', 'update-index', '-q', '--refresh');
      expect(index().equals(before), 'the index is rewritten').toBe(false);
      const ran = await sync(pair);
      expect(ran.code, ran.stdout).toBe(0);
      expect(eventsOf(ran, 'conflict')).toMatchObject([{ path: '.git', what: 'directory', winner: 'local' }]);
      for (const root of [pair.a, pair.b]) {
        expect(git(root, 'rev-parse', 'HEAD')).toBe(head);
        expectClean(root);
      }
    }));

  it('manual: neither repository is touched, everything else is synced, exit 2', async () =>
    withPair(async (pair) => {
      await repository(pair);
      const heads = [commit(pair.a, 'from-a', 'a'), commit(pair.b, 'from-b', 'b')];
      const before = [contents(path.join(pair.a, '.git')), contents(path.join(pair.b, '.git'))];
      const ran = await sync(pair, '--on-conflict', 'manual');
      expect(ran.code).toBe(2);
      expect(eventsOf(ran, 'conflict')).toMatchObject([{ path: '.git', what: 'directory', winner: 'open' }]);
      expect([contents(path.join(pair.a, '.git')), contents(path.join(pair.b, '.git'))]).toEqual(before);
      expect([git(pair.a, 'rev-parse', 'HEAD'), git(pair.b, 'rev-parse', 'HEAD')]).toEqual(heads);
      expect(contents(pair.a)).toMatchObject({ 'from-a': 'a', 'from-b': 'b' });
    }));

  it('a push takes the whole repository, or leaves it whole', async () =>
    withPair(async (pair) => {
      git(pair.a, 'init', '-q', '-b', 'main');
      commit(pair.a, 'f', 'one');
      const push = async (): ReturnType<Pair['run']> => pair.run('push', ['--atomic', '.git']);
      expect((await push()).code).toBe(0);
      expectClean(pair.b);
      const head = commit(pair.a, 'f', 'two');
      expect((await push()).code).toBe(0);
      expect(git(pair.b, 'rev-parse', 'HEAD')).toBe(head);
      expectClean(pair.b);
    }));
});

describe('A18: any directory', () => {
  const old = 1_600_000_000;

  it('changed in different files on both sides: never a mixture', async () =>
    withPair(async (pair) => {
      const atomic = ['--atomic', '*.bundle', '/db'];
      await pair.agreed(
        { 'x.bundle/a': 'o', 'x.bundle/b': 'o', 'db/1': 'o', 'db/2': 'o', 'plain/a': 'o', 'plain/b': 'o' },
        ...atomic,
      );
      for (const dir of ['x.bundle', 'plain']) {
        write(pair.a, { [`${dir}/a`]: file('from a', { mtime: old + 9 }) });
        write(pair.b, { [`${dir}/b`]: file('from b', { mtime: old }) });
      }
      write(pair.a, { 'db/1': file('from a', { mtime: old }) });
      write(pair.b, { 'db/2': file('from b', { mtime: old + 9 }), 'db/3': file('new', { mtime: old }) });
      const ran = await pair.sync(...atomic);
      expect(ran.code).toBe(0);
      expect(eventsOf(ran, 'conflict').map((event) => [event['path'], event['winner']])).toEqual([
        ['db', 'remote'],
        ['x.bundle', 'local'],
      ]);
      pair.expectBoth({
        db: 'dir',
        'db/1': 'o',
        'db/2': 'from b',
        'db/3': 'new',
        plain: 'dir',
        'plain/a': 'from a',
        'plain/b': 'from b',
        'x.bundle': 'dir',
        'x.bundle/a': 'from a',
        'x.bundle/b': 'o',
      });
      expect(history(pair.a)).toMatchObject({ 'db/1': ['from a'] });
      expect(history(pair.b)).toMatchObject({ 'x.bundle/b': ['from b'] });
      await pair.expectIdle(...atomic);
    }));

  it('made alike on both sides is no conflict', async () =>
    withPair(async (pair) => {
      await pair.agreed({ 'db/1': 'o' }, '--atomic', 'db');
      for (const root of [pair.a, pair.b]) write(root, { 'db/1': 'same', 'db/2': 'same' });
      const ran = await pair.sync('--atomic', 'db');
      expect(ran.code).toBe(0);
      expect(eventsOf(ran, 'conflict')).toEqual([]);
    }));
});

describe('A18: a winner that does not arrive', () => {
  const atomic = ['--atomic', 'db', '--on-conflict', 'local'];

  /** Both sides changed db; a wins. */
  async function disputed(act: (pair: Pair, before: Record<string, string>) => Promise<void>): Promise<void> {
    await withPair(async (pair) => {
      await pair.agreed({ 'db/1': 'o', 'db/2': 'o', 'db/sub/3': 'o', 'db/kind/x': 'o', other: 'o' }, ...atomic);
      fs.rmSync(path.join(pair.a, 'db/kind'), { recursive: true });
      write(pair.a, {
        'db/kind': 'a file',
        'db/2': 'from a',
        'db/new/n': 'new',
        other: 'edited',
      });
      write(pair.b, { 'db/1': 'from b', 'db/sub/4': 'from b' });
      await act(pair, dbOf(pair.b));
    });
  }

  const dbOf = (root: string): Record<string, string> =>
    Object.fromEntries(Object.entries(fingerprints(root)).filter(([name]) => /^db(\/|$)/.test(name)));

  async function expectWon(pair: Pair): Promise<void> {
    const ran = await pair.sync(...atomic);
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    expect(contents(pair.b)).toEqual(contents(pair.a));
    expect(contents(pair.b)).toMatchObject({ 'db/kind': 'a file', 'db/1': 'o', 'db/new/n': 'new' });
    expect(contents(pair.b)).not.toHaveProperty(['db/sub/4']);
    pair.expectKept('from b');
    pair.expectClean();
    await pair.expectIdle(...atomic);
  }

  it('whole because a file changes while it is read leaves the loser exactly as it was', async () =>
    disputed(async (pair, before) => {
      const run = `fs.appendFileSync(${JSON.stringify(path.join(pair.a, 'db/new/n'))}, ', and longer');`;
      const env = injecting(pair.dir, { call: 'openSync', match: /\/a\/db\/new\/n \d+$/, run });
      const ran = await pair.run('sync', atomic, { env });
      expect(ran.code, ran.stdout + ran.stderr).toBe(2);
      expect(eventsOf(ran, 'skip')).toMatchObject([{ path: 'db', why: 'source-changed' }]);
      expect(dbOf(pair.b)).toEqual(before);
      expect(history(pair.b)).not.toHaveProperty(['db/1']);
      // Everything else goes on.
      expect(contents(pair.b)).toMatchObject({ other: 'edited' });
      pair.expectClean();
      write(pair.a, { 'db/new/n': 'new' });
      await expectWon(pair);
    }));

  /** Kills a run at the first call of this kind. */
  async function killedAt(pair: Pair, call: string, match: RegExp, meanwhile: () => void): Promise<void> {
    const env = injecting(pair.dir, { call, match, run: 'halt();' });
    let kill = (): void => undefined;
    const onStart = (child: { kill: (signal: 'SIGKILL') => boolean }): void => {
      kill = () => void child.kill('SIGKILL');
    };
    const running = pair.run('sync', atomic, { env, onStart });
    const halted = await untilHalted(pair.dir);
    meanwhile();
    kill();
    if (!bothHere) process.kill(halted, 'SIGKILL');
    await running;
  }

  it('because the run is killed while it is copied leaves the loser exactly as it was', async () =>
    disputed(async (pair, before) => {
      await killedAt(pair, 'openSync', /\/a\/db\/new\/n \d+$/, () => expect(dbOf(pair.b)).toEqual(before));
      await expectWon(pair);
    }));

  it('because the run is killed while the two change places wins the next time', async (context) =>
    disputed(async (pair) => {
      notInShell(context);
      await killedAt(pair, 'rmdirSync', /\/sub$/, () => undefined);
      await expectWon(pair);
    }));
});
