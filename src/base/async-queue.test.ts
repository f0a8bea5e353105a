import { describe, expect, it } from 'vitest';
import { AsyncQueue } from './async-queue.ts';

async function all<T>(queue: AsyncQueue<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const value of queue) taken.push(value);
  return taken;
}

describe('AsyncQueue', () => {
  it('hands out what was pushed before and while somebody waits, in order', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.push(2);
    const taken = all(queue);
    for (const value of [3, 4, 5]) {
      await Promise.resolve();
      queue.push(value);
    }
    queue.end();
    expect(await taken).toEqual([1, 2, 3, 4, 5]);
  });

  it('hands out what came before its end, and nothing that comes after it', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.end();
    queue.push(2);
    queue.end(new Error('too late'));
    expect(await all(queue)).toEqual([1]);
  });

  it('throws the error that ended it after everything else', async () => {
    const queue = new AsyncQueue<number>();
    const taken: number[] = [];
    const loop = (async () => {
      for await (const value of queue) taken.push(value);
    })();
    queue.push(1);
    queue.end(new Error('broken'));
    await expect(loop).rejects.toThrow('broken');
    expect(taken).toEqual([1]);
  });

  it('forgets everything when it is dropped, and lets go of who waits', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.drop();
    expect(await all(queue)).toEqual([]);
    const waited = new AsyncQueue<number>();
    const taken = all(waited);
    await Promise.resolve();
    waited.drop();
    expect(await taken).toEqual([]);
  });

  it('takes values while a value is being used', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(0);
    const taken: number[] = [];
    for await (const value of queue) {
      taken.push(value);
      if (value < 3) queue.push(value + 1);
      else queue.end();
    }
    expect(taken).toEqual([0, 1, 2, 3]);
  });
});
