/**
 * A local root that is looked at in this thread, and worked on in one of its own that is started when there is work.
 *
 * Most runs find nothing to do on one of the two roots, or only read it. A thread costs some 40 ms of processor time to start,
 * a tenth of such a run. Looking is done in slices of a few milliseconds (DESIGN §3.1), so this thread stays responsive.
 * Deeds may block for as long as one system call takes, copying a large file say, and have their thread.
 */
import type { DigestAnswer } from '../../reconcile/input.ts';
import type { ReadRequest } from '../content-stream.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../history.ts';
import { LocalReplica } from '../local/local-replica.ts';
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
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from '../watching.ts';
import { startAgentThread } from './thread.ts';

export class LookedAtHere implements Replica {
  readonly #here = new LocalReplica();
  #request: OpenRequest | undefined;
  #thread: Replica | undefined;
  #worker: Promise<Replica> | undefined;

  async probe(root: string): Promise<RootProbe> {
    return this.#here.probe(root);
  }

  async open(request: OpenRequest): Promise<OpenedRoot> {
    const opened = await this.#here.open(request);
    this.#request = request;
    return opened;
  }

  lookAhead(root: string, request: ScanRequest, signal: AbortSignal): void {
    this.#here.lookAhead(root, request, signal);
  }

  async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    return this.#here.scan(request, control);
  }

  watch(options: WatchOptions, control: Control): AsyncGenerator<WatchEvent, void, undefined> {
    return this.#here.watch(options, control);
  }

  async look(request: LookRequest, control: Control): Promise<LookResult> {
    return this.#here.look(request, control);
  }

  async digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]> {
    return this.#here.digest(requests, control);
  }

  async signatures(requests: readonly SignatureRequest[], control: Control): Promise<(Uint8Array | undefined)[]> {
    return (await this.#working()).signatures(requests, control);
  }

  async *read(requests: readonly ReadRequest[], control: Control): AsyncGenerator<Uint8Array, void, undefined> {
    yield* (await this.#working()).read(requests, control);
  }

  async apply(batch: ApplyBatch, control: Control, content?: AsyncIterable<Uint8Array>): Promise<StepResult[]> {
    // An empty batch only says that a root which was made for the run is to stay; so does any other.
    const nothing = await this.#here.apply({ ...batch, steps: [], content: undefined }, control);
    return batch.steps.length === 0 ? nothing : (await this.#working()).apply(batch, control, content);
  }

  async token(linkId: string, write?: string): Promise<string | undefined> {
    return this.#here.token(linkId, write);
  }

  async cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }> {
    this.#here.dropAhead();
    return (await this.#working()).cleanOut(control);
  }

  async prune(retention: Retention): Promise<{ removed: number; bytes: number }> {
    return this.#here.prune(retention);
  }

  async history(root: string, under: string): Promise<HistoryVersion[]> {
    return this.#here.history(root, under);
  }

  async restore(root: string, path: string, options: RestoreOptions, control: Control): Promise<RestoreSummary> {
    return this.#here.restore(root, path, options, control);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    return this.#here.flush(timeoutMs);
  }

  async close(): Promise<void> {
    try {
      // The one that works first: while it lives, the root is locked.
      await this.#thread?.close();
    } finally {
      await this.#here.close();
    }
  }

  /** The thread that works on the root, under the lock that is held here. */
  async #working(): Promise<Replica> {
    this.#worker ??= this.#startWorking();
    return this.#worker;
  }

  async #startWorking(): Promise<Replica> {
    if (this.#request === undefined) throw new Error('the root is not open');
    this.#thread = startAgentThread();
    // It opens the path anew: a disk that was unmounted meanwhile leaves another directory there.
    await this.#thread.open({ ...this.#request, create: false, joins: true, inode: this.#here.inode });
    return this.#thread;
  }
}
