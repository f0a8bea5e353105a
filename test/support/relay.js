/** Stands where a shell would, and leads to a far side that a test plays: `node relay.js SOCKET`. */
import net from 'node:net';

const socket = net.connect(process.argv[2]);
process.stdin.pipe(socket);
socket.pipe(process.stdout);
for (const stream of [socket, process.stdin, process.stdout]) stream.on('error', () => process.exit());
socket.on('close', () => process.exit());
