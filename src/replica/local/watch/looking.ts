/** What a root's replica keeps between a full scan and the looks that follow it. */
import { LockstepError } from '../../../base/errors.ts';
import type { IgnoreMatcher } from '../../../tree/ignore/matcher.ts';
import { joinPath, type RelPath } from '../../../tree/path.ts';
import { isInScope } from '../../explain-changes.ts';
import type { ScanRequest, ScanResult } from '../../replica.ts';
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from '../../watching.ts';
import type { DirHandles } from '../dir-handles.ts';
import type { Work } from '../slices.ts';
import { look } from './look.ts';
import { RootWatcher } from './root-watcher.ts';

export class Looking {
  readonly #handles: DirHandles;
  readonly #granularityNs: bigint;
  watcher: RootWatcher | undefined;
  #last: { request: ScanRequest; matcher: IgnoreMatcher } | undefined;
  /** Directories of which whoever looks has been told that they hold something ignored. */
  #ignoredIn = new Set<RelPath>();

  constructor(handles: DirHandles, granularityNs: bigint) {
    this.#handles = handles;
    this.#granularityNs = granularityNs;
  }

  /** Carries out a full scan: from now on its rules hold, and what it finds is watched. */
  async during(request: ScanRequest, matcher: IgnoreMatcher, scan: () => Promise<ScanResult>): Promise<ScanResult> {
    const { watcher } = this;
    watcher?.beginSweep();
    try {
      const result = await scan();
      watcher?.endSweep(true);
      // Not what was recorded: that may be large, and a look needs none of it.
      this.#last = { request: { ...request, previous: { as: 'packed', layers: [] } }, matcher };
      this.#ignoredIn = new Set(result.ignoredIn);
      if (watcher !== undefined) watcher.isOfNoInterest = (dir, name) => this.#isOfNoInterest(dir, name);
      return result;
    } catch (error) {
      watcher?.endSweep(false);
      throw error;
    }
  }

  async *watch(options: WatchOptions, signal: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    if (this.watcher !== undefined) throw new LockstepError('protocol', 'the root is being watched already');
    this.watcher = new RootWatcher(this.#handles, options);
    try {
      yield* this.watcher.events(signal);
    } finally {
      this.close();
    }
  }

  *look(request: LookRequest): Work<LookResult> {
    if (this.#last === undefined) throw new LockstepError('protocol', 'a look before the first scan');
    const { request: scan, matcher } = this.#last;
    const { watcher } = this;
    const context = { handles: this.#handles, granularityNs: this.#granularityNs, watcher, matcher, scan };
    const result = yield* look(context, request);
    for (const dir of result.ignoredIn) this.#ignoredIn.add(dir);
    return result;
  }

  close(): void {
    this.watcher?.close();
    this.watcher = undefined;
  }

  /** What is ignored need not be told of, once it is known that the directory holds such things. */
  #isOfNoInterest(dir: RelPath, name: string): boolean {
    if (this.#last === undefined) return false;
    const { request, matcher } = this.#last;
    const path = joinPath(dir, name);
    if (!isInScope(request.scope, path)) return true;
    if (matcher.isEmpty || !this.#ignoredIn.has(dir) || request.rules.files.includes(name)) return false;
    return matcher.ignores(path, false) && matcher.ignores(path, true);
  }
}
