/** What the controller makes of an agent's words before, and beside, the answers to its calls. */
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { GuardError } from '../../base/errors.ts';
import { Connection } from '../../wire/connection.ts';
import { encode } from '../../wire/codec.ts';
import { fromWire, toWire } from './errors.ts';
import { agentGreeting, greetingType, protocolVersion } from './greeting.ts';
import { greetRemote } from './remote.ts';

const times = { heartbeatMs: 5000, silenceMs: 15_000 };

it('names the version of an agent that says more than we know of', async () => {
  const [there, here] = [new PassThrough(), new PassThrough()];
  const agent = new Connection(there, here, { ...times, compress: 'off', maxMessageBytes: 1 << 20 });
  const known = encode(agentGreeting, {
    protocol: protocolVersion + 1,
    version: '9.9.9',
    node: '30.0.0',
    platform: 'linux',
    clockMs: 0,
    zstd: false,
    roots: [],
    readOnly: false,
  });
  agent.send(greetingType, Buffer.concat([known, Buffer.from('something new')]));
  const greeted = greetRemote(
    { stdin: there, stdout: here },
    {
      root: '/x',
      name: 'web:/x',
      place: 'web',
      connection: { ...times, compress: 'off' },
      greetingMs: 20_000,
      isOurs: false,
      startedAt: Date.now(),
      signal: new AbortController().signal,
      onClosed: () => Promise.resolve(),
    },
  );
  await expect(greeted).rejects.toThrow('web:/x serves another version of Lockstep, 9.9.9');
  agent.destroy();
});

it.each([
  ['--force-unlock', '--force-unlock'],
  ['--ssh-option ProxyCommand=evil', undefined],
])('an agent that proposes %s', (option, taken) => {
  expect(fromWire(toWire(new GuardError('locked', 'in use', { option })))).toMatchObject({ option: taken });
});
