import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { setTimes } from './utime.ts';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-utime-'));
afterAll(() => fs.rmSync(dir, { recursive: true }));

it('sets a time to the microsecond, whatever the version of Node makes of the rest', () => {
  const file = path.join(dir, 'f');
  fs.writeFileSync(file, '');
  const times = fc.bigInt({ min: 0n, max: 4_000_000_000_000_000n });
  fc.assert(
    fc.property(times, (time) => {
      setTimes(file, time);
      expect(fs.statSync(file, { bigint: true }).mtimeNs / 1000n).toBe(time);
    }),
    { numRuns: 3000 },
  );
});

it('adds nothing to whole seconds', () => {
  const file = path.join(dir, 'g');
  fs.writeFileSync(file, '');
  setTimes(file, 1_600_000_000_000_000n);
  expect(fs.statSync(file, { bigint: true }).mtimeNs).toBe(1_600_000_000_000_000_000n);
});

it('sets times before 1970 to the millisecond', () => {
  const file = path.join(dir, 'h');
  fs.writeFileSync(file, '');
  setTimes(file, -1_500_000n);
  expect(fs.statSync(file, { bigint: true }).mtimeNs).toBe(-1_500_000_000n);
});
