/** Staging on two threads, where the second cannot be had: here, where no bundle lies beside the source. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Listing } from '../../tree/listing.ts';
import type { StagingTask } from './stage-unit.ts';
import { Stagers } from './stagers.ts';
import { observe } from './stat.ts';

let base: string;
beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-stagers-')));
});
afterEach(() => fs.rmSync(base, { recursive: true }));

/** A directory of files in the source, to be built beside it. */
function task(dir: string, files: number): StagingTask {
  const from = path.join(base, 'source', dir);
  fs.mkdirSync(from, { recursive: true });
  const names = Array.from({ length: files }, (_, at) => `f${at}`);
  for (const name of names) fs.writeFileSync(path.join(from, name), `${dir} ${name}`);
  const listing = Listing.from(
    names.flatMap((name) => {
      const entry = observe(path.join(from, name), 0n);
      return entry === undefined ? [] : [[name, entry]];
    }),
  );
  return { to: path.join(base, `staged-${dir}`), path: dir, listing: listing.bytes, granularityNs: 1n };
}

it('the first thread does all of it, also the second time', async () => {
  const stagers = new Stagers();
  const control = { signal: new AbortController().signal };
  try {
    for (const round of ['one', 'two']) {
      const tasks = ['x', 'y', 'z'].map((dir) => task(`${dir}-${round}`, 400));
      const units = await stagers.stage(tasks, path.join(base, 'source'), control);
      expect([...units.keys()].sort()).toEqual(tasks.map(({ path: dir }) => dir));
      for (const { path: dir, to } of tasks) {
        expect(units.get(dir)).toMatchObject({ path: to, failures: [] });
        expect(fs.readdirSync(to)).toHaveLength(400);
        expect(fs.readFileSync(path.join(to, 'f399'), 'utf8')).toBe(`${dir} f399`);
      }
    }
  } finally {
    await stagers.close();
  }
});
