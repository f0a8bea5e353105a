import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { LockstepError } from '../../../base/errors.ts';
import { decodeName } from '../../../tree/path.ts';
import { runAt, TestRoot } from '../../../../test/support/history-root.ts';
import { toFs } from '../fs-path.ts';
import { setTimes } from '../utime.ts';
import { listVersions } from './read.ts';
import type { RestoreResult } from './restore-items.ts';
import { restoreFromHistory, type RestoreRequest } from './restore.ts';

const now = Date.now();

async function restore(on: TestRoot, asked: string, more: Partial<RestoreRequest> = {}): Promise<RestoreResult> {
  return restoreFromHistory({ root: on.root, path: asked, runId: runAt(Date.now()), ...more });
}

/** Everything restored, and nothing else to tell. */
function restored(result: RestoreResult): string[] {
  expect(result.failures).toEqual([]);
  return result.restored.map((item) => item.path + (item.replaced ? ' (replaced)' : ''));
}

/** Texts of all versions of a path, oldest first, with why they were kept. */
function versions(on: TestRoot, asked: string): string[] {
  return listVersions(on.own, asked)
    .filter(({ kind }) => kind === 'file')
    .map(({ fullPath, reason }) => `${fs.readFileSync(toFs(fullPath), 'utf8')} ${reason}`);
}

async function refused(work: Promise<unknown>): Promise<LockstepError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof LockstepError) return error;
  throw new Error(`not refused, or not properly: ${String(error)}`);
}

/** What no restore may leave behind. */
function expectTidy(root: string): void {
  const own = path.join(root, '.lockstep');
  if (fs.existsSync(own)) expect(fs.readdirSync(own).sort()).toEqual(['.gitignore', 'history']);
}

function emptyDirectory(): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-to-'));
  onTestFinished(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

describe('a file', () => {
  it('comes back with mode and mtime, its parents made as private as they were; the version stays', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => {
      on.write('d/sub/f', 'text', 0o640);
      fs.utimesSync(on.at('d/sub/f'), 1_600_000_000, 1_600_000_000.123456);
      keep.file('d/sub/f');
      fs.chmodSync(on.at('d'), 0o700);
      keep.directory('d/sub');
      keep.directory('d');
    });
    expect(restored(await restore(on, 'd/sub/f'))).toEqual(['d/sub/f']);
    const stats = fs.lstatSync(on.at('d/sub/f'), { bigint: true });
    expect([on.read('d/sub/f'), Number(stats.mode) & 0o7777, stats.mtimeNs / 1000n]).toEqual([
      'text',
      0o640,
      1_600_000_000_123_456n,
    ]);
    expect(fs.statSync(on.at('d')).mode & 0o7777).toBe(0o700);
    expect(versions(on, 'd')).toEqual(['text deleted']);
    expect(stats.nlink).toBe(1n);
    expectTidy(on.root);
  });

  it('in place keeps what stood there, so that restoring again undoes it', async () => {
    const on = new TestRoot();
    on.run(runAt(now - 1000), (keep) => keep.text('f', 'old'));
    on.write('f', 'new', 0o600);
    expect(restored(await restore(on, 'f'))).toEqual(['f (replaced)']);
    expect([on.read('f'), versions(on, 'f')]).toEqual(['old', ['old deleted', 'new restored']]);
    await restore(on, 'f');
    expect([on.read('f'), fs.statSync(on.at('f')).mode & 0o777]).toEqual(['new', 0o600]);
    expect(versions(on, 'f')).toEqual(['old deleted', 'new restored', 'old restored']);
  });

  it('that is as in history already is left alone', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => keep.text('f', 'text'));
    await restore(on, 'f');
    const before = fs.lstatSync(on.at('f'), { bigint: true });
    const again = await restore(on, 'f');
    expect([again.restored, again.unchanged]).toEqual([[], 1]);
    const { ino, ctimeNs } = fs.lstatSync(on.at('f'), { bigint: true });
    expect([ino, ctimeNs]).toEqual([before.ino, before.ctimeNs]);
    // Of the same size, time and mode, but not the same.
    fs.writeFileSync(on.at('f'), 'TEXT');
    setTimes(on.at('f'), before.mtimeNs / 1000n);
    expect(restored(await restore(on, 'f'))).toEqual(['f (replaced)']);
    expect(on.read('f')).toBe('text');
  });

  it('by number: 1 is the newest', async () => {
    const on = new TestRoot();
    on.run(runAt(now - 1000), (keep) => ['1', '2', '3'].forEach((text) => keep.text('f', text)));
    await restore(on, 'f', { version: 3 });
    expect(on.read('f')).toBe('1');
    const error = await refused(restore(on, 'f', { version: 4 }));
    expect([error.code, error.message]).toEqual(['not-found', 'f has only 3 versions in history']);
  });

  it('by time: the oldest version kept since', async () => {
    const on = new TestRoot();
    on.keptAt(now - 30_000, { f: 'until 30 s ago' });
    on.keptAt(now - 10_000, { f: 'until 10 s ago' });
    on.write('f', 'now');
    await restore(on, 'f', { at: new Date(now - 60_000), to: undefined });
    expect(on.read('f')).toBe('until 30 s ago');
    await restore(on, 'f', { at: new Date(now - 20_000) });
    expect(on.read('f')).toBe('until 10 s ago');
    expect((await refused(restore(on, 'g', { at: new Date(now) }))).code).toBe('not-found');
    expect((await refused(restore(on, 'f', { at: new Date(now + 60_000) }))).message).toContain(
      'no version of f was kept since',
    );
  });

  it('takes the place of a directory, which goes to history as a whole', async () => {
    const on = new TestRoot();
    on.run(runAt(now - 1000), (keep) => keep.text('foo', 'file'));
    on.write('foo/x', 'x');
    on.write('foo/sub/y', 'y');
    await restore(on, 'foo');
    expect(on.read('foo')).toBe('file');
    expect(versions(on, 'foo')).toEqual(['file deleted', 'y restored', 'x restored']);
    // And back: the directory is what was kept last.
    await restore(on, 'foo');
    expect([on.read('foo/x'), on.read('foo/sub/y')]).toEqual(['x', 'y']);
  });

  it('when it cannot be restored, a directory in its place is put back', async () => {
    const on = new TestRoot();
    const run = on.run(runAt(now - 1000), (keep) => keep.text('foo', 'file'));
    on.write('foo/x', 'x');
    const version = `${on.own}/history/${run}/files/foo`;
    const work = restore(on, 'foo');
    // Between looking and copying.
    fs.rmSync(version);
    const result = await work;
    expect(result).toMatchObject({
      restored: [],
      failures: [{ path: 'foo', detail: 'it is not in history any more' }],
    });
    expect(on.read('foo/x')).toBe('x');
  });

  it('that cannot get its name gives it back to the directory', async () => {
    const on = new TestRoot();
    on.run(runAt(now - 1000), (keep) => keep.text('foo', 'file'));
    on.write('foo/x', 'x');
    const link = fs.linkSync;
    const spy = vi.spyOn(fs, 'linkSync').mockImplementation((from, to) => {
      if (!String(to).endsWith('/foo')) return link(from, to);
      throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    });
    onTestFinished(() => spy.mockRestore());
    expect(await restore(on, 'foo')).toMatchObject({ restored: [], failures: [{ path: 'foo' }] });
    expect([on.read('foo/x'), versions(on, 'foo')]).toEqual(['x', ['file deleted']]);
    expectTidy(on.root);
  });

  it('comes back as the symlink that it was, and over one, without touching what that points to', async () => {
    const on = new TestRoot();
    on.write('target', 'target');
    on.run(runAt(now), (keep) => {
      fs.symlinkSync('nowhere', on.at('link'));
      keep.file('link');
      keep.text('f', 'text');
    });
    fs.symlinkSync('target', on.at('f'));
    await restore(on, 'link');
    await restore(on, 'f');
    expect([on.read('link'), on.read('f'), on.read('target')]).toEqual(['-> nowhere', 'text', 'target']);
    expect(listVersions(on.own, 'f')).toMatchObject([
      { kind: 'file' },
      { kind: 'symlink', target: 'target', reason: 'restored' },
    ]);
  });
});

describe('a directory', () => {
  it('comes back with everything below it, modes and times too; other files in it stay', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => {
      keep.text('d/sub/f', 'f');
      keep.text('d/g', 'g');
      fs.chmodSync(on.at('d/sub'), 0o555);
      fs.utimesSync(on.at('d/sub'), 1_500_000_000, 1_500_000_000);
      keep.directory('d/sub');
    });
    on.write('d/other', 'mine');
    expect(restored(await restore(on, 'd'))).toEqual(['d/g', 'd/sub', 'd/sub/f']);
    expect([on.read('d/sub/f'), on.read('d/g'), on.read('d/other')]).toEqual(['f', 'g', 'mine']);
    const stats = fs.statSync(on.at('d/sub'));
    expect([stats.mode & 0o777, stats.mtimeMs]).toEqual([0o555, 1_500_000_000_000]);
    expectTidy(on.root);
  });

  it('that was kept whole comes back whole, and each file in it by itself', async () => {
    const on = new TestRoot();
    on.write('d/sub/f', 'f');
    on.write('d/g', 'g');
    fs.mkdirSync(on.at('d/empty'));
    on.run(runAt(now), (keep) => keep.file('d', 'clean-out'));
    expect(restored(await restore(on, 'd/sub/f'))).toEqual(['d/sub/f']);
    expect(on.read('d/g')).toBeUndefined();
    const rest = await restore(on, 'd');
    expect([restored(rest), rest.unchanged]).toEqual([['d/empty', 'd/g'], 1]);
    expect([on.read('d/sub/f'), on.read('d/g'), on.read('d/empty')]).toEqual(['f', 'g', 'dir']);
    fs.rmSync(on.at('d'), { recursive: true });
    expect(restored(await restore(on, 'd', { version: 1 }))).toEqual(['d', 'd/empty', 'd/g', 'd/sub', 'd/sub/f']);
  });

  it('as of a time: of each path the version that stood there', async () => {
    const on = new TestRoot();
    on.keptAt(now - 50_000, { 'd/f': 'too old', 'd/gone': 'gone before' });
    on.keptAt(now - 30_000, { 'd/f': 'right' });
    on.keptAt(now - 10_000, { 'd/f': 'too new', 'd/sub/g': 'right too' });
    on.write('d/f', 'now');
    await restore(on, 'd', { at: new Date(now - 40_000) });
    expect([on.read('d/f'), on.read('d/sub/g'), on.read('d/gone')]).toEqual(['right', 'right too', undefined]);
  });

  it('133: where a name was a file once and a directory once, what it was at that time', async () => {
    const on = new TestRoot();
    on.keptAt(now - 30_000, { 'd/foo': 'file' });
    on.keptAt(now - 20_000, { 'd/foo/x': 'in directory' });
    const file = emptyDirectory();
    const directory = emptyDirectory();
    await restore(on, 'd', { at: new Date(now - 40_000), to: file });
    await restore(on, 'd', { to: directory });
    expect(fs.readFileSync(`${file}/d/foo`, 'utf8')).toBe('file');
    expect(fs.readFileSync(`${directory}/d/foo/x`, 'utf8')).toBe('in directory');
  });

  it('takes the place of a file or symlink, which goes to history', async () => {
    const on = new TestRoot();
    on.run(runAt(now - 1000), (keep) => ['d/f', 'd/sub/g'].forEach((name) => keep.text(name, name)));
    const outside = emptyDirectory();
    fs.rmdirSync(on.at('d/sub'));
    fs.symlinkSync(outside, on.at('d/sub'));
    await restore(on, 'd');
    expect([on.read('d/f'), on.read('d/sub/g'), fs.readdirSync(outside)]).toEqual(['d/f', 'd/sub/g', []]);
    fs.rmSync(on.at('d'), { recursive: true });
    on.write('d', 'a file');
    expect(restored(await restore(on, 'd'))).toContain('d/f');
    expect(versions(on, 'd')).toContain('a file restored');
  });

  it('all of the root', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => ['a', 'b/c'].forEach((name) => keep.text(name, name)));
    expect(restored(await restore(on, ''))).toEqual(['a', 'b/c']);
    expect([on.read('a'), on.read('b/c')]).toEqual(['a', 'b/c']);
  });
});

describe('what is refused', () => {
  it('a way through a symlink or a file above the path: nothing is written through it', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => ['d/f', 'e/f'].forEach((name) => keep.text(name, name)));
    fs.rmSync(on.at('d'), { recursive: true });
    fs.rmSync(on.at('e'), { recursive: true });
    const outside = emptyDirectory();
    fs.symlinkSync(outside, on.at('d'));
    on.write('e', 'a file');
    expect((await refused(restore(on, 'd/f'))).message).toContain('d is a symbolic link');
    expect((await refused(restore(on, 'e/f'))).message).toContain('e is no directory any more');
    expect((await refused(restore(on, 'd/f', { dryRun: true }))).message).toContain('d is a symbolic link');
    expect([fs.readdirSync(outside), on.read('e')]).toEqual([[], 'a file']);
    expectTidy(on.root);
  });

  it('a root that another run is at work in', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => keep.text('f', 'text'));
    const owner = {
      host: 'another host',
      boot: '',
      pid: 1,
      start: '',
      run: 'other',
      command: 'lockstep sync',
      since: 'now',
    };
    fs.writeFileSync(`${on.own}/lock`, JSON.stringify(owner));
    expect((await refused(restore(on, 'f'))).code).toBe('locked');
    expect(on.read('f')).toBeUndefined();
    expect(restored(await restore(on, 'f', { dryRun: true }))).toEqual(['f']);
    expect(restored(await restore(on, 'f', { to: emptyDirectory() }))).toEqual(['f']);
    expect(restored(await restore(on, 'f', { forceUnlock: true }))).toEqual(['f']);
  });

  it('what history does not have, without leaving anything behind', async () => {
    const on = new TestRoot();
    expect((await refused(restore(on, 'f'))).code).toBe('not-found');
    expect(fs.existsSync(on.own)).toBe(false);
  });

  it('paths that lead elsewhere, and questions that make no sense', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => keep.text('f', 'text'));
    const table: [asked: string, more: Partial<RestoreRequest>][] = [
      ['../f', {}],
      ['.lockstep/id', {}],
      ['/etc/passwd', {}],
      ['f', { version: 0 }],
      ['f', { version: 1.5 }],
      ['f', { version: 1, at: new Date() }],
      ['f', { at: new Date(Number.NaN) }],
      ['f', { to: on.at('.lockstep/history') }],
    ];
    for (const [asked, more] of table) expect((await refused(restore(on, asked, more))).code).toBe('usage');
  });
});

describe('elsewhere', () => {
  it('a file under its own name, a directory under its own; the root stays as it is', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => ['a/b/f', 'a/b/sub/g'].forEach((name) => keep.text(name, name)));
    const to = path.join(emptyDirectory(), 'new/dir');
    const result = await restore(on, 'a/b/f', { to });
    expect(result.restored).toMatchObject([{ path: 'a/b/f', target: path.join(to, 'f') }]);
    await restore(on, 'a/b', { to });
    expect(fs.readdirSync(to, { recursive: true }).sort()).toEqual(['b', 'b/f', 'b/sub', 'b/sub/g', 'f']);
    expect([on.read('a/b'), listVersions(on.own)]).toMatchObject(['dir', { length: 2 }]);
  });

  it('replaces nothing, and then restores nothing', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => ['d/f', 'd/g'].forEach((name) => keep.text(name, name)));
    const to = emptyDirectory();
    fs.mkdirSync(`${to}/d`);
    fs.writeFileSync(`${to}/d/g`, 'mine');
    const error = await refused(restore(on, 'd', { to }));
    expect(error.message).toContain(`${to}/d/g exists already`);
    expect([fs.readdirSync(to), fs.readdirSync(`${to}/d`), fs.readFileSync(`${to}/d/g`, 'utf8')]).toEqual([
      ['d'],
      ['g'],
      'mine',
    ]);
  });

  it('a dry run tells the same and writes nothing', async () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => ['d/f', 'd/g'].forEach((name) => keep.text(name, name)));
    on.write('d/f', 'now');
    for (const more of [{ to: `${emptyDirectory()}/new` }, {}]) {
      const to = more.to ?? '';
      const planned = await restore(on, 'd', { ...more, dryRun: true });
      expect([fs.existsSync(to), on.read('d/f'), on.read('d/g')]).toEqual([false, 'now', undefined]);
      expectTidy(on.root);
      const done = await restore(on, 'd', more);
      expect(planned.restored).toEqual(done.restored);
    }
  });
});

it('names may be any bytes', async () => {
  const on = new TestRoot();
  const names = [
    'a\nb',
    '-rf',
    decodeName(Buffer.from([0x66, 0xff, 0xfe])),
    decodeName(Buffer.from('d\xe9/\xe9', 'latin1')),
    ' ',
  ];
  on.run(runAt(now), (keep) => names.forEach((name) => keep.text(name, `text of ${JSON.stringify(name)}`)));
  for (const name of names) {
    expect(restored(await restore(on, name))).toEqual([name]);
    expect(on.read(name)).toBe(`text of ${JSON.stringify(name)}`);
  }
  const to = emptyDirectory();
  await restore(on, '', { to });
  expect(fs.readdirSync(to, 'latin1').sort()).toEqual([' ', '-rf', 'a\nb', 'd\xe9', 'f\xff\xfe']);
});

it('a file that a dead run had in hand is put into history first', async () => {
  const on = new TestRoot();
  on.run(runAt(now - 1000), (keep) => keep.text('f', 'old'));
  const parked = `${on.own}/staging/${runAt(now - 500)}/parked`;
  fs.mkdirSync(parked, { recursive: true });
  fs.writeFileSync(`${parked}/1`, 'parked');
  fs.writeFileSync(`${parked}/1.name`, 'f');
  const result = await restore(on, 'f');
  expect(result.recovered).toHaveLength(1);
  expect(on.read('f')).toBe('parked');
});
