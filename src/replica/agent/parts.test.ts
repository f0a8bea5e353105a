import { expect, it } from 'vitest';
import { contentChunkBytes } from '../content-stream.ts';
import { PartQueue } from './parts.ts';

async function taken(queue: PartQueue): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of queue) all.push(chunk);
  return all;
}

/** Parts of these lengths, views of one large buffer, the bytes of which count up. */
function parts(...lengths: number[]): Uint8Array[] {
  const slab = Uint8Array.from({ length: 1 << 20 }, (_, at) => at % 251);
  let at = 0;
  return lengths.map((length) => slab.subarray(at, (at += length)));
}

it('hands out the bytes that were pushed, in order, in little more memory than they take', async () => {
  const cut = parts(1, 1, contentChunkBytes, 5, contentChunkBytes - 2, 700, ...Array<number>(5000).fill(3));
  const whole = Buffer.concat(cut);
  const queue = new PartQueue();
  for (const part of cut) queue.push(part);
  queue.end();
  const chunks = await taken(queue);
  expect(Buffer.concat(chunks).equals(whole)).toBe(true);
  expect(chunks.length).toBeLessThan(6);
  for (const { length, buffer } of chunks.filter((chunk) => chunk.length < contentChunkBytes)) {
    expect(buffer.byteLength).toBeLessThanOrEqual(length * 2);
  }
});

it('does not add to what was taken', async () => {
  const queue = new PartQueue();
  const [first, second, third] = parts(3, 4, 5) as [Uint8Array, Uint8Array, Uint8Array];
  queue.push(first);
  const chunks = queue[Symbol.asyncIterator]();
  const one = await chunks.next();
  queue.push(second);
  queue.push(third);
  expect([...(one.value ?? [])]).toEqual([...first]);
  expect([...((await chunks.next()).value ?? [])]).toEqual([...second, ...third]);
});
