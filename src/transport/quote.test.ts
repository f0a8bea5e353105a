import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { execLine, quoteWord } from './quote.ts';

const shells: [name: string, argv: [string, ...string[]]][] = [
  ['sh', ['sh']],
  ['dash', ['dash']],
  ['bash', ['bash']],
  ['busybox', ['busybox', 'sh']],
];

const ugly = [
  '',
  ' ',
  'a b',
  "it's",
  "'",
  "''''",
  '"',
  '$HOME',
  '$(id)',
  '`id`',
  'a\nb\n',
  '\n',
  '*',
  '?[a-z]*',
  '{a,b}',
  '~',
  '-n',
  '--',
  '-e',
  '\\',
  '\\\\n',
  "\\'",
  '!',
  '!!',
  '#x',
  ';',
  '&',
  '|',
  '>x',
  '\t\r\u0007\u001b[0m',
  'é€🙂',
  '=',
  'a=b',
];

describe.each(shells)('%s', (_name, [program, ...args]) => {
  /** What the shell makes of words, by script and by its stdin. */
  function through(words: readonly string[]): string[][] {
    const line = `printf '%s\\0' ${words.map(quoteWord).join(' ')}`;
    return [
      execFileSync(program, [...args, '-c', line], { encoding: 'utf8' }),
      execFileSync(program, args, { input: `${line}\n`, encoding: 'utf8' }),
    ].map((out) => out.split('\0').slice(0, -1));
  }

  it('takes every word as it is', () => {
    expect(through(ugly)).toEqual([ugly, ugly]);
  });

  it('takes any word as it is', () => {
    const word = fc.string({ unit: fc.constantFrom(...Array.from(`'"\\$\`!*?~ \n\t;&|<>(){}[]#=-ax`)) });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        expect(through(words)).toEqual([words, words]);
      }),
      { numRuns: 30 },
    );
  });

  it('replaces itself by a program', () => {
    const line = execLine(['sh', '-c', 'echo "$$ $1"', 'x', "a'b"]);
    const out = execFileSync(program, [...args, '-c', `echo $$; ${line}`], { encoding: 'utf8' }).split(/\s+/);
    expect(out[1]).toBe(out[0]);
    expect(out[2]).toBe("a'b");
  });
});

it('refuses what no argument can hold', () => {
  expect(() => quoteWord('a\0b')).toThrow('a\\x00b holds a NUL character, which no command line can carry');
});
