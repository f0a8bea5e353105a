import { describe, expect, it } from 'vitest';
import { RecordReader } from './records.ts';

/** What a walk complained of, by the lines that came from there. */
function complaints(...lines: string[]): string[] {
  const reader = new RecordReader('m', () => undefined);
  reader.push(Buffer.from(`m!${lines.join('\n')}\n`));
  reader.finish();
  return reader.errors.split('\n');
}

describe('complaints of a walk', () => {
  const denied = 'find: ./locked: Permission denied';
  const now = '1795824547.123456789|2026-11-28 00:09:07.123456789 +0000';

  it.each([
    ['nobody complains', ['@begin', '@end', '@status 0', now], [now]],
    ['somebody does', ['@begin', denied, '@end', '@status 1', now], [denied, now]],
    ['find fails and nobody has said why', ['@begin', '@end', '@status 1', now], ['find was killed (1)', now]],
    ['find is killed', ['@begin', denied, '@end', '@status 137'], ['find was killed (137)', denied]],
    [
      'a shell of find is killed, and something else is complained of',
      ['@begin', denied, '@begin', '@end', '@status 1'],
      ['find was killed (1)', denied],
    ],
    ['a walk has neither find nor shells', [denied], [denied]],
  ])('when %s', (_, lines, expected) => {
    expect(complaints(...lines)).toEqual(expected);
  });
});
