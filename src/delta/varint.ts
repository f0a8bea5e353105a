/**
 * Whole numbers in as few bytes as they need: seven bits a byte, lowest first, the top bit set in all but the last.
 * Numbers are safe integers, so eight bytes at most.
 */

/** Bytes of the longest varint: eight times seven bits hold every safe integer. */
export const maxVarintLength = 8;

/** Writes `value`, a safe integer and not negative, to `bytes` at `at`. @returns where it ends */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest >= 0x80) {
    bytes[end] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
    end += 1;
  }
  bytes[end] = rest;
  return end + 1;
}

/** Reads varints byte by byte, so that they may be cut anywhere. */
export class VarintReader {
  #value = 0;
  #weight = 1;

  /** Whether the first bytes of a number were read, but not its last. */
  get isPartial(): boolean {
    return this.#weight > 1;
  }

  /**
   * Takes the next byte.
   *
   * @returns the number that it completes, or undefined when there is more to come
   * @throws RangeError when the number is not a safe integer, or has more bytes than it needs
   */
  push(byte: number): number | undefined {
    this.#value += (byte & 0x7f) * this.#weight;
    if (this.#value > Number.MAX_SAFE_INTEGER) throw new RangeError('a number is too large');
    if (byte >= 0x80) {
      this.#weight *= 0x80;
      if (this.#weight >= 2 ** 56) throw new RangeError('a number is too long');
      return undefined;
    }
    if (byte === 0 && this.isPartial) throw new RangeError('a number is longer than it needs to be');
    const value = this.#value;
    this.#value = 0;
    this.#weight = 1;
    return value;
  }
}

/**
 * Reads the number that begins at an offset of what a peer sent.
 *
 * @param refuse makes the error of what is wrong with it
 * @returns the number, and the offset behind it
 * @throws what `refuse` makes when it ends too early, and where `VarintReader.push` throws
 */
export function varintAt(
  bytes: Uint8Array,
  offset: number,
  refuse: (what: string) => Error,
): { value: number; end: number } {
  const reader = new VarintReader();
  for (let at = offset; at < bytes.length; at += 1) {
    let value: number | undefined;
    try {
      value = reader.push(bytes[at] as number);
    } catch (error) {
      throw refuse(error instanceof Error ? error.message : String(error));
    }
    if (value !== undefined) return { value, end: at + 1 };
  }
  throw refuse('it ends too early');
}
