/** The complaints about patterns, and that good ones get none. */
import { describe, expect, it } from 'vitest';
import { checkPattern } from './check.ts';
import { presets } from './presets.ts';

describe('checkPattern', () => {
  it.each([
    ['', 'is empty'],
    ['!', 'is empty'],
    ['/', 'is empty'],
    ['!//', 'is empty'],
    ['  ', 'is empty'],
    ['a\0b', 'contains a NUL'],
    ['a\nb', 'contains a line break'],
    ['../a', "contains '..'"],
    ['/a/../b', "contains '..'"],
    ['!..', "contains '..'"],
    ['.', 'is the root itself'],
    ['./', 'is the root itself'],
    ['./a', "write '/a'"],
    ['!./a/', "write '!/a/'"],
    ['a/./b', "write 'a/b'"],
    ['a//b', 'two slashes'],
    ['/home/me/project/build', 'file system'],
    ['/Users/me/project', 'file system'],
    ['~/project', 'file system'],
    ['C:\\project', 'file system'],
    ['d:/project/*', 'file system'],
    ['[', 'match nothing'],
    ['a[b', 'match nothing'],
    ['dir/[!', 'match nothing'],
    ['a\\', 'match nothing'],
  ])('%j', (pattern, complaint) => {
    const said = checkPattern(pattern);
    expect(said).toContain(complaint);
    expect(said).not.toContain('\n');
  });

  it.each([
    'a',
    '!a',
    '/a',
    'a/',
    '/var/cache',
    '/home/page',
    '/home/*/x',
    '~',
    '*~',
    '...',
    'a..b',
    '#a',
    'a b ',
    '**',
    '[a]',
    '\\!a',
    'é',
    'x\udcff',
    'a:b',
  ])('has nothing against %j', (pattern) => {
    expect(checkPattern(pattern)).toBeUndefined();
  });

  it('has nothing against the presets', () => {
    expect(
      Object.values(presets)
        .flat()
        .filter((pattern) => checkPattern(pattern) !== undefined),
    ).toEqual([]);
  });
});
