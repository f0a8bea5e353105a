/** Who wins when both sides changed the same thing: the conflict policies of DESIGN §5. */
import type { ConflictPolicy, ReconcileOptions, Side } from './options.ts';

export type Verdict = Side | 'both' | 'open';

/**
 * Applies a policy to two times. Ties, and differences below what the clocks can tell apart, are nobody's win.
 *
 * @param a nanoseconds by a's clock
 * @param b nanoseconds by b's clock
 */
export function settle(options: ReconcileOptions, a: bigint, b: bigint, policy = options.onConflict): Verdict {
  switch (policy) {
    case 'local':
      return 'a';
    case 'remote':
      return 'b';
    case 'manual':
      return 'open';
    case 'both':
      return 'both';
    case 'newer':
      return newerOf(options, a, b) ?? 'open';
    case 'older': {
      const newer = newerOf(options, a, b);
      return newer === undefined ? 'open' : newer === 'a' ? 'b' : 'a';
    }
  }
}

/** The side with the later time once b's clock is corrected; undefined when they cannot be told apart. */
export function newerOf(options: ReconcileOptions, a: bigint, b: bigint): Side | undefined {
  const difference = a - (b - options.clockOffsetNs);
  if (difference > options.clockUncertaintyNs) return 'a';
  return -difference > options.clockUncertaintyNs ? 'b' : undefined;
}

/** Metadata has no copy to keep beside: `both` falls back to the newer. */
export function metadataPolicy(policy: ConflictPolicy): ConflictPolicy {
  return policy === 'both' ? 'newer' : policy;
}
