/** `lockstep serve` behind a real ssh forced command: those roots and nothing else. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliPath, eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { withPair } from '../support/pair.ts';
import { startSshd, type Sshd } from '../support/sshd.ts';
import { contents, write } from '../support/tree.ts';

let sshd: Sshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd.stop();
});

function force(...args: string[]): void {
  sshd.setKeyOptions(`command="${process.execPath} ${cliPath} serve ${args.join(' ')}",restrict`);
}

describe('an ssh forced command', () => {
  const run = async (dir: string, command: string, ...roots: string[]): Promise<Ran> =>
    lockstep([command, ...roots, '--json', '--state-dir', path.join(dir, 'state'), ...sshd.sshOptions.map(asOption)]);
  const asOption = (option: string): string => `--ssh-option=${option}`;

  it('syncs a served root and what is below it, both ways', async () => {
    await withPair(async ({ dir, a, b }) => {
      write(a, { f: 'one', 'd/g': 'two' });
      fs.mkdirSync(b);
      force('--root', b);
      const first = await run(dir, 'sync', a, `${sshd.host}:${b}/sub`);
      expect(first.code, first.stdout + first.stderr).toBe(0);
      fs.rmSync(path.join(b, 'sub/f'));
      fs.writeFileSync(path.join(b, 'sub/d/g'), 'three!');
      const second = await run(dir, 'sync', a, `${sshd.host}:${b}/sub`);
      expect(second.code, second.stdout + second.stderr).toBe(0);
      expect(contents(a)).toEqual({ d: 'dir', 'd/g': 'three!' });
    });
  });

  it.each([
    ['beside it', (b: string) => `${b}x`],
    ['above it', (b: string) => path.dirname(b)],
    ['out of it by ..', (b: string) => `${b}/../a2`],
    ['behind a symlink in it', (b: string) => `${b}/out`],
  ])('refuses what is %s', async (_, rootOf) => {
    await withPair(async ({ dir, a, b }) => {
      write(a, { f: 'one' });
      fs.mkdirSync(b);
      fs.mkdirSync(path.join(dir, 'secret'));
      fs.symlinkSync(path.join(dir, 'secret'), path.join(b, 'out'));
      force('--root', b);
      const ran = await run(dir, 'push', a, `${sshd.host}:${rootOf(b)}`);
      expect(ran.code, ran.stdout).toBe(1);
      expect(eventsOf(ran, 'error')).toMatchObject([
        { message: expect.stringContaining('is not served there') as string },
      ]);
      expect(fs.readdirSync(dir).sort()).toEqual(['a', 'b', 'secret']);
      expect(fs.readdirSync(path.join(dir, 'secret'))).toEqual([]);
    });
  });

  it('with --read-only gives, and takes nothing', async () => {
    await withPair(async ({ dir, a, b }) => {
      write(b, { f: 'one' });
      force('--read-only', '--root', b);
      const pulled = await run(dir, 'pull', `${sshd.host}:${b}`, a);
      expect(pulled.code, pulled.stdout).toBe(0);
      expect(contents(a)).toEqual({ f: 'one' });
      write(a, { g: 'two' });
      for (const command of ['push', 'sync']) {
        const ran = await run(dir, command, a, `${sshd.host}:${b}`);
        expect(ran.code, ran.stdout).toBe(1);
        expect(eventsOf(ran, 'error')).toMatchObject([
          { message: expect.stringContaining('served for reading only') as string },
        ]);
      }
      expect(fs.readdirSync(b)).toEqual(['f']);
    });
  });

  it('says at once when it is told to serve what is not there', async () => {
    await withPair(async ({ dir, a }) => {
      force('--root', path.join(dir, 'nowhere'));
      const ran = await run(dir, 'push', a, `${sshd.host}:${dir}/nowhere`);
      expect(ran.code, ran.stdout).toBe(1);
      expect(ran.stdout).toContain('nowhere is not a directory');
    });
  });
});

describe('history', () => {
  it('of a root at the other end of ssh is listed and restored', async () => {
    await withPair(async ({ dir, a, b }) => {
      sshd.setKeyOptions('');
      const ssh = sshd.sshOptions.map((option) => `--ssh-option=${option}`);
      const there = `${sshd.host}:${b}`;
      const sync = async (): Promise<Ran> =>
        lockstep(['sync', a, there, '--json', '--state-dir', path.join(dir, 'state'), ...ssh]);
      write(a, { f: 'one', 'd/g': 'two' });
      expect((await sync()).code).toBe(0);
      fs.rmSync(path.join(a, 'd'), { recursive: true });
      expect((await sync()).code).toBe(0);
      const listed = await lockstep(['history', there, '--json', ...ssh]);
      expect(eventsOf(listed, 'version').map((version) => version['path'])).toEqual(['d', 'd/g']);
      const restored = await lockstep(['restore', there, 'd', '--json', ...ssh]);
      expect(restored.code, restored.stdout + restored.stderr).toBe(0);
      expect(contents(b)).toEqual({ f: 'one', d: 'dir', 'd/g': 'two' });
      const missing = await lockstep(['restore', there, 'nothing', ...ssh]);
      expect(missing.code).toBe(1);
      expect(missing.stderr).toContain('nothing');
    });
  });
});
