/** Renames that meet changes of the other side, on the model's disks (model/). */
import { describe, expect, it } from 'vitest';
import type { RelPath } from '../tree/path.ts';
import { ModelLink } from './model/link.ts';
import { defaultReconcileOptions, type ReconcileOptions, type Side } from './options.ts';
import { allSteps, type Plan } from './plan.ts';

const sides = ['a', 'b'] as const;
const options: ReconcileOptions = { ...defaultReconcileOptions, conflictStamp: 'T' };

/** Both sides hold these files, and directories where the text is `undefined`. */
function agreed(files: Record<RelPath, string | undefined>): ModelLink {
  const link = new ModelLink();
  make(link, 'a', files);
  // So that nothing is racy when it is recorded.
  link.clock.tick(1000n);
  link.sync(options);
  link.clock.tick(1000n);
  return link;
}

function make(link: ModelLink, side: Side, files: Record<RelPath, string | undefined>): void {
  const disk = link.disks[side];
  for (const [path, text] of Object.entries(files)) {
    disk.add(path, text === undefined ? disk.make('dir') : disk.make('file', { text, size: text.length }));
  }
}

function filesOf(link: ModelLink, side: Side): Record<RelPath, string> {
  return Object.fromEntries(
    [...link.disks[side].walk()].map(([path, { kind, text }]) => [path, kind === 'dir' ? 'dir' : text]),
  );
}

/** One run: both sides end like this, and another run has nothing to do. */
function expectBoth(link: ModelLink, expected: Record<RelPath, string>): Plan {
  const { plan } = link.sync(options);
  for (const side of sides) expect(filesOf(link, side), side).toEqual(expected);
  link.clock.tick(1000n);
  const again = link.plan(options);
  expect([...allSteps(again.plan), ...again.plan.directoryTimes]).toEqual([]);
  return plan;
}

describe.each(sides)('a file moved on %s into a directory that the other side', (side) => {
  const other: Side = side === 'a' ? 'b' : 'a';
  const start = { f: 'moved', d: undefined, 'd/x': 'stays' };

  it('renamed meanwhile follows it there', () => {
    const link = agreed(start);
    link.disks[side].rename('f', 'd/f');
    link.disks[other].rename('d', 'e');
    const plan = expectBoth(link, { e: 'dir', 'e/f': 'moved', 'e/x': 'stays' });
    expect(plan.conflicts).toEqual([]);
  });

  it('deleted meanwhile takes the directory back with it, not what was deleted in it', () => {
    const link = agreed(start);
    link.disks[side].rename('f', 'd/f');
    link.disks[other].remove('d');
    const plan = expectBoth(link, { d: 'dir', 'd/f': 'moved' });
    expect(plan.moves).toEqual([]);
  });

  it('replaced by a file meanwhile is refused, as one whose kind is in dispute', () => {
    const link = agreed(start);
    link.disks[side].rename('f', 'd/f');
    link.disks[other].remove('d');
    make(link, other, { d: 'a file now' });
    const { plan } = link.sync(options);
    expect(plan.moves).toEqual([]);
    expect(plan.conflicts).toMatchObject([{ path: 'd', what: 'kind' }]);
  });

  it('had under the name of a directory that is renamed away, and deleted, is brought over as a new one', () => {
    // Seed 12 of the model: on the side, d and e change places, and the new e takes f in; the other has deleted d.
    const link = agreed({ f: 'moved', d: undefined, e: undefined });
    const { [side]: here, [other]: there } = link.disks;
    here.rename('e', 'parked');
    here.rename('d', 'e');
    here.rename('parked', 'd');
    here.rename('f', 'e/f');
    there.remove('d');
    const plan = expectBoth(link, { d: 'dir', e: 'dir', 'e/f': 'moved' });
    expect(plan.conflicts).toEqual([]);
  });

  it('has under another name, into a new directory in it, follows it there', () => {
    const link = agreed(start);
    const { [side]: here } = link.disks;
    here.rename('d', 'e');
    make(link, side, { 'e/new': undefined });
    here.rename('f', 'e/new/f');
    const plan = expectBoth(link, { e: 'dir', 'e/new': 'dir', 'e/new/f': 'moved', 'e/x': 'stays' });
    expect(plan.moves).toMatchObject([
      { path: 'd', to: 'e' },
      { path: 'f', to: 'e/new/f' },
    ]);
  });

  it('never had is a rename there, too', () => {
    const link = agreed(start);
    make(link, side, { n: undefined });
    link.disks[side].rename('f', 'n/f');
    const plan = expectBoth(link, { d: 'dir', 'd/x': 'stays', n: 'dir', 'n/f': 'moved' });
    expect(plan.moves).toMatchObject([{ side: other, path: 'f', to: 'n/f' }]);
  });
});

describe.each(sides)('a directory renamed on %s', (side) => {
  const other: Side = side === 'a' ? 'b' : 'a';
  const start = { d: undefined, 'd/x': undefined, 'd/x/y': 'old', 'd/x/z': 'stays' };

  // Seed 307 of the model: only d/x differs from its record there, and not d.
  it('takes along what the other side changed deep inside it', () => {
    const link = agreed(start);
    link.disks[side].rename('d', 'e');
    link.disks[other].write('d/x/y', 'edited', 6);
    const plan = expectBoth(link, { e: 'dir', 'e/x': 'dir', 'e/x/y': 'edited', 'e/x/z': 'stays' });
    expect(plan.moves).toMatchObject([{ side: other, path: 'd', to: 'e' }]);
  });

  it('and an edit deep inside it survive a deletion of what was edited', () => {
    const link = agreed(start);
    link.disks[side].rename('d', 'e');
    link.disks[side].remove('e/x/y');
    link.disks[other].write('d/x/y', 'edited', 6);
    expectBoth(link, { e: 'dir', 'e/x': 'dir', 'e/x/y': 'edited', 'e/x/z': 'stays' });
  });

  it('takes along what the other side changed only in its metadata', () => {
    const link = agreed(start);
    link.disks[side].rename('d', 'e');
    link.disks[other].chmod('d/x/y', 0o644);
    link.clock.tick(1000n);
    expectBoth(link, { e: 'dir', 'e/x': 'dir', 'e/x/y': 'old', 'e/x/z': 'stays' });
    expect(link.plan(options).plan.agreements).toEqual([]);
  });
});

describe('a rename', () => {
  it('of a directory is not carried over to another one that has its name by now', () => {
    const link = agreed({ d: undefined, e: undefined });
    link.disks.a.rename('d', 'f');
    link.disks.b.rename('e', 'parked');
    link.disks.b.rename('d', 'e');
    link.disks.b.rename('parked', 'd');
    const { plan } = link.sync(options);
    expect(plan.moves.filter(({ path, to }) => path === 'd' && to === 'f')).toEqual([]);
  });

  it('into, out of or within an atomic directory is copied with everything else in it', () => {
    const atomic = { ...options, isAtomic: (path: RelPath): boolean => path === 'd' };
    const link = agreed({ d: undefined, 'd/in': 'in', 'd/out': 'out', f: 'f' });
    const { a, b } = link.disks;
    a.rename('f', 'd/f');
    a.rename('d/out', 'out');
    a.rename('d/in', 'd/within');
    link.clock.tick();
    b.add('d/z', b.make('file', { text: 'z', size: 1 }));
    const { plan } = link.sync(atomic);
    expect(plan.moves).toEqual([]);
    expect(plan.conflicts).toMatchObject([{ path: 'd', what: 'directory', winner: 'b' }]);
    for (const side of sides) expect(filesOf(link, side)).toMatchObject({ 'd/in': 'in', 'd/out': 'out', 'd/z': 'z' });
    for (const side of sides) expect(filesOf(link, side)).not.toHaveProperty(['d/f']);
  });

  it('of a loser to a name that was deleted in the same run takes another one', () => {
    const link = agreed({ z: 'old', 'z.conflict-local-T': 'deleted' });
    const { a, b } = link.disks;
    for (const disk of [a, b]) disk.remove('z.conflict-local-T');
    a.write('z', 'from a', 6);
    link.clock.tick(1000n);
    b.write('z', 'from b', 6);
    link.clock.tick(1000n);
    link.sync({ ...options, onConflict: 'both' });
    for (const side of sides) expect(Object.values(filesOf(link, side)).sort()).toEqual(['from a', 'from b']);
    expect([...allSteps(link.plan(options).plan)]).toEqual([]);
  });

  it('leaves no trace on the time of a directory that is copied whole in the same run', () => {
    const link = agreed({ d: undefined, 'd/f': 'moved', 'd/x': 'goes', e: 'a file' });
    const { a, b } = link.disks;
    // On b, d becomes e, and e becomes d; a has a directory e, too, and changed d.
    b.rename('e', 'parked');
    b.rename('d', 'e');
    b.rename('parked', 'd');
    a.remove('e');
    a.add('e', a.make('dir'));
    a.remove('d/x');
    link.clock.tick(1000n);
    const time = a.lstat('d')?.mtimeNs;
    const { plan } = link.sync({ ...options, onConflict: 'local' });
    expect(plan.moves).toMatchObject([{ side: 'a', path: 'd/f', to: 'e/f' }]);
    for (const side of sides) expect(link.disks[side].lstat('d')?.mtimeNs).toBe(time);
  });
});
