import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { PipedProcess } from '../../transport/process.ts';
import { BadRecordError } from './records.ts';
import { Session } from './session.ts';

const markers = { answer: 'MARK', record: 'REC' };

/** A session whose far side says what the test has it say. */
function session(): { session: Session; says: (text: string) => void } {
  const stdout = new PassThrough();
  const exit = { code: 0, signal: undefined };
  const process: PipedProcess = {
    stdin: new PassThrough().resume(),
    stdout,
    bytesIn: 0,
    bytesOut: 0,
    exited: Promise.resolve(exit),
    stderrTail: () => '',
    takeStderr: () => undefined,
    close: async () => Promise.resolve(exit),
    kill: async () => Promise.resolve(exit),
  };
  return { session: new Session(process, 'B', markers), says: (text) => void stdout.write(text) };
}

describe('an answer', () => {
  it('ends with its number and status', async () => {
    const { session: one, says } = session();
    const answers = [one.run({ code: 'a' }), one.run({ code: 'b' })];
    says('out\nMARK 1 0\nmore\nMARK 2 3\n');
    expect((await Promise.all(answers)).map(({ status, output }) => [status, output.toString()])).toEqual([
      [0, 'out'],
      [3, 'more'],
    ]);
  });

  it('of a command of which something was killed is the last one: what lives on may write into the next', async () => {
    const { session: one, says } = session();
    const answers = [one.run({ code: 'a' }), one.run({ code: 'b' })];
    says('half\nMARK 1 137\nthe other half\nMARK 2 0\n');
    for (const answer of answers) await expect(answer).rejects.toMatchObject({ code: 'connection' });
    await expect(one.run({ code: 'c' })).rejects.toMatchObject({ code: 'connection' });
  });

  it('that cannot be read is a protocol error for all that wait', async () => {
    const { session: one, says } = session();
    const sink = (): never => {
      throw new BadRecordError('a record that is none');
    };
    const answers = [one.run({ code: 'a', sink }), one.run({ code: 'b' })];
    says('nonsense\nMARK 1 0\n');
    for (const answer of answers) await expect(answer).rejects.toMatchObject({ code: 'protocol' });
  });
});
