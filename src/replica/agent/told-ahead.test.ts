/** What was told before the greeting is not said again, and goes for one scan only. */
import { expect, it } from 'vitest';
import { noRules } from '../../tree/ignore/rules.ts';
import type { ScanRequest } from '../replica.ts';
import type { Message } from './channel.ts';
import { MessageCodec } from './protocol.ts';

const previous = { as: 'digests', salt: new Uint8Array(16).fill(1), digests: new Uint8Array(8000).fill(2) } as const;
const request: ScanRequest = { rules: noRules, ignoreFiles: [], scope: ['a'], reportAll: false, previous };
const scan = (id: number, asked = request): Message => ({ type: 'call', id, method: 'scan', args: [asked] });

function pass(near: MessageCodec, far: MessageCodec, message: Message): { bytes: number; heard: Message } {
  const { type, payload } = near.encode(message);
  return { bytes: payload.length, heard: far.decode(type, payload) };
}

it('a scan by the record that was told says so in few bytes, and the next one says all', () => {
  const [near, far] = [new MessageCodec(), new MessageCodec()];
  expect(far.decodeAhead(near.encodeAhead({ root: '/r', request }))).toEqual({ root: '/r', request });
  const first = pass(near, far, scan(1));
  expect(first.heard).toEqual(scan(1));
  expect(first.bytes).toBeLessThan(100);
  const second = pass(near, far, scan(2));
  expect(second.heard).toEqual(scan(2));
  expect(second.bytes).toBeGreaterThan(8000);
});

it('a scan by another record says all of it', () => {
  const [near, far] = [new MessageCodec(), new MessageCodec()];
  far.decodeAhead(near.encodeAhead({ root: '/r', request }));
  const other = { ...request, previous: { ...previous, salt: new Uint8Array(16) } };
  expect(pass(near, far, scan(1, other)).heard).toEqual(scan(1, other));
});

it('a scan by a record that nobody told, or that an earlier scan went by, is refused', () => {
  const [near, far] = [new MessageCodec(), new MessageCodec()];
  near.encodeAhead({ root: '/r', request });
  const { type, payload } = near.encode(scan(1));
  expect(() => far.decode(type, payload)).toThrow('never told');
  const again = new MessageCodec();
  again.decodeAhead(new MessageCodec().encodeAhead({ root: '/r', request }));
  again.decode(type, payload);
  payload[0] = 2;
  expect(() => again.decode(type, payload)).toThrow('never told');
});

it.each([
  ['is cut short', (whole: Uint8Array) => whole.subarray(0, 50)],
  ['goes on', (whole: Uint8Array) => Buffer.concat([whole, new Uint8Array(1)])],
])('what is told ahead and %s is refused', (_what, change) => {
  const whole = new MessageCodec().encodeAhead({ root: '/r', request });
  expect(() => new MessageCodec().decodeAhead(change(whole))).toThrow();
});
