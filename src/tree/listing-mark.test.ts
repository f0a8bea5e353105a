import { describe, expect, it } from 'vitest';
import type { Entry } from './entry.ts';
import { Listing } from './listing.ts';

function entry(ino: bigint, ctimeNs = 5n): Entry {
  return { kind: 'dir', mode: 0o755, size: 0, mtimeNs: 7n, ctimeNs, ino, flags: 0 };
}

const listing = Listing.from([
  ['x', entry(1n)],
  ['y', entry(2n)],
]);

describe('a mark', () => {
  it('changes nothing else, and not the listing that it is put on', () => {
    const marked = listing.withMark(0xfedcba98);
    expect([listing.mark, marked.mark]).toEqual([0, 0xfedcba98]);
    expect([...marked.entries()]).toEqual([...listing.entries()]);
    expect(marked.sameEntries(listing.bytes)).toBe(true);
    expect(marked.sameEntries(Listing.from([['x', entry(1n)]]).bytes)).toBe(false);
  });

  it('is put on a copy also of bytes that are a part of a Buffer, whose `slice` copies nothing', () => {
    const file = Buffer.concat([Buffer.alloc(24, 1), listing.bytes]);
    const before = Buffer.from(file);
    const marked = new Listing(file.subarray(24)).withMark(3);
    expect(marked.mark).toBe(3);
    expect(file).toEqual(before);
  });

  it('goes with the names that it is for', () => {
    const marked = listing.withMark(3);
    expect(marked.with(new Map([['z', entry(3n)]])).mark).toBe(0);
    expect(marked.with(new Map([['x', undefined]])).mark).toBe(0);
  });

  it('is of one state of a directory, and never zero', () => {
    expect(listing.markOf(0)).not.toBe(listing.markOf(1));
    expect(listing.markOf(0)).not.toBe(Listing.from([['x', entry(1n, 6n)]]).markOf(0));
    for (let ino = 0n; ino < 1000n; ino += 1n) expect(Listing.from([['x', entry(ino)]]).markOf(0)).toBeGreaterThan(0);
  });
});
