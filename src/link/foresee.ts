/** What the sides of a link will be asked for, as far as it can be foreseen before they are connected. */
import { sourceOf, type Side } from '../reconcile/options.ts';
import type { OpenRequest, ScanRequest } from '../replica/replica.ts';
import { Baseline } from './baseline/baseline.ts';
import { linkIdOf } from './link-id.ts';
import type { LinkOptions } from './options.ts';

/**
 * The first scan of either side, if all is as at the last run. It is a guess: whoever acts on it must see that the real request
 * is the same.
 *
 * @param places of the roots (`placeOnHost`)
 * @returns undefined where there is no telling
 */
export function foreseeScans(
  options: LinkOptions,
  places: Record<Side, string>,
): Record<Side, ScanRequest> | undefined {
  if (options.rebaseline || options.cleanOutFirst) return undefined;
  try {
    const { id, swapped } = linkIdOf(places.a, places.b);
    const baseline = Baseline.load(options.stateDir, id, swapped);
    return { a: scanRequestOf('a', options, baseline), b: scanRequestOf('b', options, baseline) };
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
