/** Options of several values (`--path a b`) beside the roots: a root is never taken for a value, nor a value for a root. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockstep, type Ran } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, write } from '../support/tree.ts';

/** Three roots, each with a file of its name. */
function three(pair: Pair): void {
  write(pair.dir, { 'one/1': 'x', 'two/2': 'x', 'three/3': 'x' });
}

async function run(pair: Pair, line: string): Promise<Ran> {
  return lockstep([...line.split(' '), '--state-dir', pair.state], { cwd: pair.dir });
}

function names(pair: Pair): Record<string, string> {
  const list = (root: string): string => Object.keys(contents(path.join(pair.dir, root))).join(' ');
  return { one: list('one'), two: list('two'), three: list('three') };
}

const untouched = { one: '1', two: '2', three: '3' };

describe('before the roots, what may be read in two ways is refused', () => {
  const lines = [
    'push --delete --atomic .git one two three',
    'sync --atomic .git one two three',
    'sync --path 1 2 one two',
    'push one --perishable .git two three',
    'push one --delete --ignore-file .myignore two three',
    'push one --delete --atomic .git two -v three',
    'sync --ssh-option -v one two three',
    'sync --path x one --atomic y two three',
    'pull --path x one --atomic y two three',
  ];
  for (const line of lines) {
    it(line, async () =>
      withPair(async (pair) => {
        three(pair);
        const ran = await run(pair, line);
        expect([ran.code, ran.stdout]).toEqual([64, '']);
        expect(ran.stderr).toMatch(/^lockstep: which are roots, and which are further values of --.*(two|three)\?/);
        expect(ran.stderr).toMatch(/=VALUE/);
        expect(names(pair)).toEqual(untouched);
      }),
    );
  }
});

describe('what can be read in one way only is done', () => {
  const lines: [line: string, then: Partial<typeof untouched>][] = [
    ['push --delete --atomic=.git one two three', { two: '1', three: '1' }],
    ['push one two three --delete --atomic .git other', { two: '1', three: '1' }],
    ['sync --atomic=.git --perishable=x one two three', { one: '1 2 3', two: '1 2 3', three: '1 2 3' }],
    ['push --atomic .git -v one two three', { two: '1 2', three: '1 3' }],
    ['push --atomic .git one two', { two: '1 2' }],
    ['push one --perishable .git two', { two: '1 2' }],
    ['push one --ssh-option -v two', { two: '1 2' }],
    ['push --path 1 one --atomic x two', { two: '1 2' }],
    ['sync one two --path 1 3', { two: '1 2' }],
    ['sync one two --path 1 2', { one: '1 2', two: '1 2' }],
    ['sync one two --path 1 --path 2', { one: '1 2', two: '1 2' }],
    ['pull --path 1 2 one three', { three: '1 3' }],
    ['push --delete --preset=vcs --skip-deletion=local one two', { two: '1' }],
  ];
  for (const [line, then] of lines) {
    it(line, async () =>
      withPair(async (pair) => {
        three(pair);
        const ran = await run(pair, line);
        expect(ran.code, ran.stderr).toBe(0);
        expect(names(pair)).toEqual({ ...untouched, ...then });
        expect(fs.readdirSync(pair.dir).sort()).toEqual(expect.arrayContaining(['one', 'three', 'two']));
      }),
    );
  }

  it('too few roots are asked for as ever, and --help is given on any line', async () =>
    withPair(async (pair) => {
      expect((await run(pair, 'push one --atomic x')).stderr).toMatch(/push takes a source and a destination/);
      expect((await run(pair, 'push --path x')).stderr).toMatch(/push takes a source and a destination/);
      expect((await run(pair, 'push --atomic .git one two three --help')).code).toBe(0);
    }));
});
