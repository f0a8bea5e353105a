/** `lockstep serve`: some roots and nothing else, whatever the controller asks for. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { LockstepError } from '../../base/errors.ts';
import { isWithin } from '../../tree/path.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import type { HistoryVersion, RestoreOptions, RestoreSummary } from '../history.ts';
import type { ReadRequest } from '../content-stream.ts';
import type { LookRequest, LookResult, WatchEvent, WatchOptions } from '../watching.ts';
import { watching } from '../watching.ts';
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

export interface Restriction {
  /** Absolute paths of what may be served, with everything below. */
  roots: readonly string[];
  readOnly: boolean;
}

/**
 * Invariant: the replica behind it is only ever asked about paths that, symlinks resolved, are a served root or lie in one.
 * Once it is open it stays in that directory by itself.
 */
export class RestrictedReplica implements Replica {
  readonly #inner: Replica;
  readonly #restriction: Restriction;

  constructor(inner: Replica, restriction: Restriction) {
    this.#inner = inner;
    this.#restriction = restriction;
  }

  async probe(root: string): Promise<RootProbe> {
    return this.#inner.probe(this.#allowed(root));
  }

  async open(request: OpenRequest): Promise<OpenedRoot> {
    if (request.access === 'write' && this.#restriction.readOnly) throw readOnly(request.root);
    return this.#inner.open({ ...request, root: this.#allowed(request.root) });
  }

  async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    return this.#inner.scan(request, control);
  }

  watch(options: WatchOptions, control: Control): AsyncGenerator<WatchEvent, void, undefined> {
    return watching(this.#inner).watch(options, control);
  }

  async look(request: LookRequest, control: Control): Promise<LookResult> {
    return watching(this.#inner).look(request, control);
  }

  async digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]> {
    return this.#inner.digest(requests, control);
  }

  async signatures(requests: readonly SignatureRequest[], control: Control): Promise<(Uint8Array | undefined)[]> {
    return this.#inner.signatures(requests, control);
  }

  read(requests: readonly ReadRequest[], control: Control): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#inner.read(requests, control);
  }

  async apply(batch: ApplyBatch, control: Control, content?: AsyncIterable<Uint8Array>): Promise<StepResult[]> {
    // A path of this machine could be anywhere on it.
    if (batch.content?.via === 'host') throw new LockstepError('protocol', 'content from a path that is not served');
    return this.#inner.apply(batch, control, content);
  }

  async token(linkId: string, write?: string): Promise<string | undefined> {
    return this.#inner.token(linkId, write);
  }

  async cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }> {
    return this.#inner.cleanOut(control);
  }

  async prune(retention: Retention): Promise<{ removed: number; bytes: number }> {
    return this.#inner.prune(retention);
  }

  async history(root: string, under: string): Promise<HistoryVersion[]> {
    return this.#inner.history(this.#allowed(root), under);
  }

  async restore(root: string, path: string, options: RestoreOptions, control: Control): Promise<RestoreSummary> {
    if (this.#restriction.readOnly && options.dryRun !== true) throw readOnly(root);
    const { to, ...rest } = options;
    const aside = to === undefined ? {} : { to: this.#allowed(to) };
    return this.#inner.restore(this.#allowed(root), path, { ...rest, ...aside }, control);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    return this.#inner.flush(timeoutMs);
  }

  async close(): Promise<void> {
    return this.#inner.close();
  }

  /** The path with its symlinks resolved, so that it stays what was checked. */
  #allowed(root: string): string {
    const real = realPathOf(path.resolve(os.homedir(), root.replace(/^~(?=\/|$)/, '.')));
    const { roots } = this.#restriction;
    if (roots.some((served) => isWithin(real.slice(1), realPathOf(served).slice(1)))) return real;
    throw new LockstepError('io', `${root} is not served there`, {
      path: root,
      hint: `The server was started for ${roots.join(', ')}.`,
    });
  }
}

function readOnly(root: string): LockstepError {
  return new LockstepError('io', `${root} is served for reading only`, {
    path: root,
    hint: 'Pull from it, or have the server started without --read-only.',
  });
}

/** Symlinks resolved as far as there is something. */
function realPathOf(absolute: string): string {
  for (let dir = absolute; ; dir = path.dirname(dir)) {
    try {
      return path.join(fs.realpathSync(dir), path.relative(dir, absolute));
    } catch (error) {
      if (dir === '/') throw error;
    }
  }
}
