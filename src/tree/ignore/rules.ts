/**
 * Ignore rules as data: what the user asked for, before any of it is compiled.
 *
 * This room decides which paths a scan leaves out, exactly as git would. It touches no disk: the walker hands it the text
 * of the ignore files that it meets. `rules` is the data, `presets` the ready-made lists, `matcher` the questions;
 * `pattern` and `glob` are the language underneath, `check` says what is wrong with a pattern that a user wrote.
 */

/**
 * What excludes paths: one ordered list, plus the names of the ignore files honoured inside the tree. Plain data that
 * survives JSON, because it crosses to workers and remotes.
 *
 * Of the three sources the first that has a matching rule decides: `patterns`, then the ignore files from the deepest
 * directory up, then `presets`. Within one source the last matching rule decides.
 */
export interface IgnoreRules {
  /**
   * gitignore patterns anchored at the root, later ones win; `!x` re-includes. They come from the command line and the
   * configuration (`--exclude X` is `X`, `--include X` is `!X`), so each is taken literally, as git takes `-x`: there
   * are no comments, and spaces at the end count.
   */
  readonly patterns: readonly string[];
  /** Names of presets; their patterns stand before everything else, so anything overrides them. */
  readonly presets: readonly string[];
  /**
   * Names of the ignore files read in every directory, as `['.gitignore', '.lockstepignore']`. Of two in one directory
   * the one later in this list wins; a deeper directory wins over a shallower one.
   */
  readonly files: readonly string[];
  /** Patterns, of the same grammar, of ignored things that may be deleted together with the directory they are in. */
  readonly perishable: readonly string[];
}

/** Nothing is ignored. */
export const noRules: IgnoreRules = { patterns: [], presets: [], files: [], perishable: [] };
