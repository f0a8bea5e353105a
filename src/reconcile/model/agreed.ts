/** What the sides agreed on, as link/baseline.ts keeps it, and checked against the disks at every record (G10). */
import { isRacy, type Entry } from '../../tree/entry.ts';
import type { Listing } from '../../tree/listing.ts';
import { baseName, isWithin, joinPath, parentPath, rebasePath, type RelPath } from '../../tree/path.ts';
import { Tree } from '../../tree/tree.ts';
import type { AgreedState } from '../input.ts';
import type { Side } from '../options.ts';
import { isIgnoredName, type Disk } from './disk.ts';

type Disks = Record<Side, Disk>;

export class Agreed implements AgreedState {
  a = new Tree();
  b = new Tree();
  readonly digests = new Map<RelPath, Uint8Array>();
  /** For the checks only: the content that was agreed at each path. */
  readonly texts = new Map<RelPath, string>();

  constructor(private readonly disks: Disks) {}

  record(path: RelPath, a: Entry | undefined, b: Entry | undefined, digest?: Uint8Array): void {
    this.#checkTrue(path, a, b);
    this.#set(path, a, b, digest);
  }

  #set(path: RelPath, a: Entry | undefined, b: Entry | undefined, digest?: Uint8Array): void {
    if (path === '') {
      this.a.root = a ?? this.a.root;
      this.b.root = b ?? this.b.root;
      return;
    }
    this.a.patch(parentPath(path), new Map([[baseName(path), a]]));
    this.b.patch(parentPath(path), new Map([[baseName(path), b]]));
    const worth = digest !== undefined && ((a !== undefined && isRacy(a)) || (b !== undefined && isRacy(b)));
    if (worth) this.digests.set(path, digest);
    else this.digests.delete(path);
  }

  recordListing(dir: RelPath, a: Listing, b: Listing): void {
    // Made anew: what was recorded below the name belonged to something else.
    this.a.dropSubtree(dir);
    this.b.dropSubtree(dir);
    for (const at of [...this.digests.keys()]) if (isWithin(at, dir)) this.digests.delete(at);
    this.a.setListing(dir, a);
    this.b.setListing(dir, b);
    for (const name of a.names) this.#checkTrue(joinPath(dir, name), a.get(name), b.get(name));
  }

  recordMoves(moves: readonly { from: RelPath; to: RelPath }[]): void {
    for (const tree of [this.a, this.b]) moveInTree(tree, moves);
    const moved = moves.flatMap(({ from, to }) => [
      ...[...this.digests].filter(([at]) => isWithin(at, from)).map(([at, digest]) => ({ at, from, to, digest })),
    ]);
    for (const { at } of moved) this.digests.delete(at);
    for (const { at, from, to, digest } of moved) this.digests.set(rebasePath(at, from, to), digest);
    const texts = [...this.texts];
    for (const { from } of moves) for (const [at] of texts) if (isWithin(at, from)) this.texts.delete(at);
    for (const { from, to } of moves) {
      for (const [at, text] of texts) if (isWithin(at, from)) this.texts.set(rebasePath(at, from, to), text);
    }
  }

  updateSide(path: RelPath, side: Side, entry: Entry, setsMode = false): void {
    const known = { a: this.a.get(path), b: this.b.get(path) };
    const recorded = known[side];
    if (recorded?.kind !== entry.kind) return;
    // Permission bits may be in dispute: the sides have not agreed on what is seen now.
    known[side] = setsMode ? entry : { ...entry, mode: recorded.mode };
    // Only this side is looked at: what is on record for the other may be what the sides are still at odds about.
    if (this.disks[side].get(path)?.kind !== entry.kind) throw new Error(`untrue record of ${side}:"${path}"`);
    this.#set(path, known.a, known.b);
  }

  /** A record must be true on both sides at the moment it is made. */
  #checkTrue(path: RelPath, a: Entry | undefined, b: Entry | undefined): void {
    if (path.split('/').some(isIgnoredName)) return;
    const [onA, onB] = [this.disks.a.get(path), this.disks.b.get(path)];
    const untrue = (why: string): Error => new Error(`untrue record of "${path}": ${why}`);
    if (a?.kind !== onA?.kind || b?.kind !== onB?.kind) {
      // Forgotten because it left the scope of the rules.
      throw untrue(`${a?.kind}/${b?.kind} recorded, ${onA?.kind}/${onB?.kind} there`);
    }
    if (onA === undefined || onB === undefined) {
      this.texts.delete(path);
      return;
    }
    if (onA.kind !== onB.kind) throw untrue(`${onA.kind} and ${onB.kind}`);
    if (onA.kind === 'file' && onA.text !== onB.text) throw untrue(`${onA.text} and ${onB.text}`);
    if (onA.target !== onB.target) throw untrue(`${onA.target} and ${onB.target}`);
    if (onA.kind === 'file') this.texts.set(path, onA.text);
    else this.texts.delete(path);
  }
}

/** Renames that happen all at once: every old name is taken out before any new one is put in. */
function moveInTree(tree: Tree, moves: readonly { from: RelPath; to: RelPath }[]): void {
  const carried = moves.map(({ from, to }) => {
    const lifted = [...tree.subtree(from)].map((dir) => [rebasePath(dir, from, to), tree.listing(dir)] as const);
    return { to, entry: tree.get(from), lifted };
  });
  for (const { from } of moves) tree.patch(parentPath(from), new Map([[baseName(from), undefined]]));
  for (const { to, entry, lifted } of carried) {
    if (entry === undefined) continue;
    tree.patch(parentPath(to), new Map([[baseName(to), entry]]));
    for (const [dir, listing] of lifted) if (listing !== undefined) tree.setListing(dir, listing);
  }
}
