/** Options of one link: everything that shapes a cycle. Made from the schema in `workspace/options.ts`, plain data here. */
import type { BackupPolicy, ConflictPolicy, Mode, Side } from '../reconcile/options.ts';
import type { IgnoreRules } from '../tree/ignore/rules.ts';
import type { Retention } from '../replica/replica.ts';

/** How many deletions a run may carry out without being asked. */
export type MaxDelete =
  | { kind: 'default' } // more than half of a side's entries, and at least 25; or a whole root or top level emptied
  | { kind: 'count'; count: number }
  | { kind: 'percent'; percent: number }
  | { kind: 'off' };

export interface LinkOptions {
  mode: Mode;
  onConflict: ConflictPolicy;
  deletes: 'lose' | 'win';
  skipDeletion: readonly Side[];
  backup: BackupPolicy;
  force: boolean;
  maxDelete: MaxDelete;
  rules: IgnoreRules;
  /** Limit the run to these paths; empty means everything. */
  scope: readonly string[];
  /** Patterns of directories that are taken as one thing. */
  atomic: readonly string[];
  /** Compare contents, not metadata, of everything. */
  checksum: boolean;
  /** Empty the destination first (one-way modes). */
  cleanOutFirst: boolean;
  retention: Retention;
  dryRun: boolean;
  /** Forget what was agreed and meet as for the first time. */
  rebaseline: boolean;
  forceUnlock: boolean;
  /** Deletion in `/` or a home directory is meant. */
  allowDangerousTarget: boolean;
  /** Directory of baselines and journals. */
  stateDir: string;
  /** Named in locks, for whom they refuse. */
  command: string;
}
