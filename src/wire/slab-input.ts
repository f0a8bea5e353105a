/**
 * Reading a pipe into large buffers, one read behind the other: what is spread over several reads is whole in memory, and
 * need not be put together (frames.ts). Node's own streams make a new buffer of 64 KiB for every read.
 *
 * A buffer ("slab") is used again when nothing of it is needed any more. Left to the garbage collector, gigabytes of them
 * took a sixth of the time of a first copy.
 *
 * Invariant: a slab is written to again only when every message that was delivered from it has been released, and it is
 * neither the slab that is being read into nor the one before, in which an incomplete frame may begin. Whoever keeps a
 * message just does not release it: then the slab is left to the garbage collector, as if there were no such thing.
 */
import net from 'node:net';
import type { Readable } from 'node:stream';

const slabBytes = 4 << 20;
/** With less room than this left, a new slab is begun: many short reads cost more than the rest of a slab. */
const leastRoom = 64 << 10;
/** So many slabs are kept for another time: more than a window of content (replica/content-stream.ts) and what is on its way. */
const mostKept = 6;

class Slab {
  readonly bytes = Buffer.allocUnsafeSlow(slabBytes);
  /** Messages that were delivered from it and not released. */
  held = 0;
}

const slabs = new WeakMap<ArrayBufferLike, Slab>();

/** A message is about to be delivered: its bytes must stay. */
export function holdPayload({ buffer }: Uint8Array): void {
  const slab = slabs.get(buffer);
  if (slab !== undefined) slab.held += 1;
}

/**
 * Nobody will look at a message's bytes any more: not at those given, nor at the rest of it. At most once for a message; whoever
 * is not sure does not.
 */
export function releasePayload({ buffer }: Uint8Array): void {
  const slab = slabs.get(buffer);
  if (slab !== undefined) slab.held -= 1;
}

/** Slabs, taken one after the other. */
export class SlabRing {
  /** In the order in which they were begun. */
  #slabs: Slab[] = [];
  #at = 0;

  /** Where the next bytes are to be put. */
  room(): Buffer {
    const current = this.#slabs.at(-1);
    if (current !== undefined && slabBytes - this.#at >= leastRoom) return current.bytes.subarray(this.#at);
    const kept = this.#slabs.slice(-mostKept);
    const free = kept.findIndex(({ held }, index) => held === 0 && index < kept.length - 2);
    const next = (free < 0 ? undefined : kept.splice(free, 1)[0]) ?? new Slab();
    slabs.set(next.bytes.buffer, next);
    this.#slabs = [...kept, next];
    this.#at = 0;
    return next.bytes;
  }

  /** So many bytes were put there. @returns them */
  filled(count: number): Uint8Array {
    const bytes = this.room();
    this.#at += count;
    return new Uint8Array(bytes.buffer, bytes.byteOffset, count);
  }
}

/** @param fd a pipe or a socket */
export function slabInput(fd: number): Readable {
  const ring = new SlabRing();
  const options: net.SocketConstructorOpts & { onread: net.OnReadOpts } = {
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: () => ring.room(),
      callback: (count) => {
        socket.emit('data', ring.filled(count));
        return true;
      },
    },
  };
  const socket = new net.Socket(options);
  return socket;
}
