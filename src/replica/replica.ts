/**
 * The one interface behind which every root stands, wherever it is (DESIGN §4).
 *
 * `link/` knows nothing else. Implemented by `local/` (synchronously, in slices), by the client of `agent/` (the same code
 * in a worker thread or at the end of a pipe) and by `shell/`. Everything that crosses is plain data.
 *
 * Errors that concern one path are values in the results, never exceptions: each path succeeds or fails on its own. What
 * a method throws ends the run: `InterruptedError`, or a `LockstepError` that says what became of the whole root.
 */
import type { Entry } from '../tree/entry.ts';
import type { IgnoreRules } from '../tree/ignore/rules.ts';
import type { RelPath } from '../tree/path.ts';
import type { Tree } from '../tree/tree.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from './history.ts';
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from './watching.ts';
import type { ReadRequest } from './content-stream.ts';
import type { DigestAnswer } from '../reconcile/input.ts';
import type {
  LinkStep,
  MetaStep,
  MkdirStep,
  MoveStep,
  PutStep,
  Reason,
  RemoveStep,
  SkipReason,
} from '../reconcile/plan.ts';

/** What a root is, found out before anything is opened, locked or made. */
export interface RootProbe {
  /** What stands at the path. `unreadable`: something does, or may, but it could not be looked at. */
  kind: 'directory' | 'missing' | 'other' | 'unreadable';
  /** Symlinks resolved; for a missing root, those of its nearest parent that exists. */
  realPath: string;
  /** Device and inode, `dev:ino`; empty when missing. */
  inode: string;
  /** The root is `/` or somebody's home directory. */
  dangerous: boolean;
  /** Why it could not be looked at. */
  reason?: string;
  /** The machine that it is on, by the name it was reached by; this one when absent. */
  host?: string;
  /** The kernel that its inode is told by, and the time since that started: a directory has one inode there, by whatever way. */
  boot?: string;
}

/** What a replica's file system and system can do; differences by platform are asked for here, never guessed. */
export interface Capabilities {
  /** Names that differ only in case or Unicode form are the same file. */
  foldsNames: boolean;
  /** Finest step of a stored mtime, nanoseconds. */
  granularityNs: bigint;
  /** Where the root is on this very machine, so that a replica beside it may copy straight from it. */
  hostPath: string | undefined;
  /** The clock over there: how far it is ahead of ours, and what that may be off by. Ours when absent. */
  clock?: { offsetMs: number; uncertaintyMs: number };
}

export interface OpenRequest {
  root: string;
  /** `read` writes nothing at all: sources of one-way modes, both sides of a dry run. */
  access: 'read' | 'write';
  /** Keep a random id and the link's token in `.lockstep/` (two-way), or leave nothing behind but history. */
  marks: boolean;
  /** Make the root when it is missing. */
  create: boolean;
  /** Names this run in locks, staging and history: unique, sortable by time, safe as a file name. */
  runId: string;
  /** Shown to whom the lock refuses. */
  command: string;
  forceUnlock: boolean;
  /**
   * Works beside another replica of this run (in the same process) that has opened the root and holds its lock: this one takes
   * no lock, and tidies up nothing but its own.
   */
  joins?: true;
  /** With `joins`: the directory that the lock's holder has open, `dev:ino`. Whatever else the path leads to by now is not it. */
  inode?: string;
}

export interface OpenedRoot {
  /** Random id of the root (with marks), or `dev:ino`. */
  identity: string;
  capabilities: Capabilities;
  /** Free bytes for an ordinary user; 0 when unknown. */
  freeBytes: number;
  /** The root did not exist and was made. */
  created: boolean;
  /** What an earlier run that died left behind and was put right. */
  recovered: string[];
  /** Boot and disk session: while it is the same, what was written is as good as durable (baseline.ts). */
  session: string;
}

/**
 * - `packed`: by `encodeTree`, in layers of which a later one replaces whole directories of an earlier one
 * - `digests`: only digests of the directories' listings (listing-digest.ts), for a replica that is far away
 */
export type Recorded =
  { as: 'packed'; layers: readonly Uint8Array[] } | { as: 'digests'; salt: Uint8Array; digests: Uint8Array };

export interface ScanRequest {
  rules: IgnoreRules;
  /** Text to use for an ignore file instead of what is on disk; undefined text: as if it were not there. */
  ignoreFiles: readonly { dir: RelPath; name: string; text: string | undefined }[];
  /** Only these paths; empty means all. */
  scope: readonly RelPath[];
  /** What was recorded of this side; directories that still look so are not reported. */
  previous: Recorded;
  /** Report every directory, also those that look as recorded. */
  reportAll: boolean;
}

export interface ScanResult {
  /** The root's own entry, and complete listings of the directories that differ from `previous`. */
  changed: Tree;
  /** Directories that could not be listed, with the reason. */
  unreadable: { path: RelPath; reason: string }[];
  ignoredIn: RelPath[];
  /** Ignore files that were read. */
  ignoreFiles: { dir: RelPath; name: string; text: string }[];
  /** Everything in scope, directories included, the root not. */
  entries: number;
  /** Bytes of all files in scope. */
  bytes: number;
  /** The user's own patterns that matched nothing. */
  unmatchedPatterns: string[];
  /** Where `previous` shows a nested mount and there is none now. */
  mountsGone: RelPath[];
  /**
   * Directories that were seen to hold exactly the recorded names, with the mark to keep in their listings (tree/listing.ts).
   * Absent from far away, where the record is not known.
   */
  complete?: readonly { dir: RelPath; mark: number }[];
}

/** A file of which the other side has another version. */
export interface SignatureRequest {
  path: RelPath;
  /** The file as it was scanned; undefined when there is none, but an interrupted run may have left something of it. */
  expect: Entry | undefined;
  /** Where that file is, if not at `path`: one that the new one is probably like. */
  at?: RelPath;
  /** Sums of blocks (delta/block-sums.ts) are wanted instead of a signature: the side with the new file cannot search. */
  blocks?: true;
}

/** A file that stands where content is to go, or near it: what it has need not be sent. */
export interface ContentBase {
  path: RelPath;
  /** The file as it must be. */
  entry: Entry;
}

export interface DigestRequest {
  path: RelPath;
  /** The file as it was scanned; another one is answered with `changed`. */
  expect: Entry;
}

/** Where the content of steps comes from: the other root, on this machine or through a stream that comes with the batch. */
export type ContentSource = { via: 'host'; hostPath: string } | { via: 'stream' };

/** A whole new directory with its files and links, but not its sub-directories: the unit of first copies. */
export interface UnitStep {
  op: 'unit';
  path: RelPath;
  source: Entry;
  /** Packed listing of the source directory; only files and symlinks of it are copied. */
  listing: Uint8Array;
  /** Sub-directories will be made in it: its time and a mode that forbids writing come later. */
  filledLater: boolean;
  reason: Reason;
}

/** What `apply` carries out: steps of a plan, all for this side. */
export type ApplyStep =
  | UnitStep
  | Omit<MkdirStep, 'side'>
  | (Omit<PutStep, 'side'> & { like?: ContentBase })
  | Omit<LinkStep, 'side'>
  | Omit<MetaStep, 'side'>
  | Omit<RemoveStep, 'side'>
  | { op: 'moves'; path: RelPath; moves: Omit<MoveStep, 'side'>[] }
  | { op: 'directory-time'; path: RelPath; mtimeUs: bigint; mode?: number }
  | { op: 'group'; path: RelPath; steps: ApplyStep[] };

export interface ApplyBatch {
  steps: ApplyStep[];
  content: ContentSource | undefined;
  /** Ignored names that may go with a deleted directory, and everything else that rules exclude. */
  rules: IgnoreRules;
}

/** `unreadable` and `source-changed` are of the content's source, on the other side; everything else is of this one. */
export interface Failure {
  path: RelPath;
  why: SkipReason;
  detail: string;
}

export interface FileDigest {
  name: string;
  digest: Uint8Array;
}

/** What one step came to. */
export interface StepResult {
  /** Index in the batch. */
  step: number;
  path: RelPath;
  /** The path as it is now, undefined when nothing is there. Only meaningful when `failures` is empty or for units. */
  observed: Entry | undefined;
  /** Units: packed listing of what was made in the directory. */
  listing?: Uint8Array;
  /** SHA-256 of the content, where it was computed. */
  digest?: Uint8Array;
  /** Units: likewise, of files in the directory, by name. */
  digests?: FileDigest[];
  /** Moves: what became of each path. */
  moved?: { from: RelPath; to: RelPath; observed: Entry | undefined }[];
  /** Groups: the results of its steps; empty when none was begun. */
  inner?: StepResult[];
  /** Empty when all of it was done. */
  failures: Failure[];
  /** It failed only because a delta did not fit; with its whole content it may succeed. */
  wantsWhole?: true;
  /** Content bytes written. */
  bytes: number;
  /** Something was kept in history. */
  kept: boolean;
}

/** Progress of whatever is running: counts since its start. */
export interface Progress {
  entries: number;
  bytes: number;
  /** What is being worked on. */
  path: RelPath;
}

export interface Control {
  signal: AbortSignal;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** How long versions are kept; whichever limit is met first. 0 means no limit. */
export interface Retention {
  days: number;
  versions: number;
  bytes: number;
}

/**
 * A root that can be scanned and changed. Calls are made one at a time, `probe` and `open` first; only batches of `apply`
 * may be sent ahead: they are carried out one after the other.
 * After an exception other than `InterruptedError` only `close` may be called.
 */
export interface Replica {
  /** Looks at a root; writes nothing. May be called before `open`, and for any number of roots. */
  probe(root: string): Promise<RootProbe>;
  /**
   * Takes the lock, makes the root if asked to (it goes again with `close` if nothing is done in it: no token written, no
   * steps applied), puts right what a dead run left. Once.
   */
  open(request: OpenRequest): Promise<OpenedRoot>;
  scan(request: ScanRequest, control: Control): Promise<ScanResult>;
  /**
   * Begins a scan that will probably be asked for, of a root that is not open yet (local/ahead-scan.ts), where nothing is lost
   * by that: others are being waited for.
   */
  lookAhead?(root: string, request: ScanRequest, signal: AbortSignal): void;
  /**
   * Watches the root from the next scan on: each full scan watches what it finds. What may have changed since is told as
   * it comes; ends when the signal is aborted. Once; beside all other calls. Undefined where a replica cannot watch.
   */
  watch?(options: WatchOptions, control: Control): AsyncGenerator<WatchEvent, void, undefined>;
  /** Looks again at some paths, after a full scan and by its rules. Undefined where a replica can only scan. */
  look?(request: LookRequest, control: Control): Promise<LookResult>;
  /** SHA-256 of files, in the order asked. */
  digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]>;
  /**
   * Signatures of files (delta/), encoded, in the order asked; undefined for a file that is not what was expected. May be
   * called while batches are being applied.
   */
  signatures(requests: readonly SignatureRequest[], control: Control): Promise<(Uint8Array | undefined)[]>;
  /** How `read` finds what the other side has already: by signatures, if nothing else is said. */
  readonly findsSameBy?: 'blocks' | 'nothing';
  /**
   * Content of files as content-stream.ts has it, in the order asked. Streams are served one after the other, also while
   * batches are being applied; one that is no longer wanted is ended with `return`.
   */
  read(requests: readonly ReadRequest[], control: Control): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * Carries out steps in order; results in the same order.
   *
   * @param content what the steps need (wanted-content.ts), for a batch whose content comes `via: 'stream'`
   */
  apply(batch: ApplyBatch, control: Control, content?: AsyncIterable<Uint8Array>): Promise<StepResult[]>;
  /**
   * Reads the link's token, or writes a new one: how a root restored from a backup is told from one that went on. Writing
   * it also keeps the identity of a root that had none before.
   */
  token(linkId: string, write?: string): Promise<string | undefined>;
  /** Moves everything in the root (ignored things too) into history. */
  cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }>;
  /** Removes versions from history that the limits no longer cover. */
  prune(retention: Retention): Promise<{ removed: number; bytes: number }>;
  /**
   * All versions that a root's history has, by path, newest first. As `restore`, without `open`, and for any root.
   *
   * @param under only this path in the root and what is below it; `''` for all
   * @throws UsageError for a path outside the root; LockstepError
   */
  history(root: string, under: string): Promise<HistoryVersion[]>;
  /**
   * Brings versions back; takes the root's lock while it does.
   *
   * @param path in the root; `.` for everything
   */
  restore(root: string, path: string, options: RestoreOptions, control: Control): Promise<RestoreSummary>;
  /** Asks the system to store everything written so far. @returns false when that took longer than `timeoutMs` or failed */
  flush(timeoutMs: number): Promise<boolean>;
  /** Removes staging, frees the lock, and leaves nothing that was only needed for the run. */
  close(): Promise<void>;
}
