/** The root (or other directory) that versions are brought back into: opened, locked, changed by apply.ts, closed. */
import { noRules } from '../../../tree/ignore/rules.ts';
import type { RelPath } from '../../../tree/path.ts';
import type { Entry } from '../../../tree/entry.ts';
import type { ApplyStep, Control, Failure, StepResult } from '../../replica.ts';
import fs from 'node:fs';
import { applyBatch, type ApplyContext } from '../apply.ts';
import { HostContent } from '../content.ts';
import { DirHandles } from '../dir-handles.ts';
import { toFs } from '../fs-path.ts';
import { freeLock, takeLock } from '../lock.ts';
import { OwnDirectory } from '../own-directory.ts';
import { granularityOf } from '../platform.ts';
import { drive } from '../slices.ts';
import { recoverStaging, Staging } from '../staging.ts';
import { lstatIfPresent, observe } from '../stat.ts';
import { failureOf } from '../failure.ts';
import type { RestoreInto } from './carry-out.ts';
import { HistoryWriter } from './keep.ts';
import type { Version } from './read.ts';

export interface TargetRequest {
  root: string;
  /** Where the versions are: `.lockstep/history` of the root that kept them. */
  historyPath: string;
  runId: string;
  command: string;
  forceUnlock: boolean;
}

/** Whatever has to make room for a restored version is kept for that reason, whatever step it was that replaced it. */
class RestoringWriter extends HistoryWriter {
  override place(path: RelPath): ReturnType<HistoryWriter['place']> {
    const place = super.place(path);
    return { ...place, record: (entry) => place.record(entry, 'restored') };
  }
}

export class RestoreTarget implements RestoreInto {
  readonly root: string;
  readonly handles: DirHandles;
  readonly #request: TargetRequest;
  readonly #own: OwnDirectory;
  readonly #context: ApplyContext & { history: HistoryWriter };

  /** @throws GuardError `locked` when another run is at work there */
  constructor(request: TargetRequest) {
    const { root, runId, command, forceUnlock } = request;
    this.#request = request;
    this.root = root;
    this.handles = new DirHandles(root);
    try {
      this.#own = new OwnDirectory(this.handles.rootPrefix, root);
      takeLock(this.#own, { root, runId, command, force: forceUnlock, piped: false });
    } catch (error) {
      this.handles.close();
      throw error;
    }
    this.#context = {
      handles: this.handles,
      staging: new Staging(this.#own, runId),
      history: new RestoringWriter(this.#own, runId),
      granularityNs: granularityOf(root),
    };
  }

  /** Puts into history what a run that died had in hand. @returns a line for the user per file */
  recover(): string[] {
    return recoverStaging(this.#own, this.#request.runId);
  }

  async apply(steps: ApplyStep[], control: Control): Promise<StepResult[]> {
    const hostPath = this.#request.historyPath;
    const batch = { steps, content: { via: 'host', hostPath } as const, rules: noRules };
    return drive(applyBatch(this.#context, batch, new HostContent(hostPath), new Map()), control);
  }

  async lookAt(version: Version): Promise<{ source: Entry; mode: number } | undefined> {
    const source = observe(version.fullPath, 0n);
    if (source === undefined) return Promise.resolve(undefined);
    // Set-id bits only come back where the file belongs to the same user and group as before.
    const stats = lstatIfPresent(version.fullPath);
    const own = Number(stats?.uid) === process.geteuid?.() && Number(stats?.gid) === process.getegid?.();
    return Promise.resolve({ source, mode: own ? version.mode : version.mode & 0o1777 });
  }

  async displace(path: RelPath): Promise<{ putBack: () => Promise<void> } | { failure: Failure }> {
    return Promise.resolve(this.#displace(path));
  }

  #displace(path: RelPath): { putBack: () => Promise<void> } | { failure: Failure } {
    const { history } = this.#context;
    this.handles.settle();
    try {
      const target = this.handles.locate(path);
      const entry = observe(target, 0n);
      this.handles.forget(path);
      const { to, record, again } = history.place(path);
      fs.renameSync(toFs(target), toFs(to));
      if (entry !== undefined) record(entry, 'restored');
      const putBack = (): Promise<void> => {
        const back = this.handles.locate(path);
        if (lstatIfPresent(back) === undefined) fs.renameSync(toFs(again()), toFs(back));
        return Promise.resolve();
      };
      return { putBack };
    } catch (error) {
      return { failure: failureOf(path, error) };
    }
  }

  close(): void {
    try {
      this.#context.history.close();
      this.#context.staging.clear();
      freeLock(this.#own, this.#request.runId);
      this.#own.removeIfBare();
    } finally {
      this.handles.close();
    }
  }
}
