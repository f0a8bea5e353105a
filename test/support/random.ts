/** Random numbers that are the same in every run. */

export interface Random {
  /** From 0 up to, not including, `below`. */
  int(below: number): number;
  bytes(length: number): Buffer;
}

/** mulberry32 */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    int: (below) => Math.floor((next() / 2 ** 32) * below),
    bytes: (length) => {
      const bytes = Buffer.alloc(length);
      for (let at = 0; at < length; at += 1) bytes[at] = next() >>> 24;
      return bytes;
    },
  };
}
