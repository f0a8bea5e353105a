/**
 * Keeping many small byte strings: those that have a buffer each are copied into larger ones, many to one. A buffer costs its
 * holder, the collector and the allocator some 300 bytes, whatever it holds.
 */

/** Small enough that little is kept alive for the last string of a slab that anybody wants. */
const slabBytes = 64 << 10;

export class Slab {
  #slab = new Uint8Array();
  #used = 0;

  /** @returns the same bytes, in a buffer that they share with others */
  keep(bytes: Uint8Array): Uint8Array {
    if (bytes.buffer.byteLength > bytes.length || bytes.length > slabBytes / 8) return bytes;
    if (this.#used + bytes.length > this.#slab.length) {
      this.#slab = new Uint8Array(slabBytes);
      this.#used = 0;
    }
    const kept = this.#slab.subarray(this.#used, this.#used + bytes.length);
    kept.set(bytes);
    this.#used += bytes.length;
    return kept;
  }
}
