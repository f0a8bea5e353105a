/**
 * Reading a pipe into large buffers, one read behind the other: what is spread over several reads is whole in memory, and
 * need not be put together (frames.ts). Node's own streams make a new buffer of 64 KiB for every read.
 */
import net from 'node:net';
import type { Readable } from 'node:stream';

const slabBytes = 4 << 20;
/** With less room than this left, a new slab is begun: many short reads cost more than the rest of a slab. */
const leastRoom = 64 << 10;

/** @param fd a pipe or a socket */
export function slabInput(fd: number): Readable {
  let slab = Buffer.allocUnsafeSlow(slabBytes);
  let at = 0;
  const options: net.SocketConstructorOpts & { onread: net.OnReadOpts } = {
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: () => {
        if (slab.length - at < leastRoom) {
          slab = Buffer.allocUnsafeSlow(slabBytes);
          at = 0;
        }
        return slab.subarray(at);
      },
      callback: (count, buffer) => {
        at = buffer.byteOffset + count;
        socket.emit('data', new Uint8Array(buffer.buffer, buffer.byteOffset, count));
        return true;
      },
    },
  };
  const socket = new net.Socket(options);
  return socket;
}
