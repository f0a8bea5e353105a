/** What the tests of the transport have in common. */
import type { Readable } from 'node:stream';
import { connectAgent, type AgentConnection, type ConnectOptions } from '../../src/transport/bootstrap.ts';
import { LockstepError } from '../../src/base/errors.ts';
import type { RemoteEndpoint } from '../../src/transport/endpoint.ts';
import { packProgram } from '../../src/transport/loader.ts';

/** Says `ready`, then gives back what it gets, and ends with its input. */
export const echo = packProgram(`
  'use strict';
  process.stdout.write('ready\\n');
  process.stdin.pipe(process.stdout);
`);

/** Nobody is there to be asked. */
export const unattended = { interactive: false, connectTimeoutMs: 30_000 } as const;

export async function connectEcho(endpoint: RemoteEndpoint, options: ConnectOptions = {}): Promise<AgentConnection> {
  const connection = await connectAgent(endpoint, echo, { ...unattended, ...options });
  if (connection.kind !== 'agent') throw new Error(`a ${connection.kind} connection`);
  return connection;
}

/** Sends bytes of every value through an echo, and checks that exactly they come back. */
export async function expectEcho(connection: AgentConnection): Promise<void> {
  const sent = Buffer.alloc(300_000, 'x');
  for (let i = 0; i < sent.length; i += 1) sent[i] = (i * 7 + (i >> 8)) & 255;
  connection.process.stdin.end(sent);
  const got = await readAll(connection.process.stdout);
  const wanted = Buffer.concat([Buffer.from('ready\n'), sent]);
  if (!got.equals(wanted)) {
    throw new Error(`sent ${wanted.length} bytes, got ${got.length}: ${got.subarray(0, 80).toString('latin1')}…`);
  }
  const exit = await connection.process.exited;
  if (exit.code !== 0) throw new Error(`ended with ${JSON.stringify(exit)}: ${connection.process.stderrTail()}`);
}

export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The error that something must end with, as it would be shown: message and hint. */
export async function failure(act: Promise<unknown>): Promise<{ code: string; message: string; hint: string }> {
  try {
    await act;
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return { code: error.code, message: error.message, hint: error.hint ?? '' };
  }
  throw new Error('it did not fail');
}
