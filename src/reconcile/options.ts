/** How a link behaves: the part of the options that reconcile needs. Plain data. */

export type Side = 'a' | 'b';

export const sides: readonly Side[] = ['a', 'b'];

export function otherSide(side: Side): Side {
  return side === 'a' ? 'b' : 'a';
}

/** Which way changes flow. `a` is the local root, `b` the remote one. */
export type Mode = 'two-way' | 'additive' | 'push' | 'mirror' | 'pull' | 'pull-mirror';

export const modes: readonly Mode[] = ['two-way', 'additive', 'push', 'mirror', 'pull', 'pull-mirror'];

/** The side that is only read, or undefined when changes flow both ways. */
export function sourceOf(mode: Mode): Side | undefined {
  if (mode === 'push' || mode === 'mirror') return 'a';
  return mode === 'pull' || mode === 'pull-mirror' ? 'b' : undefined;
}

/** True when the destination is made exactly like the source, extras deleted. */
export function isMirror(mode: Mode): boolean {
  return mode === 'mirror' || mode === 'pull-mirror';
}

/** How a conflict is settled (DESIGN §5). */
export type ConflictPolicy = 'newer' | 'older' | 'local' | 'remote' | 'both' | 'manual';

export const conflictPolicies: readonly ConflictPolicy[] = ['newer', 'older', 'local', 'remote', 'both', 'manual'];

/** What goes to history: what would otherwise exist nowhere (`conflicts`), every replaced version, or nothing. */
export type BackupPolicy = 'conflicts' | 'all' | 'off';

export const backupPolicies: readonly BackupPolicy[] = ['conflicts', 'all', 'off'];

export interface ReconcileOptions {
  mode: Mode;
  onConflict: ConflictPolicy;
  /** When one side deleted what the other edited: does the edit win (default) or the deletion? */
  deletes: 'lose' | 'win';
  /** Sides to which deletions are not carried. */
  skipDeletion: readonly Side[];
  backup: BackupPolicy;
  /** One-way modes: the source wins wherever the sides differ. */
  force: boolean;
  /** One-way modes: what the target has and no record knows of as the source's too is not deleted, not even in a mirror. */
  keepUnrecorded: boolean;
  /** Only these paths (and what is below them) may be looked at or touched; empty means the whole root. */
  scope: readonly string[];
  /** Directories that are taken as one thing: never a mixture of both sides. */
  isAtomic: (path: string) => boolean;
  /** What `b`'s clock shows minus what `a`'s shows, in nanoseconds, and how far that may be off. */
  clockOffsetNs: bigint;
  clockUncertaintyNs: bigint;
  /** The coarser of the steps in which the sides store times: a difference below it cannot be set. */
  timeStepNs: bigint;
  /** Contents are compared, not metadata: nothing recorded is trusted. */
  checksum: boolean;
  /** Goes into the names of conflict copies, e.g. `20261121T031500Z`. */
  conflictStamp: string;
}

export const defaultReconcileOptions: ReconcileOptions = {
  mode: 'two-way',
  onConflict: 'newer',
  deletes: 'lose',
  skipDeletion: [],
  backup: 'conflicts',
  force: false,
  keepUnrecorded: false,
  scope: [],
  isAtomic: () => false,
  clockOffsetNs: 0n,
  clockUncertaintyNs: 1000n,
  timeStepNs: 1000n,
  conflictStamp: '',
  checksum: false,
};
