/**
 * What is in a root over there: one `find` over the whole tree, looked at here as replica/local/scan.ts looks at what it
 * walks. What did not change costs its line on the pipe and a comparison.
 */
import { GuardError, LockstepError } from '../../base/errors.ts';
import { decodeTreeLazily } from '../../tree/codec.ts';
import { flags, type Entry } from '../../tree/entry.ts';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { Listing } from '../../tree/listing.ts';
import {
  decodeName,
  isSafePath,
  isValidName,
  joinPath,
  ownDirectory,
  parentPath,
  baseName,
  type RelPath,
} from '../../tree/path.ts';
import { Tree } from '../../tree/tree.ts';
import { explainChanges, ignoredEntry, isInScope, recordedListing } from '../explain-changes.ts';
import { DirectoryDigest, digestSet, listingDigest } from '../listing-digest.ts';
import type { Control, ScanRequest, ScanResult } from '../replica.ts';
import { nothingFound } from '../scan-result.ts';
import { unreadableRules } from '../unreadable-rules.ts';
import { complaintOf, isGone, plainReason } from './complaints.ts';
import { guarded, unknown, type FarRoot } from './far-root.ts';
import { lineOf } from './names.ts';
import { prunable } from './prune-names.ts';
import { BadRecordError, markRacy, RecordReader, type Found } from './records.ts';
import { readClock } from './tools.ts';

/** Ignore files larger than this are none. */
const maxIgnoreFileBytes = 16 << 20;

/** A directory as it came. */
interface FoundDirectory {
  dev: number;
  entries: [name: string, entry: Entry, dev: number][];
}

export async function scanRoot(root: FarRoot, request: ScanRequest, control: Control): Promise<ScanResult> {
  return new Scanner(root, request, control).run();
}

class Scanner {
  readonly #root: FarRoot;
  readonly #request: ScanRequest;
  readonly #control: Control;
  readonly #matcher: IgnoreMatcher;
  readonly #dirs = new Map<RelPath, FoundDirectory>();
  readonly #previous: readonly Tree[];
  readonly #digests: ReadonlySet<string>;
  readonly #result: ScanResult = { ...nothingFound(), changed: new Tree() };
  #rootEntry: Entry | undefined;
  #rootDev = 0;
  /** Between these moments of its clock everything was looked at, ns. */
  #fromNs = 0n;
  #toNs = 0n;
  readonly #blind = new Map<RelPath, string>();

  constructor(root: FarRoot, request: ScanRequest, control: Control) {
    this.#root = root;
    this.#request = request;
    this.#control = control;
    this.#matcher = new IgnoreMatcher(request.rules);
    const { previous } = request;
    this.#previous = previous.as === 'packed' ? previous.layers.map(decodeTreeLazily).reverse() : [];
    this.#digests = previous.as === 'digests' ? digestSet(previous.digests) : new Set();
  }

  async run(): Promise<ScanResult> {
    const result = this.#result;
    let complaints = await this.#walk();
    // Something that cannot be told apart from what is missing: once more, and then it is an error of its own.
    if (complaints.length > 0) complaints = await this.#walk();
    if (complaints.length > 0) {
      throw new LockstepError('io', `${this.#root.name} cannot be read as a whole: ${complaints[0] ?? ''}`, {
        hint: 'Nothing was changed. Run again, or leave it out with --exclude.',
      });
    }
    await this.#findBlind();
    if (this.#blind.has('')) throw this.#unreadableRoot(this.#blind.get('') ?? '');
    await this.#readIgnoreFiles();
    const grain = this.#root.granularityNs;
    if (this.#rootEntry !== undefined) result.changed.root = this.#rootEntry;
    const stack: RelPath[] = [''];
    for (let dir = stack.pop(); dir !== undefined; dir = stack.pop()) {
      this.#report(dir, stack, grain);
      this.#control.onProgress?.({ entries: result.entries, bytes: result.bytes, path: dir });
    }
    result.unmatchedPatterns = this.#matcher.unmatchedPatterns();
    return result;
  }

  /** @returns complaints that could not be understood */
  async #walk(): Promise<string[]> {
    const { session, tools } = this.#root;
    this.#dirs.clear();
    this.#blind.clear();
    this.#rootEntry = undefined;
    this.#dirs.set('', { dev: 0, entries: [] });
    const reader = new RecordReader(session.record, (found) => this.#add(found));
    let first: string | undefined = '';
    const sink = (piece: Buffer): void => {
      if (this.#control.signal.aborted) session.interrupt();
      let rest = piece;
      if (first !== undefined) {
        const end = rest.indexOf(10);
        const line: string = first + rest.toString('latin1', 0, end < 0 ? rest.length : end);
        first = line;
        if (line.length > 200) throw new BadRecordError('a time without an end');
        if (end < 0) return;
        this.#fromNs = nsOf(line, 'from');
        first = undefined;
        rest = rest.subarray(end + 1);
      }
      reader.push(rest);
    };
    let lines: string[] = [];
    const scan = tools.walk === 'find-printf' ? 'scanprintf' : 'scan';
    const pruned = prunable(this.#request.rules).map((name) => ` -o -type d -name ${name}`);
    await guarded(session, async () => {
      await session.run({ code: `${scan}${pruned.join('')}`, sink });
      reader.finish();
      const end = reader.errors.lastIndexOf('\n');
      lines = reader.errors.slice(0, Math.max(0, end)).split('\n');
      this.#toNs = nsOf(reader.errors.slice(end + 1), 'to');
    });
    const left = lines.filter((line) => line.trim() !== '' && !this.#understood(line));
    if (!this.#isRootKnown()) left.push('nothing was told of the root itself');
    return left;
  }

  /** A walk tells of it first of all. */
  #isRootKnown(): boolean {
    return this.#rootEntry !== undefined || this.#blind.has('');
  }

  #add({ path, dev, entry }: Found): void {
    if (path === '') {
      this.#rootEntry = entry;
      this.#rootDev = dev;
      const top = this.#dirs.get('');
      if (top !== undefined) top.dev = dev;
      return;
    }
    const dir = parentPath(path);
    const name = baseName(path);
    if (!isValidName(name) || (dir !== '' && dir.split('/').some((part) => !isValidName(part)))) {
      throw new BadRecordError(`the path ${JSON.stringify(path)}`);
    }
    if (entry.kind === 'dir' && name !== ownDirectory) this.#dir(path).dev = dev;
    this.#dir(dir).entries.push([name, entry, dev]);
  }

  #dir(path: RelPath): FoundDirectory {
    let dir = this.#dirs.get(path);
    if (dir === undefined) {
      dir = { dev: 0, entries: [] };
      this.#dirs.set(path, dir);
    }
    return dir;
  }

  /** A complaint of find or stat about one path: what cannot be looked at is unknown, never gone. */
  #understood(line: string): boolean {
    const complaint = complaintOf(line);
    if (complaint === undefined) return false;
    const { shown, reason } = complaint;
    // It went while it was being listed.
    if (isGone(reason)) return true;
    const path = decodeName(Buffer.from(shown === '.' ? '' : shown.slice(2), 'latin1'));
    if (path !== '' && !isSafePath(path)) return false;
    const known = this.#dirs.has(path);
    this.#blind.set(path, plainReason(reason));
    if (!known) {
      this.#dir(parentPath(path)).entries.push([baseName(path), unknown, this.#rootDev]);
    }
    return true;
  }

  /** Directories in which nothing was found: are they empty, or was nobody let in? Tools need not have said. */
  async #findBlind(): Promise<void> {
    const empty = [...this.#dirs].filter(([path, { entries }]) => entries.length === 0 && !this.#blind.has(path));
    if (empty.length === 0 || this.#root.tools.uid === 0) return;
    const { session } = this.#root;
    const input = Buffer.from(empty.map(([path]) => `${lineOf(path === '' ? '.' : path)}\n`).join(''), 'latin1');
    const { output } = await session.run({ code: `blind ${empty.length}`, input, limit: 16 * empty.length + 16 });
    for (const line of output.toString('latin1').split('\n')) {
      if (line === '') continue;
      const path = empty[Number(line)]?.[0];
      if (path === undefined) return session.broken('the number of a directory that is none');
      this.#blind.set(path, 'permission denied');
    }
  }

  async #readIgnoreFiles(): Promise<void> {
    const { rules, ignoreFiles } = this.#request;
    if (rules.files.length === 0) return;
    const overrides = new Map(ignoreFiles.map(({ dir, name, text }) => [joinPath(dir, name), text]));
    const wanted: { dir: RelPath; name: string; path: RelPath }[] = [];
    const texts = new Map<RelPath, string | undefined>(overrides);
    const names = new Set(rules.files);
    for (const [dir, { entries }] of this.#dirs) {
      for (const [name, { kind, size }] of entries) {
        const path = joinPath(dir, name);
        if (!names.has(name) || kind !== 'file' || overrides.has(path)) continue;
        if (size > maxIgnoreFileBytes) this.#rulesUnknown(path, 'it is too large');
        else wanted.push({ dir, name, path });
      }
    }
    await this.#fetchTexts(wanted, texts);
    this.#texts = texts;
  }

  #texts: ReadonlyMap<RelPath, string | undefined> = new Map();

  async #fetchTexts(wanted: readonly { path: RelPath }[], texts: Map<RelPath, string | undefined>): Promise<void> {
    if (wanted.length === 0) return;
    const { session } = this.#root;
    const input = Buffer.from(wanted.map(({ path }) => `${lineOf(path)}\n`).join(''), 'latin1');
    const { output } = await session.run({ code: `texts ${wanted.length}`, input, limit: 256 << 20 });
    const text = output.toString('latin1');
    let at = 0;
    for (const [index, { path }] of wanted.entries()) {
      const head = `${session.record} ${index}\n`;
      if (!text.startsWith(head, at)) session.broken('other files than were asked for');
      const next = text.indexOf(`\n${session.record} ${index + 1}\n`, at + head.length - 1);
      const end = next < 0 ? text.length - 1 : next;
      const failed = text.indexOf(`\n${session.record}!`, at + head.length - 1);
      if (failed >= 0 && failed < end) this.#rulesUnknown(path, 'permission denied, or it is gone');
      else
        texts.set(
          path,
          decodeName(Buffer.from(text.slice(at + head.length, Math.max(end, at + head.length)), 'latin1')),
        );
      at = end + 1;
    }
  }

  /** As in replica/local/scan.ts: where the rules are not known, nothing is. */
  #rulesUnknown(path: RelPath, reason: string): void {
    const dir = parentPath(path);
    if (dir === '') throw unreadableRules(`${this.#root.name}/${path}`, reason);
    this.#blind.set(dir, `its ${baseName(path)} cannot be read: ${reason}`);
  }

  #report(dir: RelPath, stack: RelPath[], grain: bigint): void {
    const result = this.#result;
    const reason = this.#blind.get(dir);
    if (reason !== undefined) {
      result.unreadable.push({ path: dir, reason });
      return;
    }
    const found = this.#dirs.get(dir);
    if (found === undefined) {
      // Listed, but nothing was said of what is in it.
      result.unreadable.push({ path: dir, reason: 'it was not listed' });
      return;
    }
    this.#loadIgnoreFiles(dir);
    const { scope } = this.#request;
    const kept: [string, Entry][] = [];
    const ignored: [string, Entry][] = [];
    let holdsRoot = false;
    let held = 0;
    for (const [name, entry, dev] of found.entries) {
      if (name === ownDirectory) {
        holdsRoot = dir !== '';
        continue;
      }
      const path = dir === '' ? name : `${dir}/${name}`;
      if (!isInScope(scope, path)) continue;
      if (entry.kind === 'unreadable') {
        result.unreadable.push({ path, reason: this.#blind.get(path) ?? 'it cannot be looked at' });
      } else if (!this.#matcher.isEmpty && this.#matcher.ignores(path, entry.kind === 'dir')) {
        if (!this.#matcher.isPerishable(path, entry.kind === 'dir')) ignored.push([name, ignoredEntry(entry.mode)]);
        continue;
      } else if (entry.kind === 'dir') {
        if (dev !== found.dev) entry.flags |= flags.mount;
        stack.push(path);
      } else if (entry.kind === 'file') {
        result.bytes += entry.size;
        markRacy(entry, this.#fromNs - grain, this.#toNs + grain);
      }
      kept.push([name, entry]);
      held += 1;
    }
    result.entries += held;
    if (ignored.length > 0 || holdsRoot) result.ignoredIn.push(dir);
    this.#settle(dir, kept, ignored);
  }

  /** Puts the directory into the result unless it is as recorded. */
  #settle(dir: RelPath, kept: [string, Entry][], ignored: [string, Entry][]): void {
    const { previous, reportAll, scope } = this.#request;
    let listing = Listing.from(kept);
    const recorded = recordedListing(this.#previous, dir);
    const same =
      previous.as === 'digests'
        ? this.#digests.has(listingDigest(new DirectoryDigest(previous.salt), dir, listing.bytes))
        : recorded?.sameEntries(listing.bytes) === true;
    if (!reportAll && same) return;
    if (ignored.length > 0) listing = listing.with(new Map(ignored));
    if (recorded !== undefined) {
      const { mountsGone } = this.#result;
      listing = explainChanges(dir, listing, recorded, { scope, matcher: this.#matcher, mountsGone });
    }
    this.#result.changed.setListing(dir, listing);
  }

  #loadIgnoreFiles(dir: RelPath): void {
    for (const name of this.#request.rules.files) {
      const text = this.#texts.get(joinPath(dir, name));
      if (text === undefined) continue;
      this.#result.ignoreFiles.push({ dir, name, text });
      this.#matcher.addFile(dir, name, text);
    }
  }

  #unreadableRoot(reason: string): GuardError {
    return new GuardError('root-unreadable', `${this.#root.path} cannot be read: ${reason}`, {
      path: this.#root.path,
      hint: 'Check its permissions, or run as a user who may read it.',
    });
  }
}

function nsOf(text: string, end: 'from' | 'to'): bigint {
  const { ms, stepMs } = readClock(text);
  if (!Number.isFinite(ms) || ms <= 0) throw new BadRecordError('a time that is none');
  return BigInt(Math.floor(end === 'from' ? ms : ms + stepMs)) * 1_000_000n;
}
