/** What the sides of a link will be asked for, as far as it can be foreseen before they are connected. */
import { sourceOf, type Side } from '../reconcile/options.ts';
import type { OpenRequest, ScanRequest } from '../replica/replica.ts';
import { Baseline } from './baseline/baseline.ts';
import { linkIdOf, type LinkId } from './link-id.ts';
import type { LinkOptions } from './options.ts';

/** A link's record, read before its roots were locked: good for as long as `isCurrent`, and under the locks only then. */
export interface EarlyRecord {
  link: LinkId;
  baseline: Baseline;
}

/**
 * The first scan of either side, if all is as at the last run. It is a guess: whoever acts on it must see that the real request
 * is the same.
 *
 * @param places of the roots (`placeOnHost`)
 * @returns also the record that says so; undefined where there is no telling
 */
export function foreseeScans(
  options: LinkOptions,
  places: Record<Side, string>,
): { scans: Record<Side, ScanRequest>; record: EarlyRecord } | undefined {
  if (options.rebaseline || options.cleanOutFirst) return undefined;
  try {
    const link = linkIdOf(places.a, places.b);
    const baseline = Baseline.load(options.stateDir, link.id, link.swapped);
    const scans = { a: scanRequestOf('a', options, baseline), b: scanRequestOf('b', options, baseline) };
    return { scans, record: { link, baseline } };
  } catch {
    // A state that cannot be read is told when it is needed.
    return undefined;
  }
}

/** How a side will be opened. */
export function accessTo(side: Side, { dryRun, mode }: Pick<LinkOptions, 'dryRun' | 'mode'>): OpenRequest['access'] {
  return dryRun || side === sourceOf(mode) ? 'read' : 'write';
}

/** The first scan of a side, as it will be asked for. */
export function scanRequestOf(side: Side, options: LinkOptions, baseline: Baseline): ScanRequest {
  return {
    rules: options.rules,
    ignoreFiles: [],
    scope: options.scope,
    previous: { as: 'packed', layers: baseline.packed(side) },
    reportAll: options.checksum,
  };
}
