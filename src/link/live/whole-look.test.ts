/** A look at directories that are not on record, though the replica has long known them. */
import { expect, it } from 'vitest';
import type { Entry } from '../../tree/entry.ts';
import { Listing } from '../../tree/listing.ts';
import { baseName, joinPath, parentPath, type RelPath } from '../../tree/path.ts';
import { Tree } from '../../tree/tree.ts';
import type { DirtyDirectory, LookPatch, LookResult } from '../../replica/watching.ts';
import { lookWhole } from './whole-look.ts';

const entry = (kind: 'file' | 'dir'): Entry => ({
  kind,
  mode: 0o755,
  size: 0,
  mtimeNs: 1n,
  ctimeNs: 1n,
  ino: 1n,
  flags: 0,
});
const { signal } = new AbortController();

/** A replica whose directories hold what `namesIn` says: names that end in `/` are directories. */
function replica(namesIn: (dir: RelPath) => string[]): {
  look: (request: { directories: readonly DirtyDirectory[] }) => Promise<LookResult>;
  asked: RelPath[][];
} {
  const asked: RelPath[][] = [];
  const patch = ({ dir, names }: DirtyDirectory): LookPatch => {
    const there = namesIn(dir).map((name): [string, Entry] => [
      name.replace('/', ''),
      entry(name.endsWith('/') ? 'dir' : 'file'),
    ]);
    const wanted = there.filter(([name]) => names === undefined || names.includes(name));
    return { dir, names: names === undefined ? undefined : [...names], listing: Listing.from(wanted).bytes };
  };
  return {
    asked,
    look: async ({ directories }) => {
      asked.push(directories.map(({ dir }) => dir));
      return Promise.resolve({
        root: entry('dir'),
        patches: directories.map(patch),
        below: new Tree(),
        unreadable: [],
        ignoredIn: [],
        rulesChanged: false,
        looked: directories.length,
      });
    },
  };
}

function recordOf(...dirs: RelPath[]): Tree {
  const tree = new Tree();
  for (const dir of dirs) {
    tree.patch(parentPath(dir), new Map([[baseName(dir), entry('dir')]]));
    tree.setListing(dir, Listing.empty);
  }
  return tree;
}

it('sees all of what is not on record, and asks for nothing that is', async () => {
  const tree: Record<RelPath, string[]> = { '': ['known/', 'new/'], new: ['f', 'deep/'], 'new/deep': ['g'] };
  const { look, asked } = replica((dir) => tree[dir] ?? []);
  const found = await lookWhole({ look }, [{ dir: '', names: undefined }], recordOf('known'), signal);
  expect(asked).toEqual([[''], ['new'], ['new/deep']]);
  expect(found.unreadable).toEqual([]);
  expect(found.patches.map(({ dir, listing }) => [dir, new Listing(listing).names])).toEqual([
    ['', ['known', 'new']],
    ['new', ['deep', 'f']],
    ['new/deep', ['g']],
  ]);
});

it('ends where somebody makes up ever deeper directories: what is below is unknown', async () => {
  const { look, asked } = replica((dir) => (dir === '' ? ['known/', 'd/'] : ['d/']));
  const found = await lookWhole({ look }, [{ dir: '', names: undefined }], recordOf('known'), signal);
  expect(asked).toHaveLength(101);
  expect(found.unreadable).toEqual([
    { path: joinPath('d', Array(100).fill('d').join('/')), reason: expect.stringContaining('100 levels') as string },
  ]);
});
