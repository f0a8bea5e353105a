/**
 * Parts of a stream that wait to be used. Each is a view of a large buffer that was read into (wire/slab-input.ts) and keeps
 * all of it. Whoever sends a few bytes at a time, and other things between, would have us hold a thousand times what it had
 * credit for: what is small is copied together.
 */
import { AsyncQueue } from '../../base/async-queue.ts';
import { releasePayload } from '../../wire/slab-input.ts';
import { contentChunkBytes } from '../content-stream.ts';

/** Parts that are put together, as long as there is room and nobody has taken them. */
interface Gathered {
  bytes: Uint8Array;
  used: number;
}

/** Holds at most about twice the bytes that were pushed. One taker; he may not get the parts as they were cut. */
export class PartQueue implements AsyncIterable<Uint8Array> {
  readonly #waiting = new AsyncQueue<Uint8Array | Gathered>();
  /** The last that waits, if it can take more. */
  #open: Gathered | undefined;

  push(part: Uint8Array): void {
    // As an honest end cuts a stream that is longer: nothing to be gained.
    if (part.length >= contentChunkBytes) {
      this.#open = undefined;
      this.#waiting.push(part);
    } else if (this.#open !== undefined && this.#open.used + part.length <= contentChunkBytes) {
      append(this.#open, part);
    } else {
      this.#open = { bytes: owned(part), used: part.length };
      this.#waiting.push(this.#open);
    }
  }

  end(error?: Error): void {
    this.#waiting.end(error);
  }

  drop(): void {
    this.#open = undefined;
    this.#waiting.drop();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const next of this.#waiting) {
      if (next === this.#open) this.#open = undefined;
      yield next instanceof Uint8Array ? next : next.bytes.subarray(0, next.used);
    }
  }
}

function append(to: Gathered, part: Uint8Array): void {
  const used = to.used + part.length;
  if (used > to.bytes.length) {
    const larger = new Uint8Array(Math.min(contentChunkBytes, Math.max(used, to.bytes.length * 2)));
    larger.set(to.bytes.subarray(0, to.used));
    to.bytes = larger;
  }
  to.bytes.set(part, to.used);
  to.used = used;
  releasePayload(part);
}

/** The part in a buffer that holds little else. The part itself must not be looked at any more. */
export function owned(part: Uint8Array): Uint8Array {
  if (part.length * 2 >= part.buffer.byteLength) return part;
  const copy = new Uint8Array(part);
  releasePayload(part);
  return copy;
}
