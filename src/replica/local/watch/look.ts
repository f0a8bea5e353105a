/**
 * Looking again at what may have changed: `lstat` of the names asked for and of the directories that hold them, and a whole
 * walk only of directories that are new. The work follows the question, whatever the size of the tree.
 *
 * Every directory is reached through handles (dir-handles.ts): what lies behind a symlink that has taken a directory's place
 * is never reported as lying in the root.
 */
import { append } from '../../../base/append.ts';
import fs from 'node:fs';
import { errnoCode, GuardError, LockstepError, reasonOf } from '../../../base/errors.ts';
import { flags, type Entry } from '../../../tree/entry.ts';
import { Listing } from '../../../tree/listing.ts';
import { ancestorsOf, baseName, joinPath, ownDirectory, parentPath, type RelPath } from '../../../tree/path.ts';
import { ignoredEntry, isInScope } from '../../explain-changes.ts';
import type { ScanRequest } from '../../replica.ts';
import type { LookPatch, LookRequest, LookResult } from '../../watching.ts';
import type { DirHandles } from '../dir-handles.ts';
import { toFs } from '../fs-path.ts';
import { readNames } from '../names.ts';
import { scanBelow, type Pending, type ScanContext } from '../scan.ts';
import type { Work } from '../slices.ts';
import { entryOf, grainNow, kindOfMode, observe, readTarget, type Grain } from '../stat.ts';
import type { RootWatcher } from './root-watcher.ts';
import { Tree } from '../../../tree/tree.ts';

export interface LookContext extends ScanContext {
  handles: DirHandles;
  granularityNs: bigint;
  watcher: RootWatcher | undefined;
  /** The full scan that came before: its rules and scope hold. */
  scan: ScanRequest;
}

export function look(context: LookContext, request: LookRequest): Work<LookResult> {
  return new Looker(context).run(request);
}

/** One directory's names. */
interface Asked {
  /** Undefined: all. */
  names: Set<string> | undefined;
  /** The directory's own entry was asked for only because something in it was: it is not walked. */
  own: Set<string>;
}

class Looker {
  readonly #context: LookContext;
  readonly #asked = new Map<RelPath, Asked>();
  readonly #found = new Map<RelPath, { entries: Map<string, Entry>; names: Set<string> | undefined }>();
  /** Directories to walk with all below them. */
  readonly #fresh = new Map<RelPath, Pending>();
  readonly #ignoredIn = new Set<RelPath>();
  readonly #unreadable: LookResult['unreadable'] = [];
  /** Of the directory that is being looked at, once something asked for it. */
  #device: { dir: RelPath; dev: bigint } | undefined;
  #rulesChanged = false;
  #looked = 0;

  constructor(context: LookContext) {
    this.#context = context;
  }

  *run(request: LookRequest): Work<LookResult> {
    const { handles, granularityNs } = this.#context;
    // A directory that was seen a moment ago may have been replaced: that is what this look is about.
    handles.doubt();
    const before = this.#identity();
    const root = observe(`${handles.rootPrefix}/.`, granularityNs);
    for (const { dir, names } of request.directories) this.#ask(dir, names);
    // In order, so that the handles of the directories above are still open: a burst comes from all over the tree.
    for (const dir of [...this.#asked.keys()].sort()) {
      this.#lookAt(dir);
      yield { entries: this.#looked, bytes: 0, path: dir };
    }
    const below = yield* this.#walkFresh();
    const after = this.#identity();
    if (before !== after || before === undefined) {
      throw new GuardError('root-replaced', `${handles.root} is not the directory that was being watched any more`, {
        path: handles.root,
        hint: 'Nothing was changed. Is the disk still mounted?',
      });
    }
    return {
      root,
      patches: this.#patches(),
      below,
      unreadable: this.#unreadable,
      ignoredIn: [...this.#ignoredIn],
      rulesChanged: this.#rulesChanged,
      looked: this.#looked,
    };
  }

  /** What stands at the root's path, if it is the directory whose handle is held; undefined when it is not. */
  #identity(): string | undefined {
    const { handles } = this.#context;
    const held = fs.statSync(handles.rootPrefix, { bigint: true });
    const named = fs.statSync(handles.root, { bigint: true, throwIfNoEntry: false });
    this.#looked += 2;
    return named?.ino === held.ino && named.dev === held.dev ? `${held.dev}:${held.ino}` : undefined;
  }

  #ask(dir: RelPath, names: readonly string[] | undefined): void {
    const asked = this.#askedOf(dir);
    if (names === undefined) asked.names = undefined;
    else for (const name of names) asked.names?.add(name);
    // What comes and goes in a directory moves its times, of which nothing tells.
    if (dir !== '') this.#askedOf(parentPath(dir)).own.add(baseName(dir));
  }

  #askedOf(dir: RelPath): Asked {
    let asked = this.#asked.get(dir);
    if (asked === undefined) this.#asked.set(dir, (asked = { names: new Set(), own: new Set() }));
    return asked;
  }

  #lookAt(dir: RelPath): void {
    const asked = this.#asked.get(dir);
    if (asked === undefined) return;
    let prefix: string;
    let names: Iterable<string>;
    try {
      prefix = this.#context.handles.enter(dir);
      names = asked.names ?? readNames(prefix);
    } catch (error) {
      this.#notThere(dir, error);
      return;
    }
    this.#device = undefined;
    const found = this.#foundIn(dir);
    if (asked.names === undefined) found.names = undefined;
    const grain = grainNow(this.#context.granularityNs);
    for (const name of names) this.#lookAtName(dir, prefix, name, grain, true);
    for (const name of asked.own) {
      if (!found.entries.has(name)) this.#lookAtName(dir, prefix, name, grain, false);
    }
  }

  /** A directory that is none any more: what stands in its place, or in that of one above it, is what is to be known. */
  #notThere(dir: RelPath, error: unknown): void {
    const code = errnoCode(error);
    const isGone = code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || error instanceof LockstepError;
    if (dir === '' || !isGone) {
      this.#unreadable.push({ path: dir, reason: reasonOf(error) });
      return;
    }
    this.#context.watcher?.drop(dir);
    const above = parentPath(dir);
    try {
      const prefix = this.#context.handles.enter(above);
      this.#lookAtName(above, prefix, baseName(dir), grainNow(this.#context.granularityNs), true);
    } catch (inner) {
      this.#notThere(above, inner);
    }
  }

  #lookAtName(dir: RelPath, prefix: string, name: string, grain: Grain, isAsked: boolean): void {
    const { watcher, scan } = this.#context;
    const path = joinPath(dir, name);
    if (name === ownDirectory) {
      if (dir !== '') this.#ignoredIn.add(dir);
      return;
    }
    if (!isInScope(scan.scope, path)) return;
    if (scan.rules.files.includes(name)) this.#rulesChanged = true;
    const { entries, names } = this.#foundIn(dir);
    names?.add(name);
    entries.delete(name);
    this.#looked += 1;
    let entry: Entry | undefined;
    try {
      entry = this.#entryAt(dir, prefix, name, grain, isAsked);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') entry = undefined;
      else {
        this.#unreadable.push({ path, reason: reasonOf(error) });
        entry = { ...ignoredEntry(0), kind: 'unreadable' };
      }
    }
    if (entry !== undefined) entries.set(name, entry);
    if (entry?.kind !== 'dir') watcher?.drop(path);
  }

  #entryAt(dir: RelPath, prefix: string, name: string, grain: Grain, isAsked: boolean): Entry | undefined {
    const { matcher, watcher } = this.#context;
    const path = joinPath(dir, name);
    const full = `${prefix}/${name}`;
    const stats = fs.lstatSync(toFs(full), { bigint: true, throwIfNoEntry: false });
    // Asked in any case: what is looked at is not new any more.
    const isNew = watcher === undefined ? isAsked : watcher.takeIsNew(path, stats);
    if (stats === undefined) return undefined;
    const mode = Number(stats.mode);
    const isDirectory = kindOfMode(mode) === 'dir';
    if (!matcher.isEmpty && matcher.ignores(path, isDirectory)) {
      // As in a scan (scan.ts): what may go with its directory does not hold it.
      if (matcher.isPerishable(path, isDirectory)) return undefined;
      this.#ignoredIn.add(dir);
      return ignoredEntry(mode & 0o7777);
    }
    const entry = entryOf(stats, grain);
    if (entry.kind === 'symlink') entry.target = readTarget(full);
    if (isDirectory) {
      if (this.#deviceOf(dir) !== stats.dev) entry.flags = flags.mount;
      if (isNew) this.#fresh.set(path, { path, dev: stats.dev, mark: 0 });
    }
    return entry;
  }

  #deviceOf(dir: RelPath): bigint {
    if (this.#device?.dir === dir) return this.#device.dev;
    this.#looked += 1;
    const { dev } = fs.statSync(this.#context.handles.enter(dir), { bigint: true });
    this.#device = { dir, dev };
    return dev;
  }

  *#walkFresh(): Work<Tree> {
    const { handles, granularityNs, scan, watcher } = this.#context;
    if (this.#fresh.size === 0) return new Tree();
    // None that another one leads to.
    const tops = [...this.#fresh.values()].filter(
      ({ path }) => !ancestorsOf(path).some((above) => this.#fresh.has(above)),
    );
    for (const { path } of tops) watcher?.drop(path);
    const request: ScanRequest = { ...scan, previous: { as: 'packed', layers: [] }, reportAll: true };
    const result = yield* scanBelow(handles, granularityNs, request, this.#context, tops);
    this.#looked += result.entries;
    append(this.#unreadable, result.unreadable);
    for (const dir of result.ignoredIn) this.#ignoredIn.add(dir);
    if (result.ignoreFiles.length > 0) this.#rulesChanged = true;
    return result.changed;
  }

  #foundIn(dir: RelPath): { entries: Map<string, Entry>; names: Set<string> | undefined } {
    let found = this.#found.get(dir);
    if (found === undefined) this.#found.set(dir, (found = { entries: new Map(), names: new Set() }));
    return found;
  }

  #patches(): LookPatch[] {
    return Array.from(this.#found, ([dir, { entries, names }]) => ({
      dir,
      names: names === undefined ? undefined : [...names],
      listing: Listing.from(entries).bytes,
    }));
  }
}
