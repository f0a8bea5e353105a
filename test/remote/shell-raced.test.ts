/** Somebody changes what was just made over there, before it is looked at: what that was is carried by the next run. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { lockstep, type Ran } from '../support/cli.ts';
import { makeFarShell } from '../support/far-shells.ts';
import { withPair } from '../support/pair.ts';
import { contents, file, write } from '../support/tree.ts';

/** What somebody does as soon as a tool has done its work, once for each line. */
const deeds = {
  mv: ['test -e unit/f && echo late >unit/late', 'test -e new && chmod 755 new', 'test -s old && chmod 755 old'],
  touch: ['test -e dir/g && echo late >dir/late', 'test -e same && printf two >same'],
};

it('a directory, a file and their times: both sides are alike in the end', async () =>
  withPair(async (pair) => {
    const mark = path.join(pair.dir, 'happened');
    const acting = (tool: keyof typeof deeds): string => {
      const acts = deeds[tool].map(
        (deed, index) => `[ -e '${mark}.${tool}${index}' ] || { ${deed} && : >'${mark}.${tool}${index}'; }`,
      );
      return `/usr/bin/${tool} "$@"; rc=$?; [ -e '${mark}' ] && (cd '${pair.b}'; ${acts.join('; ')}); exit $rc`;
    };
    const { program, remove } = makeFarShell(
      { shell: 'dash', tools: 'gnu' },
      { mv: acting('mv'), touch: acting('touch') },
    );
    const run = async (): Promise<Ran> => {
      const ran = await lockstep([
        'sync',
        pair.a,
        pair.b,
        '--json',
        '--state-dir',
        pair.state,
        '--agent',
        'sh',
        '--',
        program,
      ]);
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      return ran;
    };
    try {
      const past = 1_700_000_000;
      write(pair.a, { 'dir/f': 'f', old: file('', { mtime: past }), same: file('one', { mtime: past }) });
      await run();
      write(pair.a, { 'dir/g': 'g', 'unit/f': 'f', new: 'new', old: 'edited', same: file('one', { mtime: past + 7 }) });
      fs.writeFileSync(mark, '');
      await run();
      const happened = fs.readdirSync(pair.dir).filter((name) => name.startsWith('happened.'));
      expect(happened).toHaveLength(deeds.mv.length + deeds.touch.length);
      await run();
      pair.expectEqual();
      expect(contents(pair.a)).toMatchObject({
        'unit/late': 'late\n',
        'dir/late': 'late\n',
        old: 'edited',
        same: 'two',
      });
      const modes = ['new', 'old'].map((name) => fs.statSync(path.join(pair.a, name)).mode & 0o777);
      expect(modes).toEqual([0o755, 0o755]);
      expect((await run()).stdout).toContain('"total":0');
    } finally {
      remove();
    }
  }));

/** What the records of a pair keep of contents: digests, of what a further edit might not show in. */
function digestsRecorded(state: string): string[] {
  return Object.entries(contents(state))
    .filter(([name]) => name.endsWith('.log'))
    .flatMap(([, text]) => text.match(/"digests":\[\{[^\]]*/g) ?? []);
}

it.each([
  ['files made under a clock that lags behind', 'date -d "-0.04 seconds" "$@"', 0],
  ['files whose times are seconds ahead', 'date "$@"', 5],
])('%s are recorded once for all', async (_, date, aheadSeconds) =>
  withPair(async (pair) => {
    const { program, remove } = makeFarShell({ shell: 'dash', tools: 'gnu' }, { date: `exec /usr/bin/${date}` });
    const sync = async (): Promise<Ran> => pair.sync('--agent', 'sh', '--', program);
    try {
      const mtime = Math.floor(Date.now() / 1000) + aheadSeconds;
      write(pair.a, { first: 'first' });
      expect((await sync()).code).toBe(0);
      write(pair.a, { new: file('new', { mtime }), 'dir/f': file('f', { mtime }), first: 'edited' });
      expect((await sync()).code).toBe(0);
      expect(digestsRecorded(pair.state)).toEqual([]);
      const before = contents(pair.state);
      expect((await sync()).stdout).toContain('"total":0');
      expect(contents(pair.state)).toEqual(before);
    } finally {
      remove();
    }
  }),
);
