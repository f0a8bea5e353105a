/**
 * Content arriving from another replica (content-stream.ts), between the event loop that brings it and the synchronous
 * work that takes it. The work says what it needs; while that is not there, it waits (slices.ts).
 */
import { LockstepError } from '../../base/errors.ts';
import { releasePayload } from '../../wire/slab-input.ts';
import type { Wait, Work } from './slices.ts';

export class ContentFeed {
  readonly #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that are taken. */
  #taken = 0;
  /** The last chunk that is used up: what was taken of it last may still be looked at. */
  #spent: Uint8Array | undefined;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onTaken: (bytes: number) => void;

  /** @param onTaken told of every chunk that has been used up: the sender may send as much again */
  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#notify();
  }

  /** Nothing more comes: all of it was pushed, or, with an error, it broke off. */
  end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#notify();
  }

  /** Takes between one and `max` bytes: a view that is good until the next call. */
  *some(max: number): Work<Uint8Array> {
    if (this.#spent !== undefined) releasePayload(this.#spent);
    this.#spent = undefined;
    for (;;) {
      const [chunk] = this.#chunks;
      if (chunk !== undefined) return this.#take(chunk, max);
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) throw new LockstepError('protocol', 'the other side sent less content than it was asked for');
      yield this.#wait();
    }
  }

  /** Takes exactly `count` bytes; for small numbers. */
  *exactly(count: number): Work<Uint8Array> {
    const first = yield* this.some(count);
    if (first.length === count) return first;
    const bytes = new Uint8Array(count);
    bytes.set(first);
    for (let at = first.length; at < count;) {
      const piece = yield* this.some(count - at);
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  *skip(count: number): Work<void> {
    for (let left = count; left > 0;) left -= (yield* this.some(left)).length;
  }

  #take(chunk: Uint8Array, max: number): Uint8Array {
    const piece = chunk.subarray(this.#taken, this.#taken + max);
    this.#taken += piece.length;
    if (this.#taken === chunk.length) {
      this.#chunks.shift();
      this.#spent = chunk;
      this.#taken = 0;
      this.#onTaken(chunk.length);
    }
    return piece;
  }

  #wait(): Wait {
    return {
      until: new Promise((resolve) => {
        this.#wake = resolve;
      }),
    };
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
