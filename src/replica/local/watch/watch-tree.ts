/** One `fs.watch` per directory, by path, so that those of a subtree can be let go of together. */
import { append } from '../../../base/append.ts';
import type { FSWatcher } from 'node:fs';
import type { RelPath } from '../../../tree/path.ts';

/** A directory that is watched, or stands in a list of those that are looked at instead. */
export interface Watched {
  /** Undefined: it is polled, or watched with the root. */
  watcher: FSWatcher | undefined;
  /** Its inode, 0n where that is not certain, and since when it is watched, ms since 1970. */
  ino: bigint;
  since: number;
  /** The sweep that found it. */
  generation: number;
}

interface Node {
  own: Watched | undefined;
  below: Map<string, Node> | undefined;
}

export class WatchTree {
  readonly #root: Node = { own: undefined, below: undefined };

  get(dir: RelPath): Watched | undefined {
    return this.#find(dir)?.own;
  }

  set(dir: RelPath, watched: Watched): void {
    let node = this.#root;
    for (const name of dir === '' ? [] : dir.split('/')) {
      node.below ??= new Map();
      let next = node.below.get(name);
      if (next === undefined) node.below.set(name, (next = { own: undefined, below: undefined }));
      node = next;
    }
    node.own = watched;
  }

  /** Takes out a directory and all below it. @returns what was watched there */
  drop(dir: RelPath): Watched[] {
    const node = this.#find(dir);
    if (node === undefined) return [];
    const dropped = ownOf(node);
    node.own = undefined;
    node.below = undefined;
    const slash = dir.lastIndexOf('/');
    if (dir !== '') this.#find(slash < 0 ? '' : dir.slice(0, slash))?.below?.delete(dir.slice(slash + 1));
    return dropped;
  }

  /** Takes out what a sweep did not find. @returns it */
  dropOlder(generation: number): Watched[] {
    const dropped: Watched[] = [];
    const stack = [this.#root];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      for (const [name, child] of node.below ?? []) {
        // A directory is found before what is in it: below one that was not found there is nothing.
        if (child.own !== undefined && child.own.generation !== generation) {
          append(dropped, ownOf(child));
          node.below?.delete(name);
        } else stack.push(child);
      }
    }
    return dropped;
  }

  #find(dir: RelPath): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of dir === '' ? [] : dir.split('/')) node = node?.below?.get(name);
    return node;
  }
}

/** What is watched at a node and below it. */
function ownOf(top: Node): Watched[] {
  const found: Watched[] = [];
  const stack = [top];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.own !== undefined) found.push(node.own);
    if (node.below !== undefined) append(stack, node.below.values());
  }
  return found;
}
