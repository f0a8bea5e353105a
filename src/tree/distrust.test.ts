import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeTree } from './codec.ts';
import { distrustChunks, distrustListing } from './distrust.ts';
import type { Entry, Kind } from './entry.ts';
import { headerBytes, Listing, packListing, recordBytes } from './listing.ts';
import { Tree } from './tree.ts';

const name = fc
  .string({ minLength: 1, maxLength: 6, unit: fc.constantFrom('a', 'b', '.', '-', 'é', '\udc80') })
  .filter((text) => text !== '.' && text !== '..');
const entry: fc.Arbitrary<Entry> = fc
  .record({
    kind: fc.constantFrom<Kind>('file', 'dir', 'symlink', 'special', 'unreadable', 'ignored'),
    mode: fc.nat(0o7777),
    size: fc.nat(Number.MAX_SAFE_INTEGER),
    mtimeNs: fc.bigInt(-(2n ** 62n), 2n ** 62n),
    ctimeNs: fc.bigInt(0n, 2n ** 62n),
    ino: fc.bigInt(0n, 2n ** 64n - 1n),
    flags: fc.nat(3),
  })
  .map((given) => (given.kind === 'symlink' ? { ...given, target: 'to' } : given));
const listing = fc
  .uniqueArray(fc.tuple(name, entry), { maxLength: 5, selector: ([one]) => one })
  .map((entries) => Listing.from(entries));

const plain: Entry = { kind: 'file', mode: 0o644, size: 1, mtimeNs: 1n, ctimeNs: 1n, ino: 1n, flags: 0 };

/** Packed as they stand, in no order. */
function packed(names: readonly string[], targets: readonly string[] = []): Uint8Array {
  return packListing(new Uint8Array(names.length * recordBytes), names.length, names, targets);
}

describe('distrustListing', () => {
  it('has nothing against what we pack ourselves', () => {
    fc.assert(fc.property(listing, ({ bytes }) => distrustListing(bytes) === undefined));
  });

  it('lets through only what comes out the same when it is packed again, whatever was done to the bytes', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(listing, damage, fc.nat(60), ({ bytes }, changes, cut) => {
        const damaged = cut < bytes.length && cut % 5 === 0 ? bytes.slice(0, bytes.length - cut) : bytes.slice();
        for (const [at, value] of changes) damaged[at % damaged.length] = value;
        if (distrustListing(damaged) !== undefined) return;
        expect(Buffer.compare(Listing.from(new Listing(damaged).entries()).bytes, damaged)).toBe(0);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['no header', new Uint8Array(headerBytes - 1)],
    ['names that lead elsewhere', packed(['..'])],
    ['a name with a NUL', packed(['a\0b'])],
    ['an empty name', packed([''])],
    ['our own directory', packed(['.lockstep'])],
    ['a name twice', packed(['a', 'a'])],
    ['names out of order', packed(['b', 'a'])],
    ['a name that is two', packed(['a/b'])],
    ['targets of no symlink', packed(['a'], ['t'])],
  ])('refuses %s', (_, bytes) => {
    expect(distrustListing(bytes)).toEqual(expect.any(String));
  });
});

describe('distrustChunks', () => {
  const chunk = (...dirs: string[]): Uint8Array => {
    const tree = new Tree();
    for (const dir of dirs) tree.setListing(dir, Listing.from([['f', plain]]));
    return encodeTree(tree);
  };

  it('takes parts of one tree', () => {
    expect(() => {
      distrustChunks([chunk('', 'd'), chunk('d/e')]);
    }).not.toThrow();
  });

  it.each([
    ['a directory outside', [chunk('../d')]],
    ['an absolute one', [chunk('/d')]],
    ['one of ours', [chunk('.lockstep/x')]],
    ['one twice', [chunk('d'), chunk('d')]],
    ['no tree', [new Uint8Array(3)]],
  ])('refuses %s', (_, chunks) => {
    expect(() => {
      distrustChunks(chunks);
    }).toThrow(RangeError);
  });
});
