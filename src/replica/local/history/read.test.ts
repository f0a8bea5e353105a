import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeName } from '../../../tree/path.ts';
import { toFs } from '../fs-path.ts';
import { listVersions, type Version } from './read.ts';
import { runAt, TestRoot } from '../../../../test/support/history-root.ts';

const now = Date.now();

function brief(versions: readonly Version[]): string[] {
  return versions.map(({ path, kind, fullPath }) => {
    if (kind === 'dir') return `${path}/`;
    if (kind === 'symlink') return `${path} -> ${fs.readlinkSync(toFs(fullPath))}`;
    return `${path} = ${fs.readFileSync(toFs(fullPath), 'utf8')}`;
  });
}

describe('listVersions', () => {
  it('is empty without history, and for a root that nothing was kept in', () => {
    const on = new TestRoot();
    expect(listVersions(on.own)).toEqual([]);
    fs.mkdirSync(on.own);
    expect(listVersions(on.own)).toEqual([]);
  });

  it('has all versions of a name that was deleted many times, in one run and across runs, oldest first', () => {
    const on = new TestRoot();
    on.run(runAt(now - 2000), (keep) => ['1', '2', '3'].forEach((text) => keep.text('d/f', text)));
    on.run(runAt(now - 1000), (keep) => ['4', '5'].forEach((text) => keep.text('d/f', text)));
    const versions = listVersions(on.own);
    expect(brief(versions)).toEqual(['1', '2', '3', '4', '5'].map((text) => `d/f = ${text}`));
    expect(versions.map(({ reason, size, mode }) => [reason, size, mode])).toEqual(
      Array(5).fill(['deleted', 1, 0o644]),
    );
  });

  for (const across of [false, true]) {
    it(`133: a file and later a directory of one name, and the reverse, ${across ? 'across runs' : 'in one run'}`, () => {
      const on = new TestRoot();
      const steps: ((keep: Parameters<Parameters<TestRoot['run']>[1]>[0]) => void)[] = [
        (keep) => keep.text('foo', 'file'),
        (keep) => keep.text('foo/x', 'in directory'),
        (keep) => keep.directory('foo'),
        (keep) => keep.text('foo', 'file again'),
        (keep) => keep.text('bar/deep/x', 'first a directory'),
        (keep) => keep.directory('bar/deep'),
        (keep) => keep.directory('bar'),
        (keep) => keep.text('bar', 'then a file'),
      ];
      if (across) steps.forEach((step, n) => on.run(runAt(now - 10_000 + n), step));
      else on.run(runAt(now), (keep) => steps.forEach((step) => step(keep)));
      expect(brief(listVersions(on.own))).toEqual([
        'bar/',
        'bar = then a file',
        'bar/deep/',
        'bar/deep/x = first a directory',
        'foo = file',
        'foo/',
        'foo = file again',
        'foo/x = in directory',
      ]);
    });
  }

  it('remembers mode and time of a removed directory, not those of what stands for it', () => {
    const on = new TestRoot();
    fs.mkdirSync(on.at('d'));
    fs.chmodSync(on.at('d'), 0o2750);
    fs.utimesSync(on.at('d'), 1_600_000_000, 1_600_000_000);
    on.run(runAt(now), (keep) => keep.directory('d'));
    expect(listVersions(on.own)).toMatchObject([
      { path: 'd', kind: 'dir', mode: 0o2750, mtimeUs: 1_600_000_000_000_000n },
    ]);
  });

  it('looks into directories that were kept whole', () => {
    const on = new TestRoot();
    on.write('d/sub/f', 'x', 0o600);
    fs.mkdirSync(on.at('d/empty'));
    fs.symlinkSync('sub/f', on.at('d/link'));
    on.write('d/.lockstep/id', 'of a nested root');
    const run = on.run(runAt(now), (keep) => keep.file('d', 'clean-out'));
    const versions = listVersions(on.own);
    expect(brief(versions)).toEqual(['d/', 'd/empty/', 'd/link -> sub/f', 'd/sub/', 'd/sub/f = x']);
    const [whole] = versions;
    for (const version of versions) {
      expect(version).toMatchObject({ runId: run, reason: 'clean-out', timeMs: whole?.timeMs });
    }
    expect(versions.at(-1)).toMatchObject({ mode: 0o600, size: 1 });
    expect(listVersions(on.own, 'd/sub/f')).toEqual(versions.slice(-1));
  });

  it('limits itself to a path and what is below it', () => {
    const on = new TestRoot();
    on.run(runAt(now), (keep) => ['a/b', 'a/c/d', 'ab', 'a-b/c'].forEach((name) => keep.text(name, name)));
    expect(listVersions(on.own, 'a').map(({ path }) => path)).toEqual(['a/b', 'a/c/d']);
    expect(listVersions(on.own, 'a/c').map(({ path }) => path)).toEqual(['a/c/d']);
    expect(listVersions(on.own, 'a/b/x')).toEqual([]);
    expect(listVersions(on.own, 'nothing')).toEqual([]);
  });
});

describe('what a crash leaves', () => {
  it('a torn last line costs its description, not the version', () => {
    const on = new TestRoot();
    const run = on.run(runAt(now - 5000), (keep) => ['a', 'b'].forEach((name) => keep.text(name, name)));
    const text = fs.readFileSync(on.index(run), 'utf8');
    fs.writeFileSync(on.index(run), text.slice(0, -30));
    const versions = listVersions(on.own);
    expect(brief(versions)).toEqual(['a = a', 'b = b']);
    expect(versions.map(({ reason }) => reason)).toEqual(['deleted', 'unknown']);
    expect(versions[1]).toMatchObject({ timeMs: now - 5000, size: 1, mode: 0o644 });
  });

  it('a torn line that the next one was appended to costs both descriptions', () => {
    const on = new TestRoot();
    const run = on.run(runAt(now), (keep) => ['a', 'b', 'c'].forEach((name) => keep.text(name, name)));
    const [a = '', b = '', c = ''] = fs.readFileSync(on.index(run), 'utf8').split('\n');
    fs.writeFileSync(on.index(run), `${a.slice(0, 20)}${b}\n${c}\n`);
    expect(listVersions(on.own).map(({ path, reason }) => `${path} ${reason}`)).toEqual([
      'a unknown',
      'b unknown',
      'c deleted',
    ]);
  });

  it('a version without a line, even without an index, is a version; a line without a version is none', () => {
    const on = new TestRoot();
    const run = on.run(runAt(now), (keep) => ['a', 'b'].forEach((name) => keep.text(name, name)));
    fs.rmSync(`${on.own}/history/${run}/files/a`);
    expect(brief(listVersions(on.own))).toEqual(['b = b']);
    fs.rmSync(on.index(run));
    expect(brief(listVersions(on.own))).toEqual(['b = b']);
  });

  it('a line that tells of another kind than what is there is not believed', () => {
    const on = new TestRoot();
    const run = on.run(runAt(now), (keep) => keep.text('a', 'a'));
    fs.rmSync(`${on.own}/history/${run}/files/a`);
    fs.symlinkSync('elsewhere', `${on.own}/history/${run}/files/a`);
    expect(listVersions(on.own)).toMatchObject([
      { path: 'a', kind: 'symlink', target: 'elsewhere', reason: 'unknown' },
    ]);
  });
});

describe('what does not belong there', () => {
  it('is ignored: files, odd names, FIFOs, lines that are no records', () => {
    const on = new TestRoot();
    const run = on.run(runAt(now), (keep) => keep.text('a', 'a'));
    const history = `${on.own}/history`;
    fs.writeFileSync(`${history}/notes.txt`, 'mine');
    fs.mkdirSync(`${history}/not-a-run/files`, { recursive: true });
    fs.writeFileSync(`${history}/not-a-run/files/x`, 'x');
    fs.writeFileSync(`${history}/${run}/README`, 'mine');
    fs.mkdirSync(`${history}/${run}/filesystem`);
    fs.writeFileSync(`${history}/${run}/filesystem/x`, 'x');
    fs.appendFileSync(on.index(run), 'null\n[]\n{"path":1}\n\n42\n');
    expect(brief(listVersions(on.own))).toEqual(['a = a']);
  });

  it('never leads out: symlinks in place of directories, records that point elsewhere', () => {
    const on = new TestRoot();
    on.write('secret/f', 'secret');
    const run = on.run(runAt(now), (keep) => keep.text('a', 'a'));
    const base = `${on.own}/history/${run}`;
    fs.symlinkSync(on.at('secret'), `${base}/files-2`);
    fs.symlinkSync(on.at('secret'), `${base}/files/d`);
    fs.symlinkSync(on.at('secret'), `${on.own}/history/${runAt(now)}`);
    const line = JSON.parse(fs.readFileSync(on.index(run), 'utf8')) as object;
    fs.appendFileSync(
      on.index(run),
      `${JSON.stringify({ ...line, path: '../../../../secret/f', at: 'files/../../../../secret/f' })}\n`,
    );
    expect(listVersions(on.own).map(({ path }) => path)).toEqual(['a', 'd']);
    expect(listVersions(on.own, 'd/f')).toEqual([]);
  });

  it('a symlink in place of history itself is refused', () => {
    const on = new TestRoot();
    fs.mkdirSync(on.own);
    fs.mkdirSync(on.at('elsewhere'));
    fs.symlinkSync(on.at('elsewhere'), `${on.own}/history`);
    expect(() => listVersions(on.own)).toThrow(/is not a directory/);
  });
});

it('names may be any bytes', () => {
  const on = new TestRoot();
  const names = [
    'a\nb',
    '-rf',
    decodeName(Buffer.from([0x66, 0xff, 0xfe])),
    '\u{1f600}',
    'ü',
    'it\'s "x" \\n',
    ' ',
    'd\n/\u0001',
  ];
  on.run(runAt(now), (keep) => names.forEach((name) => keep.text(name, name.length.toString())));
  expect(
    listVersions(on.own)
      .map(({ path }) => path)
      .sort(),
  ).toEqual([...names].sort());
  for (const name of names) expect(listVersions(on.own, name)).toMatchObject([{ path: name, reason: 'deleted' }]);
});
