import { existsSync, mkdirSync, renameSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Lends roots to contenders that must not see each other's traces. All of them work on the same files, which is what
 * makes them comparable, but a `.lockstep/` one of them left in a root would be copied by the next (and give it someone
 * else's identity). So it is put aside when the turn passes on, and put back when its owner returns.
 */
export class SharedRoots {
  /** @type {string | undefined} */
  #owner;
  #roots;
  #store;

  /**
   * @param {string[]} roots
   * @param {string} store a directory on the same file system
   */
  constructor(roots, store) {
    this.#roots = roots;
    this.#store = store;
  }

  /** @param {string} owner */
  lendTo(owner) {
    if (owner === this.#owner) return;
    this.#roots.forEach((root, i) => {
      const inside = join(root, '.lockstep');
      if (this.#owner !== undefined) move(root, inside, this.#aside(this.#owner, i));
      move(root, this.#aside(owner, i), inside);
    });
    this.#owner = owner;
  }

  /**
   * @param {string} owner
   * @param {number} index
   */
  #aside(owner, index) {
    const dir = join(this.#store, owner.replaceAll(/\W+/g, '-'));
    mkdirSync(dir, { recursive: true });
    return join(dir, String(index));
  }
}

/**
 * @param {string} root whose times are to look as if nothing had moved
 * @param {string} from
 * @param {string} to
 */
function move(root, from, to) {
  if (!existsSync(from)) return;
  const { atime, mtime } = statSync(root);
  renameSync(from, to);
  utimesSync(root, atime, mtime);
}
