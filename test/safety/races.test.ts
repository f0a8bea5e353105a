/**
 * Somebody edits, creates, replaces or deletes at the worst moment of a run: between two file calls of it. DESIGN §6;
 * SCENARIOS 79–88. Whatever happens, what that person made is still there, or in history, and is met by the next run.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, notInShell, type Ran } from '../support/cli.ts';
import { injecting, type Injection } from '../support/inject.ts';
import { expectTruth } from '../support/oracles.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, dir, file, link, write, type TreeSpec } from '../support/tree.ts';

const past = 1_700_000_000;

/** What a person does to `it`, a file on B, as code for `injecting`; `A` and `B` are the roots. */
const deeds = {
  edit: "fs.appendFileSync(it, ' and theirs');",
  sameSize: "fs.writeFileSync(it, 'new');",
  replace: "fs.writeFileSync(it + '.tmp', 'theirs'); fs.renameSync(it + '.tmp', it);",
  delete: 'fs.unlinkSync(it);',
  directory: "fs.unlinkSync(it); fs.mkdirSync(it); fs.writeFileSync(it + '/inside', 'their inside');",
  symlink: "fs.unlinkSync(it); fs.symlinkSync('their target', it);",
} as const;
type Deed = keyof typeof deeds;
const allDeeds = Object.keys(deeds) as Deed[];
/** What there is after a deed that was not there before it. */
const made: Record<Deed, string[]> = {
  edit: ['old and theirs'],
  sameSize: ['new'],
  replace: ['theirs'],
  delete: [],
  directory: ['their inside'],
  symlink: ['-> their target'],
};

type Moment = Omit<Injection, 'run'>;

interface Happening {
  moment: Moment;
  deed: string;
}

/** Runs with things happening in the middle, and sees that each did. */
async function raced(pair: Pair, happenings: readonly Happening[], ...args: string[]): Promise<Ran> {
  const roots = `const A = ${JSON.stringify(pair.a)}, B = ${JSON.stringify(pair.b)};`;
  const marks = happenings.map((_, index) => path.join(pair.dir, `happened-${index}`));
  const injections = happenings.map(({ moment, deed }, index) => ({
    ...moment,
    run: `${roots} ${deed} fs.writeFileSync(${JSON.stringify(marks[index])}, '');`,
  }));
  const ran = await pair.run('sync', args, { env: injecting(pair.dir, ...injections) });
  const missed = happenings.filter((_, index) => !fs.existsSync(marks[index] ?? ''));
  expect(missed, `moments that did not come: ${ran.stdout}${ran.stderr}`).toEqual([]);
  expect(ran.stderr).not.toMatch(/bug in Lockstep/);
  return ran;
}

/** Each deed on a file of its name, at the same moment of that file's own. */
function each(names: readonly Deed[], moment: (name: string) => Moment): Happening[] {
  return names.map((name) => ({ moment: moment(name), deed: `const it = B + '/${name}'; ${deeds[name]}` }));
}

/** The next runs bring both sides together, and the record is true at every moment. */
async function expectHeals(pair: Pair): Promise<void> {
  expectTruth(pair);
  const next = await pair.sync();
  expect(next.code, next.stdout + next.stderr).toBe(0);
  pair.expectEqual();
  await pair.expectIdle();
  pair.expectClean();
}

const old = file('old', { mtime: past });
const allOld: TreeSpec = Object.fromEntries(allDeeds.map((name) => [name, old]));
const place = (name: string): RegExp => new RegExp(`staging/\\S+ /proc/self/fd/\\d+/${name}$`);
const aside = (name: string): RegExp =>
  new RegExp(`^/proc/self/fd/\\d+/${name} (\\S+/staging/\\S+|/proc/self/fd/\\d+/${name})$`);

describe('82: what is to be created', () => {
  it('and appears on the other side just before', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ other: 'o' });
      write(pair.a, { file: 'from a', link: link('from a'), 'dir/x': 'also from a', 'empty/x': 'even so' });
      const appears = (name: string, call: string): Happening => ({
        moment: { call, match: place(name) },
        deed: `fs.writeFileSync(B + '/${name}', 'their ${name}');`,
      });
      const ran = await raced(pair, [
        appears('file', 'linkSync'),
        appears('link', 'linkSync'),
        appears('dir', 'renameSync'),
        { moment: { call: 'renameSync', match: place('empty') }, deed: "fs.mkdirSync(B + '/empty', { mode: 0o700 });" },
      ]);
      expect(ran.code).toBe(2);
      for (const name of ['file', 'link', 'dir']) {
        expect(eventsOf(ran, 'skip')).toContainEqual(expect.objectContaining({ path: name, why: 'changed-meanwhile' }));
        expect(contents(pair.b)[name]).toBe(`their ${name}`);
      }
      await expectHeals(pair);
      pair.expectKept('from a', '-> from a', 'also from a', 'even so', 'their file', 'their link', 'their dir');
    }));
});

describe('85: a file that is to be replaced', () => {
  const moments: Record<string, (name: string) => Moment> = {
    'while the new one is read': (name) => ({ call: 'openSync', match: new RegExp(`/a/${name} \\d+$`), when: 'after' }),
    'before it is taken hold of': (name) => ({ call: 'linkSync', match: aside(name) }),
    'after it was taken hold of': (name) => ({ call: 'linkSync', match: aside(name), when: 'after' }),
  };
  for (const [when, moment] of Object.entries(moments)) {
    it(`and is changed ${when}`, async (context) =>
      withPair(async (pair) => {
        // Reading is done here.
        if (moment('').call !== 'openSync') notInShell(context);
        await pair.agreed({ ...allOld, other: 'o' });
        for (const name of allDeeds) write(pair.a, { [name]: file(`from a: ${name}`, { mtime: past + 100 }) });
        const ran = await raced(pair, each(allDeeds, moment));
        expect(ran.code).toBe(2);
        const theirs = allDeeds.flatMap((name) => made[name]);
        pair.expectKept(...theirs);
        expect(eventsOf(ran, 'skip').map((skip) => skip['path'])).toEqual(expect.arrayContaining(allDeeds));
        await expectHeals(pair);
        pair.expectKept(...theirs, ...allDeeds.map((name) => `from a: ${name}`));
      }));
  }

  it('edited in the instant of its replacement: that edit is in history', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ edit: old });
      write(pair.a, { edit: 'from a' });
      const ran = await raced(
        pair,
        each(['edit'], (name) => ({ call: 'renameSync', match: place(name) })),
      );
      expect(ran.code).toBe(2);
      expect(eventsOf(ran, 'skip')).toMatchObject([{ path: 'edit', why: 'changed-meanwhile' }]);
      expect(contents(pair.b)).toEqual({ edit: 'from a' });
      pair.expectKept('old and theirs');
      await expectHeals(pair);
      pair.expectKept('old and theirs');
    }));

  it('edited as soon as it was replaced: the next run carries that', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ sameSize: old });
      write(pair.a, { sameSize: file('may', { mtime: past + 100 }) });
      await raced(
        pair,
        each(['sameSize'], (name) => ({ call: 'renameSync', match: place(name), when: 'after' })),
      );
      await expectHeals(pair);
      pair.expectBoth({ sameSize: 'new' });
    }));
});

describe('85: a source that is edited again as soon as it was read', () => {
  for (const [from, to] of [
    ['A', 'B'],
    ['B', 'A'],
  ] as const) {
    it(`from ${from} to ${to}: the record has what was carried, and the next run sees the rest`, async (context) =>
      withPair(async (pair) => {
        if (to === 'B') notInShell(context);
        await pair.agreed({ sameSize: old, longer: old, gone: old, other: 'o' });
        const [source, target] = from === 'A' ? [pair.a, pair.b] : [pair.b, pair.a];
        for (const name of ['sameSize', 'longer', 'gone'])
          write(source, { [name]: file('may', { mtime: past + 100 }) });
        const again = (name: string, deed: string): Happening => ({
          moment: { call: 'renameSync', match: place(name), when: 'after' },
          deed: `const it = ${from} + '/${name}'; ${deed}`,
        });
        const ran = await raced(pair, [
          // The time is put back, as an unpacking tool might do.
          again('sameSize', `fs.writeFileSync(it, 'new'); fs.utimesSync(it, ${past + 100}, ${past + 100});`),
          again('longer', "fs.appendFileSync(it, ' and more');"),
          again('gone', 'fs.unlinkSync(it);'),
        ]);
        expect(ran.code, ran.stdout).toBe(0);
        expect(contents(target)).toEqual({ sameSize: 'may', longer: 'may', gone: 'may', other: 'o' });
        await expectHeals(pair);
        pair.expectBoth({ sameSize: 'new', longer: 'may and more', other: 'o' });
      }));
  }
});

describe('what was made, changed before it is looked at', () => {
  // Recorded as it was found then, it would be settled with a difference that nobody ever carries.
  it('a directory to which something is added: both have its time in the end', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      write(pair.a, { 'unit/f': 'f', 'old/f': 'f', 'shut/': dir(0o500) });
      await pair.sync();
      write(pair.a, { 'unit2/f': 'f', 'old/g': 'g' });
      const add = (name: string): string => `fs.writeFileSync(B + '/${name}/late', 'late');`;
      const ran = await raced(pair, [
        { moment: { call: 'renameSync', match: place('unit2'), when: 'after' }, deed: add('unit2') },
        { moment: { call: 'utimesSync', match: /\/fd\/\d+ .*$/, when: 'after' }, deed: add('old') },
      ]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      await expectHeals(pair);
      expect(contents(pair.a)).toMatchObject({ 'unit2/late': 'late', 'old/late': 'late' });
    }));

  it('and whose permission bits are changed: the next run carries that', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      write(pair.a, { keep: 'keep', old: file('old', { mtime: past }) });
      await pair.sync();
      write(pair.a, { 'unit/f': 'f', new: 'new', old: 'edited' });
      const ran = await raced(pair, [
        {
          moment: { call: 'renameSync', match: place('unit'), when: 'after' },
          deed: "fs.chmodSync(B + '/unit', 0o750);",
        },
        { moment: { call: 'linkSync', match: place('new'), when: 'after' }, deed: "fs.chmodSync(B + '/new', 0o755);" },
        {
          moment: { call: 'renameSync', match: place('old'), when: 'after' },
          deed: "fs.chmodSync(B + '/old', 0o755);",
        },
      ]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      await expectHeals(pair);
      const modes = ['unit', 'new', 'old'].map((name) => fs.statSync(path.join(pair.a, name)).mode & 0o777);
      expect(modes).toEqual([0o750, 0o755, 0o755]);
      expect(contents(pair.a)).toMatchObject({ new: 'new', old: 'edited' });
    }));
});

describe('what is to be deleted', () => {
  for (const args of [[], ['--backup', 'off']]) {
    it(`and is changed just before ${args.join(' ')}`, async (context) =>
      withPair(async (pair) => {
        notInShell(context);
        await pair.agreed({ ...allOld, other: 'o', again: old });
        for (const name of [...allDeeds, 'again']) fs.rmSync(path.join(pair.a, name));
        const again = "const it = B + '/again';";
        const ran = await raced(
          pair,
          [
            ...each(allDeeds, (name) => ({ call: 'renameSync', match: aside(name) })),
            // Replaced before it is taken, and made once more before that can be put back.
            { moment: { call: 'renameSync', match: aside('again') }, deed: `${again} ${deeds.replace}` },
            {
              moment: { call: 'linkSync', match: / \S+\/again$/ },
              deed: `${again} fs.writeFileSync(it, 'once more');`,
            },
          ],
          ...args,
        );
        expect(ran.code).toBe(2);
        const theirs = [...allDeeds.flatMap((name) => made[name]), 'once more'];
        pair.expectKept(...theirs);
        await expectHeals(pair);
        pair.expectKept(...theirs);
        // It is back under its name: what was done to it is newer than its deletion.
        expect(Object.keys(contents(pair.a)).sort()).toEqual(
          [...allDeeds.filter((name) => name !== 'delete'), 'again', 'directory/inside', 'other'].sort(),
        );
      }));
  }

  it('83: a directory in which something appears, and one that is gone already', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ 'd/x': 'o', 'd/e/y': 'o', 'gone/z': 'o', other: 'o' });
      for (const name of ['d', 'gone']) fs.rmSync(path.join(pair.a, name), { recursive: true });
      const ran = await raced(pair, [
        { moment: { call: 'rmdirSync', match: /\/d$/ }, deed: "fs.writeFileSync(B + '/d/new', 'theirs');" },
        { moment: { call: 'renameSync', match: aside('z') }, deed: "fs.rmSync(B + '/gone', { recursive: true });" },
      ]);
      expect(ran.code).toBe(2);
      expect(contents(pair.b)).toEqual({ d: 'dir', 'd/new': 'theirs', other: 'o' });
      await expectHeals(pair);
      pair.expectBoth({ d: 'dir', 'd/new': 'theirs', other: 'o' });
    }));
});

describe('83: where something new is to come', () => {
  it('and the directory is deleted, or is something else, just before', async () =>
    withPair(async (pair) => {
      await pair.agreed({ 'gone/x': 'o', 'file/x': 'o', 'link/x': 'o', other: 'o' });
      const outside = path.join(pair.dir, 'outside');
      fs.mkdirSync(outside);
      write(pair.a, { 'gone/new': 'n1', 'gone/deep/new': 'n2', 'file/new': 'n3', 'link/new': 'n4', fine: 'n5' });
      const away = (name: string): string => `fs.rmSync(B + '/${name}', { recursive: true });`;
      const read = (name: string): Moment => ({ call: 'openSync', match: new RegExp(`/a/${name}/new \\d+$`) });
      // Newer than what came to A within the same second, which is as far as some far ends can tell.
      const later = 'const time = Date.now() / 1000 + 100; fs.lutimesSync(it, time, time);';
      const becomes = (name: string, how: string): string => `${away(name)} const it = B + '/${name}'; ${how} ${later}`;
      const ran = await raced(pair, [
        { moment: read('gone'), deed: away('gone') },
        { moment: read('file'), deed: becomes('file', "fs.writeFileSync(it, 'theirs');") },
        { moment: read('link'), deed: becomes('link', `fs.symlinkSync(${JSON.stringify(outside)}, it);`) },
      ]);
      expect(ran.code, ran.stdout).toBe(2);
      expect(contents(pair.b)).toMatchObject({ fine: 'n5', file: 'theirs', link: `-> ${outside}` });
      expect(fs.readdirSync(outside)).toEqual([]);
      await expectHeals(pair);
      pair.expectKept('n1', 'n2', 'n3', 'n4', 'theirs');
      expect(fs.readdirSync(outside)).toEqual([]);
    }));
});

describe('what is to be renamed', () => {
  const renamed: Deed[] = ['edit', 'sameSize', 'replace'];
  const taken = (name: string): Moment => ({ call: 'renameSync', match: new RegExp(`/${name} \\S+/parked/\\d+$`) });
  const named: Moment = { call: 'linkSync', match: /parked\/\d+ / };

  it('and is changed just before: the next run carries that', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      // Of different sizes, so that each is known for what it was.
      const spec = Object.fromEntries(renamed.map((name) => [name, old]));
      await pair.agreed({ ...spec, other: 'o' });
      for (const name of renamed) fs.renameSync(path.join(pair.a, name), path.join(pair.a, `${name}-2`));
      await raced(pair, each(renamed, taken));
      await expectHeals(pair);
      pair.expectBoth({ 'edit-2': 'old and theirs', 'sameSize-2': 'new', 'replace-2': 'theirs', other: 'o' });
    }));

  it('and is made anew under its old name between the two: both stay', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ replace: old, other: 'o' });
      fs.renameSync(path.join(pair.a, 'replace'), path.join(pair.a, 'replace-2'));
      await raced(
        pair,
        each(['replace'], (name) => ({ ...taken(name), when: 'after' })),
      );
      await expectHeals(pair);
      pair.expectBoth({ replace: 'theirs', 'replace-2': 'old', other: 'o' });
    }));

  it('to a name that appears just before', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ edit: old, other: 'o' });
      fs.renameSync(path.join(pair.a, 'edit'), path.join(pair.a, 'edit-2'));
      const deed = "fs.writeFileSync(B + '/edit-2', 'theirs');";
      const ran = await raced(pair, [{ moment: named, deed }]);
      expect(ran.code).toBe(2);
      pair.expectKept('theirs', 'old');
      await expectHeals(pair);
      pair.expectKept('theirs', 'old');
    }));

  it('43: in a ring, of which one changes meanwhile', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ f: file('one', { mtime: past }), g: file('other', { mtime: past }), rest: 'o' });
      const [f, g, t] = ['f', 'g', 't'].map((name) => path.join(pair.a, name)) as [string, string, string];
      fs.renameSync(f, t);
      fs.renameSync(g, f);
      fs.renameSync(t, g);
      const deed = "fs.writeFileSync(B + '/g', 'theirs'); fs.writeFileSync(B + '/f', 'theirs too');";
      const ran = await raced(pair, [{ moment: { call: 'renameSync', match: /parked\/\d+$/ }, deed }]);
      expect([0, 2]).toContain(ran.code);
      pair.expectKept('theirs', 'theirs too');
      await expectHeals(pair);
      pair.expectKept('theirs', 'theirs too');
    }));
});

describe('a file whose mode or time is to be set', () => {
  it('and is edited just before, just after: the next run carries that', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ edit: old, 'edit-2': old, 'edit-3': old });
      fs.chmodSync(path.join(pair.a, 'edit'), 0o640);
      fs.chmodSync(path.join(pair.a, 'edit-2'), 0o641);
      fs.utimesSync(path.join(pair.a, 'edit-3'), past + 5, past + 5);
      const deed = (name: string): string => `const it = B + '/${name}'; ${deeds.edit}`;
      await raced(pair, [
        { moment: { call: 'chmodSync', match: /fd\/\d+ 416$/ }, deed: deed('edit') },
        { moment: { call: 'chmodSync', match: /fd\/\d+ 417$/, when: 'after' }, deed: deed('edit-2') },
        { moment: { call: 'utimesSync', match: / 1700000005\.?\d*$/, when: 'after' }, deed: deed('edit-3') },
      ]);
      await expectHeals(pair);
      const edited = 'old and theirs';
      pair.expectBoth({ edit: edited, 'edit-2': edited, 'edit-3': edited });
    }));
});

describe('79, 80: a source that changes while it is being read', () => {
  const read = (name: string): Moment => ({ call: 'openSync', match: new RegExp(`/a/${name} \\d+$`) });
  const whileRead = {
    grows: "fs.appendFileSync(it, 'more');",
    shrinks: 'fs.truncateSync(it, 1);',
    overwritten: "fs.writeFileSync(it, 'y'.repeat(3 << 20));",
  };
  const mkfifo = "process.getBuiltinModule('child_process').execFileSync('mkfifo', [it]);";
  const beforeRead = {
    vanishes: 'fs.unlinkSync(it);',
    link: "fs.unlinkSync(it); fs.symlinkSync('/etc/passwd', it);",
    fifo: `fs.unlinkSync(it); ${mkfifo}`,
    'dir/f': "fs.renameSync(A + '/dir', A + '/moved'); fs.symlinkSync('/etc', A + '/dir');",
  };

  it('the old one stays, whole, and everything else goes on', async () =>
    withPair(async (pair) => {
      const names = [...Object.keys(whileRead), ...Object.keys(beforeRead)];
      await pair.agreed({ ...Object.fromEntries(names.map((name) => [name, old])), other: 'o' });
      for (const name of names) write(pair.a, { [name]: `${name} `.repeat(300_000) });
      write(pair.a, { other: 'new' });
      const happening = (deed: [string, string], when: 'before' | 'after'): Happening => ({
        moment: { ...read(deed[0]), when },
        deed: `const it = A + '/${deed[0]}'; ${deed[1]}`,
      });
      const ran = await raced(pair, [
        ...Object.entries(whileRead).map((deed) => happening(deed, 'after')),
        ...Object.entries(beforeRead).map((deed) => happening(deed, 'before')),
      ]);
      expect(ran.code).toBe(2);
      for (const name of names) {
        expect(contents(pair.b)[name], name).toBe('old');
        expect(eventsOf(ran, 'skip')).toContainEqual(expect.objectContaining({ path: name, why: 'source-changed' }));
      }
      expect(contents(pair.b)['other']).toBe('new');
      fs.unlinkSync(path.join(pair.a, 'fifo'));
      await expectHeals(pair);
    }));

  it('79: grows all the time: what arrives is what it was at some moment', async () =>
    withPair(async (pair) => {
      await pair.agreed({ log: 'line 0\n', other: 'o' });
      // Large, so that it grows while it is read; numbered, so that a torn one would show.
      write(pair.a, { log: Array.from({ length: 200_000 }, (_, i) => `line ${i}\n`).join('') });
      const lines = /^(?:line \d+\n)*$/;
      const writer = startAppending(path.join(pair.a, 'log'), 200_000);
      for (let round = 0; round < 6; round += 1) {
        write(pair.a, { [`new-${round}`]: 'n' });
        const ran = await pair.sync();
        expect([0, 2], ran.stdout + ran.stderr).toContain(ran.code);
        for (const skip of eventsOf(ran, 'skip')) expect(skip).toMatchObject({ path: 'log', why: 'source-changed' });
        const log = fs.readFileSync(path.join(pair.b, 'log'), 'utf8');
        expect(lines.test(log)).toBe(true);
        expect(log).toBe(fs.readFileSync(path.join(pair.a, 'log'), 'utf8').slice(0, log.length));
        expect(contents(pair.b)).toHaveProperty(`new-${round}`);
        pair.expectClean();
      }
      await writer.stop();
      await expectHeals(pair);
    }));

  it('86: is deleted with its directory while that is being copied', async () =>
    withPair(async (pair) => {
      await pair.agreed({ other: 'o' });
      write(pair.a, { 'd/f': 'x', 'd/g': 'y', 'd/e/h': 'z' });
      const ran = await raced(pair, [{ moment: read('d/f'), deed: "fs.rmSync(A + '/d', { recursive: true });" }]);
      expect([0, 2]).toContain(ran.code);
      await expectHeals(pair);
    }));
});

describe('88: people at work on both sides all the time', () => {
  it('never lose the last thing that they wrote', async () =>
    withPair(async (pair) => {
      const seeded = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d${i % 4}/a${i}`, `seed ${i}`]));
      await pair.agreed({ ...seeded, 'b/b0': 'seed' });
      const workers = [startWorking(pair.a, 'a'), startWorking(pair.b, 'b')];
      for (let round = 0; round < 12; round += 1) {
        const ran = await pair.sync('--max-delete', 'off');
        expect([0, 2], ran.stdout + ran.stderr).toContain(ran.code);
      }
      const last = await Promise.all(workers.map(async (worker) => worker.stop()));
      for (let round = 0; round < 2; round += 1) expect((await pair.sync('--max-delete', 'off')).code).toBe(0);
      pair.expectEqual();
      await pair.expectIdle();
      pair.expectClean();
      const now = contents(pair.a);
      for (const [name, text] of last.flatMap((files) => Object.entries(files))) expect(now[name], name).toBe(text);
      expect(last.every((files) => Object.keys(files).length > 10)).toBe(true);
      expect(Object.keys(now).filter((name) => name.endsWith('~') || name.endsWith('.tmp'))).toEqual([]);
    }));
});

/** Another process that appends numbered lines to a file, as fast as it can, until told to stop. */
function startAppending(name: string, from: number): { stop: () => Promise<void> } {
  const script = `
    const fs = require('fs');
    const [name, from] = process.argv.slice(1);
    let running = true, count = Number(from);
    process.stdin.on('data', () => { running = false; });
    const turn = () => {
      if (!running) return process.stdin.destroy();
      for (let n = 0; n < 5; n += 1) fs.appendFileSync(name, 'line ' + count++ + '\\n');
      setTimeout(turn, 1);
    };
    turn();
  `;
  const child = spawn(process.execPath, ['-e', script, name, String(from)], { stdio: ['pipe', 'inherit', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return {
    stop: async () => {
      child.stdin.end('stop');
      await ended;
    },
  };
}

/**
 * Another process that writes, saves atomically, deletes, makes anew and renames files of its own all over a root, until
 * told to stop. @returns its files as it left them
 */
function startWorking(root: string, prefix: string): { stop: () => Promise<Record<string, string>> } {
  const script = `
    const fs = require('fs'), path = require('path');
    const [root, prefix] = process.argv.slice(1);
    let seed = prefix === 'a' ? 7 : 11;
    const random = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n; };
    const files = {};
    let running = true, count = 0;
    process.stdin.on('data', () => { running = false; });
    const step = () => {
      const dir = 'w' + prefix + random(5);
      const name = dir + '/' + prefix + random(30);
      const full = path.join(root, name);
      const text = prefix + ' ' + (count += 1) + ' ' + 'x'.repeat(random(3000));
      fs.mkdirSync(path.dirname(full), { recursive: true });
      switch (random(6)) {
        case 0: case 1:
          fs.writeFileSync(full, text); files[name] = text; break;
        case 2: case 3:
          if (fs.existsSync(full)) fs.copyFileSync(full, full + '~');
          fs.writeFileSync(full + '.tmp', text); fs.renameSync(full + '.tmp', full);
          fs.rmSync(full + '~', { force: true });
          files[name] = text; break;
        case 4:
          fs.rmSync(full, { force: true }); delete files[name]; break;
        case 5: {
          const from = Object.keys(files)[random(Object.keys(files).length)];
          if (from === undefined || from === name) break;
          fs.renameSync(path.join(root, from), full);
          files[name] = files[from]; delete files[from];
        }
      }
    };
    const turn = () => {
      if (!running) { process.stdout.write(JSON.stringify(files)); return process.stdin.destroy(); }
      for (let n = 0; n < 3; n += 1) step();
      setTimeout(turn, 2);
    };
    turn();
  `;
  const child = spawn(process.execPath, ['-e', script, root, prefix], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return {
    stop: async () => {
      child.stdin.end('stop');
      await ended;
      return JSON.parse(text) as Record<string, string>;
    },
  };
}
