/** Serving a replica on the two ends of a pipe: the program that runs on the other machine, and `lockstep serve`. */
import type { Readable, Writable } from 'node:stream';
import { LockstepError } from '../../base/errors.ts';
import { escapeControls } from '../../base/text.ts';
import { version } from '../../base/version.ts';
import { decode, encode } from '../../wire/codec.ts';
import { Connection } from '../../wire/connection.ts';
import { zstdAvailable } from '../../wire/packing.ts';
import { LocalReplica, type LocalReplicaOptions } from '../local/local-replica.ts';
import type { Replica } from '../replica.ts';
import { agentGreeting, agentPulse, controllerGreeting, greetingType, protocolVersion } from './greeting.ts';
import { PipeChannel } from './pipe-channel.ts';
import { aheadType, maxMessageBytes } from './protocol.ts';
import { RestrictedReplica, type Restriction } from './restricted.ts';
import { serve } from './serve.ts';

export interface ServeOptions extends Pick<LocalReplicaOptions, 'startHelper'> {
  restriction?: Restriction;
}

/** Serves until the controller says goodbye or is lost; then everything is put away. */
export async function servePipe(
  input: Readable,
  output: Writable,
  { restriction, startHelper }: ServeOptions = {},
): Promise<void> {
  const connection = new Connection(input, output, { ...agentPulse, compress: 'off', maxMessageBytes });
  const greeting = encode(agentGreeting, {
    protocol: protocolVersion,
    version,
    node: process.versions.node,
    platform: process.platform,
    clockMs: Date.now(),
    zstd: zstdAvailable,
    roots: [...(restriction?.roots ?? [])],
    readOnly: restriction?.readOnly ?? false,
  });
  connection.send(greetingType, greeting);
  const local = new LocalReplica({ piped: true, startHelper });
  const replica: Replica = restriction === undefined ? local : new RestrictedReplica(local, restriction);
  const channel = new PipeChannel(connection);
  const lost = new AbortController();
  await new Promise<void>((resolve) => {
    let serving = false;
    connection.onClose((error) => {
      lost.abort();
      // The other side learns nothing but that the pipe ended: why is for its user to see, on stderr.
      if (error?.code === 'protocol') process.stderr.write(`lockstep: ${escapeControls(error.message)}\n`);
      if (!serving) resolve();
    });
    connection.onMessage((type, payload) => {
      try {
        if (type === aheadType) {
          const { root, request } = channel.hearAhead(payload);
          replica.lookAhead?.(root, request, lost.signal);
          return;
        }
        if (type !== greetingType) throw new LockstepError('protocol', 'a call before the greeting');
        const greeted = decode(controllerGreeting, payload);
        // It may not have heard yet what we can do.
        connection.configure({ ...greeted, zstd: greeted.zstd && zstdAvailable });
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        connection.destroy(error);
        return;
      }
      serving = true;
      void serve(replica, channel).then(resolve);
    });
  });
}
