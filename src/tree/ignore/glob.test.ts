/** The wildcard language by tables, by its bounds, and against regular expressions where these say the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteString, compileGlob, matchGlob } from './glob.ts';
import type { GlobScope } from './glob.ts';

function matches(pattern: string, text: string, scope: GlobScope = 'path'): boolean {
  return matchGlob(compileGlob(byteString(pattern), scope), byteString(text), 0);
}

describe('matchGlob', () => {
  const table: [pattern: string, yes: string[], no: string[]][] = [
    ['', [''], ['a']],
    ['a?c', ['abc', 'a*c'], ['ac', 'a/c', 'abbc', 'aéc']],
    ['*', ['', 'a', '.a'], ['a/b']],
    ['a*b*c', ['abc', 'axxbyybc'], ['ab', 'abcd', 'a/bc']],
    ['*/b', ['a/b', '/b'], ['b', 'a/a/b']],
    ['**/b', ['b', 'a/b', 'a/a/b'], ['ab', 'a/ab', 'b/a']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['ab', 'a/xb', 'a/b/x']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a/c']],
    ['a/**/b/**/c', ['a/b/c', 'a/b/x/b/c', 'a/x/b/b/y/c'], ['a/c', 'a/b/b']],
    ['**/a*/**/b?', ['a/bx', 'x/ay/z/b1', 'a/b/b/bb'], ['a/b', 'b/a/c']],
    ['a**b', ['ab', 'axb'], ['a/b']],
    ['a/***/b', ['a/b', 'a/x/y/b'], ['ab']],
    ['**\\/b', ['a/b', 'a/a/b', '/b'], ['b']],
    ['a/**b', ['a/b', 'a/xb'], ['a/x/b']],
    ['\\*\\?\\[\\a', ['*?[a'], ['xx[a', '*?[\\a']],
    ['a\\', [], ['a', 'a\\']],
    ['[ab]x', ['ax', 'bx'], ['x', 'cx', 'abx']],
    ['[!ab]', ['c', '!'], ['a', '', '/']],
    ['[^ab]', ['c', '^'], ['a']],
    ['[a^!]', ['a', '^', '!'], ['b']],
    ['[]]', [']'], ['', '[']],
    ['[]-a]', [']', '^', 'a'], ['b', '-']],
    ['[!]a]', ['b'], [']', 'a']],
    ['[a-c-e]', ['a', 'c', '-', 'e'], ['d']],
    ['[-a]', ['-', 'a'], ['b']],
    ['[a-]', ['-', 'a'], ['b']],
    ['[c-a]', ['c'], ['a', 'b', '-']],
    ['[\\]]', [']'], ['\\']],
    ['[A-\\]]', ['A', 'Z', '\\', ']'], ['^', '-', 'a']],
    ['[[-a]', ['[', 'a', '_'], ['b', 'Z']],
    ['[[:digit:]x]', ['0', 'x'], ['d', ':', '[']],
    ['[[:digit:]-z]', ['0', '-', 'z'], ['a']],
    ['[[:]', ['[', ':'], [']']],
    ['[:a]', [':', 'a'], ['[']],
    ['[[:nonsense:]]', [], ['n', ':', ']']],
    ['[[::]]', [], [':', '[', ']']],
    ['[', [], ['[']],
    ['[!', [], ['[', '!']],
    ['[a', [], ['a', '[a']],
    ['[a-', [], ['a']],
    ['[a\\', [], ['a']],
    ['[[:alpha:', [], ['a']],
    ['a[/]b', [], ['a/b', 'a[/]b']],
    ['a[!x]b', ['ayb'], ['a/b', 'axb']],
    ['é', ['é'], ['e']],
    ['??', ['é', 'ab'], ['a']],
    ['?', ['a', '\udcff'], ['é']],
  ];

  it.each(table)('%s', (pattern, yes, no) => {
    expect(yes.filter((text) => !matches(pattern, text))).toEqual([]);
    expect(no.filter((text) => matches(pattern, text))).toEqual([]);
  });

  it('knows no slashes among names: two stars are as good as one', () => {
    expect(matches('a**b', 'axxb', 'name')).toBe(true);
    expect(matches('**', 'abc', 'name')).toBe(true);
  });

  it('agrees with regular expressions', () => {
    const name = fc
      .array(fc.constantFrom('a', 'b', '?', '*', '[ab]', '[!a]'), { minLength: 1, maxLength: 4 })
      // Two stars alone are no name; elsewhere they are one.
      .filter((atoms) => atoms.join('').replaceAll('*', '') !== '' || atoms.length === 1);
    const pattern = fc.array(fc.oneof(fc.constant('**'), name), { minLength: 1, maxLength: 5 });
    const path = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(pattern, path, (segments, names) => {
        const glob = segments.map((segment) => (segment === '**' ? '**' : segment.join(''))).join('/');
        expect(matches(glob, names.join('/'))).toBe(toRegExp(segments).test(names.join('/')));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes any strings', () => {
    const unit = fc.oneof(
      fc.constantFrom('*', '**', '/', '[', ']', '[:', ':]', '\\', '!', '-', '?', 'a', '\0', '\udc80', '\ud800'),
      fc.string({ unit: 'binary', maxLength: 2 }),
    );
    fc.assert(
      fc.property(fc.string({ unit }), fc.string({ unit }), fc.constantFrom('name', 'path'), (pattern, text, scope) => {
        expect(typeof matches(pattern, text, scope)).toBe('boolean');
      }),
      { numRuns: 3000 },
    );
  });

  it('is not slowed down by patterns that make others backtrack', () => {
    const start = performance.now();
    expect(matches(`${'*a'.repeat(100)}b`, 'a'.repeat(255), 'name')).toBe(false);
    expect(matches(`${'**/a*/'.repeat(50)}b`, 'aa/'.repeat(1300) + 'c')).toBe(false);
    expect(matches(`${'*/'.repeat(50)}**/${'*?*'.repeat(30)}b`, 'aaaaaaaaaa/'.repeat(370) + 'c')).toBe(false);
    // Milliseconds in truth; exponential time would not end.
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

/** The same in JavaScript's terms: `**` among others is any names with their slashes, at the end it is anything. */
function toRegExp(segments: readonly ('**' | readonly string[])[]): RegExp {
  const atoms: Record<string, string> = { '?': '[^/]', '*': '[^/]*', '[!a]': '[^a/]' };
  const source = segments.map((segment, index) => {
    const isLast = index === segments.length - 1;
    if (segment === '**') return isLast ? '.*' : '(?:.*/)?';
    return segment.map((atom) => atoms[atom] ?? atom).join('') + (isLast ? '' : '/');
  });
  return new RegExp(`^${source.join('')}$`, 's');
}
