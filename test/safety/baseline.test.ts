/**
 * The record of what was agreed, lost, damaged, foreign or out of date: then nothing may be deleted. SCENARIOS 94, 101, 104;
 * DESIGN §6.8.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, expectKilled, lockstep, notInShell, onlyHere, type Ran } from '../support/cli.ts';
import { injecting } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, file, write, type Spec } from '../support/tree.ts';

/** Written so long ago that what is written now is newer for everybody, also where times are kept to the second. */
function old(text: string): Spec {
  return file(text, { mtime: 1_700_000_000 });
}

/** The link's files in the state directory. */
function stateFiles(pair: Pair): { snapshot: string; log: string } {
  const dir = path.join(pair.state, 'links');
  const name = fs.readdirSync(dir).find((each) => !each.includes('.')) ?? '';
  return { snapshot: path.join(dir, name), log: path.join(dir, `${name}.log`) };
}

function warnings(ran: Ran): string {
  return eventsOf(ran, 'warning')
    .map(({ message }) => String(message))
    .join('\n');
}

/**
 * Both sides agreed on some files; since then A deleted one and edited another. With the record, both are carried over;
 * without it, what is on either side must be on both.
 */
async function changedSince(pair: Pair): Promise<void> {
  await pair.agreed({ kept: 'k', gone: 'g', 'd/edited': old('o') });
  write(pair.b, { more: 'm' });
  expect((await pair.sync()).code).toBe(0);
  fs.rmSync(path.join(pair.a, 'gone'));
  write(pair.a, { 'd/edited': 'edited here' });
}
const union = { kept: 'k', gone: 'g', d: 'dir', 'd/edited': 'edited here', more: 'm' };
const carried = { kept: 'k', d: 'dir', 'd/edited': 'edited here', more: 'm' };

describe('101: the record is lost', () => {
  const ways: Record<string, (pair: Pair) => void> = {
    'removed with its directory': (pair) => fs.rmSync(pair.state, { recursive: true }),
    'its snapshot removed': (pair) => fs.rmSync(stateFiles(pair).snapshot),
    'its snapshot empty': (pair) => fs.truncateSync(stateFiles(pair).snapshot),
    'its snapshot cut short': (pair) => fs.truncateSync(stateFiles(pair).snapshot, 100),
    'its snapshot of another version': (pair) => {
      const bytes = fs.readFileSync(stateFiles(pair).snapshot);
      bytes.write('9', 'LOCKSTEP BASELINE '.length);
      fs.writeFileSync(stateFiles(pair).snapshot, bytes);
    },
    'its snapshot with a flipped bit': (pair) => {
      const bytes = fs.readFileSync(stateFiles(pair).snapshot);
      bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 0x10;
      fs.writeFileSync(stateFiles(pair).snapshot, bytes);
    },
    'its log removed': (pair) => fs.rmSync(stateFiles(pair).log),
    'its log of another snapshot': (pair) => {
      const text = fs.readFileSync(stateFiles(pair).log);
      text.write('0123456789abcdef');
      fs.writeFileSync(stateFiles(pair).log, text);
    },
  };
  for (const [how, lose] of Object.entries(ways)) {
    it(`${how}: both meet as for the first time`, async () =>
      withPair(async (pair) => {
        await changedSince(pair);
        lose(pair);
        const ran = await pair.sync();
        expect(ran.code, ran.stdout + ran.stderr).toBe(0);
        pair.expectBoth(union);
        // A log that is not there leaves a snapshot that claims nothing, which is not worth a word.
        if (/empty|short|version|bit/.test(how)) expect(warnings(ran)).toMatch(/nothing is deleted/);
      }));
  }

  it('and from then on a new one counts', async () =>
    withPair(async (pair) => {
      await changedSince(pair);
      fs.truncateSync(stateFiles(pair).snapshot);
      expect((await pair.sync()).code).toBe(0);
      await pair.expectIdle();
      fs.rmSync(path.join(pair.b, 'gone'));
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth(carried);
    }));

  it('its log torn, or with zeros behind it: what was agreed before counts', async () =>
    withPair(async (pair) => {
      await changedSince(pair);
      fs.appendFileSync(stateFiles(pair).log, Buffer.alloc(4096));
      const ran = await pair.sync();
      expect([ran.code, warnings(ran)]).toEqual([0, '']);
      pair.expectBoth(carried);
      fs.appendFileSync(stateFiles(pair).log, Buffer.from('torn'));
      fs.rmSync(path.join(pair.b, 'more'));
      expect((await pair.sync()).code).toBe(0);
      expect(contents(pair.a)).not.toHaveProperty('more');
      await pair.expectIdle();
    }));

  it('the whole of it from an older copy', async () =>
    withPair(async (pair) => {
      await pair.agreed({ kept: 'k', was: 'w' });
      fs.cpSync(pair.state, `${pair.state}.old`, { recursive: true });
      // Since then `was` went and `came` came, both agreed; by the old record that is the other way round.
      fs.rmSync(path.join(pair.a, 'was'));
      write(pair.b, { came: 'c' });
      expect((await pair.sync()).code).toBe(0);
      write(pair.a, { was: 'another' });
      fs.rmSync(pair.state, { recursive: true });
      fs.renameSync(`${pair.state}.old`, pair.state);
      const ran = await pair.sync();
      expect(warnings(ran)).toMatch(/restored from an older copy.*nothing is deleted/);
      pair.expectBoth({ kept: 'k', was: 'another', came: 'c' });
    }));
});

describe('a root restored from an older copy', () => {
  for (const side of ['a', 'b'] as const) {
    it(`(${side}) takes nothing from the other`, async () =>
      withPair(async (pair) => {
        const other = side === 'a' ? 'b' : 'a';
        await pair.agreed({ f: old('old'), kept: 'k' });
        const copy = path.join(pair.dir, 'copy');
        execFileSync('cp', ['-a', pair[side], copy]);
        write(pair[other], { f: 'newer', 'new/file': 'n' });
        expect((await pair.sync()).code).toBe(0);
        pair.expectBoth({ f: 'newer', kept: 'k', new: 'dir', 'new/file': 'n' });
        fs.rmSync(pair[side], { recursive: true });
        execFileSync('cp', ['-a', copy, pair[side]]);
        const ran = await pair.sync();
        expect([ran.code, warnings(ran)]).toEqual([0, expect.stringMatching(/restored from an older copy/)]);
        pair.expectBoth({ f: 'newer', kept: 'k', new: 'dir', 'new/file': 'n' });
        await pair.expectIdle();
      }));

    it(`(${side}) together with an older record takes nothing from the other`, async () =>
      withPair(async (pair) => {
        const other = side === 'a' ? 'b' : 'a';
        await pair.agreed({ f: old('old'), kept: 'k' });
        for (const dir of [pair[side], pair.state]) execFileSync('cp', ['-a', dir, `${dir}.copy`]);
        write(pair[other], { f: 'newer', 'new/file': 'n' });
        expect((await pair.sync()).code).toBe(0);
        for (const dir of [pair[side], pair.state]) {
          fs.rmSync(dir, { recursive: true });
          execFileSync('cp', ['-a', `${dir}.copy`, dir]);
        }
        expect((await pair.sync()).code).toBe(0);
        pair.expectBoth({ f: 'newer', kept: 'k', new: 'dir', 'new/file': 'n' });
      }));
  }

  it('a run that had only announced its changes is no reason to forget', async (context) =>
    withPair(async (pair) => {
      notInShell(context);
      await pair.agreed({ f: 'o', g: 'o' });
      write(pair.a, { f: 'x' });
      fs.rmSync(path.join(pair.b, 'g'));
      // Killed when the token stands in one root and not in the other.
      const killed = await pair.run('sync', [], {
        env: injecting(pair.dir, {
          call: 'renameSync',
          match: /\.lockstep\/links\/[0-9a-f]{32}$/,
          run: `if (fs.realpathSync(path.dirname(args[1])).includes('/b/')) process.kill(process.pid, 'SIGKILL');`,
        }),
      });
      expectKilled(killed);
      const ran = await pair.sync();
      expect([ran.code, warnings(ran)]).toEqual([0, '']);
      pair.expectBoth({ f: 'x' });
    }));
});

describe('which record counts', () => {
  it('the order in which the roots are named makes no difference', async (context) =>
    withPair(async (pair) => {
      onlyHere(context, 'exchanged, the other root is the far one: another link');
      await changedSince(pair);
      fs.rmSync(path.join(pair.b, 'more'));
      const ran = await lockstep(['sync', pair.b, pair.a, '--json', '--state-dir', pair.state]);
      expect([ran.code, warnings(ran)]).toEqual([0, '']);
      pair.expectBoth({ kept: 'k', d: 'dir', 'd/edited': 'edited here' });
      await pair.expectIdle();
      expect(fs.readdirSync(path.join(pair.state, 'links')).filter((name) => !name.includes('.'))).toHaveLength(1);
    }));

  it('nor does the way they are written', async (context) =>
    withPair(async (pair) => {
      onlyHere(context, 'symlinks over there are not looked into');
      await changedSince(pair);
      fs.symlinkSync(pair.b, path.join(pair.dir, 'link'));
      const ran = await lockstep(['sync', './a/', 'link/.', '--json', '--state-dir', pair.state], { cwd: pair.dir });
      expect([ran.code, warnings(ran)]).toEqual([0, '']);
      pair.expectBoth(carried);
    }));

  it('a change between one-way and two-way is a first meeting', async () =>
    withPair(async (pair) => {
      await pair.agreed({ f: 'o', g: 'o' });
      expect((await pair.run('push', ['--delete'])).code).toBe(0);
      fs.rmSync(path.join(pair.a, 'f'));
      const ran = await pair.sync();
      expect(ran.code).toBe(0);
      expect(eventsOf(ran, 'notice').map(String)).toHaveLength(1);
      expect(ran.stdout).toMatch(/mode changed from mirror to two-way.*nothing is deleted/);
      pair.expectBoth({ f: 'o', g: 'o' });
    }));

  it('a mirror that goes by no record any more names what is only over there, and leaves it to the next run', async () =>
    withPair(async (pair) => {
      const ways: Record<string, (pair: Pair) => void> = {
        'cannot be used, it is damaged': () => fs.truncateSync(stateFiles(pair).snapshot, 100),
        'mode changed from two-way to mirror': () => fs.rmSync(pair.state, { recursive: true }),
        'starting anew as asked': () => undefined,
      };
      for (const [says, lose] of Object.entries(ways)) {
        write(pair.a, { f: 'f', gone: 'g', 'd/gone': 'g' });
        if (says.startsWith('mode')) lose(pair);
        expect((await (says.startsWith('mode') ? pair.sync() : pair.run('push', ['--delete']))).code).toBe(0);
        fs.rmSync(path.join(pair.a, 'gone'));
        fs.rmSync(path.join(pair.a, 'd'), { recursive: true });
        if (says.startsWith('cannot')) lose(pair);
        const again = says.startsWith('starting') ? ['--rebaseline'] : [];
        const shown = await pair.run('push', ['--delete', '--dry-run', ...again]);
        const ran = await pair.run('push', ['--delete', ...again]);
        for (const { code, stdout } of [shown, ran]) {
          expect(code, stdout).toBe(2);
          expect(stdout).toContain(says);
          expect(stdout).toMatch(/nothing is deleted in this run; what only the target has is named/);
        }
        expect(contents(pair.b)).toEqual({ f: 'f', gone: 'g', d: 'dir', 'd/gone': 'g' });
        expect(eventsOf(ran, 'skip').map(({ path: at }) => at)).toEqual(['d', 'gone']);
        expect((await pair.run('push', ['--delete'])).code).toBe(0);
        pair.expectBoth({ f: 'f' });
      }
    }));

  it('several links of one root each have their own', async () =>
    withPair(async (pair) => {
      const c = path.join(pair.dir, 'c');
      await pair.agreed({ f: 'o', g: 'o' });
      const withC = async (): Promise<Ran> => lockstep(['sync', pair.a, c, '--json', '--state-dir', pair.state]);
      expect((await withC()).code).toBe(0);
      fs.rmSync(path.join(pair.b, 'f'));
      write(c, { h: 'from c' });
      expect((await pair.sync()).code).toBe(0);
      const ran = await withC();
      expect([ran.code, warnings(ran)]).toEqual([0, '']);
      expect(contents(c)).toEqual({ g: 'o', h: 'from c' });
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth({ g: 'o', h: 'from c' });
      expect((await withC()).code).toBe(0);
      await pair.expectIdle();
    }));

  it('--rebaseline: both meet as for the first time', async () =>
    withPair(async (pair) => {
      await changedSince(pair);
      const ran = await pair.sync('--rebaseline');
      expect(ran.code).toBe(0);
      expect(ran.stdout).toMatch(/nothing is deleted/);
      pair.expectBoth(union);
    }));

  it('--dry-run --rebaseline forgets nothing', async () =>
    withPair(async (pair) => {
      await changedSince(pair);
      expect((await pair.sync('--rebaseline', '--dry-run')).code).toBe(0);
      expect((await pair.sync()).code).toBe(0);
      pair.expectBoth(carried);
    }));

  it('it lies in $XDG_STATE_HOME, or in ~/.local/state, or where --state-dir says', async () =>
    withPair(async (pair) => {
      const [xdg, home] = [path.join(pair.dir, 'xdg'), path.join(pair.dir, 'home')];
      const places: [args: string[], env: Record<string, string>, dir: string][] = [
        [[], { XDG_STATE_HOME: xdg, HOME: home }, path.join(xdg, 'lockstep')],
        [[], { XDG_STATE_HOME: '', HOME: home }, path.join(home, '.local/state/lockstep')],
        // By the standard a relative path there is to be ignored.
        [[], { XDG_STATE_HOME: 'xdg2', HOME: `${home}2` }, path.join(`${home}2`, '.local/state/lockstep')],
        [['--state-dir', 'here'], { XDG_STATE_HOME: xdg, HOME: home }, path.join(pair.dir, 'here')],
      ];
      write(pair.a, { f: 'o' });
      for (const [index, [args, env, dir]] of places.entries()) {
        const ran = await lockstep(['sync', pair.a, `${pair.b}${index}`, ...args], { cwd: pair.dir, env });
        expect(ran.code, ran.stderr).toBe(0);
        expect(fs.readdirSync(path.join(dir, 'links'))).not.toHaveLength(0);
        // Names of a user's files stand in it.
        expect(fs.statSync(path.join(dir, 'links')).mode & 0o077).toBe(0);
      }
    }));
});

describe('names that the record vouches for', () => {
  const count = 600;
  const everywhere = Object.fromEntries(Array.from({ length: count }, (_, at) => [`d${at}/f`, `${at}`]));
  /** No directory of the tree can be read any more: who knows its names anyway is not harmed. */
  const deaf = (pair: Pair): Record<string, string> => {
    const run = `throw Object.assign(new Error('EIO'), { code: 'EIO' })`;
    return injecting(pair.dir, { call: 'readdirSync', match: /\/[ab]\/d\d+/, nth: 'every', run });
  };

  it('are not read again until their directory changes', async (context) => {
    onlyHere(context, 'what is far away has no record to go by');
    await withPair(async (pair) => {
      await pair.agreed(everywhere);
      const unread = await pair.run('sync', [], { env: deaf(pair) });
      expect([unread.code, eventsOf(unread, 'skip').length]).toEqual([2, 2 * count]);
      // Seen complete, and so written down; a place that takes nothing today is no reason to fail.
      const full = `throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })`;
      const noRoom = injecting(pair.dir, { call: 'renameSync', match: /\/state\/links\//, nth: 'every', run: full });
      expect((await pair.run('sync', [], { env: noRoom })).code).toBe(0);
      expect((await pair.run('sync', [], { env: deaf(pair) })).code).toBe(2);
      await pair.expectIdle();
      const known = await pair.run('sync', [], { env: deaf(pair) });
      expect([known.code, eventsOf(known, 'skip')], known.stdout).toEqual([0, []]);

      write(pair.b, { 'd7/new': 'n', 'd8/sub/new': 'n' });
      fs.rmSync(path.join(pair.a, 'd9/f'));
      write(pair.a, { 'd10/f': 'edited' });
      expect((await pair.sync()).code).toBe(0);
      expect(contents(pair.a)).toMatchObject({ 'd7/new': 'n', 'd8/sub/new': 'n', 'd10/f': 'edited' });
      expect(contents(pair.a)).not.toHaveProperty(['d9/f']);
      pair.expectEqual();
      await pair.expectIdle();
    });
  });
});
