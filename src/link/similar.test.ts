/** Which file a new one is taken to be like. */
import { describe, expect, it } from 'vitest';
import type { ApplyStep } from '../replica/replica.ts';
import type { Entry, Kind } from '../tree/entry.ts';
import { Listing } from '../tree/listing.ts';
import { similarIn, withLike } from './similar.ts';

const size = 1 << 20;
const entry = (bytes = size, kind: Kind = 'file'): Entry => ({
  kind,
  mode: 0o644,
  size: bytes,
  mtimeNs: 1n,
  ctimeNs: 1n,
  ino: 1n,
  flags: 0,
});
const listing = (...names: string[]): Listing => Listing.from(names.map((name) => [name, entry()]));

describe('a new file', () => {
  it.each([
    [
      'dump-2026-11-26.sql',
      ['dump-2026-11-24.sql', 'dump-2026-11-25.sql', 'other-2026-11-25.sql'],
      'dump-2026-11-25.sql',
    ],
    ['app-1.10.tar', ['app-1.9.tar', 'app-1.9.zip', 'lib-1.9.tar'], 'app-1.9.tar'],
    ['app.bin', ['app.bin.old', 'zebra'], 'app.bin.old'],
    ['notes', ['dump.sql', 'image.iso'], undefined],
    ['a', ['b', 'c'], undefined],
    ['same', ['same'], undefined],
  ])('%s beside %j is like %s', (name, others, like) => {
    expect(similarIn(listing(...others), name, size)?.name).toBe(like);
  });

  it('is not like what is much larger or smaller, small, or no file', () => {
    const name = 'dump-2.sql';
    const beside = (other: Entry): Listing => Listing.from([['dump-1.sql', other]]);
    expect(similarIn(beside(entry(2 * size)), name, size)?.name).toBe('dump-1.sql');
    expect(similarIn(beside(entry(2 * size + 1)), name, size)).toBeUndefined();
    expect(similarIn(beside(entry(size / 2 - 1)), name, size)).toBeUndefined();
    expect(similarIn(beside(entry(1000)), name, 1000)).toBeUndefined();
    for (const kind of ['dir', 'symlink', 'special', 'unreadable', 'ignored'] as const) {
      expect(similarIn(beside(entry(size, kind)), name, size)).toBeUndefined();
    }
  });

  it('is compared with a bounded number of names', () => {
    const many = Array.from({ length: 2001 }, (_, at) => `dump-${at}.sql`);
    expect(similarIn(listing(...many), 'dump-x.sql', size)).toBeUndefined();
    expect(similarIn(listing(...many.slice(1)), 'dump-x.sql', size)).toBeDefined();
  });
});

it('only new files of some size are given one', () => {
  const beside = listing('dump-1.sql');
  const nothing = { unreadable: new Set<string>(), changed: { listing: () => beside } };
  const view = { a: nothing, b: nothing } as never;
  const put = (change: object): ApplyStep => ({
    op: 'put',
    path: 'd/dump-2.sql',
    from: 'd/dump-2.sql',
    source: entry(),
    expect: undefined,
    mode: 0o644,
    keep: false,
    reason: 'created',
    ...change,
  });
  expect(withLike(put({}), 'b', view)).toMatchObject({ like: { path: 'd/dump-1.sql', entry: entry() } });
  for (const change of [{ expect: entry() }, { source: entry(1000) }, { path: 'd/else' }]) {
    expect(withLike(put(change), 'b', view)).toEqual(put(change));
  }
});
