/** A root's history as plain data: what a replica tells of it, and what it is asked to bring back. */
import type { Failure } from './replica.ts';

/** One version kept in a root's history. Bytes of names that are not UTF-8 are lone surrogates (U+DC80 + byte - 0x80). */
export interface HistoryVersion {
  /** Path in the root. */
  path: string;
  /** 1 is the newest version of this path. */
  version: number;
  kind: 'file' | 'dir' | 'symlink';
  /** Bytes; 0 for everything but files. */
  size: number;
  /** Permission bits. */
  mode: number;
  /** When it was kept, ISO 8601. */
  kept: string;
  /** When it was last modified, ISO 8601. */
  modified: string;
  /** Why it was kept: `deleted`, `conflict`, `mirrored`, …; `unknown` when a crash came in between. */
  reason: string;
  /** The run that kept it. */
  run: string;
  /** Where the version lies, absolute. */
  file: string;
  /** Symlinks only: where it points. */
  target?: string;
  /** Directories kept whole that cannot be looked into: why. */
  problem?: string;
}

export interface RestoreOptions {
  /**
   * Bring back what was there at this time: of each path the oldest version kept at or after it, because what was replaced
   * or deleted later is what stood there then. (One that was made only after that time as well: when that was is not known.)
   * Default: the newest version of each path.
   */
  at?: Date;
  /** Bring back this version of the path, numbered as by `listHistory`. Not together with `at`. */
  version?: number;
  /** Put it below this directory instead of into its place. Made if missing; nothing in it is replaced. */
  to?: string;
  /** Only find out what would be done. */
  dryRun?: boolean;
  /** Go on although another run seems to be at work in the root. */
  forceUnlock?: boolean;
  /** Named to others whom the lock refuses. */
  command?: string;
}

/** What a restore did, or would do. */
export interface RestoreSummary {
  restored: {
    path: string;
    /** Where it went, absolute. */
    target: string;
    kind: 'file' | 'dir' | 'symlink';
    size: number;
    /** When the version was kept, ISO 8601. */
    kept: string;
    /** Something else stood there; it is in history now. */
    replaced: boolean;
  }[];
  /** Files and symlinks that were as in history already. */
  unchanged: number;
  /** Content bytes of what was restored. */
  bytes: number;
  /** Paths that could not be restored; the others were. */
  failures: Failure[];
  /** Messages about files that a run which died had in hand, and that are in history now. */
  recovered: string[];
  dryRun: boolean;
}
