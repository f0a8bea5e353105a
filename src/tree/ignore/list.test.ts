/** How the text of an ignore file becomes patterns. */
import { describe, expect, it } from 'vitest';
import { PatternList } from './list.ts';

function lines(text: string): [line: number, pattern: string][] {
  return PatternList.fromFile('', '.gitignore', text).patterns.map(({ line, text: pattern }) => [line, pattern]);
}

describe('PatternList.fromFile', () => {
  it('counts every line and takes those that are patterns', () => {
    expect(lines('a\n\n# no\n!b\n  \n#\nc')).toEqual([
      [1, 'a'],
      [4, '!b'],
      [7, 'c'],
    ]);
  });

  it.each([
    ['CRLF', 'a\r\nb/\r\n', ['a', 'b/']],
    ['a CR at the very end', 'a\r', ['a']],
    ['one CR only', 'a\r\r\n', ['a\r']],
    ['a byte order mark, once', '\ufeffa\n\ufeffb', ['a', '\ufeffb']],
    ['spaces at the end', 'a  \nb c ', ['a', 'b c']],
    ['an escaped space at the end', 'a\\ \nb\\  \nc\\\\ ', ['a\\ ', 'b\\ ', 'c\\\\']],
    ['tabs at the end', 'a\t', ['a\t']],
    ['spaces in front', ' a', [' a']],
    ['an escaped hash and bang', '\\#a\n\\!b', ['\\#a', '\\!b']],
    ['what follows a NUL', 'a\0b\nc', ['a', 'c']],
    ['what can match nothing', '/\n!\n//\n[\na\\\n!/\nb', ['b']],
    ['nothing', '', []],
  ])('%s', (_what, text, patterns) => {
    expect(lines(text).map(([, pattern]) => pattern)).toEqual(patterns);
  });
});
