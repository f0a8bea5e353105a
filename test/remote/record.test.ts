/** The record of a link is read while the far side is still being connected to: once, unless somebody writes it meanwhile. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { cliPath, eventsOf, lockstep, type Ran, type RunOptions } from '../support/cli.ts';
import { injecting } from '../support/inject.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, write } from '../support/tree.ts';

function argsOf(pair: Pair, far: string): string[] {
  return ['sync', pair.a, pair.b, '--json', '--state-dir', pair.state, '--', far];
}

async function sync(pair: Pair, far: string, options: RunOptions = {}): Promise<Ran> {
  const ran = await lockstep(argsOf(pair, far), options);
  expect(ran.code, ran.stdout + ran.stderr).toBe(0);
  return ran;
}

it('is read once', async () =>
  withPair(async (pair) => {
    write(pair.a, { f: 'f', 'd/g': 'g' });
    await sync(pair, 'sh');
    write(pair.b, { f: 'edited' });
    const reads = path.join(pair.dir, 'reads');
    const run = `fs.appendFileSync('${reads}', args[0] + '\\n');`;
    const match = new RegExp(`^${pair.state}/links/[0-9a-f]+ r$`);
    const env = injecting(pair.dir, { call: 'openSync', match, nth: 'every', run });
    const ran = await sync(pair, 'sh', { env });
    expect(eventsOf(ran, 'action')).toMatchObject([{ op: 'replace', path: 'f' }]);
    expect(fs.readFileSync(reads, 'utf8').trim().split('\n')).toHaveLength(1);
  }));

it('is read again when another run has come to its end before the roots were locked', async () =>
  withPair(async (pair) => {
    const flag = path.join(pair.dir, 'flag');
    const far = path.join(pair.dir, 'far');
    // Once the first has started it: another run of the same link, whose doing is then undone in part.
    const other = [process.execPath, cliPath, ...argsOf(pair, far)].map((word) => `'${word}'`).join(' ');
    fs.writeFileSync(
      far,
      `#!/bin/sh\nif [ -e '${flag}' ]; then rm '${flag}'; ${other} >'${flag}.ran' </dev/null; rm '${pair.a}/made'; fi\nexec sh\n`,
      { mode: 0o755 },
    );
    write(pair.a, { f: 'f' });
    await sync(pair, far);
    write(pair.a, { made: 'made', f: 'edited' });
    fs.writeFileSync(flag, '');
    const ran = await sync(pair, far);
    expect(fs.readFileSync(`${flag}.ran`, 'utf8')).toMatch(/"path":"made"/);
    // By the older record it would be new at the far side, and come back.
    expect(eventsOf(ran, 'action')).toMatchObject([{ op: 'delete', path: 'made', side: 'remote' }]);
    expect(contents(pair.a)).toEqual({ f: 'edited' });
    expect(contents(pair.b)).toEqual({ f: 'edited' });
  }));
