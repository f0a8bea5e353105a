import { expect, it } from 'vitest';
import { holdPayload, releasePayload, SlabRing } from './slab-input.ts';

const mib = 1 << 20;

/** Fills slabs with messages of 1 MiB, each of its own number. @param kept says which are held until it says otherwise */
function run(count: number, isDone: (message: number, now: number) => boolean): { buffers: number; wrong: number } {
  const ring = new SlabRing();
  const buffers = new Set<ArrayBufferLike>();
  const held: { bytes: Uint8Array; message: number }[] = [];
  let wrong = 0;
  for (let now = 0; now < count; now += 1) {
    ring.room().fill(now & 255, 0, Math.min(mib, ring.room().length));
    const bytes = ring.filled(Math.min(mib, ring.room().length));
    buffers.add(bytes.buffer);
    holdPayload(bytes);
    held.push({ bytes, message: now });
    for (const { bytes: old, message } of [...held]) {
      if (!old.every((byte) => byte === (message & 255))) wrong += 1;
      if (!isDone(message, now)) continue;
      releasePayload(old);
      held.splice(
        held.findIndex((one) => one.message === message),
        1,
      );
    }
  }
  return { buffers: buffers.size, wrong };
}

it('uses a few slabs over and over when messages are released soon', () => {
  const { buffers, wrong } = run(100, (message, now) => now - message >= 3);
  expect(wrong).toBe(0);
  expect(buffers).toBeLessThanOrEqual(4);
});

it('never writes to what was not released, in whatever order it is', () => {
  expect(run(60, (message, now) => now - message >= (message % 7 === 0 ? 40 : message % 5)).wrong).toBe(0);
  const { buffers, wrong } = run(60, () => false);
  expect(wrong).toBe(0);
  expect(buffers).toBe(15);
});

it('begins a new slab rather than read little into the old one', () => {
  const ring = new SlabRing();
  const first = ring.filled(4 * mib - 1000);
  expect(ring.room().buffer).not.toBe(first.buffer);
  expect(ring.room()).toHaveLength(4 * mib);
});

it('takes what lies in no slab', () => {
  const other = new Uint8Array(10);
  holdPayload(other);
  releasePayload(other);
  expect(other).toEqual(new Uint8Array(10));
});
