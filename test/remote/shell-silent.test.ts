/** A far shell that falls silent without closing the pipe, and others that only take long. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf, lockstep, type Ran } from '../support/cli.ts';
import { makeFarShell } from '../support/far-shells.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, write } from '../support/tree.ts';

/**
 * A push with `--timeout 5`, while the far `tar` is preceded by `before`.
 *
 * @param call which calls of it: a pattern of the shell that their arguments, joined by spaces, match
 * @param redirect what the way to the shell does with its stderr
 */
async function pushed(
  { shell, call, before, redirect = '' }: { shell: 'dash' | 'bash'; call: string; before: string; redirect?: string },
  act: (play: { pair: Pair; ran: Ran; again: () => Promise<Ran> }) => Promise<void> | void,
): Promise<void> {
  await withPair(async (pair) => {
    const flag = path.join(pair.dir, 'flag');
    const mark = path.join(pair.dir, 'called');
    const script = `if [ -e '${flag}' ]; then case "$*" in ${call}) : >'${mark}'; ${before} ;; esac; fi; exec /usr/bin/tar "$@"`;
    const { program, remove } = makeFarShell({ shell, tools: 'gnu' }, { tar: script });
    const way = path.join(pair.dir, 'way');
    fs.writeFileSync(way, `#!/bin/sh\nexec '${program}' ${redirect}\n`, { mode: 0o755 });
    const run = async (): Promise<Ran> => {
      const options = ['--json', '--state-dir', pair.state, '--agent', 'sh', '--timeout', '5'];
      return lockstep(['push', pair.a, pair.b, ...options, '--', way]);
    };
    try {
      write(pair.a, { one: 'first', 'd/two': 'second' });
      fs.writeFileSync(flag, '');
      const ran = await run();
      fs.rmSync(flag);
      expect(fs.existsSync(mark), ran.stdout + ran.stderr).toBe(true);
      await act({ pair, ran, again: run });
    } finally {
      remove();
    }
  });
}

describe.each(['dash', 'bash'] as const)('over %s', (shell) => {
  it.each([
    ['from the beginning', '--version'],
    ['in the middle', '-x*'],
  ])('a far side that hangs %s is noticed by its silence', async (_, call) =>
    // Its whole process group: the shell, what it has started, and its sign of life.
    pushed({ shell, call, before: 'kill -STOP 0' }, async ({ pair, ran, again }) => {
      expect(ran.code, ran.stdout + ran.stderr).toBe(1);
      expect(eventsOf(ran, 'error')).toMatchObject([{ code: 'connection', exitCode: 1 }]);
      expect(eventsOf(ran, 'error')[0]?.['message']).toMatch(
        /^.*\/b \(-- .*\): the connection was lost: nothing was heard from the other end for 5/,
      );
      expect(ran.stderr).not.toMatch(/-beat/);
      if (fs.existsSync(pair.b)) expect(contents(pair.b)).toEqual({});
      const next = await again();
      expect(next.code, next.stdout + next.stderr).toBe(0);
      pair.expectEqual();
      pair.expectClean();
    }),
  );

  it.each([
    ['takes longer than that over something', ''],
    ['does so where its stderr gets lost', '2>/dev/null'],
    ['does so where its stderr is mixed into its answers', '2>&1'],
  ])('one that %s is not', async (_, redirect) =>
    pushed({ shell, call: '-x*', before: 'sleep 8', redirect }, ({ pair, ran }) => {
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(ran.stdout + ran.stderr).not.toMatch(/-beat/);
      pair.expectEqual();
      pair.expectClean();
    }),
  );
});
