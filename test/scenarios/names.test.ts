/** SCENARIOS.md 3c: names, kinds of things, metadata. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, keepsSeconds } from '../support/cli.ts';
import { asNobody, attempt, giveAway, mountFolding } from '../support/host.ts';
import { checkedRun, dryRun, expectPredicted, moment, told } from '../support/oracles.ts';
import { withPair } from '../support/pair.ts';
import { startFlipping } from '../support/flip.ts';
import { bothWays, scenarios, type Row } from '../support/scenario.ts';
import { contents, dir, file, link, soon, write } from '../support/tree.ts';

const [early, late] = [1_700_000_000, 1_700_001_000];

/** A path of which the last name is these bytes. */
function rawPath(root: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), name]);
}

function touch(root: string, name: string, time: string): void {
  execFileSync('touch', ['-h', '-d', time, path.join(root, name)]);
}

const broken = Buffer.from([0xff, 0xfe, 0x2d, 0x80]);
const utf8 = (name: string): string => Buffer.from(name).toString('latin1');
const longName = 'n'.repeat(255);

const rows: Row[] = [
  {
    row: '55 names that are not UTF-8',
    agreed: { f: 'o' },
    a: (root) => {
      fs.writeFileSync(rawPath(root, broken), 'broken');
      fs.mkdirSync(rawPath(root, Buffer.from([0x64, 0xc3])));
      fs.writeFileSync(rawPath(root, Buffer.concat([Buffer.from([0x64, 0xc3]), Buffer.from('/in it')])), 'inside');
      fs.symlinkSync(broken, path.join(root, 'to it'));
      // The replacement character itself, beside the name that a careless decoder would turn into it.
      fs.writeFileSync(path.join(root, '\ufffd'), 'replacement');
      fs.writeFileSync(rawPath(root, Buffer.from([0xff])), 'one byte');
    },
    expect: {
      a: {
        f: 'o',
        [broken.toString('latin1')]: 'broken',
        'd\xc3': 'dir',
        'd\xc3/in it': 'inside',
        'to it': `-> ${broken.toString('utf8')}`,
        [utf8('\ufffd')]: 'replacement',
        '\xff': 'one byte',
      },
      actions: [
        `B create ${broken.toString('latin1')}`,
        'B create d\xc3',
        'B create d\xc3/in it',
        'B create to it',
        `B create ${utf8('\ufffd')}`,
        'B create \xff',
      ],
    },
    check: ({ roots }) => expect(fs.readlinkSync(path.join(roots.b, 'to it'), 'buffer')).toEqual(broken),
  },
  {
    row: '55 a name that is not UTF-8 is edited, deleted, renamed',
    agreed: { d: dir() },
    a: (root) => fs.writeFileSync(rawPath(root, broken), 'x'),
    b: (root) => fs.writeFileSync(rawPath(path.join(root, 'd'), broken), 'y'),
    expect: {
      a: { d: 'dir', [broken.toString('latin1')]: 'x', [`d/${broken.toString('latin1')}`]: 'y' },
      actions: [`A create d/${broken.toString('latin1')}`, `B create ${broken.toString('latin1')}`],
    },
  },
  {
    row: '56 names that differ only by escaping',
    agreed: {},
    a: {
      'a\\x0ab': 'backslash',
      'a\nb': 'newline',
      'a%0ab': 'percent',
      'a\\nb': 'n',
      "a'b": 'q',
      'a"b': 'qq',
      'a\\': 'end',
    },
    expect: {
      a: {
        'a\\x0ab': 'backslash',
        'a\nb': 'newline',
        'a%0ab': 'percent',
        'a\\nb': 'n',
        "a'b": 'q',
        'a"b': 'qq',
        'a\\': 'end',
      },
      actions: ['a\\x0ab', 'a\nb', 'a%0ab', 'a\\nb', "a'b", 'a"b', 'a\\'].map((name) => `B create ${name}`),
    },
  },
  {
    row: '56 names that look like options, variables, paths, or nothing',
    a: {
      '-rf': '1',
      '--': '2',
      $HOME: '3',
      ' ': '4',
      '...': '5',
      '~': '6',
      [longName]: '7',
      '*': '8',
      '\t': '9',
      'a b': '10',
    },
    expect: {
      a: {
        '-rf': '1',
        '--': '2',
        $HOME: '3',
        ' ': '4',
        '...': '5',
        '~': '6',
        [longName]: '7',
        '*': '8',
        '\t': '9',
        'a b': '10',
      },
      actions: ['-rf', '--', '$HOME', ' ', '...', '~', longName, '*', '\t', 'a b'].map((name) => `B create ${name}`),
    },
  },
  {
    row: '56 two Unicode forms of one name',
    a: { café: 'composed' },
    b: { 'cafe\u0301': 'decomposed' },
    expect: {
      a: { [utf8('caf\u00e9')]: 'composed', [utf8('cafe\u0301')]: 'decomposed' },
      actions: [`A create ${utf8('cafe\u0301')}`, `B create ${utf8('caf\u00e9')}`],
    },
  },
  {
    row: '61 directory became a symlink to the outside in B, something new in it in A',
    agreed: { 'd/g': 'o' },
    a: { 'd/f': file('x', { mtime: early }) },
    b: (root) => {
      fs.rmSync(path.join(root, 'd'), { recursive: true });
      fs.symlinkSync('../../outside', path.join(root, 'd'));
    },
    expect: {
      newer: {
        a: { d: '-> ../../outside' },
        actions: ['A create d', 'A delete d', 'A delete d/f', 'A delete d/g'],
        conflicts: ['kind d b'],
        kept: ['x', 'o'],
      },
      both: {
        a: { d: 'dir', 'd/f': 'x', 'd/g': 'o', 'd.conflict-b': '-> ../../outside' },
        actions: ['A create d.conflict-b', 'B create d', 'B create d/f', 'B create d/g', 'B rename d > d.conflict-b'],
        conflicts: ['kind d both'],
      },
      manual: {
        a: { d: 'dir', 'd/f': 'x', 'd/g': 'o' },
        b: { d: '-> ../../outside' },
        conflicts: ['kind d open'],
      },
    },
    check: ({ outside }) => expect(contents(outside)).toEqual({ canary: 'untouched', f: 'outside f' }),
  },
  {
    row: '64 hard-linked pair',
    a: (root) => {
      write(root, { f: 'o' });
      fs.linkSync(path.join(root, 'f'), path.join(root, 'g'));
    },
    expect: { a: { f: 'o', g: 'o' }, actions: ['B create f', 'B create g'] },
  },
  {
    row: '64 two agreed files became hard links of one',
    agreed: { f: file('o', { mtime: early }), g: file('o', { mtime: early }) },
    a: (root) => {
      fs.rmSync(path.join(root, 'g'));
      fs.linkSync(path.join(root, 'f'), path.join(root, 'g'));
    },
    expect: { a: { f: 'o', g: 'o' } },
  },
  {
    row: '67 extended attributes do not disturb',
    agreed: { f: 'o' },
    a: (root) => {
      write(root, { g: 'x' });
      for (const name of ['f', 'g']) attempt('setfattr', '-n', 'user.colour', '-v', 'blue', path.join(root, name));
    },
    expect: { a: { f: 'o', g: 'x' }, actions: ['B create g'] },
  },
  {
    row: '68 executable bit',
    agreed: { f: file('o', { mode: 0o644 }), d: dir(0o755) },
    a: (root) => fs.chmodSync(path.join(root, 'f'), 0o755),
    b: (root) => fs.chmodSync(path.join(root, 'd'), 0o700),
    expect: { a: { f: 'o', d: 'dir' }, actions: ['A metadata d', 'B metadata f'] },
  },
  {
    row: '68 set-id bits stay where they are',
    agreed: { f: file('o', { mode: 0o755 }) },
    a: (root) => fs.chmodSync(path.join(root, 'f'), 0o4755),
    expect: { a: { f: 'o' } },
    check: ({ roots }) => {
      expect(fs.statSync(path.join(roots.a, 'f')).mode & 0o7777).toBe(0o4755);
      expect(fs.statSync(path.join(roots.b, 'f')).mode & 0o7777).toBe(0o755);
    },
  },
  {
    row: '70 times far from now, and finer than can be set',
    a: (root) => {
      write(root, { future: 'f', past: 'p', fine: 'n', epoch: 'e', l: link('x'), 'd/f': 'd' });
      touch(root, 'future', '2100-01-01 00:00:00.123456789');
      touch(root, 'past', '1960-01-01 00:00:00.25');
      touch(root, 'fine', '2020-02-02 02:02:02.123456789');
      touch(root, 'epoch', '1970-01-01 00:00:00 UTC');
      touch(root, 'l', '1960-01-01 00:00:00.25');
      touch(root, 'd/f', '2100-01-01 00:00:00');
      touch(root, 'd', '1960-01-01 00:00:00');
    },
    expect: {
      a: { future: 'f', past: 'p', fine: 'n', epoch: 'e', l: '-> x', d: 'dir', 'd/f': 'd' },
      actions: ['future', 'past', 'fine', 'epoch', 'l', 'd', 'd/f'].map((name) => `B create ${name}`),
    },
  },
  {
    row: '70 edited, with a time before the agreed one',
    agreed: { f: file('o', { mtime: 4_102_444_800 }), g: file('p', { mtime: early }) },
    a: { f: file('x', { mtime: early }) },
    b: (root) => {
      write(root, { g: 'y' });
      touch(root, 'g', '1960-01-01 00:00:00.5');
    },
    expect: { a: { f: 'x', g: 'y' }, actions: ['A replace g', 'B replace f'] },
  },
  {
    row: '70 touched to times far from now',
    agreed: { f: file('o', { mtime: early }), g: file('p', { mtime: early }) },
    a: (root) => {
      touch(root, 'f', '2100-01-01 00:00:00.123456789');
      touch(root, 'g', '1960-01-01 00:00:00.25');
    },
    expect: { a: { f: 'o', g: 'p' }, actions: ['B metadata f', 'B metadata g'] },
  },
  {
    row: '76 read-only file replaced',
    agreed: { f: file('o', { mode: 0o444 }) },
    a: { f: 'x' },
    expect: { a: { f: 'x' }, actions: ['B replace f'] },
    check: ({ roots }) => expect(fs.statSync(path.join(roots.b, 'f')).mode & 0o7777).toBe(0o444),
  },
  {
    row: 'FIFOs are told and left alone',
    a: (root) => {
      execFileSync('mkfifo', [path.join(root, 'p')]);
      write(root, { f: 'x' });
    },
    expect: { a: { p: 'special', f: 'x' }, b: { f: 'x' }, actions: ['B create f'], skips: ['A special p'] },
  },
];

scenarios('names, kinds, metadata', rows);

describe('names, kinds, metadata, apart', () => {
  it('58 a thousand directories deep, and paths beyond 4096 bytes', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'beside' });
      const make = (depth: number, name: string): void => {
        const script = `for (let n = 0; n < ${depth}; n += 1) {
          require('fs').mkdirSync('${name}'); process.chdir('${name}');
        } require('fs').writeFileSync('leaf', 'deep');`;
        execFileSync(process.execPath, ['-e', script], { cwd: pair.a });
      };
      // Busybox's tar makes all the way to each file anew: that takes a minute for a thousand.
      const depth = keepsSeconds ? 300 : 1000;
      make(depth, 'd');
      make(40, 'long'.repeat(50));
      try {
        const list = (root: string): string =>
          execFileSync('find', ['.', '-name', '.lockstep', '-prune', '-o', '-printf', '%y %m %s %P\n'], {
            cwd: root,
            encoding: 'utf8',
            maxBuffer: 1 << 28,
          })
            .split('\n')
            .sort()
            .join('\n');
        const ran = await pair.sync();
        // A file whose path is longer than the kernel takes may be left out, if that is said.
        const left = eventsOf(ran, 'skip').map((event) => String(event['path']));
        for (const name of left) expect(name.length).toBeGreaterThan(4000);
        expect(ran.code, ran.stderr + ran.stdout.slice(-2000)).toBe(left.length === 0 ? 0 : 2);
        const expected = list(pair.a)
          .split('\n')
          .filter((line) => {
            const name = line.split(' ').slice(3).join(' ');
            return !left.some((told) => name === told || name.startsWith(`${told}/`));
          });
        expect(list(pair.b).split('\n')).toEqual(expected);
        const rest = await pair.sync();
        expect(told(rest).actions).toEqual([]);
        // And away again, the lower part of it.
        const half = Array.from({ length: depth * 0.6 }, () => 'd').join('/');
        execFileSync('rm', ['-rf', half], { cwd: pair.b });
        const removed = await pair.sync('--max-delete', 'off');
        expect(removed.code, removed.stderr + removed.stdout.slice(-2000)).toBe(ran.code);
        expect(fs.existsSync(path.join(pair.a, half))).toBe(false);
        expect(fs.existsSync(path.join(pair.a, path.dirname(half)))).toBe(true);
      } finally {
        // Node's rm goes by path.
        execFileSync('rm', ['-rf', pair.dir]);
      }
    }));

  bothWays('59 files named like ours are ordinary files', async (pair, roots) => {
    const stamp = '20261121T031500Z';
    await pair.agreed({
      [`f.conflict-local-${stamp}.txt`]: 'o1',
      lock: 'o2',
      'lock.takeover': 'o3',
      'staging/f1': 'o4',
      'history/x': 'o5',
      'links/1': 'o6',
      '.lockstepx': 'o7',
      '.lockstep.tmp': 'o8',
      id: 'o9',
      'index.jsonl': 'o10',
    });
    const agreed = contents(pair.a);
    write(roots.a, { lock: 'edited', 'staging/f2': 'new', '.lockstepx': 'edited too' });
    fs.rmSync(path.join(roots.a, 'history'), { recursive: true });
    write(roots.b, { [`f.conflict-local-${stamp}.txt`]: 'edited there', 'links/2': 'new there' });
    const { ran } = await checkedRun(pair, { agreed });
    expect(ran.code).toBe(0);
    pair.expectBoth({
      [`f.conflict-local-${stamp}.txt`]: 'edited there',
      lock: 'edited',
      'lock.takeover': 'o3',
      staging: 'dir',
      'staging/f1': 'o4',
      'staging/f2': 'new',
      links: 'dir',
      'links/1': 'o6',
      'links/2': 'new there',
      '.lockstepx': 'edited too',
      '.lockstep.tmp': 'o8',
      id: 'o9',
      'index.jsonl': 'o10',
    });
  });

  bothWays('59 a nested .lockstep is not synced, and not deleted with its directory', async (pair, roots, toldOf) => {
    await pair.agreed({ 'd/f': 'o' });
    write(roots.a, { 'd/.lockstep/history/x': 'theirs' });
    const quiet = await pair.sync();
    expect(told(quiet).skips).toEqual([]);
    expect(fs.existsSync(path.join(roots.b, 'd/.lockstep'))).toBe(false);
    fs.rmSync(path.join(roots.b, 'd'), { recursive: true });
    const predicted = await dryRun(pair);
    const ran = await pair.sync();
    expect(ran.code, ran.stdout).toBe(2);
    expect(toldOf(ran).skips).toEqual(['A kept-ignored d']);
    expectPredicted(predicted, ran);
    expect(fs.readFileSync(path.join(roots.a, 'd/.lockstep/history/x'), 'utf8')).toBe('theirs');
  });

  bothWays('62 a directory that keeps turning into a symlink to the outside', async (pair, roots) => {
    const outside = path.join(pair.dir, 'outside');
    const names = Array.from({ length: 20 }, (_, n) => `f${n}`);
    const spec = (text: string): Record<string, string> =>
      Object.fromEntries(names.map((name) => [`d/${name}`, `${text} ${name}`]));
    write(outside, Object.fromEntries(names.map((name) => [name, `secret ${name}`])));
    await pair.agreed({ ...spec('o'), 'd/sub/g': 'o', beside: 'o' });
    const secrets = contents(outside);
    const flipping = await startFlipping(path.join(roots.b, 'd'), path.join(pair.dir, 'parked'), outside);
    try {
      for (let n = 0; n < 6; n += 1) {
        // The symlink may have come over, as any symlink does: we must not write through it ourselves.
        const here = path.join(roots.a, 'd');
        if (fs.lstatSync(here, { throwIfNoEntry: false })?.isSymbolicLink() === true) fs.unlinkSync(here);
        write(roots.a, {
          ...spec(`version ${n}`),
          [`d/new${n}`]: 'new',
          'd/sub/g': `version ${n}`,
          beside: `version ${n}`,
        });
        const ran = await pair.sync('--max-delete', 'off');
        expect([0, 1, 2, 3], ran.stdout + ran.stderr).toContain(ran.code);
        expect(contents(outside), 'G8').toEqual(secrets);
        expect(fs.existsSync(path.join(outside, '.lockstep')), 'G8').toBe(false);
      }
    } finally {
      await flipping.stop();
    }
    for (const root of [pair.a, pair.b]) {
      for (const text of Object.values(contents(root))) expect(text, 'G8').not.toMatch(/secret/);
    }
    // Once it rests, everything comes together again.
    await pair.sync('--max-delete', 'off');
    const last = await pair.sync('--max-delete', 'off');
    expect(last.code, last.stdout).toBe(0);
    pair.expectEqual();
    expect(contents(outside), 'G8').toEqual(secrets);
  });

  bothWays('62 a source directory that keeps turning into a symlink to the outside', async (pair, roots) => {
    const outside = path.join(pair.dir, 'outside');
    const names = Array.from({ length: 40 }, (_, n) => `f${n}`);
    await pair.agreed({ beside: 'o', 'd/own': 'o' });
    write(outside, Object.fromEntries(names.map((name) => [name, `secret ${name}`])));
    const secrets = contents(outside);
    const flipping = await startFlipping(path.join(roots.a, 'd'), path.join(pair.dir, 'parked'), outside);
    try {
      for (let n = 0; n < 6; n += 1) {
        const ran = await pair.sync('--max-delete', 'off');
        expect([0, 1, 2, 3], ran.stdout + ran.stderr).toContain(ran.code);
        for (const text of Object.values(contents(roots.b))) expect(text, 'G8').not.toMatch(/secret/);
        expect(contents(outside), 'G8').toEqual(secrets);
      }
    } finally {
      await flipping.stop();
    }
    await pair.sync('--max-delete', 'off');
    const last = await pair.sync('--max-delete', 'off');
    expect(last.code, last.stdout).toBe(0);
    pair.expectEqual();
  });

  bothWays(
    '64 names in a new directory, of files whose other names are touched in the same run',
    async (pair, roots) => {
      // So long ago that far ends which keep seconds can tell what is newer.
      const replaced = file('o', { mtime: early });
      write(pair.a, { replaced, 'removed of many': 'o', renamed: 'p', moded: 'm', beside: 'b' });
      expect((await pair.sync()).code).toBe(0);
      const names = ['replaced', 'removed of many', 'renamed', 'moded'];
      fs.mkdirSync(path.join(roots.a, 'new/deep'), { recursive: true });
      for (const name of names) fs.linkSync(path.join(roots.a, name), path.join(roots.a, 'new', name));
      write(roots.a, { 'new/deep/one': 't' });
      fs.linkSync(path.join(roots.a, 'new/deep/one'), path.join(roots.a, 'new/twin'));
      write(roots.b, { replaced: file('edited in B', { mtime: late }) });
      fs.rmSync(path.join(roots.b, 'removed of many'));
      fs.renameSync(path.join(roots.b, 'renamed'), path.join(roots.b, 'renamed in B'));
      fs.chmodSync(path.join(roots.b, 'moded'), 0o600);
      const ran = await pair.sync();
      expect([ran.code, eventsOf(ran, 'skip')], ran.stdout).toEqual([0, []]);
      expect(contents(roots.b)).toMatchObject({
        'new/replaced': 'o',
        'new/removed of many': 'o',
        'new/renamed': 'p',
        'new/moded': 'm',
        'new/twin': 't',
        'new/deep/one': 't',
      });
      const next = await pair.sync();
      expect(next.code, next.stdout).toBe(0);
      pair.expectEqual();
      await pair.expectIdle();
    },
  );

  bothWays('64 hard-linked pair edited through one name; the other name edited in B', async (pair, roots) => {
    await pair.agreed({ f: file('o', { mtime: early }), g: file('o', { mtime: early }) });
    fs.rmSync(path.join(roots.a, 'g'));
    fs.linkSync(path.join(roots.a, 'f'), path.join(roots.a, 'g'));
    write(roots.a, { f: file('through both', { mtime: early + 1 }) });
    write(roots.b, { g: file('y', { mtime: late }) });
    // Replacing one name changes the ctime of the inode that the other name is read from: our own doing, seen through.
    const first = await pair.sync();
    expect(told(first).conflicts).toHaveLength(1);
    expect(first.code, first.stdout).toBe(0);
    pair.expectBoth({ f: 'through both', g: 'y' });
    pair.expectKept('through both', 'y');
    await pair.expectIdle();
  });

  bothWays(
    '64 hard-linked pair of which both names are replaced, removed or renamed in one run',
    async (pair, roots) => {
      const names = ['f', 'g', 'h', 'i', 'j', 'k'];
      await pair.agreed(Object.fromEntries(names.map((name) => [name, file(name, { mtime: early })])));
      for (const [one, two] of [
        ['f', 'g'],
        ['h', 'i'],
        ['j', 'k'],
      ] as const) {
        fs.rmSync(path.join(roots.a, two));
        fs.linkSync(path.join(roots.a, one), path.join(roots.a, two));
      }
      await pair.sync();
      pair.expectEqual();
      write(roots.b, { f: 'new f', g: 'new g' });
      for (const name of ['h', 'i']) fs.rmSync(path.join(roots.b, name));
      for (const name of ['j', 'k']) fs.renameSync(path.join(roots.b, name), path.join(roots.b, `${name}2`));
      const ran = await pair.sync();
      expect(ran.code, ran.stdout).toBe(0);
      pair.expectBoth({ f: 'new f', g: 'new g', j2: 'j', k2: 'j' });
      await pair.sync();
      await pair.expectIdle();
    },
  );

  it('65 sparse file stays sparse', async () =>
    withPair(async (pair) => {
      const full = path.join(pair.a, 'sparse');
      const size = 2 ** 29 + 12_345;
      const handle = fs.openSync(full, 'w');
      fs.ftruncateSync(handle, size);
      for (const at of [0, 2 ** 28 + 1, size - 3]) fs.writeSync(handle, 'abc', at);
      fs.closeSync(handle);
      const ran = await pair.sync();
      expect(ran.code, ran.stdout).toBe(0);
      const [a, b] = [fs.statSync(full), fs.statSync(path.join(pair.b, 'sparse'))];
      expect(b.size).toBe(size);
      expect(a.blocks * 512).toBeLessThan(1 << 20);
      expect(b.blocks * 512).toBeLessThan(1 << 20);
      expect(attempt('cmp', full, path.join(pair.b, 'sparse'))).toBeUndefined();
      expect(told(await pair.sync()).actions).toEqual([]);
    }));

  describe('as an ordinary user', () => {
    bothWays('73, 74 unreadable files and directories are not taken for deleted', async (pair, roots, toldOf, skip) => {
      const user = asNobody();
      if ('reason' in user) return skip(user.reason);
      const g = file('p', { mtime: early });
      write(pair.a, { f: 'o', g, h: 'q', 'd/a': 'o', 'd/sub/b': 'p', 'e/x': 'r', beside: 'o' });
      giveAway(pair.dir);
      const sync = async (...args: string[]): ReturnType<typeof pair.run> => pair.run('sync', args, user);
      expect((await sync()).code).toBe(0);

      const locked = ['f', 'g', 'd', 'e/x'].map((name) => path.join(roots.a, name));
      const modes = locked.map((name) => fs.statSync(name).mode);
      for (const name of locked) fs.chmodSync(name, 0);
      write(roots.a, { beside: 'edited' });
      write(roots.b, { g: 'edited there', 'd/a': 'edited there', 'new there': 'n' });
      fs.rmSync(path.join(roots.b, 'h'));
      giveAway(path.join(roots.b, 'new there'));
      const before = moment(pair);
      const predicted = await sync('--dry-run');
      expect(moment(pair)).toEqual(before);
      const ran = await sync();
      expectPredicted(predicted, ran);
      expect(ran.code, ran.stdout).toBe(2);
      expect(toldOf(ran)).toEqual({
        actions: ['A create new there', 'A delete h', 'B replace beside'],
        conflicts: [],
        skips: ['A unreadable d', 'A unreadable e/x', 'A unreadable f', 'A unreadable g'],
      });
      const rest = await sync();
      expect(toldOf(rest).actions).toEqual([]);
      expect(toldOf(rest).skips).toEqual(toldOf(ran).skips);

      locked.forEach((name, n) => fs.chmodSync(name, modes[n] ?? 0));
      const healed = await sync();
      expect(healed.code, healed.stdout).toBe(0);
      pair.expectEqual();
      expect(contents(pair.b)).toMatchObject({
        f: 'o',
        g: 'edited there',
        'd/a': 'edited there',
        'd/sub/b': 'p',
        'e/x': 'r',
      });
      expect(contents(pair.b)).not.toHaveProperty('h');
    });

    bothWays('73, 74 unreadable things that are new', async (pair, roots, toldOf, skip) => {
      const user = asNobody();
      if ('reason' in user) return skip(user.reason);
      write(pair.a, { beside: 'o' });
      giveAway(pair.dir);
      const sync = async (...args: string[]): ReturnType<typeof pair.run> => pair.run('sync', args, user);
      expect((await sync()).code).toBe(0);
      write(roots.a, {
        f: file('x', { mode: 0 }),
        'd/g': file('y', { mode: 0 }),
        'd/h': 'z',
        'e/i': 'w',
        'd/e/j': 'v',
      });
      giveAway(roots.a);
      fs.chmodSync(path.join(roots.a, 'e'), 0);
      fs.chmodSync(path.join(roots.a, 'd/e'), 0);
      const ran = await sync();
      expect(ran.code, ran.stdout).toBe(2);
      expect(toldOf(ran).skips).toEqual(['A unreadable d/e', 'A unreadable d/g', 'A unreadable e', 'A unreadable f']);
      for (const event of eventsOf(ran, 'skip')) expect(event['detail']).toBe('permission denied');
      expect(contents(roots.b)).toMatchObject({ beside: 'o', d: 'dir', 'd/h': 'z' });
      expect(fs.existsSync(path.join(roots.b, 'f'))).toBe(false);
      expect(fs.existsSync(path.join(roots.b, 'd/g'))).toBe(false);
      for (const name of ['f', 'd/g']) fs.chmodSync(path.join(roots.a, name), 0o644);
      for (const name of ['e', 'd/e']) fs.chmodSync(path.join(roots.a, name), 0o755);
      const healed = await sync();
      expect(healed.code, healed.stdout).toBe(0);
      pair.expectEqual();
      expect(toldOf(await sync()).actions).toEqual([]);
    });

    bothWays('76 read-only files and directories', async (pair, roots, toldOf, skip) => {
      const user = asNobody();
      if ('reason' in user) return skip(user.reason);
      write(pair.a, { f: file('o', { mode: 0o444 }), 'd/g': file('p', { mode: 0o400 }), 'd/h': 'q' });
      fs.chmodSync(path.join(pair.a, 'd'), 0o555);
      giveAway(pair.dir);
      const sync = async (...args: string[]): ReturnType<typeof pair.run> => pair.run('sync', args, user);
      const first = await sync();
      expect(first.code, first.stdout).toBe(0);
      pair.expectEqual();
      write(roots.a, { f: 'x' });
      const ran = await sync();
      expect(ran.code, ran.stdout).toBe(0);
      expect(toldOf(ran).actions).toEqual(['B replace f']);
      pair.expectEqual();
      // Into a read-only directory nothing can be written: told, and nothing else suffers.
      write(roots.a, { 'd/g': file('x', { mtime: soon() }), f: 'y' });
      fs.rmSync(path.join(roots.a, 'd/h'));
      const refused = await sync();
      expect(refused.code, refused.stdout).toBe(2);
      expect(toldOf(refused)).toMatchObject({ actions: ['B replace f'], skips: ['B failed d/g', 'B failed d/h'] });
      expect(contents(roots.b)).toEqual({ f: 'y', d: 'dir', 'd/g': 'p', 'd/h': 'q' });
      fs.chmodSync(path.join(roots.a, 'd'), 0o755);
      fs.chmodSync(path.join(roots.b, 'd'), 0o755);
      const healed = await sync();
      expect(healed.code, healed.stdout).toBe(0);
      pair.expectBoth({ f: 'y', d: 'dir', 'd/g': 'x' });
    });
  });

  bothWays('77 immutable files', async (pair, roots, toldOf, skip) => {
    await pair.agreed({
      edited: 'o1',
      deleted: 'o2',
      renamed: 'o3',
      touched: file('o4', { mtime: early }),
      beside: 'o5',
    });
    const immutable = ['edited', 'deleted', 'renamed', 'touched'].map((name) => path.join(roots.b, name));
    const refused = attempt('chattr', '+i', ...immutable);
    if (refused !== undefined) return skip(refused);
    try {
      // The attribute moved the ctime: once, the contents have to be looked at.
      expect(told(await pair.sync()).actions).toEqual([]);
      write(roots.a, { edited: file('x1', { mtime: soon() }), beside: 'x5', touched: file('o4', { mtime: late }) });
      fs.rmSync(path.join(roots.a, 'deleted'));
      fs.renameSync(path.join(roots.a, 'renamed'), path.join(roots.a, 'renamed 2'));
      for (let n = 0; n < 2; n += 1) {
        const ran = await pair.sync();
        expect(ran.code, ran.stdout + ran.stderr).toBe(2);
        const { actions, skips } = toldOf(ran);
        // The new name of what could not be renamed may be copied.
        expect(actions.filter((line) => !line.endsWith('renamed 2'))).toEqual(n === 0 ? ['B replace beside'] : []);
        expect(skips).toEqual(expect.arrayContaining(['B failed deleted', 'B failed edited', 'B failed touched']));
        expect(contents(roots.b)).toMatchObject({
          edited: 'o1',
          deleted: 'o2',
          renamed: 'o3',
          touched: 'o4',
          beside: 'x5',
        });
      }
    } finally {
      expect(attempt('chattr', '-i', ...immutable)).toBeUndefined();
    }
    const healed = await pair.sync();
    expect(healed.code, healed.stdout).toBe(0);
    pair.expectEqual();
    // Taking the attribute away moved the ctime again, and that alone does not win over a deletion.
    pair.expectBoth({ edited: 'x1', 'renamed 2': 'o3', touched: 'o4', beside: 'x5' });
    pair.expectClean();
    await pair.expectIdle();
  });

  describe('77 a file whose ctime alone moved, deleted on the other side', () => {
    const moves: Record<string, (full: string) => void> = {
      'by bits that were changed back': (full) => {
        fs.chmodSync(full, 0o600);
        fs.chmodSync(full, 0o644);
      },
      'by a hard link that came and went': (full) => {
        fs.linkSync(full, `${full}.link`);
        fs.rmSync(`${full}.link`);
      },
      'by an atime that was set': (full) => fs.utimesSync(full, 1, early),
    };
    const start = { f: file('old', { mode: 0o644, mtime: early }), other: 'o' };

    for (const [how, act] of Object.entries(moves)) {
      bothWays(`${how}, is deleted, and kept in history`, async (pair, roots) => {
        await pair.agreed(start);
        act(path.join(roots.a, 'f'));
        fs.rmSync(path.join(roots.b, 'f'));
        expect((await pair.sync()).code).toBe(0);
        pair.expectBoth({ other: 'o' });
        pair.expectKept('old');
        await pair.expectIdle();
      });
    }

    bothWays('comes back where no history would keep what it may stand for', async (pair, roots) => {
      await pair.agreed(start, '--backup', 'off');
      moves['by an atime that was set']?.(path.join(roots.a, 'f'));
      fs.rmSync(path.join(roots.b, 'f'));
      expect((await pair.sync('--backup', 'off')).code).toBe(0);
      pair.expectBoth({ f: 'old', other: 'o' });
    });

    for (const [what, spec] of Object.entries({
      content: file('new', { mode: 0o644, mtime: early + 1 }),
      mode: file('old', { mode: 0o600, mtime: early }),
    })) {
      bothWays(`comes back when its ${what} changed, too`, async (pair, roots) => {
        await pair.agreed(start);
        write(roots.a, { f: spec });
        fs.rmSync(path.join(roots.b, 'f'));
        expect((await pair.sync()).code).toBe(0);
        pair.expectBoth({ f: String(spec.text), other: 'o' });
      });
    }
  });

  describe('where names fold', () => {
    const title = '49, 50, 68 case-only renames, clashing names and no executable bit on a file system that folds case';
    it(title, async (context) =>
      withPair(async (pair) => {
        const folding = mountFolding(pair.dir);
        if ('reason' in folding) return context.skip(folding.reason);
        try {
          Object.defineProperty(pair, 'b', { value: folding.dir });
          write(pair.a, { File: 'o', 'd/g': 'p', script: file('s', { mode: 0o755, mtime: early }) });
          const first = await pair.sync();
          expect(first.code, first.stdout).toBe(0);
          expect(told(await pair.sync()).actions, '68: no flip-flop').toEqual([]);

          fs.renameSync(path.join(pair.a, 'File'), path.join(pair.a, 'file'));
          const renamed = await pair.sync();
          expect(renamed.code, renamed.stdout).toBe(0);
          expect(contents(pair.b), '49').toMatchObject({ file: 'o' });
          expect(contents(pair.a), '49').toMatchObject({ file: 'o' });

          write(pair.a, { 'a.txt': 'lower', 'A.TXT': 'upper' });
          const clash = await pair.sync();
          expect(clash.code, clash.stdout).toBe(2);
          expect(told(clash).skips, '50').toEqual(['A name-clash A.TXT', 'A name-clash a.txt']);
          expect(contents(pair.a), '50').toMatchObject({ 'a.txt': 'lower', 'A.TXT': 'upper', file: 'o' });
          expect(told(await pair.sync()).actions, '50').toEqual([]);
        } finally {
          folding.release();
        }
      }),
    );
  });
});
