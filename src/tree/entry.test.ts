import { expect, it } from 'vitest';
import { recordedAs, timeSet, type Entry } from './entry.ts';

const seen: Entry = { kind: 'file', mode: 0o644, size: 3, mtimeNs: 5n, ctimeNs: 6n, ino: 7n, flags: 0 };
const dir: Entry = { ...seen, kind: 'dir', size: 0 };

it.each([
  ['just as it was made', seen, { ino: 7n, size: 3, mtimeNs: 5n, mode: 0o644 }, seen],
  ['an edit', seen, { ino: 7n, size: 3, mtimeNs: 4n }, { ...seen, mtimeNs: 4n, ino: 0n, ctimeNs: 0n }],
  ['other permission bits', seen, { ino: 7n, size: 3, mtimeNs: 5n, mode: 0o600 }, { ...seen, mode: 0o600 }],
  ['something added to a directory', dir, { mtimeNs: 4n }, { ...dir, mtimeNs: 4n }],
  ['another directory', dir, { ino: 8n }, { ...dir, ino: 0n, ctimeNs: 0n }],
  ['a directory for a link', dir, { ino: 8n, target: 't' }, { ...dir, ino: 0n, ctimeNs: 0n, target: 't' }],
  ['a directory for a file', dir, { ino: 8n, size: 3 }, { ...dir, size: 3, ino: 0n, ctimeNs: 0n }],
])('%s is recorded so that what somebody else did shows', (_, entry, made, recorded) => {
  expect(recordedAs(entry, made)).toEqual(recorded);
});

it.each([
  [5_000n, 5n, 1n, 5_000n],
  [5_999n, 5n, 1n, 5_999n],
  [6_000n, 5n, 1n, 5_000n],
  [4_000n, 5n, 1_000n, 4_000n],
  [3_999n, 5n, 1_000n, 5_000n],
])('a time of %d ns where %d µs were set, to %d ns, counts as %d ns', (found, asked, step, time) => {
  expect(timeSet(found, asked, step)).toBe(time);
});
