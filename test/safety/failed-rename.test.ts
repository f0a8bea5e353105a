/** A directory's rename that cannot be carried out: what was planned for either of its names, taking it as done, is not done. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, onlyHere, type Ran } from '../support/cli.ts';
import { makeFarShell } from '../support/far-shells.ts';
import { injecting } from '../support/inject.ts';
import { told } from '../support/oracles.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, write } from '../support/tree.ts';

const agreed = {
  'old/1': 'of old, one',
  'old/2': 'of old, two',
  'old/sub/3': 'of old, three',
  'third/4': 'of third',
  m: 'moved along',
  n: 'renamed',
  other: 'o',
};

/** Contents of `old` and `new` are never mixed on B, whatever of the run is done; and the next run has all of it done. */
async function expectApart(pair: Pair, ran: Ran, next: () => Promise<Ran>): Promise<void> {
  expect(ran.code, ran.stdout + ran.stderr).toBe(2);
  expect(ran.stderr).not.toMatch(/bug in Lockstep/);
  const old = Object.entries(contents(pair.b)).filter(([name]) => name.startsWith('old/'));
  expect(Object.fromEntries(old)).toEqual({
    'old/1': 'of old, one',
    'old/2': 'of old, two',
    'old/sub': 'dir',
    'old/sub/3': 'of old, three',
  });
  expect(eventsOf(ran, 'skip')).toContainEqual(expect.objectContaining({ path: 'new', side: 'remote' }));
  // Nothing is told of as done that could not be.
  expect(told(ran).actions.filter((action) => /\b(old|new)\b/.test(action))).toEqual([]);
  const healed = await next();
  expect(healed.code, healed.stdout + healed.stderr).toBe(0);
  pair.expectEqual();
  const idle = await next();
  expect(eventsOf(idle, 'action')).toEqual([]);
  pair.expectClean();
}

/** What is done on A once `old` and all have been agreed on, and what B then misses for it when `old` cannot be renamed. */
const changes: Record<string, (root: string) => string[]> = {
  'and made anew, with directories in it': (root) => {
    write(root, { 'old/f': 'of the new one', 'old/deep/g': 'deep in the new one', 'old/deep/er/h': 'deeper' });
    return ['old', 'old/deep', 'old/deep/er'];
  },
  'and made anew, with a file moved into it': (root) => {
    fs.mkdirSync(path.join(root, 'old'));
    fs.renameSync(path.join(root, 'm'), path.join(root, 'old/m'));
    return ['old', 'old/m'];
  },
  'and another one gets its name, and more in it': (root) => {
    fs.renameSync(path.join(root, 'third'), path.join(root, 'old'));
    write(root, { 'old/f': 'of the third', 'old/4': 'edited' });
    return ['old', 'old/f', 'old/4'];
  },
  'and edited in every way': (root) => {
    write(root, { 'new/1': 'edited', 'new/f': 'new', 'new/sub/deep/f': 'new' });
    fs.rmSync(path.join(root, 'new/2'));
    fs.chmodSync(path.join(root, 'new/sub/3'), 0o600);
    fs.renameSync(path.join(root, 'new/sub'), path.join(root, 'new/bus'));
    fs.renameSync(path.join(root, 'm'), path.join(root, 'new/m'));
    return ['new/1', 'new/2', 'new/f', 'new/bus', 'new/bus/3', 'new/bus/deep', 'new/m'];
  },
};

const rename = (root: string): void => fs.renameSync(path.join(root, 'old'), path.join(root, 'new'));

describe.each(Object.entries(changes))('a directory is renamed %s', (_, change) => {
  it('its new name is taken at that moment', async (context) => {
    onlyHere(context, 'it happens between two file calls of the far agent');
    await withPair(async (pair) => {
      await pair.agreed(agreed);
      rename(pair.a);
      const missing = change(pair.a);
      const run = `fs.writeFileSync('${pair.b}/new', 'theirs');`;
      const env = injecting(pair.dir, { call: 'renameSync', match: /\/old \/proc\/self\/fd\/\d+\/new$/, run });
      const ran = await pair.run('sync', [], { env });
      for (const name of missing) expect(eventsOf(ran, 'skip')).toContainEqual(expect.objectContaining({ path: name }));
      fs.rmSync(path.join(pair.b, 'new'));
      await expectApart(pair, ran, async () => pair.sync());
    });
  });

  it('over a shell, it fails', async () => {
    await withPair(async (pair) => {
      const mark = path.join(pair.dir, 'fail');
      const real = fs.existsSync('/usr/bin/mv') ? '/usr/bin/mv' : '/bin/mv';
      const { program, remove } = makeFarShell('dash', {
        mv: `[ ! -e '${mark}' ] || case "$*" in */new) echo "mv: cannot move: Input/output error" >&2; exit 1 ;; esac\nexec ${real} "$@"`,
      });
      const sync = async (): Promise<Ran> =>
        lockstep(['sync', pair.a, pair.b, '--json', '--state-dir', pair.state, '--agent', 'sh', '--', program]);
      try {
        write(pair.a, agreed);
        expect((await sync()).code).toBe(0);
        rename(pair.a);
        const missing = change(pair.a);
        fs.writeFileSync(mark, '');
        const ran = await sync();
        for (const name of missing)
          expect(eventsOf(ran, 'skip')).toContainEqual(expect.objectContaining({ path: name }));
        fs.rmSync(mark);
        await expectApart(pair, ran, sync);
      } finally {
        remove();
      }
    });
  });
});
