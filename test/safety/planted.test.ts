/** A `.lockstep` that came with the tree: whatever is in it, nothing outside the root is read, written or removed by way of it. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsOf } from '../support/cli.ts';
import { everything } from '../support/oracles.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { write } from '../support/tree.ts';

/** A home that is not to be touched, beside the roots. */
function home(pair: Pair): string {
  const dir = path.join(pair.dir, 'home');
  write(dir, { 'docs/thesis': 'years of work', 'parked/1': 'mine', '1': 'mine, too', id: 'f'.repeat(32) });
  fs.utimesSync(path.join(dir, 'docs/thesis'), 0, 0);
  return dir;
}

describe.each(['a', 'b'] as const)('in %s', (side) => {
  it.each(['staging', 'partial', 'links', 'history'])('a link in place of %s stops the run', async (name) =>
    withPair(async (pair) => {
      const outside = home(pair);
      const before = everything(outside);
      write(pair.a, { f: 'f' });
      fs.mkdirSync(path.join(pair[side], '.lockstep'), { recursive: true });
      fs.symlinkSync('../../home', path.join(pair[side], '.lockstep', name));
      for (const command of ['push', 'sync'] as const) {
        const ran = await pair.run(command, ['--backup', 'all']);
        expect(ran.code, ran.stdout + ran.stderr).toBe(1);
        expect(eventsOf(ran, 'error')).toMatchObject([
          { code: 'state', path: expect.stringMatching(`/${side}/.lockstep/${name}$`) as string },
        ]);
        expect(everything(outside)).toEqual(before);
      }
      // Its legitimate twin.
      fs.rmSync(path.join(pair[side], '.lockstep', name));
      fs.mkdirSync(path.join(pair[side], '.lockstep', name));
      const ran = await pair.sync();
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      pair.expectEqual();
    }),
  );

  it('links further down are not followed, and what is not needed of them is removed', async () =>
    withPair(async (pair) => {
      const outside = home(pair);
      const before = everything(outside);
      write(pair.a, { f: 'f' });
      const own = path.join(pair[side], '.lockstep');
      for (const name of ['history', 'staging/dead2']) fs.mkdirSync(path.join(own, name), { recursive: true });
      fs.symlinkSync('../../../home', path.join(own, 'staging/dead'));
      fs.symlinkSync('../../../../home', path.join(own, 'staging/dead2/parked'));
      fs.symlinkSync('../../../home', path.join(own, 'history/20200101T000000.000Z-00000000'));
      const ran = await pair.sync('--keep-versions', '1');
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      expect(everything(outside)).toEqual(before);
      expect(fs.existsSync(path.join(own, 'staging'))).toBe(false);
      pair.expectEqual();
    }));

  it.each(['id', 'lock'])('a link in place of the file %s is not followed', async (name) =>
    withPair(async (pair) => {
      const outside = home(pair);
      const before = everything(outside);
      write(pair.a, { f: 'f' });
      fs.mkdirSync(path.join(pair[side], '.lockstep'), { recursive: true });
      fs.symlinkSync('../../home/id', path.join(pair[side], '.lockstep', name));
      const ran = await pair.sync();
      expect([1, 3], ran.stdout + ran.stderr).toContain(ran.code);
      expect(ran.stderr).not.toMatch(/bug in Lockstep/);
      expect(everything(outside)).toEqual(before);
    }),
  );

  it('a FIFO in place of a file is not waited for', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'f' });
      const own = path.join(pair[side], '.lockstep');
      fs.mkdirSync(own, { recursive: true });
      execFileSync('mkfifo', [path.join(own, 'id')]);
      const ran = await pair.sync();
      expect([0, 1], ran.stdout + ran.stderr).toContain(ran.code);
    }));
});
