/** The rules of precedence and the questions of a scan. That each pattern means what git says is test/ignore-git.test.ts's. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../base/errors.ts';
import { IgnoreMatcher } from './matcher.ts';
import { noRules } from './rules.ts';
import type { IgnoreRules } from './rules.ts';

function matcher(rules: Partial<IgnoreRules>, files: Record<string, string> = {}): IgnoreMatcher {
  const made = new IgnoreMatcher({ ...noRules, files: ['.gitignore', '.lockstepignore'], ...rules });
  for (const [path, text] of Object.entries(files)) {
    const slash = path.lastIndexOf('/');
    made.addFile(path.slice(0, Math.max(slash, 0)), path.slice(slash + 1), text);
  }
  return made;
}

/** Asks about paths of which directories end in a slash. */
function ignored(rules: IgnoreMatcher, ...paths: string[]): string[] {
  return paths.filter((path) => rules.ignoresDeep(path.replace(/\/$/, ''), path.endsWith('/')));
}

describe('patterns', () => {
  const table: [patterns: string[], ignored: string[], kept: string[]][] = [
    [['a'], ['a', 'a/', 'x/a', 'a/x', 'x/a/y'], ['ab', 'x/ba', 'A']],
    [['a/'], ['a/', 'x/a/', 'a/x'], ['a', 'x/a']],
    [['/a'], ['a', 'a/x'], ['x/a']],
    [['/a/'], ['a/'], ['a', 'x/a/']],
    [['a/b'], ['a/b', 'a/b/c'], ['x/a/b', 'b']],
    [['**/a/b'], ['a/b', 'x/a/b'], ['b', 'a/x/b']],
    [['a/**'], ['a/b', 'a/b/c'], ['a/', 'x/a/b']],
    [['*.o'], ['x.o', 'd/x.o', '.o'], ['x.oo', 'o']],
    [['core*'], ['core', 'd/core.1'], ['score']],
    [['*.log', '!keep.log'], ['a.log'], ['keep.log', 'd/keep.log']],
    [['!keep.log', '*.log'], ['keep.log'], ['keep.txt']],
    [['d/', '!d/keep'], ['d/', 'd/keep'], ['d']],
    [['d/*', '!d/keep'], ['d/x'], ['d/', 'd/keep']],
    [
      ['/*', '!/src'],
      ['a', 'doc/x'],
      ['src/', 'src/a'],
    ],
    [
      ['\\!a', '\\#b'],
      ['!a', '#b'],
      ['a', 'b'],
    ],
    [
      ['#a', 'b '],
      ['#a', 'b '],
      ['a', 'b'],
    ],
    [['a b'], ['a b'], ['a', 'b']],
    [['caf?'], ['caf\udce9', 'cafe'], ['café']],
    [['caf\udce9'], ['caf\udce9'], ['café']],
    [['/lib**'], ['lib', 'libx', 'lib/x', 'lib/x/y'], ['x/lib']],
    [['', '!', '/', '[', 'a\\', '//', '..', './a', '../a', '\0'], [], ['a', '[', 'x/']],
  ];

  it.each(table)('%j', (patterns, out, kept) => {
    const rules = matcher({ patterns });
    expect(ignored(rules, ...out, ...kept)).toEqual(out);
  });

  it('never ignore the root', () => {
    const rules = matcher({ patterns: ['*', '**', '/', '.'], perishable: ['*'] });
    expect(rules.ignores('', true)).toBe(false);
    expect(rules.ignoresDeep('', true)).toBe(false);
    expect(rules.explain('', true)).toBeUndefined();
  });
});

describe('precedence', () => {
  it('puts patterns above ignore files above presets', () => {
    const files = { '.gitignore': '!a~\n!b~\n!c~' };
    const rules = matcher({ presets: ['editors'], patterns: ['b~'] }, files);
    expect(ignored(rules, 'a~', 'b~', 'c~', 'd~')).toEqual(['b~', 'd~']);
    expect(matcher({ presets: ['editors'], patterns: ['!*~'] }).ignores('a~', false)).toBe(false);
  });

  it('puts deeper ignore files above shallower ones, whatever the order in which they are met', () => {
    const rules = matcher({}, { 'a/b/.gitignore': '!x', '.gitignore': '!x\n*.o', 'a/.gitignore': 'x\n!y.o' });
    expect(ignored(rules, 'x', 'a/x', 'a/b/x', 'a/c/x', 'y.o', 'a/y.o', 'a/b/z.o')).toEqual([
      'a/x',
      'a/c/x',
      'y.o',
      'a/b/z.o',
    ]);
  });

  it('puts later names above earlier ones in one directory, but not above deeper directories', () => {
    const files = { 'a/.lockstepignore': '!x\ny', 'a/.gitignore': 'x\n!y', 'a/b/.gitignore': 'x' };
    expect(ignored(matcher({}, files), 'a/x', 'a/y', 'a/b/x')).toEqual(['a/y', 'a/b/x']);
  });

  it('anchors the patterns of a file at its directory', () => {
    const rules = matcher({}, { 'é/.gitignore': '/a\nb/c\n**/d/e' });
    expect(ignored(rules, 'a', 'é/a', 'é/x/a', 'é/b/c', 'é/x/b/c', 'é/x/d/e', 'd/e', 'éa', 'éx/a')).toEqual([
      'é/a',
      'é/b/c',
      'é/x/d/e',
    ]);
  });
});

describe('ignore files', () => {
  it('are replaced by another text and removed by an empty one', () => {
    const rules = matcher({}, { 'd/.gitignore': 'a', 'd/.lockstepignore': 'b' });
    expect(ignored(rules, 'd/a', 'd/b', 'd/c')).toEqual(['d/a', 'd/b']);
    rules.addFile('d', '.gitignore', 'c');
    expect(ignored(rules, 'd/a', 'd/b', 'd/c')).toEqual(['d/b', 'd/c']);
    rules.addFile('d', '.gitignore', '');
    rules.addFile('d', '.lockstepignore', '# nothing');
    expect(ignored(rules, 'd/a', 'd/b', 'd/c')).toEqual([]);
    expect(rules.isEmpty).toBe(true);
  });

  it('must be among those that the rules name', () => {
    expect(() => matcher({ files: ['.gitignore'] }, { '.hgignore': 'a' })).toThrow(RangeError);
  });
});

describe('isEmpty', () => {
  it('is true until some source has a pattern', () => {
    expect(new IgnoreMatcher(noRules).isEmpty).toBe(true);
    expect(matcher({ perishable: ['a'] }).isEmpty).toBe(true);
    expect(matcher({}, { '.gitignore': '# nothing\n\n' }).isEmpty).toBe(true);
    expect(matcher({ patterns: ['a'] }).isEmpty).toBe(false);
    expect(matcher({ presets: ['os'] }).isEmpty).toBe(false);
    expect(matcher({}, { 'a/.gitignore': 'x' }).isEmpty).toBe(false);
  });
});

describe('explain', () => {
  const rules = matcher(
    { patterns: ['*.log', '!a.log', 'é/'], presets: ['os', 'vcs'] },
    { '.gitignore': '\n!sub/x\ntmp/', 'sub/.gitignore': '# c\nx\r\n' },
  );

  it('names the source, the pattern and its line', () => {
    expect(rules.explain('b.log', false)).toEqual({ source: 'pattern', pattern: '*.log', line: 1, negated: false });
    expect(rules.explain('d/a.log', false)).toEqual({ source: 'pattern', pattern: '!a.log', line: 2, negated: true });
    expect(rules.explain('sub/x', false)).toEqual({ source: 'sub/.gitignore', pattern: 'x', line: 2, negated: false });
    expect(rules.explain('.git', true)).toEqual({
      source: 'preset',
      preset: 'vcs',
      pattern: '.git',
      line: 1,
      negated: false,
    });
    expect(rules.explain('other', false)).toBeUndefined();
  });

  it('names the rule that excludes a directory above', () => {
    expect(rules.explain('tmp/a/a.log', false)).toEqual({
      source: '.gitignore',
      pattern: 'tmp/',
      line: 3,
      negated: false,
    });
    expect(rules.explain('é/x', false)?.pattern).toBe('é/');
  });
});

describe('unmatchedPatterns', () => {
  it('are those that matched nothing, negated ones too, in order', () => {
    const rules = matcher({ patterns: ['*.o', 'nope', '!x.o', '!never', 'dir/'] }, { '.gitignore': 'unused' });
    expect(rules.unmatchedPatterns()).toEqual(['*.o', 'nope', '!x.o', '!never', 'dir/']);
    rules.ignores('a', false);
    rules.ignores('dir', false);
    expect(rules.unmatchedPatterns()).toHaveLength(5);
    rules.ignores('x.o', false);
    expect(rules.unmatchedPatterns()).toEqual(['nope', '!never', 'dir/']);
    rules.ignoresDeep('dir/never', false);
    expect(rules.unmatchedPatterns()).toEqual(['nope', '!never']);
  });

  it('do not count being explained, and always hold what can match nothing', () => {
    const rules = matcher({ patterns: ['a', '['] });
    rules.explain('a', false);
    expect(rules.unmatchedPatterns()).toEqual(['a', '[']);
  });
});

describe('isPerishable', () => {
  it('asks the perishable patterns alone, about the path and what is above it', () => {
    const rules = matcher({ patterns: ['a', 'b'], perishable: ['b', '*.pyc', '!keep.pyc', 'cache/'] });
    expect(rules.isPerishable('a', false)).toBe(false);
    expect(rules.isPerishable('x/b', true)).toBe(true);
    expect(rules.isPerishable('b/c/d', false)).toBe(true);
    expect(rules.isPerishable('x.pyc', false)).toBe(true);
    expect(rules.isPerishable('d/keep.pyc', false)).toBe(false);
    expect(rules.isPerishable('cache', false)).toBe(false);
    expect(rules.isPerishable('cache', true)).toBe(true);
    expect(rules.ignores('cache', true)).toBe(false);
  });
});

describe('the constructor', () => {
  it('refuses presets that do not exist', () => {
    expect(() => matcher({ presets: ['nodejs'] })).toThrow(UsageError);
    expect(() => matcher({ presets: ['constructor'] })).toThrow("There is no ignore preset 'constructor'");
  });
});

describe('any rules and paths', () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom('a', 'b', '*', '**', '/', '[', ']', '!', '\\', '?', ' ', '\n', '\udcff', 'é', '\0'),
      fc.string({ unit: 'binary', maxLength: 1 }),
    ),
    maxLength: 8,
  });
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\udcff', '\ud800'), minLength: 1, maxLength: 3 });
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));

  it('explain themselves, prune themselves and forget what they were asked', () => {
    fc.assert(
      fc.property(
        fc.array(text),
        text,
        text,
        fc.array(path),
        fc.boolean(),
        (patterns, root, deep, paths, isDirectory) => {
          const files = { '.gitignore': root, 'a/.gitignore': deep };
          const rules = matcher({ patterns, perishable: patterns }, files);
          for (const each of paths) {
            const out = rules.ignoresDeep(each, isDirectory);
            const why = rules.explain(each, isDirectory);
            expect(out).toBe(why !== undefined && !why.negated);
            if (rules.ignoresDeep(each, true)) expect(rules.ignoresDeep(`${each}/x`, false)).toBe(true);
            expect(matcher({ patterns }, files).ignoresDeep(each, isDirectory)).toBe(out);
            expect(typeof rules.isPerishable(each, isDirectory)).toBe('boolean');
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('give the same answers after JSON', () => {
    const rules: IgnoreRules = { ...noRules, patterns: ['caf\udce9', '!é'], presets: ['os'] };
    expect(JSON.parse(JSON.stringify(rules))).toEqual(rules);
  });
});
