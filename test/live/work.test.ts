/** Work in proportion to the change, and what becomes of it where the system's limits are met. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { cuttingProxy } from '../support/cutting-proxy.ts';
import { withLive } from '../support/live.ts';
import { contents, write } from '../support/tree.ts';

/** A tree of so many files in so many directories. */
function plant(root: string, directories: number, files: number): void {
  for (let d = 0; d < directories; d += 1) {
    const dir = path.join(root, `d${d % 10}`, `e${d}`);
    fs.mkdirSync(dir, { recursive: true });
    for (let f = 0; f < files; f += 1) fs.writeFileSync(path.join(dir, `f${f}`), '');
  }
}

describe('one edit in a tree of 100,000 files', () => {
  it(
    'looks at a handful of paths, records a few hundred bytes, and sends as little',
    async () =>
      withLive(async (pair) => {
        plant(pair.a, 1000, 100);
        const proxy = cuttingProxy(pair.dir);
        const live = await pair.start({ args: ['--', ...proxy.argv] });
        const log = fs
          .readdirSync(path.join(pair.state, 'links'))
          .filter((name) => name.endsWith('.log'))
          .map((name) => path.join(pair.state, 'links', name));
        const logged = (): number => log.reduce((sum, name) => sum + fs.statSync(name).size, 0);
        // What the first look brought has been looked at again over there.
        await live.until(() => live.of('pass').some(({ looked }) => (looked as { remote: number }).remote > 100_000));
        await live.quiet();
        const [passes, bytes, before] = [live.of('pass').length, logged(), proxy.report()];
        fs.writeFileSync(path.join(pair.a, 'd5/e555/f55'), 'edited');
        await live.until(() => contentOf(path.join(pair.b, 'd5/e555/f55')) === 'edited');
        await live.quiet();
        const own = live.of('pass').slice(passes);
        const looked = own.reduce((sum, pass) => {
          const { local, remote } = pass['looked'] as { local: number; remote: number };
          return sum + local + remote;
        }, 0);
        expect(own.map(({ total }) => total).filter((total) => total !== 0)).toEqual([1]);
        expect(looked).toBeLessThan(60);
        expect(logged() - bytes).toBeLessThan(3000);
        const after = proxy.report();
        expect(after.sent).toBeGreaterThan(before.sent);
        expect(after.sent - before.sent).toBeLessThan(5000);
        expect(after.received - before.received).toBeLessThan(5000);
        await live.interrupt();
      }),
    180_000,
  );
});

function contentOf(file: string): string {
  return fs.readFileSync(file, 'utf8');
}

/** The rest of a shell command line under a limit that this process may set in a user namespace of its own. */
function limited(setting: string, value: number): string[] {
  return ['unshare', '-U', '-r', 'sh', '-c', `echo ${value} > /proc/sys/user/${setting} && exec "$@"`, 'sh'];
}

describe('where watches run out', () => {
  it('says so once, with what to do, and polls the rest', async (context) => {
    const under = limited('max_inotify_watches', 4);
    if (spawnSync(under[0] ?? '', [...under.slice(1), 'true']).status !== 0) context.skip('needs user namespaces');
    await withLive(async (pair) => {
      plant(pair.a, 12, 2);
      const live = await pair.start({ under, args: ['--poll-interval', '0.2'] });
      const warned = (): unknown[] =>
        live.of('warning').filter(({ message }) => String(message).includes('sysctl fs.inotify.max_user_watches='));
      await live.until(() => warned().length > 0);
      for (const at of ['d0/e0/f0', 'd7/e7/f1', 'd1/e11/f1']) {
        write(pair.a, { [at]: `edited ${at}` });
        await live.until(() => contentOf(path.join(pair.b, at)) === `edited ${at}`);
      }
      write(pair.b, { 'd3/e3/new/n': 'n' });
      await live.until(() => contents(pair.a)['d3/e3/new/n'] === 'n');
      write(pair.b, { 'd3/e3/new/n': 'edited' });
      await live.until(() => contents(pair.a)['d3/e3/new/n'] === 'edited');
      fs.rmSync(path.join(pair.a, 'd0/e10'), { recursive: true });
      await live.until(() => contents(pair.b)['d0/e10'] === undefined);
      expect(warned().length).toBeLessThanOrEqual(4);
      await live.interrupt();
    });
  });
});

describe('where the queue of events runs over', () => {
  it('everything is looked at again', async () =>
    withLive(async (pair) => {
      write(pair.a, { 'd/f': 'f' });
      const live = await pair.start();
      // So much happens while it cannot take it that the kernel drops events.
      const limit = Number(fs.readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
      live.child.kill('SIGSTOP');
      for (let i = 0; i <= limit; i += 1) fs.writeFileSync(path.join(pair.a, 'd', `f${i % 3000}`), String(i));
      for (let i = 0; i < 200; i += 1) fs.rmSync(path.join(pair.a, 'd', `f${i}`));
      write(pair.a, { 'late/l': 'late' });
      live.child.kill('SIGCONT');
      await pair.inStep();
      await live.until(() => live.of('pass').some(({ cause }) => cause === 'lost'));
      // And it goes on from there.
      write(pair.a, { 'late/l': 'later' });
      await pair.inStep();
      await pair.finish();
    }));
});

describe('git', () => {
  it('sees a clean and sound repository over there after commits, a rebase, a checkout and a gc', async () =>
    withLive(async (pair) => {
      const git = (root: string, ...args: string[]): string =>
        execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.org', ...args], {
          cwd: root,
          encoding: 'utf8',
          // Asking for the status must not write an index of its own over there.
          env: { ...process.env, GIT_OPTIONAL_LOCKS: '0' },
          stdio: ['ignore', 'pipe', 'pipe'],
        });
      git(pair.a, 'init', '-q', '-b', 'main');
      write(pair.a, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`src/${i % 7}/f${i}`, `one ${i}\n`])));
      // A gc removes most files of a repository as small as this one.
      const live = await pair.start({ args: ['--max-delete', 'off'] });
      const check = async (): Promise<void> => {
        await pair.inStep();
        expect(git(pair.b, 'status', '--porcelain')).toBe('');
        expect(git(pair.b, 'fsck', '--strict')).toBe('');
        expect(git(pair.b, 'log', '--format=%H%d')).toBe(git(pair.a, 'log', '--format=%H%d'));
      };
      const commit = (message: string): void => {
        git(pair.a, 'add', '-A');
        git(pair.a, 'commit', '-q', '-m', message);
      };
      commit('one');
      await check();
      git(pair.a, 'checkout', '-q', '-b', 'topic');
      write(pair.a, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`src/${i % 7}/f${i}`, `topic ${i}\n`])));
      commit('topic');
      git(pair.a, 'checkout', '-q', 'main');
      write(pair.a, { 'other/o': 'other' });
      commit('other');
      await check();
      git(pair.a, 'checkout', '-q', 'topic');
      git(pair.a, 'rebase', '-q', 'main');
      await check();
      for (const branch of ['main', 'topic', 'main', 'topic']) git(pair.a, 'checkout', '-q', branch);
      git(pair.a, 'gc', '-q');
      await check();
      expect(live.of('conflict')).toEqual([]);
      // And work goes on over there.
      write(pair.b, { 'src/there': 'there\n' });
      git(pair.b, 'add', '-A');
      git(pair.b, 'commit', '-q', '-m', 'there');
      await check();
      await live.interrupt();
    }));
});
