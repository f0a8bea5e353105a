/** Looking at both sides of a link. */
import type { Entry } from '../tree/entry.ts';
import type { IgnoreRules } from '../tree/ignore/rules.ts';
import { ancestorsOf, baseName, joinPath, parentPath, type RelPath } from '../tree/path.ts';
import { Tree } from '../tree/tree.ts';
import { Listing } from '../tree/listing.ts';
import { listingNow, type ReconcileInput, type SideState } from '../reconcile/input.ts';
import { otherSide, sourceOf, type ReconcileOptions, type Side } from '../reconcile/options.ts';
import { explainResult } from '../replica/explain-changes.ts';
import type { OpenedRoot, Replica, ScanRequest, ScanResult } from '../replica/replica.ts';
import { nothingFound } from '../replica/scan-result.ts';
import type { Baseline } from './baseline/baseline.ts';
import { scanRequestOf } from './foresee.ts';
import { ignoreFilesFor } from './ignore-files.ts';
import type { LinkOptions } from './options.ts';
import type { Report } from './report.ts';

const noRules: IgnoreRules = { patterns: [], presets: [], files: [], perishable: [] };

export interface ScanTask {
  /** Undefined for a root that a dry run would have to make: an empty tree. */
  replicas: Record<Side, Replica | undefined>;
  opened: Record<Side, OpenedRoot | undefined>;
  /** The root was, or would be, made by this run. */
  fresh: Record<Side, boolean>;
  /** The side that will be emptied first: everything goes on as if it were already. */
  emptied: Side | undefined;
  /** What the last run recorded of the source, where it does not count for the plan any more (`Session.beforeCleanOut`). */
  recordedOfSource: Tree | undefined;
  baseline: Baseline;
  options: LinkOptions;
  reconcileOptions: ReconcileOptions;
  report: Report;
  signal: AbortSignal;
}

export interface Scans {
  results: Record<Side, ScanResult>;
  input: ReconcileInput;
  /** What really stands on the side that will be emptied. */
  standing?: ScanResult;
}

/** Scans both sides at the same time; again, where the ignore files of the other side change what is in scope. */
export async function scanBoth(task: ScanTask): Promise<Scans> {
  const entries = { a: 0, b: 0 };
  let standing: ScanResult | undefined;
  const scan = async (side: Side, ignoreFiles: ScanRequest['ignoreFiles']): Promise<ScanResult> => {
    if (side !== task.emptied) return scanSide(side, task, ignoreFiles, entries);
    // No rule keeps anything from being taken away.
    standing ??= await scanSide(side, { ...task, options: { ...task.options, rules: noRules } }, [], entries);
    return emptyScan(task.options.rules, standing.changed.root);
  };
  const [a, b] = await Promise.all([scan('a', []), scan('b', [])]);
  const results = { a, b };
  const first = inputOf(results, task);
  const again = { a: ignoreFilesFor('a', results, first), b: ignoreFilesFor('b', results, first) };
  await Promise.all(
    (['a', 'b'] as const).map(async (side) => {
      const files = again[side];
      if (files !== undefined) results[side] = await scan(side, files);
    }),
  );
  if (task.emptied !== undefined && task.recordedOfSource !== undefined) {
    explainResult(results[otherSide(task.emptied)], task.options, [task.recordedOfSource]);
  }
  return { results, input: inputOf(results, task), ...(standing === undefined ? {} : { standing }) };
}

/** @param entries how many were seen so far, by side: for the progress of both */
export async function scanSide(
  side: Side,
  task: ScanTask,
  ignoreFiles: ScanRequest['ignoreFiles'],
  entries: Record<Side, number> = { a: 0, b: 0 },
): Promise<ScanResult> {
  const replica = task.replicas[side];
  const { options, report } = task;
  if (replica === undefined) return emptyScan(options.rules);
  const request: ScanRequest = { ...scanRequestOf(side, options, task.baseline), ignoreFiles };
  const onProgress = (progress: { entries: number }): void => {
    entries[side] = progress.entries;
    report.progress('scanning', entries.a + entries.b, 0);
  };
  return replica.scan(request, { signal: task.signal, onProgress });
}

export function inputOf(results: Record<Side, ScanResult>, task: ScanTask): ReconcileInput {
  const state = (side: Side): SideState => ({
    changed: results[side].changed,
    unreadable: new Set(results[side].unreadable.map(({ path }) => path)),
    ignoredIn: new Set(results[side].ignoredIn),
    foldsNames: task.opened[side]?.capabilities.foldsNames ?? false,
    digests: new Map(),
    fresh: task.fresh[side],
  });
  return { base: task.baseline, a: state('a'), b: state('b'), options: task.reconcileOptions };
}

function emptyScan(rules: IgnoreRules, root?: Entry): ScanResult {
  const changed = new Tree();
  changed.root = root;
  changed.setListing('', Listing.empty);
  return { ...nothingFound(), changed, unmatchedPatterns: [...rules.patterns] };
}

/** Tells of directories that could not be read, and of options that do nothing. */
export function reportScans(
  { results, input }: Scans,
  options: LinkOptions,
  roots: Record<Side, string>,
  report: Report,
): void {
  // Somebody who syncs nothing at all did not mean to.
  const source = sourceOf(options.mode) ?? 'a';
  const nothing = (side: Side): boolean => results[side].entries === 0 && results[side].ignoredIn.includes('');
  if (nothing(source) && (sourceOf(options.mode) !== undefined || results.b.entries === 0)) {
    report.warning(`everything in ${roots[source]} is excluded by the ignore rules; see --gitignore and --exclude`);
  }
  for (const side of ['a', 'b'] as const) {
    for (const { path, reason } of results[side].unreadable) {
      report.skip({ path: joinPath('', path), side, why: 'unreadable', detail: reason });
    }
    report.summary.entries[side] = results[side].entries;
  }
  for (const path of options.scope) {
    const complaint = aboutScope(path, input);
    if (complaint !== undefined) report.warning(`--path ${path}: ${complaint}`);
  }
  // Within a part of the tree, a pattern may well have nothing to match.
  if (options.scope.length > 0) return;
  const unmatched = new Set(results.b.unmatchedPatterns);
  for (const pattern of results.a.unmatchedPatterns) {
    // Not those that we added ourselves (state-scope.ts).
    if (unmatched.has(pattern) && options.rules.patterns.includes(pattern))
      report.warning(`the pattern "${pattern}" matches nothing on either side`);
  }
}

/** Why a path that the run is limited to has nothing to sync, or undefined when it may have. */
function aboutScope(path: RelPath, input: ReconcileInput): string | undefined {
  let known = false;
  for (const side of ['a', 'b'] as const) {
    for (const at of [...ancestorsOf(path).slice(1), path]) {
      const listing = listingNow(input, side, parentPath(at));
      const entry = listing?.get(baseName(at));
      if (entry?.kind === 'ignored') return 'the ignore rules leave it out';
      // What cannot be listed is told on its own.
      known ||= listing === undefined || (at === path && entry !== undefined);
    }
    known ||= input.base[side].get(path) !== undefined;
  }
  return known ? undefined : 'there is nothing of that name on either side';
}
