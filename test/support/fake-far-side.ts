/** A far side played by the test: an honest agent that lies where it is told to. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { agentGreeting, greetingType, protocolVersion, type AgentGreeting } from '../../src/replica/agent/greeting.ts';
import type { Channel, Message } from '../../src/replica/agent/channel.ts';
import { PipeChannel } from '../../src/replica/agent/pipe-channel.ts';
import { maxMessageBytes } from '../../src/replica/agent/protocol.ts';
import { serve } from '../../src/replica/agent/serve.ts';
import { LocalReplica } from '../../src/replica/local/local-replica.ts';
import { serveGreeting } from '../../src/transport/serve-greeting.ts';
import { encode } from '../../src/wire/codec.ts';
import { Connection } from '../../src/wire/connection.ts';
import { lockstep, type Ran } from './cli.ts';
import type { Pair } from './pair.ts';

/** What is dishonest about it; an empty one is honest. */
export interface Lies {
  /** Instead of everything. */
  instead?: (socket: net.Socket) => void;
  greeting?: Partial<AgentGreeting>;
  /** What it serves. */
  replica?: () => LocalReplica;
  /** Instead of sending a message. */
  send?: (message: Message, honest: (message: Message) => void, raw: net.Socket) => void;
}

export interface Faced extends Ran {
  /** The most memory that the command line's process took, bytes. */
  peakBytes: number;
}

/**
 * A far side that is played as long as `act` takes.
 *
 * @param act given what leads there, for the end of a command line
 */
export async function withFarSide<T>(pair: Pair, lies: Lies, act: (far: readonly string[]) => Promise<T>): Promise<T> {
  const address = path.join(pair.dir, 'socket');
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    void pastFirstLine(socket).then(() => play(socket, lies));
  });
  await new Promise<void>((resolve) => server.listen(address, resolve));
  try {
    return await act(['--', process.execPath, path.join(import.meta.dirname, 'relay.js'), address]);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** The most memory that a process has taken until now, bytes; 0 when it has ended. */
export function peakMemory({ pid }: ChildProcess): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Runs `COMMAND A B` with B behind such a far side. */
export async function faceLies(
  pair: Pair,
  lies: Lies,
  args: readonly string[] = [],
  command: 'sync' | 'push' = 'sync',
): Promise<Faced> {
  let peakBytes = 0;
  let watch: NodeJS.Timeout | undefined;
  const onStart = (child: ChildProcess): void => {
    watch = setInterval(() => {
      peakBytes = Math.max(peakBytes, peakMemory(child));
    }, 10);
  };
  try {
    const roots = [command, pair.a, pair.b, '--json', '--state-dir', pair.state];
    const ran = await withFarSide(pair, lies, async (far) => lockstep([...roots, ...args, ...far], { onStart }));
    return { ...ran, peakBytes };
  } finally {
    clearInterval(watch);
  }
}

/** What a shell would have been told: it has no place in the conversation. */
async function pastFirstLine(socket: net.Socket): Promise<void> {
  for (let heard = Buffer.alloc(0); ;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      await new Promise((resolve) => socket.once('readable', resolve));
      continue;
    }
    heard = Buffer.concat([heard, chunk]);
    const end = heard.indexOf('\n');
    if (end < 0) continue;
    if (end + 1 < heard.length) socket.unshift(heard.subarray(end + 1));
    return;
  }
}

function play(socket: net.Socket, lies: Lies): void {
  if (lies.instead !== undefined) {
    lies.instead(socket);
    return;
  }
  socket.write(serveGreeting);
  const connection = new Connection(socket, socket, {
    compress: 'off',
    heartbeatMs: 1000,
    silenceMs: 30_000,
    maxMessageBytes,
  });
  const greeting: AgentGreeting = {
    protocol: protocolVersion,
    version: 'fake',
    node: process.versions.node,
    platform: process.platform,
    clockMs: Date.now(),
    zstd: false,
    roots: [],
    readOnly: false,
    ...lies.greeting,
  };
  connection.send(greetingType, encode(agentGreeting, greeting));
  let greeted = false;
  connection.onMessage(() => {
    if (greeted) return;
    greeted = true;
    const honest = new PipeChannel(connection);
    const channel: Channel = {
      send: (message) => {
        if (lies.send === undefined) honest.send(message);
        else lies.send(message, (other) => honest.send(other), socket);
      },
      room: () => honest.room(),
      onMessage: (listener) => honest.onMessage(listener),
      onClose: (listener) => honest.onClose(listener),
      close: async () => honest.close(),
    };
    void serve(lies.replica?.() ?? new LocalReplica({ piped: true }), channel);
  });
}
