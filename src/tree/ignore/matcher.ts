/**
 * The questions that a scan asks: is this excluded, by which rule, and which rules did nothing.
 *
 * The answers are git's, including that nothing below an excluded directory can be taken back. Nothing is kept per path:
 * a matcher asked about a million paths is as large as one asked about none.
 */
import { UsageError } from '../../base/errors.ts';
import { ancestorsOf, joinPath, parentPath } from '../path.ts';
import type { RelPath } from '../path.ts';
import { byteString } from './glob.ts';
import type { ByteString } from './glob.ts';
import { PatternList } from './list.ts';
import type { ListSource } from './list.ts';
import type { Pattern } from './pattern.ts';
import { isPreset, presets } from './presets.ts';
import type { IgnoreRules } from './rules.ts';

/** The rule that decided about a path. */
export interface RuleMatch extends ListSource {
  /** The pattern as written. */
  readonly pattern: string;
  /** Its place in its list or file, from 1. */
  readonly line: number;
  /** True when the rule takes the path back in. */
  readonly negated: boolean;
}

interface Decision {
  readonly list: PatternList;
  readonly pattern: Pattern;
}

/** An ignore file's patterns and its rank among those of one directory: its place in `rules.files`. */
interface RankedList {
  readonly rank: number;
  readonly list: PatternList;
}

/** Decides what is excluded. Ignore files are added while the tree is walked, so it belongs to one walker. */
export class IgnoreMatcher {
  readonly #files: readonly string[];
  readonly #own: PatternList;
  /** The lists of presets, in the order that they are asked: the last named first. */
  readonly #presets: readonly PatternList[];
  readonly #perishable: PatternList;
  /** Ignore files by directory, those of one directory in the order that they are asked. */
  readonly #inTree = new Map<RelPath, readonly RankedList[]>();
  /** Patterns of the user that have matched nothing yet. */
  readonly #unmatched: Set<Pattern>;
  /** What decides among the children of the directory asked about last, in the order that it is asked. */
  #chain: { readonly dir: RelPath; readonly lists: readonly PatternList[] } | undefined;

  /** @throws UsageError for a preset that does not exist; patterns never throw, see `checkPattern` */
  constructor(rules: IgnoreRules) {
    this.#files = rules.files;
    this.#own = PatternList.of({ source: 'pattern' }, rules.patterns);
    this.#presets = rules.presets.map(presetList).reverse();
    this.#perishable = PatternList.of({ source: 'perishable' }, rules.perishable);
    this.#unmatched = new Set(this.#own.patterns);
  }

  /** True while no source has any pattern, so that nothing can be ignored. Ignore files met later can end that. */
  get isEmpty(): boolean {
    return this.#own.patterns.length === 0 && this.#presets.length === 0 && this.#inTree.size === 0;
  }

  /**
   * Takes in an ignore file. The walker calls this before it asks about any child of `dir`, for directories that are not
   * excluded themselves. Another text for the same file replaces the former one; an empty text stands for a deleted file.
   *
   * @param dir the directory that it is in, '' for the root
   * @param name one of `rules.files`
   * @param text the content, decoded by `decodeName` if names need not be UTF-8
   */
  addFile(dir: RelPath, name: string, text: string): void {
    const rank = this.#files.lastIndexOf(name);
    if (rank < 0) throw new RangeError(`${joinPath(dir, name)} is not an ignore file by these rules`);
    const others = (this.#inTree.get(dir) ?? []).filter((other) => other.rank !== rank);
    const list = PatternList.fromFile(dir, name, text);
    const ranked = list.patterns.length === 0 ? others : [...others, { rank, list }].sort((a, b) => b.rank - a.rank);
    if (ranked.length === 0) this.#inTree.delete(dir);
    else this.#inTree.set(dir, ranked);
    this.#chain = undefined;
  }

  /** True when an entry is excluded whose parent directory is not; a walker that prunes never asks about others. */
  ignores(path: RelPath, isDirectory: boolean): boolean {
    if (this.isEmpty || path === '') return false;
    const decision = this.#decide(path, isDirectory);
    if (decision === undefined) return false;
    const { list, pattern } = decision;
    if (list === this.#own && this.#unmatched.size > 0) {
      // Nothing of the user's matches where something else decides, so this is the only place where patterns prove useful.
      const bytes = byteString(path);
      list.strikeMatches(this.#unmatched, bytes, baseStart(bytes), isDirectory);
    }
    return !pattern.negated;
  }

  /** True when a path anywhere is excluded, by itself or with a directory above it. */
  ignoresDeep(path: RelPath, isDirectory: boolean): boolean {
    if (this.isEmpty) return false;
    return ancestorsOf(path).some((dir) => this.ignores(dir, true)) || this.ignores(path, isDirectory);
  }

  /**
   * The rule that decides about a path: one that excludes a directory above it, else the last that matches the path itself,
   * which may be one that takes it back in. Being asked does not count as a match for `unmatchedPatterns`.
   */
  explain(path: RelPath, isDirectory: boolean): RuleMatch | undefined {
    if (path === '') return undefined;
    for (const dir of ancestorsOf(path).slice(1)) {
      const decision = this.#decide(dir, true);
      if (decision !== undefined && !decision.pattern.negated) return ruleMatch(decision);
    }
    const decision = this.#decide(path, isDirectory);
    return decision === undefined ? undefined : ruleMatch(decision);
  }

  /** True when an ignored thing, or a directory above it, may be deleted together with the directory that it is in. */
  isPerishable(path: RelPath, isDirectory: boolean): boolean {
    if (this.#perishable.patterns.length === 0) return false;
    const matches = (part: RelPath, dir: boolean): boolean => {
      const bytes = byteString(part);
      const found = this.#perishable.lastMatch(bytes, baseStart(bytes), dir);
      return found !== undefined && !found.negated;
    };
    return (
      ancestorsOf(path)
        .slice(1)
        .some((dir) => matches(dir, true)) || matches(path, isDirectory)
    );
  }

  /**
   * The user's own patterns that matched nothing `ignores` and `ignoresDeep` were asked about, in order. One that a later
   * pattern always overruled did match. One that takes back what lies in an excluded directory did not: it can do nothing.
   */
  unmatchedPatterns(): string[] {
    return Array.from(this.#unmatched, (pattern) => pattern.text);
  }

  #decide(path: RelPath, isDirectory: boolean): Decision | undefined {
    const bytes = byteString(path);
    const name = baseStart(bytes);
    for (const list of this.#listsFor(parentPath(path))) {
      const pattern = list.lastMatch(bytes, name, isDirectory);
      if (pattern !== undefined) return { list, pattern };
    }
    return undefined;
  }

  /** What decides among the children of `dir`, first to last. A walker asks about one directory's children in a row. */
  #listsFor(dir: RelPath): readonly PatternList[] {
    if (this.#chain?.dir === dir) return this.#chain.lists;
    const inTree =
      this.#inTree.size === 0
        ? []
        : [dir, ...ancestorsOf(dir).reverse()].flatMap((each) => this.#inTree.get(each) ?? []);
    const lists = [this.#own, ...inTree.map(({ list }) => list), ...this.#presets];
    this.#chain = { dir, lists };
    return lists;
  }
}

/** Where the base name begins. */
function baseStart(path: ByteString): number {
  return path.lastIndexOf('/') + 1;
}

function presetList(name: string): PatternList {
  const texts = isPreset(name) ? presets[name] : undefined;
  if (texts === undefined) {
    const hint = `There are: ${Object.keys(presets).join(', ')}.`;
    throw new UsageError(`There is no ignore preset '${name}'`, { hint });
  }
  return PatternList.of({ source: 'preset', preset: name }, texts);
}

function ruleMatch({ list, pattern }: Decision): RuleMatch {
  return { ...list.source, pattern: pattern.text, line: pattern.line, negated: pattern.negated };
}
