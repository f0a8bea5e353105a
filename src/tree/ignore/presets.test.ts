/** What the presets take and, above all, what they leave. */
import { describe, expect, it } from 'vitest';
import { IgnoreMatcher } from './matcher.ts';
import { isPreset, presets } from './presets.ts';
import { noRules } from './rules.ts';

/** Which of the paths a preset ignores; directories end in a slash. */
function taken(preset: string, paths: readonly string[]): string[] {
  const matcher = new IgnoreMatcher({ ...noRules, presets: [preset] });
  return paths.filter((path) => matcher.ignoresDeep(path.replace(/\/$/, ''), path.endsWith('/')));
}

describe('presets', () => {
  it.each([
    ['vcs', ['.git/', '.git', 'a/.git/config', '.hg/', '.svn/'], ['.gitignore', '.gitattributes', '.github/', 'git/']],
    ['dotfiles', ['.env', '.config/', 'a/.x', '.gitignore'], ['a.b', 'a/b']],
    [
      'node',
      ['node_modules/', 'a/node_modules/b', 'npm-debug.log.1'],
      ['package-lock.json', '.npmrc', '.yarn/releases/y.cjs'],
    ],
    [
      'python',
      ['__pycache__/', 'a/b.pyc', '.venv/', 'x.egg-info/'],
      ['a.py', 'a.pyx', 'env/', 'lib/', '.python-version'],
    ],
    ['rust', ['target/', 'x/target/'], ['target', 'Cargo.lock', 'src/']],
    [
      'editors',
      ['.a.swp', 'a~', '#a#', '.#a', '.idea/', '~$a.docx', '.~lock.a.odt#'],
      ['a.svg', '.editorconfig', 'a#', '.a.sql', 'a.swf', '.x.scss'],
    ],
    [
      'os',
      ['.DS_Store', 'a/Thumbs.db', '._a', 'Icon\r', 'desktop.ini', '$RECYCLE.BIN/', '.nfs0001'],
      ['Icon', 'Icons', '.nfsrc', 'a.db'],
    ],
    [
      'build',
      ['build/', 'dist/', 'a.o', 'x/A.class', 'cmake-build-debug/'],
      ['build', 'build.gradle', 'a.so', 'lib.a', 'bin/'],
    ],
  ])('%s', (preset, out, kept) => {
    expect(taken(preset, [...out, ...kept])).toEqual(out);
  });

  it('take nothing back in', () => {
    expect(
      Object.values(presets)
        .flat()
        .filter((pattern) => pattern.startsWith('!')),
    ).toEqual([]);
  });

  it('are known by name, and nothing else is', () => {
    expect(Object.keys(presets).every(isPreset)).toBe(true);
    expect(isPreset('toString')).toBe(false);
    expect(isPreset('')).toBe(false);
  });
});
