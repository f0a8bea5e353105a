import { describe, expect, it } from 'vitest';
import { FailedRenames } from './failed-renames.ts';

describe('a rename that failed', () => {
  it('stands in the way of its names and of all below them, and of nothing else', () => {
    const failed = new FailedRenames();
    failed.add('b', 'old', 'd/new', 'failed');
    for (const path of ['old', 'old/f', 'old/d/f', 'd/new', 'd/new/f']) {
      expect(failed.on('b', path), path).toMatchObject({ why: 'failed' });
      expect(failed.onEither(path), path).toMatchObject({ why: 'failed' });
      expect(failed.on('a', path), path).toBeUndefined();
    }
    for (const path of ['', 'd', 'older', 'd/f', 'new']) expect(failed.onEither(path), path).toBeUndefined();
  });

  it('is met under the names that a later rename of a directory above gave to its own', () => {
    const failed = new FailedRenames();
    failed.add('b', 'd/x', 'y', 'changed-meanwhile');
    failed.renamed('b', 'd', 'e');
    failed.renamed('a', 'y', 'z');
    expect(['d/x', 'z'].map((path) => failed.onEither(path))).toEqual([undefined, undefined]);
    for (const path of ['e/x', 'e/x/f', 'y/f']) expect(failed.onEither(path), path).toBeDefined();
  });
});
