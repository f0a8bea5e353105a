/**
 * Walking a root: what is there now, as differences from what was recorded.
 *
 * The hot path of everything: per entry one `lstat`, five numbers into a packed record, and per directory one comparison
 * with the record (DESIGN §3.1). Nothing else may be done for an entry that did not change.
 */
import { append } from '../../base/append.ts';
import fs from 'node:fs';
import { errnoCode, GuardError, reasonOf } from '../../base/errors.ts';
import { flags, type Entry } from '../../tree/entry.ts';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { decodeTreeLazily } from '../../tree/codec.ts';
import { Listing, packBits, packListing, recordBytes } from '../../tree/listing.ts';
import { decodeName, joinPath, ownDirectory, type RelPath } from '../../tree/path.ts';
import { TreePacker, treeOfChunks } from '../../tree/packer.ts';
import type { Tree } from '../../tree/tree.ts';
import { unreadableRules } from '../unreadable-rules.ts';
import { explainChanges, ignoredEntry, isInScope, recordedListing } from '../explain-changes.ts';
import { DirectoryDigest, digestSet, listingDigest } from '../listing-digest.ts';
import type { ScanRequest, ScanResult } from '../replica.ts';
import { nothingFound } from '../scan-result.ts';
import { looksAsRecorded, type AsRecorded, type FoundDirectory } from './as-recorded.ts';
import type { ScanHelp } from './scan-help.ts';
import { digestFound } from './digest-found.ts';
import { maxPathLength, type DirHandles } from './dir-handles.ts';
import { toFs } from './fs-path.ts';
import { readNames } from './names.ts';
import { listsByTimes } from './platform.ts';
import { grainNow, isWithinGrain, kindOfMode, observe, readTarget } from './stat.ts';
import type { Work } from './slices.ts';
import type { RootWatcher } from './watch/root-watcher.ts';

/** What a scan shares with the looks that follow it in live mode (watch/). */
export interface ScanContext {
  matcher: IgnoreMatcher;
  /** Told of every directory before it is listed. */
  watcher: Pick<RootWatcher, 'enter'> | undefined;
  /** Another thread that takes some of the directories. */
  help?: ScanHelp | undefined;
  /**
   * This process has nothing to do but this: its working directory may be moved. The kernel then does not walk down the same
   * path for every name, a sixth of a walk.
   */
  mayMove?: boolean;
}

export function scanRoot(
  handles: DirHandles,
  granularityNs: bigint,
  request: ScanRequest,
  context: ScanContext = { matcher: new IgnoreMatcher(request.rules), watcher: undefined },
): Work<ScanResult> {
  return new Scanner(handles, granularityNs, request, context).run();
}

/** Walks some directories and all below them, as a scan does, and reports all of it. */
export function* scanBelow(
  handles: DirHandles,
  granularityNs: bigint,
  request: ScanRequest,
  context: ScanContext,
  dirs: readonly Pending[],
): Work<ScanResult> {
  return yield* new Scanner(handles, granularityNs, request, context).runBelow(dirs);
}

/** One object for all calls. */
const statOptions = { bigint: true, throwIfNoEntry: false } as const;

export interface Pending {
  path: RelPath;
  dev: bigint;
  /** Its mark (tree/listing.ts), where it was just seen to be as recorded. */
  mark: number;
}

/** What some directories came to, and the directories that are in them, which nobody has looked into yet. */
export interface ScannedPart {
  /** Without the tree, which is packed. */
  result: Omit<ScanResult, 'changed'>;
  chunks: Uint8Array[];
  below: Pending[];
}

export class Scanner {
  readonly #handles: DirHandles;
  readonly #granularityNs: bigint;
  readonly #request: ScanRequest;
  readonly #matcher: IgnoreMatcher;
  readonly #watcher: ScanContext['watcher'];
  /** Layers of what was recorded, the last word first. */
  readonly #previous: readonly Tree[];
  /** Digests of what was recorded, where that is all that was told. */
  readonly #digests: ReadonlySet<string>;
  readonly #digest: DirectoryDigest | undefined;
  readonly #overrides = new Map<RelPath, string | undefined>();
  readonly #listsByTimes: boolean;
  readonly #ignoreFilesRead = new Set<RelPath>();
  readonly #help: ScanHelp | undefined;
  readonly #mayMove: boolean;
  /** Chunks of what others have found. */
  readonly #theirs: Uint8Array[] = [];
  #unmatchedElsewhere: string[] | undefined;
  #result = nothingYet();
  #packer = new TreePacker();
  // Scratch for one directory's records, grown as needed: 40 bytes an entry seen as 64-bit and as 32-bit words.
  #words = new BigInt64Array((recordBytes / 8) * 1024);
  #halves = new Uint32Array(this.#words.buffer);

  constructor(handles: DirHandles, granularityNs: bigint, request: ScanRequest, context: ScanContext) {
    this.#handles = handles;
    this.#granularityNs = granularityNs;
    this.#request = request;
    this.#matcher = context.matcher;
    this.#watcher = context.watcher;
    this.#help = context.help;
    this.#mayMove = context.mayMove ?? false;
    const { previous } = request;
    this.#previous = previous.as === 'packed' ? previous.layers.map(decodeTreeLazily).reverse() : [];
    this.#digests = previous.as === 'digests' ? digestSet(previous.digests) : new Set();
    // Nothing can be vouched for without the record, and under a scope nobody sees all names. Where the root is watched, a
    // directory must be listed after its watch was set, and its times were looked at before.
    const mayVouch = previous.as === 'packed' && request.scope.length === 0 && context.watcher === undefined;
    this.#listsByTimes = mayVouch && listsByTimes(handles.root);
    this.#digest = previous.as === 'digests' ? new DirectoryDigest(previous.salt) : undefined;
    for (const { dir, name, text } of request.ignoreFiles) this.#overrides.set(joinPath(dir, name), text);
  }

  *run(): Work<ScanResult> {
    try {
      return yield* this.#run();
    } finally {
      // Not a moment longer than needed: nobody could unmount it.
      if (this.#mayMove) process.chdir('/');
    }
  }

  *#run(): Work<ScanResult> {
    const before = fs.statSync(this.#handles.rootPrefix, { bigint: true });
    const root = observe(`${this.#handles.rootPrefix}/.`, this.#granularityNs);
    if (root !== undefined) this.#packer.setRoot(root);
    yield* this.#walk([{ path: '', dev: before.dev, mark: 0 }]);
    // A root that was unmounted or swapped while it was walked: what was seen is not this root.
    const after = fs.statSync(this.#handles.root, { bigint: true, throwIfNoEntry: false });
    if (after?.ino !== before.ino || after.dev !== before.dev) {
      throw new GuardError('root-replaced', `${this.#handles.root} was replaced while it was being read`, {
        path: this.#handles.root,
        hint: 'Nothing was changed. Run again once it is back.',
      });
    }
    return this.#finish();
  }

  *runBelow(dirs: readonly Pending[]): Work<ScanResult> {
    yield* this.#walk([...dirs]);
    return this.#finish();
  }

  /** Looks into some directories, and not into those in them. */
  *runPart(dirs: readonly Pending[]): Work<ScannedPart> {
    const below: Pending[] = [];
    for (const dir of dirs) {
      this.#scanDirectory(dir, below);
      yield { entries: this.#result.entries, bytes: this.#result.bytes, path: dir.path };
    }
    const result = this.#result;
    const chunks = this.#packer.finish();
    result.unmatchedPatterns = this.#matcher.unmatchedPatterns();
    this.#result = nothingYet();
    this.#packer = new TreePacker();
    return { result, chunks, below };
  }

  /** Takes in an ignore file that somebody else has read. */
  addIgnoreFile({ dir, name, text }: ScanResult['ignoreFiles'][number]): void {
    this.#ignoreFilesRead.add(joinPath(dir, name));
    this.#matcher.addFile(dir, name, text);
  }

  *#walk(stack: Pending[]): Work<void> {
    const help = this.#help;
    for (;;) {
      const dir = stack.pop();
      if (dir !== undefined) this.#scanDirectory(dir, stack);
      else if (help?.isAtWork === true) yield { until: help.news() };
      else return;
      yield { entries: this.#result.entries, bytes: this.#result.bytes, path: dir?.path ?? '' };
      if (help === undefined) continue;
      for (const part of help.take()) this.#takeIn(part, stack);
      help.offer(stack, this.#result.ignoreFiles);
    }
  }

  #takeIn({ result, chunks, below }: ScannedPart, stack: Pending[]): void {
    const own = this.#result;
    own.entries += result.entries;
    own.bytes += result.bytes;
    append(own.unreadable, result.unreadable);
    append(own.ignoredIn, result.ignoredIn);
    append(own.mountsGone, result.mountsGone);
    append(own.ignoreFiles, result.ignoreFiles);
    for (const file of result.ignoreFiles) this.addIgnoreFile(file);
    const unmatched = new Set(result.unmatchedPatterns);
    this.#unmatchedElsewhere = this.#unmatchedElsewhere?.filter((pattern) => unmatched.has(pattern)) ?? [...unmatched];
    append(this.#theirs, chunks);
    append(stack, below);
  }

  #finish(): ScanResult {
    const elsewhere = this.#unmatchedElsewhere;
    const unmatched = this.#matcher.unmatchedPatterns();
    return {
      ...this.#result,
      changed: treeOfChunks([...this.#packer.finish(), ...this.#theirs]),
      unmatchedPatterns: elsewhere === undefined ? unmatched : unmatched.filter((text) => elsewhere.includes(text)),
    };
  }

  /** @returns the prefix for names in a directory, which is watched from now on; undefined when there is no way there */
  #enter(dir: RelPath): string | undefined {
    try {
      // Watch, then list: what comes in between is in the listing, or told of, or both.
      this.#watcher?.enter(dir);
      return this.#prefixOf(dir);
    } catch (error) {
      this.#cannotRead(dir, error);
      return undefined;
    }
  }

  #cannotRead(dir: RelPath, error: unknown): void {
    if (dir === '') throw unreadableRoot(this.#handles.root, error);
    // Also when it vanished meanwhile: its parent was listed with it, so nothing may be concluded this time.
    this.#result.unreadable.push({ path: dir, reason: reasonOf(error) });
  }

  #scanDirectory(dir: Pending, stack: Pending[]): void {
    const prefix = this.#enter(dir.path);
    if (prefix === undefined || this.#isAsVouchedFor(dir, prefix, stack)) return;
    let names: string[];
    try {
      names = readNames(prefix);
    } catch (error) {
      this.#cannotRead(dir.path, error);
      return;
    }
    if (!this.#loadIgnoreFiles(dir.path, prefix, names)) return;
    if (this.#isAsRecorded(dir, prefix, names, stack)) return;
    const grain = grainNow(this.#granularityNs);
    const kept: string[] = [];
    const targets: string[] = [];
    const ignored: [string, Entry][] = [];
    let holdsRoot = false;
    let vanished = false;
    this.#reserve(names.length);

    for (const name of names) {
      if (name === ownDirectory) {
        // Further down it is another root's: like something ignored, it is not synced and keeps its directory.
        holdsRoot = dir.path !== '';
        continue;
      }
      const path = dir.path === '' ? name : `${dir.path}/${name}`;
      if (!isInScope(this.#request.scope, path)) continue;
      const full = `${prefix}/${name}`;
      const at = kept.length;
      let kindBits: number;
      try {
        const stats = fs.lstatSync(toFs(full), statOptions);
        if (stats === undefined) {
          vanished = true;
          continue;
        }
        const mode = Number(stats.mode);
        const kind = kindOfMode(mode);
        if (!this.#matcher.isEmpty && this.#matcher.ignores(path, kind === 'dir')) {
          // What may go with its directory does not hold it: it is not reported, and seen to when the directory is removed.
          if (!this.#matcher.isPerishable(path, kind === 'dir')) ignored.push([name, ignoredEntry(mode & 0o7777)]);
          continue;
        }
        let flagBits = 0;
        if (kind === 'dir') {
          if (stats.dev !== dir.dev) flagBits = flags.mount;
          stack.push({ path, dev: stats.dev, mark: 0 });
        } else if (kind === 'symlink') {
          targets.push(readTarget(full));
        } else if (kind === 'file') {
          this.#result.bytes += Number(stats.size);
          if (isWithinGrain(stats, grain)) flagBits = flags.racy;
        }
        this.#writeRecord(at, stats.mtimeNs, stats.ctimeNs, stats.ino, kind === 'file' ? stats.size : 0n);
        kindBits = packBits(kind, kind === 'symlink' ? 0 : mode & 0o7777, flagBits);
      } catch (error) {
        if (errnoCode(error) === 'ENOENT') {
          vanished = true;
          continue;
        }
        this.#result.unreadable.push({ path, reason: reasonOf(error) });
        this.#writeRecord(at, 0n, 0n, 0n, 0n);
        kindBits = packBits('unreadable', 0, 0);
      }
      this.#halves[at * 10 + 8] = kindBits;
      kept.push(name);
    }
    // What has gone with its directory, renamed or unmounted at this moment, has not been deleted from it. (The root: #run.)
    if (vanished && dir.path !== '' && !isStillThere(prefix, dir.dev)) {
      this.#cannotRead(dir.path, new Error('it was moved while it was being read'));
      return;
    }
    this.#result.entries += kept.length;
    if (ignored.length > 0 || holdsRoot) this.#result.ignoredIn.push(dir.path);
    this.#report(dir.path, kept, targets, ignored);
  }

  /**
   * The quickest case: not even the names have to be read. They cannot have changed without the directory's times, which
   * its parent's scan has just found as they are recorded, and older than the clock's tick; and in this very state of it
   * the record was once seen to have all its names. If one of them is gone now, the directory is read after all.
   */
  #isAsVouchedFor(dir: Pending, prefix: string, stack: Pending[]): boolean {
    if (dir.mark === 0 || !this.#listsByTimes || this.#request.reportAll) return false;
    const recorded = this.#recorded(dir.path);
    if (recorded?.mark !== dir.mark) return false;
    // True: what is in it is unknown, and told as such.
    const names = this.#request.rules.files.length > 0 ? recorded.decodeNames() : [];
    if (!this.#loadIgnoreFiles(dir.path, prefix, names)) return true;
    return this.#looksAsRecorded(dir, prefix, undefined, stack);
  }

  /** The common case: nothing changed here. */
  #isAsRecorded(dir: Pending, prefix: string, names: readonly string[], stack: Pending[]): boolean {
    const { reportAll, scope } = this.#request;
    if (reportAll || scope.length > 0) return false;
    const own = names.indexOf(ownDirectory);
    if (own >= 0 && dir.path !== '') return false;
    const synced = own < 0 ? names : names.filter((name) => name !== ownDirectory);
    if (!this.#looksAsRecorded(dir, prefix, synced, stack)) return false;
    if (dir.mark !== 0 && this.#listsByTimes) this.#result.complete.push({ dir: dir.path, mark: dir.mark });
    return true;
  }

  /** @param names undefined: those that are recorded */
  #looksAsRecorded(dir: Pending, prefix: string, names: readonly string[] | undefined, stack: Pending[]): boolean {
    const recorded = this.#recorded(dir.path);
    const found = this.#lookAgain(dir.path, recorded, {
      prefix,
      names,
      dev: dir.dev,
      granularityNs: this.#granularityNs,
      isIgnored: this.#matcher.isEmpty
        ? undefined
        : (name, isDirectory) => this.#matcher.ignores(joinPath(dir.path, name), isDirectory),
    });
    if (found === undefined) return false;
    for (const { index, name, dev } of found.directories) {
      const mark = this.#listsByTimes ? (recorded?.markOf(index) ?? 0) : 0;
      stack.push({ path: joinPath(dir.path, name), dev, mark });
    }
    this.#result.bytes += found.bytes;
    this.#result.entries += found.count;
    return true;
  }

  #lookAgain(path: RelPath, recorded: Listing | undefined, dir: FoundDirectory): AsRecorded | undefined {
    if (this.#digest === undefined) return recorded === undefined ? undefined : looksAsRecorded(dir, recorded);
    const { names } = dir;
    const found = names === undefined ? undefined : digestFound(path, { ...dir, names }, this.#digest);
    return found !== undefined && this.#digests.has(found.digest) ? found : undefined;
  }

  /** Puts the directory into the result unless it is as recorded. */
  #report(dir: RelPath, kept: string[], targets: string[], ignored: [string, Entry][]): void {
    const records = new Uint8Array(this.#words.buffer, 0, kept.length * recordBytes);
    const bytes = packListing(records, kept.length, kept, targets);
    const recorded = this.#recorded(dir);
    if (!this.#request.reportAll && this.#isRecorded(dir, bytes, recorded)) return;
    let listing = new Listing(bytes);
    if (ignored.length > 0) listing = listing.with(new Map(ignored));
    if (recorded !== undefined) {
      const { scope } = this.#request;
      const { mountsGone } = this.#result;
      listing = explainChanges(dir, listing, recorded, { scope, matcher: this.#matcher, mountsGone });
    }
    this.#packer.add(dir, listing.bytes);
  }

  #isRecorded(dir: RelPath, bytes: Uint8Array, recorded: Listing | undefined): boolean {
    if (this.#digest !== undefined) return this.#digests.has(listingDigest(this.#digest, dir, bytes));
    return recorded?.sameEntries(bytes) === true;
  }

  #recorded(dir: RelPath): Listing | undefined {
    return recordedListing(this.#previous, dir);
  }

  /**
   * @returns false when one cannot be read: not knowing the rules, the directory is not known either, nor what is below. Better
   *   nothing than the wrong thing
   * @throws LockstepError `io` in the root, of which nothing would be left
   */
  #loadIgnoreFiles(dir: RelPath, prefix: string, names: readonly string[]): boolean {
    for (const name of this.#request.rules.files) {
      const path = joinPath(dir, name);
      if (this.#ignoreFilesRead.has(path)) continue;
      let text: string | undefined;
      if (this.#overrides.has(path)) text = this.#overrides.get(path);
      else if (names.includes(name)) {
        try {
          text = readIgnoreFile(`${prefix}/${name}`);
        } catch (error) {
          if (dir === '') throw unreadableRules(`${this.#handles.root}/${name}`, reasonOf(error));
          this.#result.unreadable.push({ path: dir, reason: `its ${name} cannot be read: ${reasonOf(error)}` });
          return false;
        }
      }
      if (text === undefined) continue;
      this.#ignoreFilesRead.add(path);
      this.#result.ignoreFiles.push({ dir, name, text });
      this.#matcher.addFile(dir, name, text);
    }
    return true;
  }

  #prefixOf(dir: RelPath): string {
    const path = dir === '' ? this.#handles.root : `${this.#handles.root}/${dir}`;
    if (path.length >= maxPathLength) return this.#handles.enter(dir);
    return this.#mayMove && moveTo(path) ? '.' : path;
  }

  #reserve(count: number): void {
    const words = count * (recordBytes / 8);
    if (words <= this.#words.length) return;
    this.#words = new BigInt64Array(words * 2);
    this.#halves = new Uint32Array(this.#words.buffer);
  }

  #writeRecord(index: number, mtimeNs: bigint, ctimeNs: bigint, ino: bigint, size: bigint): void {
    const at = index * 5;
    this.#words[at] = mtimeNs;
    this.#words[at + 1] = ctimeNs;
    this.#words[at + 2] = ino;
    this.#words[at + 3] = size;
    this.#words[at + 4] = 0n;
  }
}

/** @returns whether one could: what there is to say about it is found out by path */
function moveTo(dir: string): boolean {
  const path = toFs(dir);
  if (typeof path !== 'string') return false;
  try {
    process.chdir(path);
    return true;
  } catch {
    return false;
  }
}

function nothingYet(): ScannedPart['result'] & { complete: { dir: RelPath; mark: number }[] } {
  return { ...nothingFound(), complete: [] };
}

function isStillThere(prefix: string, dev: bigint): boolean {
  try {
    return fs.statSync(prefix, { bigint: true, throwIfNoEntry: false })?.dev === dev;
  } catch {
    return false;
  }
}

/** @returns undefined for what is no file. @throws unless it is not there */
function readIgnoreFile(full: string): string | undefined {
  try {
    const stats = fs.lstatSync(full);
    return stats.isFile() ? decodeName(fs.readFileSync(full)) : undefined;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function unreadableRoot(root: string, error: unknown): GuardError {
  return new GuardError('root-unreadable', `${root} cannot be read: ${reasonOf(error)}`, {
    path: root,
    hint: 'Check its permissions, or run as a user who may read it.',
    cause: error,
  });
}
