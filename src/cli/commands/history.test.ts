/** `history` and `restore` as commands: what they print, and what they refuse. The work itself: replica/local/history. */
import { Command } from '@commander-js/extra-typings';
import fs from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { LockstepError } from '../../base/errors.ts';
import { decodeName } from '../../tree/path.ts';
import { runAt, TestRoot } from '../../../test/support/history-root.ts';
import { parsePastTime } from '../past-time.ts';
import { historyCommand } from './history.ts';
import { restoreCommand } from './restore.ts';

const now = Date.now();

interface Ran {
  stdout: string;
  stderr: string;
  error: unknown;
}

async function run(...args: string[]): Promise<Ran> {
  const ran: Ran = { stdout: '', stderr: '', error: undefined };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      ran[stream] += String(text);
      return true;
    }),
  );
  const program = new Command().exitOverride().enablePositionalOptions();
  for (const command of [historyCommand(), restoreCommand()]) program.addCommand(command.exitOverride());
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    ran.error = error;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return ran;
}

function json(ran: Ran): unknown[] {
  expect(ran.error).toBeUndefined();
  return ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

function filled(): TestRoot {
  const on = new TestRoot();
  on.run(runAt(now - 5000), (keep) => ['1', '22'].forEach((text) => keep.text('notes/a.txt', text)));
  on.run(runAt(now - 1000), (keep) => {
    keep.text('notes/a.txt', '333');
    fs.symlinkSync('away', on.at('link'));
    keep.file('link');
    keep.directory('notes');
  });
  return on;
}

describe('history', () => {
  it('is a table of versions, newest first', async () => {
    const on = filled();
    const ran = await run('history', on.root);
    expect(ran.error).toBeUndefined();
    const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
    const lines = [
      'VERSION  KEPT                 SIZE  WHY      PATH',
      `      1  ${time}     -  deleted  link -> away`,
      `      1  ${time}     -  deleted  notes/`,
      `      1  ${time}   3 B  deleted  notes/a.txt`,
      `      2  ${time}   2 B  deleted  notes/a.txt`,
      `      3  ${time}   1 B  deleted  notes/a.txt`,
    ];
    expect(ran.stdout).toMatch(new RegExp(`^${lines.join('\n')}\n$`));
    expect(ran.stderr).toBe('5 versions of 3 paths, 6 B\n');
  });

  it('--json: one object per version and a summary', async () => {
    const on = filled();
    const [version, ...rest] = json(await run('history', on.root, 'notes/a.txt', '--json'));
    expect(version).toMatchObject({
      v: 1,
      type: 'version',
      path: 'notes/a.txt',
      version: 1,
      kind: 'file',
      size: 3,
      mode: 0o644,
    });
    expect(rest).toHaveLength(3);
    expect(rest.at(-1)).toEqual({ v: 1, type: 'summary', versions: 3, paths: 1, bytes: 6 });
  });

  it('takes a path as people have it: with ./ and slashes, absolute, or from the current directory', async () => {
    const on = filled();
    const cwd = vi.spyOn(process, 'cwd').mockReturnValue(on.at('notes').replace(/\/notes$/, ''));
    for (const given of ['notes/a.txt', './notes//a.txt', `${on.root}/notes/a.txt`]) {
      expect(json(await run('history', on.root, given, '--json')), given).toHaveLength(4);
    }
    cwd.mockReturnValue('/');
    expect(json(await run('history', on.root, on.at('notes/').slice(1), '--json'))).toHaveLength(5);
    cwd.mockRestore();
  });

  it('says so when there is nothing', async () => {
    const on = filled();
    expect(await run('history', on.root, 'else')).toEqual({
      stdout: '',
      stderr: 'no versions of else are kept\n',
      error: undefined,
    });
    expect(json(await run('history', on.root, 'else', '--json'))).toMatchObject([{ type: 'summary', versions: 0 }]);
  });

  it('refuses what is no root, and paths outside of it', async () => {
    const on = filled();
    const table: [args: string[], code: string][] = [
      [[on.at('missing')], 'root-missing'],
      [[''], 'usage'],
      [[on.root, '../x'], 'usage'],
      [[on.root, '/etc'], 'usage'],
      [[on.root, '.lockstep'], 'usage'],
    ];
    for (const [args, code] of table)
      expect((await run('history', ...args)).error, args.join(' ')).toMatchObject({ code });
  });
});

describe('restore', () => {
  it('brings back, tells what, and that the rest is in history', async () => {
    const on = filled();
    const ran = await run('restore', on.root, 'notes/a.txt', '--version', '2');
    expect(ran).toMatchObject({ error: undefined, stderr: '' });
    expect(ran.stdout).toMatch(/^restored notes\/a\.txt {2}\(2 B, kept .*\)\nrestored: 1 path \(2 B\)\n$/);
    expect(on.read('notes/a.txt')).toBe('22');
    const again = await run('restore', on.root, 'notes/a.txt', '--at', '1h');
    expect(again.stdout).toMatch(
      /^replaced notes\/a\.txt .*\nrestored: 1 path \(1 B\), what stood there is in history\n$/,
    );
    expect(on.read('notes/a.txt')).toBe('1');
  });

  it('--dry-run and --json', async () => {
    const on = filled();
    const events = json(await run('restore', on.root, 'notes', 'link', '--dry-run', '--json'));
    expect(events).toMatchObject([
      { v: 1, type: 'restored', path: 'notes', kind: 'dir', dryRun: true },
      { type: 'restored', path: 'notes/a.txt', target: on.at('notes/a.txt'), size: 3, replaced: false },
      { type: 'restored', path: 'link', kind: 'symlink' },
      { type: 'summary', restored: 3, replaced: 0, unchanged: 0, failed: 0, bytes: 3, dryRun: true },
    ]);
    expect(on.read('link')).toBeUndefined();
  });

  it('of several paths does nothing when one of them is not there', async () => {
    const on = filled();
    expect((await run('restore', on.root, 'link', 'else')).error).toMatchObject({ code: 'not-found', path: 'else' });
    expect(on.read('link')).toBeUndefined();
  });

  it('refuses what makes no sense', async () => {
    const on = filled();
    for (const args of [
      ['link', '--version', '0'],
      ['link', '--version', 'one'],
      ['link', 'notes', '--version', '1'],
      ['link', '--at', 'soon'],
      ['link', '--to', ''],
      [''],
    ]) {
      const { error } = await run('restore', on.root, ...args);
      expect(error, args.join(' ')).toBeInstanceOf(LockstepError);
      expect(error).toMatchObject({ code: 'usage', exitCode: 64 });
    }
    expect((await run('restore', on.root, 'link', '--at', '1h', '--version', '1')).error).toMatchObject({
      code: 'commander.conflictingOption',
    });
  });
});

it('names that hold anything are shown as escapes, and taken back as such', async () => {
  const on = new TestRoot();
  const names = ['a\nb\u001b[31m', decodeName(Buffer.from([0x66, 0xff])), 'back\\slash', 'c\u0085'];
  on.run(runAt(now), (keep) => names.forEach((name) => keep.text(name, 'text')));
  const { stdout } = await run('history', on.root);
  const shown = stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('  ').at(-1) ?? '');
  expect(shown).toEqual(['a\\nb\\x1b[31m', 'back\\slash', 'c\\x85', 'f\\xff']);
  for (const name of shown) expect((await run('restore', on.root, name)).error, name).toBeUndefined();
  for (const name of names) expect(on.read(name)).toBe('text');
});

describe('times', () => {
  const at = new Date(2026, 10, 21, 14, 30).getTime();

  it.each([
    ['2026-11-20', new Date(2026, 10, 20)],
    ['2026-11-20 09:05', new Date(2026, 10, 20, 9, 5)],
    ['2026-11-20T09:05:07.25', new Date(2026, 10, 20, 9, 5, 7, 250)],
    ['2026-11-20T09:05:07Z', new Date(Date.UTC(2026, 10, 20, 9, 5, 7))],
    ['2026-11-20T09:05:07+02:00', new Date(Date.UTC(2026, 10, 20, 7, 5, 7))],
    ['2h', new Date(at - 2 * 3_600_000)],
    ['3d ago', new Date(at - 72 * 3_600_000)],
    ['1.5 hours ago', new Date(at - 5_400_000)],
    ['90 min', new Date(at - 5_400_000)],
    ['2 weeks', new Date(at - 14 * 86_400_000)],
    ['99999999999w', new Date(0)],
  ])('%s', (text, expected) => expect(parsePastTime(text, at)).toEqual(expected));

  it.each([
    '',
    'soon',
    '2h later',
    '2026-02-30',
    '2026-13-01',
    '2026-11-20 25:00',
    '2027-01-01',
    '-2h',
    '2',
    '20261120',
  ])('not %s', (text) => expect(() => parsePastTime(text, at)).toThrow(LockstepError));
});
