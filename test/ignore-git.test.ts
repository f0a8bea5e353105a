/**
 * The ignore rules against git itself: random trees and random patterns, and not one difference allowed.
 *
 * Each round builds a tree with ignore files at several depths, walks it with pruning as the scanner does, and asks git
 * about every path: `check-ignore` for which rule decides, `ls-files -o -x` for the patterns of the command line, and
 * `info/exclude` in the place of presets. `LOCKSTEP_SEED=n` repeats a failure, `LOCKSTEP_ROUNDS=n` looks longer.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IgnoreMatcher } from '../src/tree/ignore/matcher.ts';
import type { RuleMatch } from '../src/tree/ignore/matcher.ts';
import { presets } from '../src/tree/ignore/presets.ts';
import { noRules } from '../src/tree/ignore/rules.ts';
import type { IgnoreRules } from '../src/tree/ignore/rules.ts';
import { decodeName, encodeName, joinPath } from '../src/tree/path.ts';
import type { RelPath } from '../src/tree/path.ts';

const seed = Number(process.env['LOCKSTEP_SEED'] ?? 20261117);
const rounds = Number(process.env['LOCKSTEP_ROUNDS'] ?? 60);

/** A reproducible source of choices (mulberry32). */
class Dice {
  #state: number;

  constructor(start: number) {
    this.#state = start >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  times<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: least + this.below(most - least + 1) }, make);
  }
}

// Few and alike, so that patterns meet names often; and those that patterns have trouble with.
const plainNames = ['a', 'b', 'ab', 'ba', 'aab', 'abc', 'foo', 'foobar', 'bar', 'x.log', 'a.log', 'y.o', 'build', 'A'];
const oddNames = [
  'a b',
  'a ',
  ' ',
  '.x',
  '[a]',
  'a]',
  '#a',
  '!b',
  'a\\',
  '\\',
  '*',
  '**',
  '?',
  'a-b',
  '^',
  'é',
  'ü.log',
  'a\r',
];
const bytesNames = ['a\udcff', '\udce9', '日本', '😀', '\v', '\x01', 'a\nb'];

function randomName(dice: Dice): string {
  const kind = dice.next();
  return dice.pick(kind < 0.75 ? plainNames : kind < 0.93 ? oddNames : bytesNames);
}

function randomPattern(dice: Dice): string {
  const body = dice.chance(0.25) ? noise(dice) : dice.times(1, dice.chance(0.5) ? 1 : 4, () => segment(dice)).join('/');
  const before = (dice.chance(0.2) ? '!' : '') + (dice.chance(0.2) ? '/' : '');
  return before + body + (dice.chance(0.2) ? '/' : '') + (dice.chance(0.05) ? dice.pick([' ', '  ', '\\ ', '\t']) : '');
}

/** One name of a pattern: a real one with some characters replaced by wildcards, or a wildcard altogether. */
function segment(dice: Dice): string {
  if (dice.chance(0.25))
    return dice.pick(['*', '**', '**', '***', '?', '*.log', '?*', '**b', 'a**', '[!a]*', '[^a-b]']);
  const name = randomName(dice).replace('\n', '?');
  return Array.from(name, (char) => (dice.chance(0.2) ? wildcard(dice, char) : escaped(dice, char))).join('');
}

function wildcard(dice: Dice, char: string): string {
  const sets = [`[${char}]`, `[a-${char}]`, `[!${char}]`, `[${char}-z]`, '[[:alpha:]]', '[^[:space:]]', '[[:punct:]b]'];
  return dice.pick(['?', '*', '**', `\\${char}`, `${char}*`, `*${char}`, `${char}?`, ...sets]);
}

function escaped(dice: Dice, char: string): string {
  return /[*?[\\#!]/.test(char) && dice.chance(0.7) ? `\\${char}` : char;
}

const marks = [
  '*',
  '*',
  '*',
  '/',
  '/',
  '?',
  '?',
  '[',
  ']',
  ']',
  '!',
  '^',
  '-',
  '\\',
  ':',
  '#',
  '.',
  ' ',
  '**/',
  '/**',
  '\\/',
];
const letters = ['a', 'a', 'a', 'b', 'b', 'b', 'o', 'foo', 'é', '[:alpha:]', '[[:digit:]'];

/** Anything out of the characters that mean something. */
function noise(dice: Dice): string {
  return dice.times(1, 9, () => dice.pick(dice.chance(0.6) ? marks : letters)).join('');
}

interface Tally {
  checks: number;
  matched: number;
  readonly differences: unknown[];
}

/** A tree in the making: its paths, whether each is a directory, and the texts of its ignore files. */
interface Sample {
  readonly directories: readonly RelPath[];
  readonly files: readonly RelPath[];
  readonly ignoreFiles: ReadonlyMap<RelPath, string>;
}

function randomSample(dice: Dice, size: number): Sample {
  const directories: RelPath[] = [''];
  const taken = new Set<RelPath>();
  const files: RelPath[] = [];
  while (taken.size < size) {
    const path = joinPath(dice.pick(directories), randomName(dice));
    if (taken.has(path) || path.split('/').length > 6) continue;
    taken.add(path);
    (dice.chance(0.35) ? directories : files).push(path);
  }
  const ignoreFiles = new Map<RelPath, string>();
  for (const dir of directories) {
    if (dir === '' || dice.chance(0.25)) ignoreFiles.set(joinPath(dir, '.gitignore'), randomIgnoreFile(dice, dir));
  }
  return { directories, files, ignoreFiles };
}

function randomIgnoreFile(dice: Dice, dir: RelPath): string {
  const newline = dice.chance(0.2) ? '\r\n' : '\n';
  const lines = dice.times(1, dir === '' ? 9 : 4, () => {
    const kind = dice.next();
    return kind < 0.9 ? randomPattern(dice) : dice.pick(['', '# a', '  ', '/', '!', '//', '\\', 'a\0b', '!/']);
  });
  return (dice.chance(0.1) ? '\ufeff' : '') + lines.join(newline) + (dice.chance(0.8) ? newline : '');
}

function writeSample(root: string, { directories, files, ignoreFiles }: Sample): void {
  const at = (path: RelPath): Buffer => Buffer.concat([Buffer.from(`${root}/`), encodeName(path)]);
  for (const dir of directories) mkdirSync(at(dir), { recursive: true });
  for (const file of files) writeFileSync(at(file), '');
  for (const [file, text] of ignoreFiles) writeFileSync(at(file), encodeName(text));
}

/** The scanner's walk, without its scanning: calls `visit` for what is not below an ignored directory. */
function walk(
  root: string,
  matcher: IgnoreMatcher,
  visit: (path: RelPath, isDirectory: boolean, out: boolean) => void,
) {
  const enter = (dir: RelPath): void => {
    const real = Buffer.concat([Buffer.from(`${root}/`), encodeName(dir)]);
    const entries = readdirSync(real, { withFileTypes: true, encoding: 'buffer' });
    const isIgnoreFile = ({ name }: { name: Uint8Array }): boolean => decodeName(name) === '.gitignore';
    if (entries.some(isIgnoreFile)) {
      const text = readFileSync(Buffer.concat([real, Buffer.from('/.gitignore')]));
      matcher.addFile(dir, '.gitignore', decodeName(text));
    }
    for (const entry of entries) {
      const path = joinPath(dir, decodeName(entry.name));
      const out = matcher.ignores(path, entry.isDirectory());
      visit(path, entry.isDirectory(), out);
      if (entry.isDirectory() && !out) enter(path);
    }
  };
  enter('');
}

// Elsewhere file systems fold case and refuse names that are not UTF-8; the code under test is the same everywhere.
describe.skipIf(process.platform !== 'linux')('ignore rules against git', () => {
  let home: string;
  let repository: string;

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'lockstep-ignore-'));
    repository = join(home, 'repository.git');
    git(home, ['init', '-q', '--bare', repository]);
    git(home, ['config', '--file', join(repository, 'config'), 'core.bare', 'false']);
    git(home, ['config', '--file', join(repository, 'config'), 'core.ignoreCase', 'false']);
    mkdirSync(join(repository, 'info'), { recursive: true });
  });

  afterAll(() => {
    rmSync(home, { recursive: true, force: true });
  });

  function git(cwd: string, args: readonly (string | Buffer)[], input = Buffer.alloc(0)): Buffer {
    const environment = { ...process.env, HOME: home, XDG_CONFIG_HOME: home, GIT_CONFIG_NOSYSTEM: '1' };
    return execFileSync('git', args.map(String), { cwd, input, env: environment, maxBuffer: 2 ** 28 });
  }

  function fields(output: Buffer): string[] {
    return decodeName(output).split('\0').slice(0, -1);
  }

  /** Sets the patterns below all ignore files. */
  function gitExcludes(patterns: readonly string[]): void {
    writeFileSync(join(repository, 'info', 'exclude'), patterns.join('\n'));
  }

  /** Which rule git finds for each path; paths without one are absent. */
  function gitRules(root: string, paths: readonly RelPath[]): Map<RelPath, RuleMatch> {
    const place = [`--git-dir=${repository}`, `--work-tree=${root}`];
    const input = Buffer.concat(paths.flatMap((path) => [encodeName(path), Buffer.from('\0')]));
    const output = fields(
      git(root, [...place, 'check-ignore', '--no-index', '--stdin', '-z', '--verbose', '--non-matching'], input),
    );
    const rules = new Map<RelPath, RuleMatch>();
    for (let at = 0; at + 3 < output.length; at += 4) {
      const [source = '', line = '', pattern = '', path = ''] = output.slice(at, at + 4);
      if (source !== '') rules.set(path, { source, line: Number(line), pattern, negated: pattern.startsWith('!') });
    }
    return rules;
  }

  /** The files that git would list as untracked, under its own pruning. */
  function gitFiles(root: string, patterns: readonly string[]): string[] {
    const place = [`--git-dir=${repository}`, `--work-tree=${root}`];
    const excluding = patterns.map((pattern) => `--exclude=${pattern}`);
    return fields(git(root, [...place, 'ls-files', '-z', '-o', '--exclude-standard', ...excluding])).sort();
  }

  function lockstepFiles(root: string, rules: IgnoreRules): string[] {
    const found: string[] = [];
    walk(root, new IgnoreMatcher(rules), (path, isDirectory, out) => {
      if (!isDirectory && !out) found.push(path);
    });
    return found.sort();
  }

  it('finds the same rule for every path and leaves the same files', { timeout: 60_000 + rounds * 2000 }, () => {
    const tally: Tally = { checks: 0, matched: 0, differences: [] };
    for (let round = 0; round < rounds && tally.differences.length < 5; round += 1) {
      const dice = new Dice(seed + round);
      const root = join(home, 'root');
      const sample = randomSample(dice, 400);
      mkdirSync(root);
      writeSample(root, sample);
      compareRules(root, sample, tally);
      compareFiles(root, dice, tally);
      rmSync(root, { recursive: true });
    }
    expect(tally.differences.slice(0, 5)).toEqual([]);
    expect(tally.checks).toBeGreaterThanOrEqual(rounds * 400);
    // A corpus in which nothing or everything matches would prove little.
    expect(tally.matched / tally.checks).toBeGreaterThan(0.2);
    expect(tally.matched / tally.checks).toBeLessThan(0.8);
  });

  /** Nested ignore files alone, against `check-ignore`: the same rule, and the walk sees what it should. */
  function compareRules(root: string, sample: Sample, tally: Tally): void {
    const directories = new Set(sample.directories);
    const paths = [...sample.directories.slice(1), ...sample.files, ...sample.ignoreFiles.keys()];
    gitExcludes([]);
    const expected = gitRules(root, paths);
    const matcher = new IgnoreMatcher({ ...noRules, files: ['.gitignore'] });
    const walked = new Map<RelPath, boolean>();
    walk(root, matcher, (path, _isDirectory, out) => walked.set(path, out));
    for (const path of paths) {
      const isDirectory = directories.has(path);
      const theirs = expected.get(path);
      const out = theirs !== undefined && !theirs.negated;
      const ours = matcher.explain(path, isDirectory);
      const agreed =
        isDeepStrictEqual(ours, theirs) &&
        matcher.ignoresDeep(path, isDirectory) === out &&
        // What the walk never came to lies in an ignored directory.
        (walked.get(path) ?? true) === out;
      if (!agreed) tally.differences.push({ path, ours, theirs, walked: walked.get(path) });
      tally.checks += 1;
      if (theirs !== undefined) tally.matched += 1;
    }
  }

  /** The user's patterns above the ignore files and presets below them, against `ls-files`. */
  function compareFiles(root: string, dice: Dice, tally: Tally): void {
    const chosen = ['editors', 'build', 'node'];
    gitExcludes(chosen.flatMap((name) => presets[name] ?? []));
    // Arguments of a process can be neither ill-formed nor hold a NUL.
    const patterns = dice
      .times(0, 6, () => randomPattern(dice))
      .filter((pattern) => pattern.isWellFormed() && !pattern.includes('\0'));
    const theirs = gitFiles(root, patterns);
    const ours = lockstepFiles(root, { ...noRules, patterns, presets: chosen, files: ['.gitignore'] });
    if (isDeepStrictEqual(ours, theirs)) return;
    const onlyOurs = ours.filter((path) => !theirs.includes(path));
    tally.differences.push({ patterns, onlyOurs, onlyTheirs: theirs.filter((path) => !ours.includes(path)) });
  }

  it('takes the same bytes for members of every kind of set', () => {
    const names = [
      'alnum',
      'alpha',
      'blank',
      'cntrl',
      'digit',
      'graph',
      'lower',
      'print',
      'punct',
      'space',
      'upper',
      'xdigit',
    ];
    const sets = [
      ...names.map((name) => `[[:${name}:]]`),
      '[!-~]',
      '[]-a]',
      '[--0]',
      '[a-]',
      '[\\]-\\^]',
      '[[:alpha:',
      '[[:x:]]',
      '[é]',
      '?',
      '[^é]',
    ];
    const files = Array.from({ length: 255 }, (_, index) => decodeName(Uint8Array.of(index + 1))).filter(
      (name) => name !== '/' && name !== '.',
    );
    const root = join(home, 'sets');
    mkdirSync(root);
    for (const [index, set] of sets.entries()) {
      const dir = `d${index}`;
      mkdirSync(join(root, dir));
      writeSample(join(root, dir), { directories: [''], files, ignoreFiles: new Map([['.gitignore', set]]) });
    }
    const paths = sets.flatMap((_, index) => files.map((file) => `d${index}/${file}`));
    const matcher = new IgnoreMatcher({ ...noRules, files: ['.gitignore'] });
    walk(root, matcher, () => undefined);
    gitExcludes([]);
    const theirs = gitRules(root, paths);
    expect(paths.filter((path) => matcher.ignores(path, false) !== theirs.has(path))).toEqual([]);
  });
});
