/** Random edits of a disk, as people and programs make them. */
import fc from 'fast-check';
import { isWithin, joinPath, parentPath, type RelPath } from '../../tree/path.ts';
import { isRacy } from '../../tree/entry.ts';
import type { Side } from '../options.ts';
import type { Node } from './disk.ts';
import type { ModelLink } from './link.ts';

const names = ['x', 'y', 'z', 'd', 'e', '~i'];
const fileModes = [0o644, 0o600, 0o755];
const dirModes = [0o755, 0o700, 0o1777, 0o500];
/** The larger is above the size from which contents are compared to find renames. */
const sizes = [0, 5, 5, 7, 100_000];

export interface Edit {
  side: Side;
  op: (typeof ops)[number];
  /** Which of the paths that there are; taken modulo their number. */
  pick: number;
  other: number;
  name: string;
  size: number;
  mode: number;
  /** Contents that both sides may come upon. */
  shared: number | undefined;
}

const ops = [
  'create',
  'create',
  'create',
  'mkdir',
  'symlink',
  'edit',
  'edit',
  'edit-restoring-mtime',
  'edit-in-tick',
  'replace',
  'touch',
  'chmod',
  'delete',
  'delete',
  'rename',
  'rename',
  'rename',
  'retarget',
  'swap',
  'become-file',
  'become-dir',
  'become-special',
] as const;

export const edit: fc.Arbitrary<Edit> = fc.record({
  side: fc.constantFrom<Side>('a', 'b'),
  op: fc.constantFrom(...ops),
  pick: fc.nat(999),
  other: fc.nat(999),
  name: fc.constantFrom(...names),
  size: fc.constantFrom(...sizes),
  mode: fc.nat(3),
  shared: fc.option(fc.nat(2), { nil: undefined, freq: 4 }),
});

/** Gives every content a name of its own. */
export class Texts {
  #count = 0;

  fresh(shared: number | undefined, size: number): string {
    if (size === 0) return '';
    this.#count += 1;
    return shared === undefined ? `text-${this.#count}` : `shared-${shared}-${size}`;
  }
}

/** Makes an edit; one that does not apply to what is there is left out. */
export function apply(link: ModelLink, made: Edit, texts: Texts): void {
  const disk = link.disks[made.side];
  const all = [...disk.walk()];
  const dirs: RelPath[] = ['', ...all.filter(([, { kind }]) => kind === 'dir').map(([path]) => path)];
  const files = all.filter(([, { kind }]) => kind === 'file');
  const dir = at(dirs, made.other) ?? '';
  const free = (path: RelPath): boolean => disk.get(path) === undefined && path.split('/').length <= 4;
  const target = joinPath(dir, made.name);
  const [path, node] = at(all, made.pick) ?? ['', disk.root];
  const file = at(files, made.pick);
  const text = texts.fresh(made.shared, made.size);
  const content = { text, size: made.size };
  link.clock.tick();

  switch (made.op) {
    case 'create':
      if (free(target)) disk.add(target, disk.make('file', { ...content, mode: fileModes[made.mode] ?? 0o644 }));
      return;
    case 'mkdir':
      if (free(target)) disk.add(target, disk.make('dir', { mode: dirModes[made.mode] ?? 0o755 }));
      return;
    case 'symlink':
      if (free(target)) disk.add(target, disk.make('symlink', { target: `to-${made.mode}` }));
      return;
    case 'edit':
      if (file !== undefined) disk.write(file[0], text, made.size);
      return;
    case 'edit-restoring-mtime': {
      if (file === undefined || file[1].size === 0) return;
      const { mtimeNs, size } = file[1];
      disk.write(file[0], texts.fresh(undefined, size), size);
      disk.utimes(file[0], mtimeNs);
      return;
    }
    case 'edit-in-tick': {
      // Only what was racy when it was recorded can change without showing it.
      if (file === undefined || file[1].size === 0) return;
      const recorded = link.agreed[made.side].get(file[0]);
      if (recorded === undefined || !isRacy(recorded) || recorded.ctimeNs !== file[1].ctimeNs) return;
      file[1].text = texts.fresh(undefined, file[1].size);
      return;
    }
    case 'replace': {
      if (file === undefined) return;
      const [at, { mtimeNs, mode }] = file;
      const fresh = disk.make('file', { ...content, mode, mtimeNs });
      disk.remove(at);
      disk.add(at, fresh);
      return;
    }
    case 'touch':
      if (node.kind !== 'special') disk.utimes(path, link.clock.nowNs - BigInt(made.mode) * 10_000_000n);
      return;
    case 'chmod':
      if (node.kind === 'file') disk.chmod(path, fileModes[made.mode] ?? 0o640);
      if (node.kind === 'dir') disk.chmod(path, dirModes[made.mode] ?? 0o755);
      return;
    case 'delete':
      if (path !== '') disk.remove(path);
      return;
    case 'rename': {
      if (path === '' || isWithin(target, path) || path === target) return;
      const there = disk.get(target);
      if (there?.kind === 'dir' && (node.kind !== 'dir' || there.children.size > 0)) return;
      if (there !== undefined && node.kind === 'dir' && there.kind !== 'dir') return;
      if (target.split('/').length + depthBelow(node) <= 4) disk.rename(path, target);
      return;
    }
    case 'retarget':
      if (node.kind !== 'symlink') return;
      disk.remove(path);
      disk.add(path, disk.make('symlink', { target: `to-${made.mode}` }));
      return;
    case 'swap': {
      const [one, two] = [at(all, made.pick), at(all, made.other)];
      if (one === undefined || two === undefined || isWithin(one[0], two[0]) || isWithin(two[0], one[0])) return;
      if (parentPath(one[0]).split('/').length + depthBelow(two[1]) > 3) return;
      disk.rename(one[0], 'parked');
      disk.rename(two[0], one[0]);
      disk.rename('parked', two[0]);
      return;
    }
    case 'become-file':
    case 'become-dir':
    case 'become-special': {
      if (path === '') return;
      disk.remove(path);
      const kind = made.op === 'become-file' ? 'file' : made.op === 'become-dir' ? 'dir' : 'special';
      // Special things are rare: they stop everything else at their path.
      if (kind === 'special' && made.mode > 0) return;
      disk.add(path, disk.make(kind, kind === 'file' ? content : {}));
      return;
    }
  }
}

function depthBelow(node: Node): number {
  return node.kind === 'dir' ? 1 + Math.max(0, ...[...node.children.values()].map(depthBelow)) : 0;
}

function at<T>(list: readonly T[], index: number): T | undefined {
  return list[index % list.length];
}
