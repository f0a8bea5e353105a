/**
 * A file system in memory for tests, with what reconcile relies on: inode numbers that are reused at once, mtimes that
 * can be set, ctimes that cannot, and a clock that ticks.
 */
import type { Entry, Kind } from '../../tree/entry.ts';
import { flags } from '../../tree/entry.ts';
import { Listing } from '../../tree/listing.ts';
import { baseName, isWithin, joinPath, parentPath, type RelPath } from '../../tree/path.ts';
import { Tree } from '../../tree/tree.ts';
import type { SideState } from '../input.ts';

/** One tick is a millisecond: times differ across sides whenever anything happened in between. */
const tickNs = 1_000_000n;
/** A file that changed within so many ticks before a scan is racy. */
const grainTicks = 2n;

export class Clock {
  #ticks = 1_700_000_000_000n;

  tick(count = 1n): bigint {
    this.#ticks += count;
    return this.#ticks * tickNs;
  }

  get nowNs(): bigint {
    return this.#ticks * tickNs;
  }
}

export interface Node {
  kind: Exclude<Kind, 'ignored' | 'unreadable'>;
  ino: bigint;
  mode: number;
  mtimeNs: bigint;
  ctimeNs: bigint;
  /** Files: told apart by text; the size is given beside it, so that large files cost nothing. */
  text: string;
  size: number;
  target: string;
  children: Map<string, Node>;
  /** Directories that cannot be listed. */
  locked: boolean;
}

/** What the tests ignore. */
export function isIgnoredName(name: string): boolean {
  return name.startsWith('~');
}

export class Disk {
  readonly root: Node;
  /** Every version that was kept, as text. */
  readonly history = new Set<string>();
  readonly #clock: Clock;
  readonly #freeInodes: bigint[] = [];
  #nextInode: bigint;

  constructor(clock: Clock, firstInode: bigint) {
    this.#clock = clock;
    this.#nextInode = firstInode;
    this.root = this.make('dir');
  }

  make(kind: Node['kind'], given: Partial<Node> = {}): Node {
    const now = this.#clock.tick();
    const ino = this.#freeInodes.pop() ?? this.#nextInode++;
    const mode = kind === 'dir' ? 0o755 : kind === 'symlink' ? 0 : 0o644;
    const plain = { text: '', size: 0, target: '', children: new Map<string, Node>(), locked: false };
    return { kind, ino, mode, mtimeNs: now, ctimeNs: now, ...plain, ...given };
  }

  get(path: RelPath): Node | undefined {
    if (path === '') return this.root;
    let node: Node | undefined = this.root;
    for (const name of path.split('/')) node = node?.kind === 'dir' ? node.children.get(name) : undefined;
    return node;
  }

  /** The entry that `lstat` would give. */
  lstat(path: RelPath): Entry | undefined {
    const node = this.get(path);
    return node === undefined ? undefined : entryOf(node);
  }

  /** Every path, parents first. */
  *walk(dir: RelPath = '', node = this.root): Generator<[RelPath, Node]> {
    for (const [name, child] of [...node.children].sort(([x], [y]) => (x < y ? -1 : 1))) {
      const path = joinPath(dir, name);
      yield [path, child];
      yield* this.walk(path, child);
    }
  }

  add(path: RelPath, node: Node): void {
    const parent = this.get(parentPath(path));
    if (parent?.kind !== 'dir') throw new Error(`no directory to hold ${path}`);
    if (parent.children.has(baseName(path))) throw new Error(`something stands at ${path}`);
    parent.children.set(baseName(path), node);
    this.#changed(parent);
  }

  /** Takes a name away; the inode is free for the next file unless the node is used again. */
  take(path: RelPath): Node {
    const parent = this.get(parentPath(path));
    const node = parent?.children.get(baseName(path));
    if (parent === undefined || node === undefined) throw new Error(`nothing at ${path}`);
    parent.children.delete(baseName(path));
    this.#changed(parent);
    return node;
  }

  remove(path: RelPath): void {
    const free = (node: Node): void => {
      for (const child of node.children.values()) free(child);
      this.#freeInodes.push(node.ino);
    };
    free(this.take(path));
  }

  rename(from: RelPath, to: RelPath): void {
    if (isWithin(to, from)) throw new Error(`${from} into itself`);
    if (this.get(to) !== undefined) this.remove(to);
    const node = this.take(from);
    node.ctimeNs = this.#clock.tick();
    this.add(to, node);
  }

  write(path: RelPath, text: string, size: number): void {
    const node = this.#existing(path);
    [node.text, node.size] = [text, size];
    this.#changed(node);
  }

  chmod(path: RelPath, mode: number): void {
    const node = this.#existing(path);
    node.mode = mode;
    node.ctimeNs = this.#clock.tick();
  }

  utimes(path: RelPath, mtimeNs: bigint): void {
    const node = this.#existing(path);
    node.mtimeNs = mtimeNs;
    node.ctimeNs = this.#clock.tick();
  }

  /** What a replica's scan reports against what this side recorded. */
  scan(
    recorded: Tree,
    options: { scope?: readonly RelPath[]; reportAll?: boolean; foldsNames?: boolean } = {},
  ): SideState {
    const changed = new Tree();
    const [unreadable, ignoredIn] = [new Set<RelPath>(), new Set<RelPath>()];
    changed.root = entryOf(this.root);
    const scope = options.scope ?? [];
    const inScope = (path: RelPath): boolean =>
      scope.length === 0 || scope.some((limit) => isWithin(path, limit) || isWithin(limit, path));
    const racyFromNs = this.#clock.nowNs - grainTicks * tickNs;
    const visit = (dir: RelPath, node: Node): void => {
      if (node.locked) {
        unreadable.add(dir);
        return;
      }
      const entries = new Map<string, Entry>();
      const ignored = new Map<string, Entry>();
      for (const [name, child] of node.children) {
        const path = joinPath(dir, name);
        if (!inScope(path)) continue;
        if (isIgnoredName(name)) {
          ignored.set(name, { ...bare, mode: child.mode });
          continue;
        }
        const entry = entryOf(child);
        const isRacy = child.kind === 'file' && (child.mtimeNs >= racyFromNs || child.ctimeNs >= racyFromNs);
        entries.set(name, isRacy ? { ...entry, flags: flags.racy } : entry);
        if (child.kind === 'dir') visit(path, child);
      }
      if (ignored.size > 0) ignoredIn.add(dir);
      const before = recorded.listing(dir);
      for (const [name, entry] of before?.entries() ?? []) {
        if (!inScope(joinPath(dir, name))) entries.set(name, entry);
      }
      const listing = Listing.from(entries);
      if (before !== undefined && options.reportAll !== true && Buffer.compare(before.bytes, listing.bytes) === 0)
        return;
      changed.setListing(dir, ignored.size === 0 ? listing : listing.with(ignored));
    };
    visit('', this.root);
    const foldsNames = options.foldsNames ?? false;
    return { changed, unreadable, ignoredIn, foldsNames, digests: new Map(), fresh: false };
  }

  #existing(path: RelPath): Node {
    const node = this.get(path);
    if (node === undefined) throw new Error(`nothing at ${path}`);
    return node;
  }

  #changed(node: Node): void {
    node.mtimeNs = node.ctimeNs = this.#clock.tick();
  }
}

const bare: Entry = { kind: 'ignored', mode: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, flags: 0 };

function entryOf(node: Node): Entry {
  const { kind, mode, size, mtimeNs, ctimeNs, ino, target } = node;
  const entry: Entry = { kind, mode, size: kind === 'file' ? size : 0, mtimeNs, ctimeNs, ino, flags: 0 };
  return kind === 'symlink' ? { ...entry, target } : entry;
}
