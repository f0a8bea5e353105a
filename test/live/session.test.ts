/** What a live run lives through: guards, conflicts, other runs, lost lines, and its end. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { cliPath, eventsOf, lockstep, type JsonEvent } from '../support/cli.ts';
import { LiveRun, withLive } from '../support/live.ts';
import { contents, file, history, write } from '../support/tree.ts';

const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`d/f${i}`, String(i)]));

describe('a guard', () => {
  it('halts a link whose files vanish, and an answer lets it go on', async () =>
    withLive(async (pair) => {
      write(pair.a, { ...many, keep: 'keep' });
      const live = await pair.start();
      fs.rmSync(path.join(pair.a, 'd'), { recursive: true });
      await live.until(() => live.of('state').some(({ state }) => state === 'halted'));
      expect(live.of('state').at(-1)).toMatchObject({ state: 'halted', code: 'too-many-deletions' });
      const left = Object.keys(contents(pair.b)).length;
      // More than half: what was deleted before the guard saw it stays within its limit.
      expect(left).toBeGreaterThan(30);
      write(pair.a, { meanwhile: 'meanwhile' });
      expect(Object.keys(contents(pair.b))).not.toContain('meanwhile');
      live.child.kill('SIGUSR2');
      await pair.inStep();
      expect(contents(pair.b)).toEqual({ keep: 'keep', meanwhile: 'meanwhile' });
      // What is asked for once is not granted for ever.
      write(pair.a, many);
      await pair.inStep();
      fs.rmSync(path.join(pair.a, 'd'), { recursive: true });
      await live.until(() => live.of('state').filter(({ state }) => state === 'halted').length >= 2);
      await live.interrupt();
    }));

  it('counts deletions that come bit by bit', async () =>
    withLive(async (pair) => {
      write(pair.a, { ...many, keep: 'keep' });
      const live = await pair.start();
      for (let i = 0; i < 60 && !live.of('state').some(({ state }) => state === 'halted'); i += 1) {
        fs.rmSync(path.join(pair.a, `d/f${i}`));
        const before = live.of('pass').length;
        await live.until(() => live.of('pass').length > before || live.of('state').at(-1)?.['state'] === 'halted');
      }
      expect(live.of('state').at(-1)).toMatchObject({ state: 'halted', code: 'too-many-deletions' });
      expect(Object.keys(contents(pair.b)).length).toBeGreaterThan(25);
      await live.interrupt();
    }));

  it('sees that a root is gone, touches nothing, and goes on by itself when it is back', async () =>
    withLive(async (pair) => {
      write(pair.a, { f: 'f', g: 'g' });
      const live = await pair.start();
      fs.renameSync(pair.a, `${pair.a}-away`);
      await live.until(() => live.of('state').some(({ state }) => state === 'halted'));
      expect(contents(pair.b)).toEqual({ f: 'f', g: 'g' });
      write(`${pair.a}-away`, { f: 'edited' });
      fs.renameSync(`${pair.a}-away`, pair.a);
      await pair.inStep();
      expect(contents(pair.b)['f']).toBe('edited');
      await pair.finish();
    }));

  it('that is answered in a mirror deletes no more than its message says, as long as the run goes on', async () =>
    withLive(async (pair) => {
      write(pair.a, { f: 'f', 'd/g': 'g' });
      const args = ['--delete', '--backup', 'off', '--rescan', '1'];
      const live = await pair.start({ command: 'push', args });
      fs.renameSync(pair.b, `${pair.b}-away`);
      write(pair.b, { foreign: 'files', 'other/f': 'f' });
      write(pair.a, { h: 'h' });
      const isAsked = (): boolean => /that run; .* deleted by the next/.test(String(live.of('state').at(-1)?.['hint']));
      await live.until(isAsked);
      live.child.kill('SIGUSR2');
      await live.until(() => contents(pair.b)['d/g'] === 'g' && contents(pair.b)['h'] === 'h');
      const kept = { foreign: 'files', other: 'dir', 'other/f': 'f' };
      expect(contents(pair.b)).toEqual({ f: 'f', h: 'h', d: 'dir', 'd/g': 'g', ...kept });
      // Neither a change, nor a look at everything, nor a lost connection makes an end of it.
      fs.rmSync(path.join(pair.a, 'd/g'));
      write(pair.b, { 'other/n': 'n', 'd/n': 'n' });
      await live.until(() => !fs.existsSync(path.join(pair.b, 'd/g')));
      fs.renameSync(pair.a, `${pair.a}-away`);
      await live.until(() => live.of('state').at(-1)?.['state'] === 'halted');
      fs.renameSync(`${pair.a}-away`, pair.a);
      const before = live.of('pass').length;
      await live.until(() => live.of('pass').length >= before + 3);
      expect(contents(pair.b)).toEqual({ f: 'f', h: 'h', d: 'dir', 'd/n': 'n', ...kept, 'other/n': 'n' });
      expect(live.of('skip').map(({ path: at }) => at)).toEqual(['foreign', 'other', 'd/n']);
      await live.interrupt();
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      expect(contents(pair.b)).toEqual(contents(pair.a));
    }));

  it('stops the run when it is there from the beginning', async () =>
    withLive(async (pair) => {
      await pair.agreed({ ...many });
      fs.rmSync(path.join(pair.a, 'd'), { recursive: true });
      const ran = await pair.run('sync', ['--watch']);
      expect(ran.code).toBe(3);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'root-emptied' }]);
      expect(Object.keys(contents(pair.b))).toHaveLength(61);
    }));
});

it('a second run is refused, and refuses nothing that was there before', async () =>
  withLive(async (pair) => {
    write(pair.a, { f: 'f' });
    const live = await pair.start();
    const ran = await pair.run('sync', []);
    expect(ran.code).toBe(3);
    expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'locked' }]);
    write(pair.a, { g: 'g' });
    await pair.inStep();
    await live.interrupt();
    await pair.expectIdle();
  }));

it('what is changed while nobody watches is found at the start', async () =>
  withLive(async (pair) => {
    write(pair.a, { f: 'f', g: 'g' });
    await pair.start();
    await pair.live.interrupt();
    write(pair.a, { f: 'edited' });
    fs.rmSync(path.join(pair.b, 'g'));
    await pair.start();
    pair.expectBoth({ f: 'edited' });
    await pair.finish();
  }));

it('a run that was killed leaves what the next one puts right', async () =>
  withLive(async (pair) => {
    write(pair.a, { 'd/f': 'f' });
    await pair.start();
    write(pair.a, { 'd/g': 'g' });
    await pair.inStep();
    await pair.live.kill();
    write(pair.b, { 'd/h': 'h' });
    await pair.start();
    await pair.inStep();
    await pair.finish();
  }));

it('a conflict is settled as without --watch, and the loser kept', async () =>
  withLive(async (pair) => {
    write(pair.a, { f: 'before' });
    const live = await pair.start({ args: ['--on-conflict', 'local'] });
    live.child.kill('SIGSTOP');
    write(pair.a, { f: 'here' });
    write(pair.b, { f: 'there!' });
    live.child.kill('SIGCONT');
    await pair.inStep();
    pair.expectBoth({ f: 'here' });
    expect(live.of('conflict')).toMatchObject([{ path: 'f', winner: 'local' }]);
    expect(history(pair.b)['f']).toEqual(['there!']);
    await pair.finish();
  }));

it('a conflict that stays open is told once, and nothing is touched until it is settled', async () =>
  withLive(async (pair) => {
    write(pair.a, { f: 'before', g: 'g' });
    const live = await pair.start({ args: ['--on-conflict', 'manual', '--rescan', '1'] });
    live.child.kill('SIGSTOP');
    write(pair.a, { f: 'here' });
    write(pair.b, { f: 'there!' });
    live.child.kill('SIGCONT');
    await live.until(() => live.of('conflict').length > 0);
    // Another change in the same directory, and two looks at everything, change nothing about it.
    write(pair.b, { g: 'edited' });
    await live.until(() => contents(pair.a)['g'] === 'edited');
    const checks = live.of('pass').filter(({ cause }) => cause === 'rescan').length;
    await live.until(() => live.of('pass').filter(({ cause }) => cause === 'rescan').length >= checks + 2);
    expect(live.of('conflict')).toHaveLength(1);
    expect([contents(pair.a)['f'], contents(pair.b)['f']]).toEqual(['here', 'there!']);
    // One side touched again: still both sides are looked at.
    write(pair.b, { f: 'there again' });
    write(pair.a, { h: 'h' });
    await live.until(() => contents(pair.b)['h'] === 'h');
    expect([contents(pair.a)['f'], contents(pair.b)['f']]).toEqual(['here', 'there again']);
    // Settled by hand.
    fs.copyFileSync(path.join(pair.a, 'f'), path.join(pair.b, 'f'));
    const { atimeMs, mtimeMs } = fs.statSync(path.join(pair.a, 'f'));
    fs.utimesSync(path.join(pair.b, 'f'), atimeMs / 1000, mtimeMs / 1000);
    const isSettled = ({ cause, conflicts }: JsonEvent): boolean =>
      cause === 'rescan' && (conflicts as { open: number }).open === 0;
    await live.until(() => live.of('pass').some(isSettled));
    write(pair.a, { f: 'agreed' });
    await live.until(() => contents(pair.b)['f'] === 'agreed');
    await live.interrupt();
  }));

it('push watches its source only; a mirror undoes what the far side does', async () =>
  withLive(async (pair) => {
    write(pair.a, { f: 'f' });
    const live = await pair.start({ command: 'push', args: ['--delete'] });
    write(pair.b, { extra: 'extra' });
    await live.until(() => !fs.existsSync(path.join(pair.b, 'extra')));
    expect(history(pair.b)['extra']).toEqual(['extra']);
    await live.interrupt();
    fs.rmSync(pair.state, { recursive: true });
    const pushing = await pair.start({ command: 'push' });
    write(pair.b, { extra: 'extra' });
    write(pair.a, { g: 'g' });
    await pushing.until(() => fs.existsSync(path.join(pair.b, 'g')));
    expect(fs.existsSync(path.join(pair.a, 'extra'))).toBe(false);
    expect(contents(pair.b)['extra']).toBe('extra');
    await pushing.interrupt();
  }));

it('pull brings over what changes at the remote', async () =>
  withLive(async (pair) => {
    write(pair.b, { 'd/f': 'f' });
    fs.rmdirSync(pair.a);
    const live = await pair.start({ command: 'pull' });
    write(pair.b, { 'd/f': 'edited', 'd/g': 'g' });
    await live.until(() => contents(pair.a)['d/g'] === 'g' && contents(pair.a)['d/f'] === 'edited');
    await live.interrupt();
  }));

it('what is ignored is neither watched nor brought over, and a new rule holds at once', async () =>
  withLive(async (pair) => {
    write(pair.a, { 'node_modules/x/y': 'y', f: 'f' });
    const live = await pair.start({ args: ['--exclude', 'node_modules'] });
    write(pair.a, { 'node_modules/x/z': 'z', 'node_modules/w': 'w' });
    write(pair.a, { '.lockstepignore': '*.log\n' });
    await live.until(() => contents(pair.b)['.lockstepignore'] === '*.log\n');
    write(pair.a, { 'a.log': 'log', 'b.txt': 'txt' });
    await live.until(() => contents(pair.b)['b.txt'] === 'txt');
    expect(Object.keys(contents(pair.b)).sort()).toEqual(['.lockstepignore', 'b.txt', 'f']);
    write(pair.a, { '.lockstepignore': '' });
    await live.until(() => contents(pair.b)['a.log'] === 'log');
    await live.interrupt();
  }));

it('--path: nothing else is watched or touched', async () =>
  withLive(async (pair) => {
    write(pair.a, { 'in/f': 'f', 'out/g': 'g' });
    const live = await pair.start({ args: ['--path', 'in'] });
    write(pair.a, { 'out/h': 'h', 'in/i': 'i' });
    await live.until(() => contents(pair.b)['in/i'] === 'i');
    expect(Object.keys(contents(pair.b)).sort()).toEqual(['in', 'in/f', 'in/i']);
    await live.interrupt();
  }));

it('a file that keeps growing arrives whole in the end, and never torn', async () =>
  withLive(async (pair) => {
    write(pair.a, { f: 'f' });
    const live = await pair.start();
    const at = path.join(pair.a, 'growing');
    const line = `${'x'.repeat(99)}\n`;
    const handle = fs.openSync(at, 'w');
    for (let i = 0; i < 300; i += 1) {
      fs.writeSync(handle, line.repeat(10));
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    fs.closeSync(handle);
    await pair.inStep();
    expect(live.of('skip')).toEqual([]);
    await pair.finish();
  }));

it('a file that cannot be read is told once, and comes over when it can be', async (context) => {
  if (process.getuid?.() === 0 && !fs.existsSync('/usr/bin/setpriv')) context.skip('needs setpriv');
  await withLive(async (pair) => {
    write(pair.a, { secret: file('secret', { mode: 0o000 }), f: 'f' });
    for (const at of [pair.dir, pair.a]) fs.chownSync(at, 65534, 65534);
    const under =
      process.getuid?.() === 0 ? ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--'] : [];
    const live = await pair.start({ under, args: ['--rescan', '1'], env: { HOME: pair.dir } });
    const checks = (): number => live.of('pass').filter(({ cause }) => cause === 'rescan').length;
    await live.until(() => checks() >= 2);
    expect(live.of('skip')).toMatchObject([{ path: 'secret', why: 'unreadable' }]);
    expect(contents(pair.b)).toEqual({ f: 'f' });
    fs.chmodSync(path.join(pair.a, 'secret'), 0o644);
    await live.until(() => contents(pair.b)['secret'] === 'secret');
    await live.interrupt();
  });
});

describe('a line that is lost', () => {
  it('is connected again, and what was changed meanwhile is brought over', async () =>
    withLive(async (pair) => {
      write(pair.a, { f: 'f' });
      const live = await pair.start({ args: ['--', 'sh', '-c', `echo $$ > ${pair.dir}/pid; exec sh`] });
      for (const round of [1, 2]) {
        const pid = Number(fs.readFileSync(path.join(pair.dir, 'pid'), 'utf8'));
        process.kill(pid, 'SIGKILL');
        await live.until(() => live.of('state').filter(({ state }) => state === 'waiting').length >= round);
        expect(live.of('state').findLast(({ state }) => state === 'waiting')).toMatchObject({ code: 'connection' });
        write(pair.a, { [`here${round}`]: 'here' });
        write(pair.b, { [`there${round}`]: 'there' });
        await live.watching(round + 1);
        await pair.inStep();
      }
      pair.expectBoth({ f: 'f', here1: 'here', there1: 'there', here2: 'here', there2: 'there' });
      await pair.finish('--', 'sh');
    }));

  it('ends the run when there never was one', async () =>
    withLive(async (pair) => {
      const ran = await lockstep([
        'sync',
        pair.a,
        pair.b,
        '--watch',
        '--json',
        '--state-dir',
        pair.state,
        '--',
        'false',
      ]);
      expect(ran.code).toBe(1);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'connection' }]);
    }));
});

describe('a server that serves one root and nothing else', () => {
  const serving = (root: string, ...args: string[]): string[] => [
    '--',
    process.execPath,
    cliPath,
    'serve',
    '--root',
    root,
    ...args,
  ];

  it('is watched, and told of changes', async () =>
    withLive(async (pair) => {
      write(pair.a, { f: 'f' });
      fs.mkdirSync(pair.b);
      const live = await pair.start({ args: serving(pair.b) });
      write(pair.a, { 'd/here': 'here' });
      await live.until(() => contents(pair.b)['d/here'] === 'here');
      write(pair.b, { 'd/there': 'there' });
      await live.until(() => contents(pair.a)['d/there'] === 'there');
      // The time of `d` as well, for which another look may be needed.
      await pair.inStep();
      await pair.finish(...serving(pair.b));
    }));

  it('is watched where it may only be read', async () =>
    withLive(async (pair) => {
      write(pair.b, { f: 'f' });
      const live = await pair.start({ command: 'pull', args: serving(pair.b, '--read-only') });
      expect(contents(pair.a)).toEqual({ f: 'f' });
      write(pair.b, { f: 'edited' });
      await live.until(() => contents(pair.a)['f'] === 'edited');
      await live.interrupt();
      expect(fs.readdirSync(pair.b)).toEqual(['f']);
    }));
});

describe('a machine that sleeps', () => {
  // Ended, though the sleeper has not been told: a zombie.
  const isGone = (pid: number): boolean => {
    const status = `/proc/${pid}/stat`;
    return !fs.existsSync(status) || / Z /.test(fs.readFileSync(status, 'utf8'));
  };
  const waited = (live: LiveRun): boolean => live.of('state').some(({ state }) => state === 'waiting');

  for (const who of ['here', 'there'] as const) {
    it(`${who}: when it wakes up, what was changed on both sides is brought over`, async () =>
      withLive(async (pair) => {
        write(pair.a, { f: 'f' });
        const live = await pair.start({
          args: ['--timeout', '5', '--', 'sh', '-c', `echo $$ > ${pair.dir}/pid; exec sh`],
        });
        const far = Number(fs.readFileSync(path.join(pair.dir, 'pid'), 'utf8'));
        const sleeper = who === 'here' ? live.child.pid : far;
        if (sleeper === undefined) throw new Error('it was not started');
        process.kill(sleeper, 'SIGSTOP');
        try {
          // The end that is awake gives the line up.
          await live.until(() => (who === 'here' ? isGone(far) : waited(live)), 'the other end to notice');
          write(pair.a, { here: 'here' });
          write(pair.b, { there: 'there' });
        } finally {
          // What sleeps over there may have been ended from here.
          if (!isGone(sleeper)) process.kill(sleeper, 'SIGCONT');
        }
        await live.watching(2);
        await pair.inStep();
        pair.expectBoth({ f: 'f', here: 'here', there: 'there' });
        await pair.finish('--', 'sh');
      }));
  }
});

it('tells people a line for every change', async () =>
  withLive(async (pair) => {
    write(pair.a, { f: 'f' });
    const live = new LiveRunText([pair.a, pair.b, '--state-dir', pair.state]);
    try {
      await live.until(() => live.stderr.includes('watching'));
      write(pair.a, { 'src/a.ts': 'x'.repeat(1234) });
      await live.until(() => live.stdout.includes('→ src/a.ts  1.2 kB\n'));
      write(pair.b, { 'src/b.ts': 'b' });
      await live.until(() => live.stdout.includes('← src/b.ts  1 B\n'));
      fs.rmSync(path.join(pair.a, 'f'));
      await live.until(() => live.stdout.includes('✕ f'));
      live.child.kill('SIGINT');
      expect((await live.ended).code).toBe(130);
      expect(live.stdout).toMatch(/ended: \d+ changes/);
    } finally {
      await live.kill();
    }
  }));

/** A live run that tells people. */
it('keeps a line on a terminal that says what it is doing, and ends on Ctrl-C', async (context) => {
  if (spawnSync('script', ['--version']).status !== 0) context.skip('needs script(1)');
  await withLive(async (pair) => {
    write(pair.a, { f: 'f' });
    const words = [process.execPath, cliPath, 'sync', pair.a, pair.b, '--watch', '--state-dir', pair.state];
    const child = spawn('script', ['-qefc', words.join(' '), '/dev/null'], { env: { ...process.env, NO_COLOR: '1' } });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
    try {
      const showing = async (what: RegExp): Promise<void> => {
        for (const deadline = Date.now() + 60_000; !what.test(shown);) {
          if (Date.now() > deadline) throw new Error(`never showed ${String(what)}:\n${shown}`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      // Drawn again when something was looked at meanwhile.
      await showing(/Ctrl-C ends it\r\n(?:\r\u001b\[Kwatching · last change \d\d:\d\d:\d\d)+$/);
      write(pair.a, { g: 'g' });
      await showing(/\r\u001b\[K→ g {2}1 B\r\n.*\r\u001b\[Kwatching · last change \d\d:\d\d:\d\d$/s);
      child.stdin.write('\u0003');
      expect(await ended).toBe(130);
      expect(shown).toMatch(/\r\u001b\[Kended: 2 changes/);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

class LiveRunText extends LiveRun {
  stdout = '';

  constructor(args: readonly string[]) {
    super(['sync', ...args, '--watch']);
  }

  protected override take(text: string): void {
    this.stdout += text;
  }
}
