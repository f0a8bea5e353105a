/**
 * A small seeded generator (mulberry32): the same choices on every machine and in every run, so that two runs of a
 * benchmark did the same work.
 *
 * @param {number} seed
 * @returns {() => number} uniform in [0, 1)
 */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Takes `count` different items, in no order. Shortens `items`, so that a second call cannot take the same.
 *
 * @template T
 * @param {T[]} items
 * @param {number} count
 * @param {() => number} next
 * @returns {T[]}
 */
export function take(items, count, next) {
  /** @type {T[]} */
  const taken = [];
  while (taken.length < count && items.length > 0) {
    const i = Math.floor(next() * items.length);
    const item = /** @type {T} */ (items[i]);
    items[i] = /** @type {T} */ (items.at(-1));
    items.pop();
    taken.push(item);
  }
  return taken;
}
