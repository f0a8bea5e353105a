/**
 * G7, SCENARIOS 97: killed between any two file calls, the next run ends as if nothing had happened. The long form, at
 * random moments of a large run, is test/campaign/kill.campaign.ts.
 */
import { expectKilled, notInShell } from '../support/cli.ts';
import { beforeAll, describe, expect, it } from 'vitest';
import { injecting, type Injection } from '../support/inject.ts';
import { withPair } from '../support/pair.ts';
import { endState, expectRecovers, upheave } from '../support/upheaval.ts';

const changes = 40;
const kill = "process.kill(process.pid, 'SIGKILL');";

/** @property isThere that only the agent of the second root comes to it */
const moments: Record<string, Omit<Injection, 'run'> & { isThere?: true }> = {
  'before the token of a root is written': { call: 'renameSync', match: /links\/[0-9a-f]{32}\.\w+ \S*\.lockstep/ },
  'as a directory is about to be named': { call: 'renameSync', match: /staging\S+\/d\d+ / },
  'as a new directory was named': { call: 'renameSync', match: /staging\S+\/d\d+ /, nth: 3, when: 'after' },
  'before a new directory is shut': { call: 'chmodSync', match: /^\/proc\/self\/fd\/\d+ 365$/ },
  'as a file of a ring was parked': { call: 'renameSync', match: /parked\/\d+$/, when: 'after' },
  'as a parked file got its new name': { call: 'linkSync', match: /parked\/\d+ /, when: 'after' },
  'as a directory was renamed': {
    call: 'renameSync',
    match: /\/tree(-2)? \S+\/tree(-2)?$/,
    when: 'after',
    isThere: true,
  },
  'as a file was taken from its name': { call: 'renameSync', match: /\/move \S+parked/, when: 'after' },
  'as a file has both its names': { call: 'linkSync', match: /parked\/\d+ \S+\/moved$/, when: 'after' },
  'as a file was taken hold of': { call: 'linkSync', match: /\/edit-a \S+staging/, when: 'after', isThere: true },
  'as a file was replaced': { call: 'renameSync', match: /staging\S+ \S+\/edit-b$/, nth: 2, when: 'after' },
  'as a file was put into history': { call: 'renameSync', match: /\/gone-b \S+\/gone-b$/, when: 'after' },
  'as a file made way for a directory': { call: 'renameSync', match: /\/kind-1 /, when: 'after', isThere: true },
  'as a directory was removed': { call: 'rmdirSync', match: /\/old-tree$/, when: 'after' },
  'while the record is written': { call: 'writeSync', match: /"type":"patch"/, nth: 2 },
  'as a directory’s time is to be set': { call: 'utimesSync', match: /fd\/\d+ \d+\S* 170000[23]/, nth: 2 },
  'as the journal goes': { call: 'rmSync', match: /\.journal/ },
  'as the lock goes': { call: 'rmSync', match: /\.lockstep\/lock / },
};

describe('97: killed', () => {
  let expected: ReturnType<typeof endState>;
  beforeAll(async () =>
    withPair(async (pair) => {
      await upheave(pair, changes);
      expect((await pair.sync()).code).toBe(0);
      pair.expectEqual();
      expected = endState(pair);
    }),
  );

  for (const [title, { isThere, ...moment }] of Object.entries(moments)) {
    it(title, async (context) =>
      withPair(async (pair) => {
        if (isThere === true) notInShell(context);
        await upheave(pair, changes);
        const ran = await pair.run('sync', [], { env: injecting(pair.dir, { ...moment, run: kill }) });
        expectKilled(ran);
        await expectRecovers(pair, expected);
      }),
    );
  }
});
