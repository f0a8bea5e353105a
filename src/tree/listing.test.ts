/** Listings as values: `with` must say the same whichever way it goes about it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from './entry.ts';
import { Listing, NameCursor } from './listing.ts';
import { Tree } from './tree.ts';

const kinds = ['file', 'dir', 'symlink'] as const;

const entry: fc.Arbitrary<Entry> = fc
  .record({
    kind: fc.constantFrom(...kinds),
    mode: fc.constantFrom(0o644, 0o755, 0),
    size: fc.nat(),
    mtimeNs: fc.bigInt({ min: -5n, max: 2n ** 60n }),
    ctimeNs: fc.bigInt({ min: 0n, max: 2n ** 60n }),
    ino: fc.bigInt({ min: 0n, max: 2n ** 63n }),
    flags: fc.constantFrom(0, 1, 4),
  })
  .map((plain) => (plain.kind === 'symlink' ? { ...plain, size: 0, target: `to${plain.ino}` } : plain));
const file = entry.filter(({ kind }) => kind !== 'symlink');
const name = fc.constantFrom(...Array.from({ length: 60 }, (_, i) => `n${(i * 7) % 60}`), 'é', '\udcff', 'a');

function expectSame(listing: Listing, model: ReadonlyMap<string, Entry>): void {
  const expected = Listing.from(model);
  expect(Buffer.compare(listing.bytes, expected.bytes)).toBe(0);
}

describe('Listing.with', () => {
  for (const [what, own, changed] of [
    ['files and directories', file, file],
    ['links among what is there', entry, file],
    ['links among what is set', file, entry],
  ] as const) {
    it(`sets and takes out, with ${what}`, () => {
      fc.assert(
        fc.property(
          fc.dictionary(name, own, { minKeys: 0, maxKeys: 60 }),
          fc.array(fc.tuple(name, fc.option(changed, { nil: undefined })), { maxLength: 5 }),
          (before, changes) => {
            const model = new Map(Object.entries(before));
            const listing = Listing.from(model);
            const asked = new Map(changes);
            for (const [key, value] of asked) {
              if (value === undefined) model.delete(key);
              else model.set(key, value);
            }
            expectSame(listing.with(asked), model);
          },
        ),
      );
    });
  }
});

const dictionary = fc.dictionary(name, entry, { maxKeys: 30 }).map((found) => Listing.from(Object.entries(found)));

it('a cursor finds what a search finds, whatever is asked for before', () => {
  fc.assert(
    fc.property(dictionary, fc.array(name), (listing, asked) => {
      for (const names of [asked, [...asked].sort(), listing.names]) {
        const cursor = new NameCursor(listing);
        expect(names.map((each) => cursor.indexOf(each))).toEqual(names.map((each) => listing.indexOf(each)));
      }
    }),
  );
});

it('listings share names only where they are the same', () => {
  fc.assert(
    fc.property(dictionary, dictionary, fc.boolean(), (one, other, same) => {
      const copy = new Listing(same ? one.bytes.slice() : other.bytes.slice());
      const expected = [...(same ? one : other).names];
      copy.shareNames(one);
      expect(copy.names).toEqual(expected);
      expect(copy.names === one.names).toBe(expected.join('/') === one.names.join('/') && expected.length === one.size);
    }),
  );
});

it('what a record tells without being decoded is what the entry says', () => {
  fc.assert(
    fc.property(dictionary, dictionary, (one, other) => {
      for (const i of one.names.keys()) {
        expect(one.flagsOf(i)).toBe(one.entry(i).flags);
        for (const k of other.names.keys()) {
          const [x, y] = [one.entry(i), other.entry(k)];
          expect(one.sameInode(i, other, k)).toBe(x.ino === y.ino && x.kind === y.kind);
        }
      }
    }),
  );
});

it('a tree keeps count of its entries whatever is done to it', () => {
  const listing = (...names: string[]): Listing =>
    Listing.from(
      names.map((each): [string, Entry] => [
        each,
        {
          kind: each.startsWith('d') ? 'dir' : 'file',
          mode: 0o644,
          size: 0,
          mtimeNs: 0n,
          ctimeNs: 0n,
          ino: 1n,
          flags: 0,
        },
      ]),
    );
  const tree = new Tree();
  tree.setListing('', listing('d1', 'f'));
  tree.setListing('d1', listing('d2', 'g', 'h'));
  tree.setListing('d1/d2', listing('i'));
  const counted = (): number => [...tree.listings()].reduce((sum, [, each]) => sum + each.size, 0);
  expect(tree.entryCount).toBe(6);
  tree.moveSubtree('d1/d2', 'd3');
  expect(tree.entryCount).toBe(counted());
  tree.patch('', new Map([['d1', undefined]]));
  expect(tree.entryCount).toBe(counted());
  tree.setListing('', listing('f'));
  expect(tree.entryCount).toBe(counted());
});
