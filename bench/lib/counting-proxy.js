import { connect, createServer } from 'node:net';

/** @import { Socket } from 'node:net' */

/**
 * Passes connections on to a port of this machine and counts what goes through: the encrypted stream, so handshake and
 * padding of ssh too, the same for everyone.
 *
 * @param {number} target
 */
export async function countingProxy(target) {
  let bytes = 0;
  /** Connections not yet over. @type {Map<Socket, Promise<void>>} */
  const open = new Map();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    const over = [near, far].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    open.set(
      near,
      Promise.all(over).then(() => {
        open.delete(near);
      }),
    );
    for (const [from, to] of /** @type {const} */ ([
      [near, far],
      [far, near],
    ])) {
      from.on('data', (chunk) => {
        bytes += chunk.length;
      });
      from.pipe(to);
      // ssh may go without a farewell (a reset); what it had sent by then counts all the same.
      from.on('error', () => to.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no free port on 127.0.0.1');
  return {
    port: address.port,
    /** @returns {Promise<number>} bytes in both directions since the last call, once every connection has closed */
    take: async () => {
      await Promise.all(open.values());
      const taken = bytes;
      bytes = 0;
      return taken;
    },
    close: () => {
      for (const socket of open.keys()) socket.destroy();
      server.close();
    },
  };
}
