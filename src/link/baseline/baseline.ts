/**
 * What both sides agreed on when they last met: a snapshot and a log of what came since (DESIGN §3.6, §6.8).
 *
 * Invariants:
 *  - It never claims an agreement that was not seen on both sides after the fact: only results of `apply` and equal scans
 *    are recorded.
 *  - Lost, damaged, foreign, or older than the roots (they carry the token of the last run) means: no baseline. Then the
 *    two sides meet for the first time and nothing is deleted.
 *  - It never claims more than is durable. Flushing a file system takes seconds after a large copy, so instead records
 *    are bound to the session (boot, disk) they were written in until a flush is known to have covered them. If the
 *    machine went down or the disk was pulled before that, there is no baseline.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { makeDirectories } from '../../base/directories.ts';
import { errnoCode, LockstepError } from '../../base/errors.ts';
import { Slab } from '../../base/slab.ts';
import type { AgreedState } from '../../reconcile/input.ts';
import type { Entry } from '../../tree/entry.ts';
import { isRacy } from '../../tree/entry.ts';
import { Listing } from '../../tree/listing.ts';
import { baseName, isWithin, joinPath, parentPath, rebasePath, type RelPath } from '../../tree/path.ts';
import { encodeTree } from '../../tree/codec.ts';
import type { FileDigest } from '../../replica/replica.ts';
import { Tree } from '../../tree/tree.ts';
import { onState } from '../state-errors.ts';
import { decodeRecords, RecordEncoder, type DigestChange, type LogRecord } from './records.ts';
import { readSnapshot, writeSnapshot, type SnapshotHeader } from './snapshot.ts';

/** The log is folded into a new snapshot when it has grown beyond this, or beyond a quarter of the snapshot. */
const compactAboveBytes = 1 << 20;

export interface BaselineKey {
  identity: { a: string; b: string };
  mode: string;
  rules: string;
}

/** A new snapshot for the sake of marks is worth its bytes when so many directories, or this share of all, are without one. */
const worthMarking = { directories: 500, share: 1 / 16 };

/** Why there is no baseline although there is a file, for the user. */
export type Lost = { reason: string };

interface PendingPatch {
  a: Map<string, Entry | undefined>;
  b: Map<string, Entry | undefined>;
  digests: DigestChange[];
}

export class Baseline implements AgreedState {
  a = new Tree();
  b = new Tree();
  readonly digests = new Map<RelPath, Uint8Array>();
  /** Set when what was on disk could not be used. */
  lost: Lost | undefined;
  #header: SnapshotHeader;
  /** The snapshot's trees, packed. */
  #packed: { a: Uint8Array; b: Uint8Array } | undefined;
  /** Directories that the log changed since; undefined when it did more than that. */
  #changedDirs: Set<RelPath> | undefined = new Set();
  readonly #stateDir: string;
  readonly #file: string;
  /** Writing failed: what is on disk may end in a torn record, behind which nothing would be read. */
  #broken = false;
  #log: number | undefined;
  #logBytes = 0;
  #snapshotBytes = 0;
  #exists = false;
  /** Results were recorded since the last intent: the roots must carry its token. */
  #resultsSinceIntent = false;
  #previousToken = '';
  #pending = new Map<RelPath, PendingPatch>();
  #sessionNoted = false;
  #lastWrite = 0;
  /** Names are vouched for that the snapshot does not vouch for yet. */
  #marked = false;

  /** The caller's a is the b of the files: a link has one baseline, in whatever order its roots are named. */
  readonly #swapped: boolean;
  /** How the files were before they were read. */
  #asRead = '';
  readonly #encoder = new RecordEncoder();
  readonly #slab = new Slab();

  private constructor(stateDir: string, linkId: string, swapped: boolean) {
    this.#stateDir = stateDir;
    this.#file = path.join(stateDir, 'links', linkId);
    this.#swapped = swapped;
    this.#header = emptyHeader();
  }

  /** Reads what is on disk; what cannot be trusted is left out, with the reason in `lost`. Writes nothing. */
  static load(stateDir: string, linkId: string, swapped = false): Baseline {
    const baseline = new Baseline(stateDir, linkId, swapped);
    try {
      onState('read', stateDir, () => baseline.#load());
    } catch (error) {
      if (error instanceof LockstepError) throw error;
      baseline.#forget('it is damaged');
    }
    return baseline;
  }

  /** Has nobody written since it was read? Only who holds the roots' locks can say so for longer than this moment. */
  get isCurrent(): boolean {
    return this.#stampNow() === this.#asRead;
  }

  #stampNow(): string {
    const stamps = [this.#file, `${this.#file}.log`].map((file) => {
      const stats = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
      return stats === undefined ? 'none' : `${stats.ino}:${stats.size}:${stats.mtimeNs}`;
    });
    return stamps.join(' ');
  }

  /** There is an earlier agreement to go by. */
  get exists(): boolean {
    return this.#exists;
  }

  get identity(): { a: string; b: string } {
    return this.#header.identity;
  }

  get mode(): string {
    return this.#header.mode;
  }

  get rules(): string {
    return this.#header.rules;
  }

  /** A side's record for its agent: the snapshot as it lies in memory, and over it the directories that the log changed. */
  packed(side: 'a' | 'b'): Uint8Array[] {
    if (!this.#exists) return [];
    if (this.#packed === undefined || this.#changedDirs === undefined) return [encodeTree(this[side], sharedBytes)];
    if (this.#changedDirs.size === 0) return [this.#packed[side]];
    const changed = new Tree();
    for (const dir of this.#changedDirs) changed.setListing(dir, this[side].listing(dir) ?? Listing.empty);
    return [this.#packed[side], encodeTree(changed)];
  }

  /** Is a token found in a root the one of the last run (or of the one before, if that was never begun)? */
  acceptsToken(token: string | undefined): boolean {
    if (this.#header.token === '') return true;
    return token === this.#header.token || (!this.#resultsSinceIntent && token === this.#previousToken);
  }

  /** Drops everything: the sides will meet for the first time. */
  forget(reason: string): void {
    this.#forget(reason);
  }

  /** Records made under other sessions than these and never flushed cannot be relied on. */
  checkSessions(session: { a: string; b: string }): void {
    if (!this.#exists || this.#header.durable) return;
    const same = this.#header.session.a === session.a && this.#header.session.b === session.b;
    if (!same) this.#forget('the machine or a disk went down before its data was safely stored');
  }

  /** The records are not known to be durable, and were last added to at this time (ms). */
  get undurableSince(): number | undefined {
    return this.#exists && !this.#header.durable ? this.#lastWrite : undefined;
  }

  /** Both file systems were flushed after the last record. */
  markDurable(): void {
    if (this.#header.durable) return;
    this.#append([{ type: 'durable' }]);
    this.#header.durable = true;
    this.#sessionNoted = false;
  }

  /** Finds out, before anything else is marked or changed, whether there is a place to record it. */
  checkPlace(): void {
    onState('write', this.#stateDir, () => {
      const dir = path.dirname(this.#file);
      makeDirectories(dir, 0o700);
      fs.accessSync(dir, fs.constants.W_OK | fs.constants.X_OK);
    });
  }

  /** Starts writing: must be called, with locks held, before anything is recorded. */
  begin(key: BaselineKey, session: { a: string; b: string }): void {
    const { identity, mode, rules } = this.#header;
    const fits = this.#exists && mode === key.mode && rules === key.rules;
    this.#header = { ...this.#header, ...key };
    if (!fits || identity.a !== key.identity.a || identity.b !== key.identity.b) {
      // The roots' ids were made, the mode or rules changed, or there was nothing: a new snapshot says so.
      this.#header.session = session;
      this.#exists = true;
      this.#writeSnapshot();
    }
    this.#header.session = session;
  }

  /**
   * Notes that changes are about to be made.
   *
   * @returns the token that both roots must be given before
   * @throws LockstepError `state` once something could not be written: a token that is not on record would make the roots look
   *   as if they had been restored from an older copy
   */
  intend(): string {
    if (this.#broken) throw new LockstepError('state', `${this.#file} could not be written`, { path: this.#file });
    const token = randomBytes(8).toString('hex');
    this.#append([{ type: 'intent', token }]);
    this.#previousToken = this.#header.token;
    this.#header.token = token;
    this.#resultsSinceIntent = false;
    return token;
  }

  /** A path as it now is on both sides (undefined: nothing there). Takes effect with `flush`. */
  record(path: RelPath, a: Entry | undefined, b: Entry | undefined, digest?: Uint8Array): void {
    const dir = path === '' ? rootKey : parentPath(path);
    const name = path === '' ? '.' : baseName(path);
    let pending = this.#pending.get(dir);
    if (pending === undefined) this.#pending.set(dir, (pending = { a: new Map(), b: new Map(), digests: [] }));
    pending.a.set(name, a);
    pending.b.set(name, b);
    const worth = digest !== undefined && isDigestWorth(a, b);
    if (worth || this.digests.has(path)) {
      pending.digests.push({ name, sha256: worth ? Buffer.from(digest).toString('hex') : undefined });
    }
  }

  /** Whole directories that were just made alike, with what digests are known of the files. Takes effect at once. */
  recordListings(listings: readonly { dir: RelPath; a: Listing; b: Listing; digests?: readonly FileDigest[] }[]): void {
    const records: LogRecord[] = [];
    for (const { dir, a, b, digests = [] } of listings) {
      records.push({ type: 'set', dir, a: this.#kept(a), b: this.#kept(b) });
      const worth = digests.filter(({ name }) => isDigestWorth(a.get(name), b.get(name)));
      if (worth.length === 0) continue;
      const changes = worth.map(({ name, digest }) => ({ name, sha256: Buffer.from(digest).toString('hex') }));
      const { empty } = Listing;
      records.push({ type: 'patch', dir, a: empty, b: empty, goneA: [], goneB: [], digests: changes });
    }
    this.#add(records);
  }

  /** What is kept holds no decoded names: a million of them would weigh more than the records. */
  #kept(listing: Listing): Listing {
    return new Listing(this.#slab.keep(listing.bytes));
  }

  /** Renames that were carried out on the side that did not have them yet, all at once. Takes effect at once. */
  recordMoves(moves: readonly { from: RelPath; to: RelPath }[]): void {
    this.flush();
    this.#add([{ type: 'moves', moves: [...moves] }]);
  }

  /** A side's entry of a path that is already agreed looks different now by our own doing. Takes effect with `flush`. */
  updateSide(path: RelPath, side: 'a' | 'b', entry: Entry): void {
    const other = path === '' ? undefined : this.#pending.get(parentPath(path));
    const name = baseName(path);
    const known = {
      a: other?.a.has(name) === true ? other.a.get(name) : this.a.get(path),
      b: other?.b.has(name) === true ? other.b.get(name) : this.b.get(path),
    };
    if (known[side] === undefined) return;
    known[side] = entry;
    this.record(path, known.a, known.b);
  }

  /**
   * Keeps what a scan found out about recorded names: it saves the next ones from reading them. Before anything is recorded:
   * the names must still be those that the scan was given. Kept when the run ends, if it comes to enough.
   */
  vouch(side: 'a' | 'b', complete: readonly { dir: RelPath; mark: number }[]): void {
    const { directories, share } = worthMarking;
    if (complete.length < directories || complete.length < this[side].directoryCount * share) return;
    for (const { dir, mark } of complete) {
      const listing = this[side].listing(dir);
      if (listing !== undefined) this[side].setListing(dir, listing.withMark(mark));
    }
    this.#marked = true;
  }

  /** Appends what was recorded since the last flush. */
  flush(): void {
    if (this.#pending.size === 0) return;
    const pending = this.#pending;
    const records: LogRecord[] = [];
    for (const [dir, { a, b, digests }] of pending) {
      records.push({ type: 'patch', dir, ...splitGone('a', a), ...splitGone('b', b), digests } as LogRecord);
    }
    this.#pending = new Map();
    this.#note(records);
    // What `#replay` does with these records, from what they were made of.
    for (const [dir, { a, b, digests }] of pending) this.#patch(dir, a, b, digests);
  }

  /** Folds the log into a snapshot when it has grown. */
  compact(): void {
    this.flush();
    if (this.#log === undefined || !this.#hasGrown) return;
    this.#writeSnapshot();
    this.#packed = undefined;
    this.#changedDirs = undefined;
  }

  /** Ends writing; folds the log into a snapshot when it has grown. */
  end(): void {
    this.flush();
    if (this.#log !== undefined && this.#hasGrown) this.#writeSnapshot();
    else if (this.#marked) this.#keepMarks();
    if (this.#log !== undefined) fs.closeSync(this.#log);
    this.#log = undefined;
  }

  #add(records: LogRecord[]): void {
    if (records.length === 0) return;
    this.#note(records);
    for (const record of records) this.#replay(record);
  }

  /** Appends results. They are on record once the trees follow, too. */
  #note(records: readonly LogRecord[]): void {
    this.#header.durable = false;
    const { session } = this.#header;
    const noted: LogRecord[] = this.#sessionNoted ? [] : [{ type: 'session', ...session, time: Date.now() }];
    this.#sessionNoted = true;
    this.#append([...noted, ...records]);
    this.#resultsSinceIntent = true;
  }

  #append(records: LogRecord[]): void {
    const bytes = this.#encoder.encode(records.map((record) => swapRecord(record, this.#swapped)));
    this.#write(() => {
      this.#log ??= this.#openLog();
      for (let done = 0; done < bytes.length;) done += fs.writeSync(this.#log, bytes, done);
      this.#logBytes += bytes.length;
    });
  }

  #write(act: () => void): void {
    if (this.#broken) return;
    this.#broken = true;
    onState('write', this.#stateDir, act);
    this.#broken = false;
  }

  #openLog(): number {
    const log = fs.openSync(`${this.#file}.log`, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    const known = Buffer.from(`${this.#header.id}\n`);
    if (this.#logBytes === 0) {
      fs.ftruncateSync(log, 0);
      fs.writeSync(log, known, 0, known.length, 0);
      this.#logBytes = known.length;
    }
    // A torn tail is cut off before anything is appended behind it.
    fs.ftruncateSync(log, this.#logBytes);
    fs.closeSync(log);
    return fs.openSync(`${this.#file}.log`, 'a', 0o600);
  }

  get #hasGrown(): boolean {
    return this.#logBytes > Math.max(compactAboveBytes, this.#snapshotBytes / 4);
  }

  /** Marks only save time. A state directory that takes none today is no reason to fail a run that was in step. */
  #keepMarks(): void {
    try {
      this.#writeSnapshot();
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
    }
  }

  #writeSnapshot(): void {
    this.#write(() => this.#replaceSnapshot());
  }

  #replaceSnapshot(): void {
    makeDirectories(path.dirname(this.#file), 0o700);
    this.#header.id = randomBytes(8).toString('hex');
    this.#header.digests = Object.fromEntries(
      [...this.digests].map(([at, sha]) => [at, Buffer.from(sha).toString('hex')]),
    );
    const [first, second] = this.#swapped ? [this.b, this.a] : [this.a, this.b];
    writeSnapshot(this.#file, swapHeader(this.#header, this.#swapped), first, second);
    if (this.#log !== undefined) fs.closeSync(this.#log);
    this.#log = undefined;
    this.#logBytes = 0;
    this.#sessionNoted = false;
    this.#marked = false;
    fs.rmSync(`${this.#file}.log`, { force: true });
    this.#snapshotBytes = fs.statSync(this.#file).size;
  }

  #load(): void {
    this.#asRead = this.#stampNow();
    const snapshot = readSnapshot(this.#file);
    if (snapshot === undefined) return;
    if ('damaged' in snapshot) return this.#forget(`it is damaged (${snapshot.damaged})`);
    this.#header = swapHeader(snapshot.header, this.#swapped);
    this.a = this.#swapped ? snapshot.b : snapshot.a;
    this.b = this.#swapped ? snapshot.a : snapshot.b;
    const { a, b } = snapshot.packed;
    this.#packed = this.#swapped ? { a: b, b: a } : { a, b };
    for (const [at, sha] of Object.entries(snapshot.header.digests)) this.digests.set(at, Buffer.from(sha, 'hex'));
    const stats = fs.statSync(this.#file);
    this.#snapshotBytes = stats.size;
    this.#lastWrite = stats.mtimeMs;
    this.#previousToken = this.#header.token;
    this.#exists = true;
    this.#resultsSinceIntent = true;
    this.#loadLog();
  }

  #loadLog(): void {
    let bytes: Buffer;
    try {
      bytes = fs.readFileSync(`${this.#file}.log`);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return;
      throw error;
    }
    const start = this.#header.id.length + 1;
    if (bytes.toString('latin1', 0, start) !== `${this.#header.id}\n`) return;
    const { records, end } = decodeRecords(bytes.subarray(start));
    this.#logBytes = start + end;
    for (const stored of records) {
      const record = swapRecord(stored, this.#swapped);
      this.#replay(record);
    }
    if (records.length > 0) this.#lastWrite = fs.statSync(`${this.#file}.log`).mtimeMs;
  }

  #replay(record: LogRecord): void {
    switch (record.type) {
      case 'set':
        this.a.setListing(record.dir, record.a);
        this.b.setListing(record.dir, record.b);
        this.#changedDirs?.add(record.dir);
        this.#resultsSinceIntent = true;
        return;
      case 'patch':
        this.#patch(record.dir, joinGone(record.a, record.goneA), joinGone(record.b, record.goneB), record.digests);
        this.#resultsSinceIntent = true;
        return;
      case 'moves':
        moveInTree(this.a, record.moves);
        moveInTree(this.b, record.moves);
        moveDigests(this.digests, record.moves);
        this.#changedDirs = undefined;
        this.#resultsSinceIntent = true;
        return;
      case 'intent':
        this.#previousToken = this.#header.token;
        this.#header.token = record.token;
        this.#resultsSinceIntent = false;
        return;
      case 'session':
        this.#header.session = { a: record.a, b: record.b };
        this.#header.durable = false;
        return;
      case 'durable':
        this.#header.durable = true;
    }
  }

  #patch(dir: RelPath, a: Changes, b: Changes, digests: readonly DigestChange[]): void {
    patchTree(this.a, dir, a);
    patchTree(this.b, dir, b);
    if (dir !== rootKey) this.#changedDirs?.add(dir);
    for (const { name, sha256 } of digests) {
      const at = joinPath(dir === rootKey ? '' : dir, name);
      if (sha256 === undefined) this.digests.delete(at);
      else this.digests.set(at, Buffer.from(sha256, 'hex'));
    }
  }

  #forget(reason: string): void {
    this.lost = { reason };
    this.a = new Tree();
    this.b = new Tree();
    this.digests.clear();
    this.#packed = undefined;
    this.#changedDirs = undefined;
    this.#exists = false;
    this.#logBytes = 0;
    this.#header = emptyHeader();
  }
}

/** What became of some names of a directory on a side; undefined: nothing is there any more. */
type Changes = ReadonlyMap<string, Entry | undefined>;

/** The roots' own entries are recorded in a directory that no path can name. */
const rootKey = '/';

/** A digest is only worth its place where metadata is not to be trusted. */
function isDigestWorth(a: Entry | undefined, b: Entry | undefined): boolean {
  return (a !== undefined && isRacy(a)) || (b !== undefined && isRacy(b));
}

/** Memory that worker threads see without a copy. */
function sharedBytes(length: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(length));
}

function swapHeader(header: SnapshotHeader, swapped: boolean): SnapshotHeader {
  if (!swapped) return header;
  const { identity, session } = header;
  return {
    ...header,
    mode: swapMode(header.mode),
    identity: { a: identity.b, b: identity.a },
    session: { a: session.b, b: session.a },
  };
}

/** A push one way round is a pull the other way round. */
function swapMode(mode: string): string {
  const opposite: Record<string, string> = {
    push: 'pull',
    pull: 'push',
    mirror: 'pull-mirror',
    'pull-mirror': 'mirror',
  };
  return opposite[mode] ?? mode;
}

function swapRecord(record: LogRecord, swapped: boolean): LogRecord {
  if (!swapped) return record;
  switch (record.type) {
    case 'set':
      return { ...record, a: record.b, b: record.a };
    case 'patch':
      return { ...record, a: record.b, b: record.a, goneA: record.goneB, goneB: record.goneA };
    case 'session':
      return { ...record, a: record.b, b: record.a };
    case 'moves':
    case 'intent':
    case 'durable':
      return record;
  }
}

function emptyHeader(): SnapshotHeader {
  return {
    id: '',
    identity: { a: '', b: '' },
    mode: '',
    token: '',
    session: { a: '', b: '' },
    durable: true,
    digests: {},
    rules: '',
  };
}

function splitGone(side: 'a' | 'b', changes: Changes): Record<string, unknown> {
  const present: [string, Entry][] = [];
  const gone: string[] = [];
  for (const [name, entry] of changes) {
    if (entry === undefined) gone.push(name);
    else present.push([name, entry]);
  }
  return { [side]: Listing.from(present), [side === 'a' ? 'goneA' : 'goneB']: gone };
}

/** The other way round. */
function joinGone(present: Listing, gone: readonly string[]): Changes {
  const changes = new Map<string, Entry | undefined>(present.entries());
  for (const name of gone) changes.set(name, undefined);
  return changes;
}

function patchTree(tree: Tree, dir: RelPath, changes: Changes): void {
  if (dir === rootKey) tree.root = changes.get('.') ?? tree.root;
  else tree.patch(dir, changes);
}

/** Renames that happen all at once: every old name is taken out before any new one is put in. */
function moveInTree(tree: Tree, moves: readonly { from: RelPath; to: RelPath }[]): void {
  const carried = moves.map(({ from, to }) => {
    const lifted = new Tree();
    for (const dir of tree.subtree(from)) {
      const listing = tree.listing(dir);
      if (listing !== undefined) lifted.setListing(rebasePath(dir, from, to), listing);
    }
    return { to, entry: tree.get(from), lifted };
  });
  for (const { from } of moves)
    if (tree.get(from) !== undefined) tree.patch(parentPath(from), new Map([[baseName(from), undefined]]));
  for (const { to, entry, lifted } of carried) {
    if (entry === undefined) continue;
    tree.patch(parentPath(to), new Map([[baseName(to), entry]]));
    for (const [dir, listing] of lifted.listings()) tree.setListing(dir, listing);
  }
}

function moveDigests(digests: Map<RelPath, Uint8Array>, moves: readonly { from: RelPath; to: RelPath }[]): void {
  const carried: [RelPath, Uint8Array][] = [];
  for (const { from, to } of moves) {
    for (const [at, digest] of [...digests]) {
      if (!isWithin(at, from)) continue;
      digests.delete(at);
      carried.push([rebasePath(at, from, to), digest]);
    }
  }
  for (const [at, digest] of carried) digests.set(at, digest);
}
