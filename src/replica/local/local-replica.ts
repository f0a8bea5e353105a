/** A root on a real file system, behind the `Replica` interface. */
import fs from 'node:fs';
import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { monotonicMs } from '../../base/clock.ts';
import { makeDirectories } from '../../base/directories.ts';
import { GuardError, InterruptedError, LockstepError, reasonOf } from '../../base/errors.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import { isValidName, ownDirectory, type RelPath } from '../../tree/path.ts';
import type {
  ApplyBatch,
  Control,
  DigestRequest,
  Failure,
  OpenedRoot,
  OpenRequest,
  Replica,
  Retention,
  RootProbe,
  ScanRequest,
  ScanResult,
  SignatureRequest,
  StepResult,
} from '../replica.ts';
import type { ReadRequest } from '../content-stream.ts';
import type { ScanHelpRequest } from '../worker-file.ts';
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from '../watching.ts';
import { IgnoreMatcher } from '../../tree/ignore/matcher.ts';
import { AheadScan, type Walk } from './ahead-scan.ts';
import type { ApplyContext } from './apply.ts';
import type * as Deeds from './deeds.ts';
import { digestAll } from './digest.ts';
import { DirHandles, inodeOf, maxPathLength } from './dir-handles.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../history.ts';
import { HistoryWriter } from './history/keep.ts';
import { historyDirectory } from './history/layout.ts';
import { keepIdentity, rootIdentity, type RootIdentity } from './identity.ts';
import { flushFileSystem } from './flush.ts';
import { freeLock, takeLockSoon } from './lock.ts';
import { readNames } from './names.ts';
import { OwnDirectory } from './own-directory.ts';
import { Partials } from './partials.ts';
import { foldsNames, freeBytesOf, granularityOf, processors, sessionOf, storedGranularityOf } from './platform.ts';
import { scanRoot, type ScanContext } from './scan.ts';
import { isWorthHelp, ScanHelp } from './scan-help.ts';
import { probeRoot } from './probe.ts';
import type { ChunkRing, Place } from './send-content.ts';
import { drive, sliceMs } from './slices.ts';
import type { Stagers } from './stagers.ts';
import { recoverStaging, Staging } from './staging.ts';
import { Looking } from './watch/looking.ts';

interface Opened extends ApplyContext {
  request: OpenRequest;
  own: OwnDirectory;
  partials: Partials;
  identity: RootIdentity;
  /** The topmost directory that was made for a missing root, until there is something to keep it for. */
  madeFrom: string | undefined;
}

export interface LocalReplicaOptions {
  /** This process is at the end of a pipe. */
  piped?: boolean;
  /** Starts a thread that helps with long walks; for who is alone on this machine. */
  startHelper?: ((request: ScanHelpRequest) => Worker) | undefined;
}

export class LocalReplica implements Replica {
  readonly #piped: boolean;
  readonly #startHelper: LocalReplicaOptions['startHelper'];
  #opened: Opened | undefined;
  #stagers: Stagers | undefined;
  /** The batch that is being applied, or the pruning of history; the next one waits for it. */
  #applying: Promise<unknown> = Promise.resolve();
  /** Likewise the stream of content that is being sent. */
  #reading: Promise<unknown> = Promise.resolve();
  /** Ends the pruning that nobody waits for any more. */
  #pruning: AbortController | undefined;
  /** A scan that nobody has asked for yet. */
  #ahead: AheadScan | undefined;
  /** For the next stream. */
  #ring: ChunkRing | undefined;
  /** Watching, and looking again at what may have changed. */
  #looking: Looking | undefined;

  constructor({ piped = false, startHelper }: LocalReplicaOptions = {}) {
    this.#piped = piped;
    this.#startHelper = startHelper;
  }

  /** Device and inode of the directory that is open, `dev:ino`: what its path leads to may be another one by now. */
  get inode(): string {
    return inodeOf(this.#root().handles);
  }

  async probe(root: string): Promise<RootProbe> {
    return Promise.resolve(probeRoot(root));
  }

  async open(request: OpenRequest): Promise<OpenedRoot> {
    const madeFrom = request.create && request.access === 'write' ? makeRoot(request.root) : undefined;
    const handles = new DirHandles(request.root);
    let locked: OwnDirectory | undefined;
    try {
      if (request.inode !== undefined && inodeOf(handles) !== request.inode) throw replaced(request.root);
      const own = new OwnDirectory(handles.rootPrefix, handles.root);
      const writes = request.access === 'write';
      const owns = writes && request.joins !== true;
      const recovered: string[] = [];
      this.#ahead?.confirm();
      if (owns) {
        const { root, runId, command, forceUnlock } = request;
        locked = own;
        const waited = await takeLockSoon(own, { root, runId, command, force: forceUnlock, piped: this.#piped });
        if (waited) this.dropAhead();
        recovered.push(...recoverStaging(own, runId));
      }
      const granularityNs = granularityOf(request.root);
      const staging = new Staging(own, request.runId);
      const history = new HistoryWriter(own, request.runId);
      const identity = rootIdentity(own, handles, request.marks, writes);
      const partials = new Partials(own, request.runId, owns);
      if (owns) partials.prune();
      this.#looking = new Looking(handles, granularityNs);
      this.#opened = { request, own, identity, madeFrom, handles, granularityNs, staging, history, partials };
      return {
        identity: identity.id,
        capabilities: {
          foldsNames: foldsNames(request.root, topNames(request.root)),
          granularityNs: storedGranularityOf(request.root),
          hostPath: fs.realpathSync(request.root),
        },
        freeBytes: roomIn(request.root, partials),
        created: madeFrom !== undefined,
        recovered,
        session: sessionOf(request.root),
      };
    } catch (error) {
      // Of a live run that goes on it would keep the next attempt out. (Another run's stays what it is.)
      if (this.#opened === undefined) {
        try {
          if (locked !== undefined) freeLock(locked, request.runId);
        } finally {
          handles.close();
        }
      }
      throw error;
    }
  }

  /** Begins a scan that will probably be asked for, of a root that is not open yet. */
  lookAhead(root: string, request: ScanRequest, signal: AbortSignal): void {
    if (this.#opened !== undefined || this.#ahead !== undefined) return;
    const walk: Walk = async (handles, granularityNs, asked, control) => {
      const context = { matcher: new IgnoreMatcher(asked.rules), watcher: undefined };
      return this.#walk(handles, granularityNs, asked, context, control);
    };
    try {
      this.#ahead = new AheadScan(fs.realpathSync(root), request, walk, signal);
    } catch {
      // What is wrong with the root is told when it is opened.
    }
  }

  async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    const { handles, granularityNs } = this.#root();
    const looking = this.#lookingAgain();
    const ahead = this.#ahead;
    this.#ahead = undefined;
    // A scan that was begun before the root was watched has watched nothing.
    const early =
      looking.watcher === undefined ? await ahead?.answer(handles.root, request, control) : await ahead?.close();
    if (control.signal.aborted) throw new InterruptedError();
    if (early !== undefined) return early;
    const matcher = new IgnoreMatcher(request.rules);
    const context = { matcher, watcher: looking.watcher };
    return looking.during(request, matcher, async () => this.#walk(handles, granularityNs, request, context, control));
  }

  async #walk(
    handles: DirHandles,
    granularityNs: bigint,
    request: ScanRequest,
    context: ScanContext,
    control: Control,
  ): Promise<ScanResult> {
    const isHelped = context.watcher === undefined && isWorthHelp(request) && processors() > 1;
    const helper = isHelped
      ? this.#startHelper?.({ root: handles.root, inode: inodeOf(handles), granularityNs, request })
      : undefined;
    try {
      const help = helper && new ScanHelp(helper);
      // Whoever is at the end of a pipe has its process for itself.
      const walk = scanRoot(handles, granularityNs, request, { ...context, help, mayMove: this.#piped });
      return await drive(walk, control);
    } finally {
      void helper?.terminate();
    }
  }

  async *watch(options: WatchOptions, control: Control): AsyncGenerator<WatchEvent, void, undefined> {
    // Needed later, and an upgrade may take the files away while this goes on. What fails now fails again when it is needed.
    void Promise.allSettled([deeds(), import('./history/prune.ts')]);
    yield* this.#lookingAgain().watch(options, control.signal);
  }

  async look(request: LookRequest, control: Control): Promise<LookResult> {
    return drive(this.#lookingAgain().look(request), control);
  }

  /** Writes the identity that `open` found or made up, if the root has none yet: for those that open it beside this one. */
  keepIdentity(): void {
    const { own, identity } = this.#writable();
    keepIdentity(own, identity);
  }

  async digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]> {
    return drive(digestAll(this.#root().handles, requests), control);
  }

  async signatures(requests: readonly SignatureRequest[], control: Control): Promise<(Uint8Array | undefined)[]> {
    const { handles, partials } = this.#root();
    const { signAll } = await deeds();
    return drive(signAll(handles, partials, requests), control);
  }

  async *read(requests: readonly ReadRequest[], control: Control): AsyncGenerator<Uint8Array, void, undefined> {
    const opened = this.#root();
    const before = this.#reading;
    let done = (): void => undefined;
    this.#reading = new Promise<void>((resolve) => {
      done = resolve;
    });
    try {
      await before;
      const { ChunkRing, sendContent } = await deeds();
      const ring = this.#ring ?? new ChunkRing();
      this.#ring = undefined;
      const { handles } = opened;
      const root = fs.realpathSync(opened.request.root);
      let sliceEnd = monotonicMs() + sliceMs;
      for (const chunk of sendContent(requests, (path) => placeOf(root, path, handles), ring)) {
        if (control.signal.aborted) throw new InterruptedError();
        if (chunk.length > 0) yield chunk;
        else if (monotonicMs() < sliceEnd) continue;
        await nextTurn();
        sliceEnd = monotonicMs() + sliceMs;
      }
      this.#ring = ring;
    } finally {
      done();
    }
  }

  async apply(batch: ApplyBatch, control: Control, content?: AsyncIterable<Uint8Array>): Promise<StepResult[]> {
    const opened = this.#writable();
    opened.madeFrom = undefined;
    this.dropAhead();
    // One batch after the other, whatever the caller has sent ahead: later ones build on the directories of earlier ones.
    const before = this.#applying;
    const own = async (): Promise<StepResult[]> => {
      const { applyBatch, applyStreamed, HostContent, NoContent, stageAndApply, Stagers, stagingTasks } = await deeds();
      const tasks = stagingTasks(batch, opened);
      if (batch.content?.via === 'host') {
        const { hostPath } = batch.content;
        this.#stagers ??= new Stagers();
        const staged = await this.#stagers.stage(tasks, hostPath, control);
        return drive(applyBatch(opened, batch, new HostContent(hostPath), staged), control);
      }
      // Directories are staged also where no file is to come into them.
      if (content === undefined) return drive(stageAndApply(opened, batch, tasks, new NoContent()), control);
      return applyStreamed(opened, batch, { tasks, content, partials: opened.partials }, control);
    };
    const result = before.then(own, own);
    this.#applying = result.catch(() => undefined);
    return result;
  }

  async token(linkId: string, write?: string): Promise<string | undefined> {
    if (!isValidName(linkId)) throw new LockstepError('protocol', 'not a link id');
    const { own } = this.#root();
    if (write === undefined) return Promise.resolve(own.read('links', linkId)?.trim());
    const opened = this.#writable();
    opened.madeFrom = undefined;
    keepIdentity(own, opened.identity);
    // Not waited for: records are bound to this boot until a flush has covered the token as well (baseline.ts), and a root
    // with a torn one merely meets the other anew.
    own.writeQuickly(`${write}\n`, 'links', linkId);
    return write;
  }

  async cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }> {
    const { handles, history } = this.#writable();
    this.dropAhead();
    const { cleanOutRoot } = await deeds();
    return drive(cleanOutRoot(handles, history), control);
  }

  async prune(retention: Retention): Promise<{ removed: number; bytes: number }> {
    const { own } = this.#writable();
    if (own.list(historyDirectory).length === 0) return { removed: 0, bytes: 0 };
    const stop = new AbortController();
    this.#pruning = stop;
    // What is applied may keep versions: not in between.
    const result = this.#applying.then(async () => {
      const { pruneHistory } = await import('./history/prune.ts');
      return drive(pruneHistory(own.path, retention, Date.now()), { signal: stop.signal });
    });
    this.#applying = result.catch(() => undefined);
    return result;
  }

  async history(root: string, under: string): Promise<HistoryVersion[]> {
    const { historyOf } = await deeds();
    return historyOf(root, under);
  }

  async restore(root: string, path: string, options: RestoreOptions, control: Control): Promise<RestoreSummary> {
    const { restoreInRoot } = await deeds();
    return restoreInRoot(root, path, options, control.signal);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    return flushFileSystem(this.#root().request.root, timeoutMs);
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    this.#looking?.close();
    this.#pruning?.abort();
    await this.#ahead?.close();
    // Whatever still runs has been told to stop (agent/serve.ts); its handles must not be closed under its feet, because
    // the next thing that is opened gets their numbers.
    await this.#applying;
    await this.#stagers?.close();
    if (opened === undefined) return;
    try {
      opened.history.close();
      if (opened.request.access !== 'write') return;
      try {
        opened.staging.clear();
      } finally {
        if (opened.request.joins !== true) freeLock(opened.own, opened.request.runId);
      }
      if (opened.request.joins === true) return;
      opened.own.removeIfBare();
      if (opened.madeFrom !== undefined) unmakeRoot(opened.request.root, opened.madeFrom);
    } finally {
      opened.handles.close();
    }
  }

  #lookingAgain(): Looking {
    if (this.#looking === undefined) throw new LockstepError('protocol', 'the root is not open');
    return this.#looking;
  }

  /** What a scan that was begun ahead has seen is about to be changed. */
  dropAhead(): void {
    void this.#ahead?.close();
    this.#ahead = undefined;
  }

  #root(): Opened {
    if (this.#opened === undefined) throw new LockstepError('protocol', 'the root is not open');
    return this.#opened;
  }

  #writable(): Opened {
    const opened = this.#root();
    if (opened.request.access !== 'write') throw new LockstepError('protocol', 'the root was opened for reading only');
    return opened;
  }
}

async function deeds(): Promise<typeof Deeds> {
  return import('./deeds.ts');
}

function replaced(root: string): GuardError {
  return new GuardError('root-replaced', `${root} was replaced while it was being synced`, {
    path: root,
    hint: 'Nothing was put into what is there now. Run again once it is back.',
  });
}

/** What can be written, bytes: what earlier runs left of large files goes when it is in the way. 0 when nobody knows. */
function roomIn(root: string, partials: Partials): number {
  const free = freeBytesOf(root);
  return free === 0 ? 0 : free + partials.bytes;
}

/** By plain path, which is cheaper than through handles, as long as the kernel takes it. */
function placeOf(root: string, path: RelPath, handles: DirHandles): Place {
  const plain = `${root}/${path}`;
  return process.platform === 'linux' && plain.length < maxPathLength
    ? { path: plain, byHandle: false }
    : { path: handles.locate(path), byHandle: true };
}

async function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function topNames(root: string): string[] {
  try {
    return readNames(root).filter((name) => name !== ownDirectory);
  } catch (error) {
    throw new GuardError('root-unreadable', `${root} cannot be read: ${reasonOf(error)}`, {
      path: root,
      hint: 'Check its permissions, or run as a user who may read it.',
      cause: error,
    });
  }
}

/** @returns the topmost directory that had to be made, undefined when the root was there */
function makeRoot(root: string): string | undefined {
  try {
    return makeDirectories(root);
  } catch (error) {
    const isLink = fs.lstatSync(root, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    const at = (error as NodeJS.ErrnoException).path;
    const where = at === undefined || at === root ? '' : ` (${at})`;
    const why = isLink ? 'it is a symbolic link that leads nowhere' : `${reasonOf(error)}${where}`;
    throw new LockstepError('io', `cannot make ${root}: ${why}`, {
      path: root,
      hint: isLink ? 'Is the disk mounted that it leads to?' : 'Check the permissions of the directory above it.',
      cause: error,
    });
  }
}

/** A run that a guard stopped leaves no directories behind; what somebody put into them meanwhile stays, and so do they. */
function unmakeRoot(root: string, madeFrom: string): void {
  for (let dir = root; ; dir = path.dirname(dir)) {
    try {
      fs.rmdirSync(dir);
    } catch {
      return;
    }
    if (dir === madeFrom || dir === path.dirname(dir)) return;
  }
}
