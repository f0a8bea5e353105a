/** Permission bits and mtime are merged apart from content: an edit here and a chmod there both survive. */
import { mtimeUs, syncedMode, type Entry } from '../tree/entry.ts';
import type { Quad, ReconcileInput } from './input.ts';
import { isMirror, otherSide, sides, type ReconcileOptions, type Side } from './options.ts';
import type { Conflict, MetaStep } from './plan.ts';
import { metadataPolicy, settle } from './settle.ts';

export interface MergedMetadata {
  /** What remains to be set on either side. */
  steps: MetaStep[];
  /** The permission bits that a copy of the content should carry. */
  mode: number;
  conflict: Conflict | undefined;
}

/**
 * Merges a path's metadata.
 *
 * @param source the side that is only read, in one-way modes
 * @param contentFrom when content travels too: the side it comes from. Its mtime goes with it, so only modes are merged.
 */
export function mergeMetadata(
  quad: Quad,
  input: ReconcileInput,
  source: Side | undefined,
  contentFrom?: Side,
): MergedMetadata {
  const { a, b } = quad.now;
  const only = contentFrom === undefined ? undefined : quad.now[contentFrom];
  // Nothing to merge with: the other side has nothing, or another kind of thing.
  if (a === undefined || a.kind !== b?.kind) {
    return { steps: [], mode: syncedMode(only ?? a ?? (b as Entry)), conflict: undefined };
  }
  if (a.kind === 'symlink') return { steps: [], mode: 0, conflict: undefined };

  const wanted: Record<Side, { mode?: number; mtimeUs?: bigint }> = { a: {}, b: {} };
  const { mode, conflict } = mergeModes(quad, a, b, input, source, contentFrom);
  if (mode !== undefined) {
    if (syncedMode(a) !== mode) wanted.a.mode = mode;
    if (syncedMode(b) !== mode) wanted.b.mode = mode;
  }
  // A directory's time is decided with its children (reconcile.ts).
  if (contentFrom === undefined && a.kind === 'file') {
    const time = mergeTimes(quad, a, b, input, source);
    if (time !== undefined && timesDiffer(mtimeUs(a), time, input.options)) wanted.a.mtimeUs = time;
    if (time !== undefined && timesDiffer(mtimeUs(b), time, input.options)) wanted.b.mtimeUs = time;
  }
  const steps: MetaStep[] = [];
  for (const side of sides) {
    if (side === source || Object.keys(wanted[side]).length === 0) continue;
    steps.push({
      op: 'meta',
      side,
      path: quad.path,
      expect: side === 'a' ? a : b,
      reason: 'metadata',
      ...wanted[side],
    });
  }
  const kept = contentFrom === undefined ? a : quad.now[otherSide(contentFrom)];
  return { steps, mode: mode ?? syncedMode(kept ?? a), conflict };
}

/** Do two times differ by what a file system can keep? What it cannot would be set again and again. */
export function timesDiffer(a: bigint, b: bigint, { timeStepNs }: ReconcileOptions): boolean {
  return (a > b ? a - b : b - a) * 1000n >= timeStepNs;
}

/** The permission bits both sides should have; undefined when each keeps its own. */
function mergeModes(
  quad: Quad,
  a: Entry,
  b: Entry,
  input: ReconcileInput,
  source: Side | undefined,
  contentFrom: Side | undefined,
): { mode: number | undefined; conflict: Conflict | undefined } {
  const [modeA, modeB] = [syncedMode(a), syncedMode(b)];
  const agreed = (mode: number | undefined): { mode: number | undefined; conflict: undefined } => ({
    mode,
    conflict: undefined,
  });
  if (modeA === modeB) return agreed(modeA);
  const { options } = input;
  // A root that this run made takes the other root's bits.
  if (quad.path === '' && input.b.fresh) return agreed(modeA);
  if (quad.path === '' && input.a.fresh) return agreed(modeB);
  const changed = {
    a: quad.base.a === undefined || syncedMode(quad.base.a) !== modeA,
    b: quad.base.b === undefined || syncedMode(quad.base.b) !== modeB,
  };
  if (source !== undefined) {
    const target = otherSide(source);
    // Recorded so, a difference was the far side's own doing once and has been left to it: only a change takes it back.
    const ownDoing = quad.base[target] !== undefined && !changed[source];
    const imposes = isMirror(options.mode) || options.force || !ownDoing || contentFrom === source;
    return agreed(imposes ? syncedMode(source === 'a' ? a : b) : undefined);
  }
  if (changed.a && !changed.b) return agreed(modeA);
  if (changed.b && !changed.a) return agreed(modeB);
  if (!changed.a) return agreed(undefined);
  // Two roots that meet with different bits on themselves: a mount point's are its own affair.
  if (quad.path === '') return agreed(undefined);
  const verdict = settle(options, a.ctimeNs, b.ctimeNs, metadataPolicy(options.onConflict));
  const winner = verdict === 'both' ? 'open' : verdict;
  return {
    mode: winner === 'open' ? undefined : winner === 'a' ? modeA : modeB,
    conflict: { path: quad.path, what: 'metadata', winner, detail: `mode ${octal(modeA)} and ${octal(modeB)}` },
  };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** The mtime both sides' equal content should have; undefined when each keeps its own. */
function mergeTimes(
  quad: Quad,
  a: Entry,
  b: Entry,
  input: ReconcileInput,
  source: Side | undefined,
): bigint | undefined {
  const [timeA, timeB] = [mtimeUs(a), mtimeUs(b)];
  const { base } = quad;
  const changed = {
    a: base.a === undefined || mtimeUs(base.a) !== timeA,
    b: base.b === undefined || mtimeUs(base.b) !== timeB,
  };
  if (source !== undefined) {
    const target = otherSide(source);
    const ownDoing = base[target] !== undefined && !changed[source];
    const imposes = isMirror(input.options.mode) || input.options.force || !ownDoing;
    return imposes ? (source === 'a' ? timeA : timeB) : undefined;
  }
  // Equal content that meets for the first time is equal, whatever its mtimes.
  if (base.a === undefined || base.b === undefined) return undefined;
  if (changed.a && changed.b) return timeA > timeB ? timeA : timeB;
  if (changed.a) return timeA;
  return changed.b ? timeB : undefined;
}
