/** The root (or other directory) that versions are brought back into: opened, locked, changed by apply.ts, closed. */
import { InterruptedError } from '../../../base/errors.ts';
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
import { drive, type Work } from '../slices.ts';
import { recoverStaging, Staging } from '../staging.ts';
import { lstatIfPresent, observe } from '../stat.ts';
import { failureOf } from '../failure.ts';
import { nameNew } from '../naming.ts';
import { makeSymlink } from '../stage-unit.ts';
import { verify } from '../verify.ts';
import type { BringBack, RestoreInto } from './carry-out.ts';
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

  async replaceDirectory(step: BringBack, standing: Entry, control: Control): Promise<Failure | undefined> {
    try {
      await drive(this.#replaceDirectory(step, standing), control);
      return undefined;
    } catch (error) {
      if (error instanceof InterruptedError) throw error;
      return failureOf(step.path, error);
    }
  }

  *#replaceDirectory(step: BringBack, standing: Entry): Work<void> {
    const staged = this.#context.staging.fresh('b');
    try {
      if (step.op === 'link') makeSymlink(staged, step.source);
      else yield* new HostContent(this.#request.historyPath).fetch({ ...step, to: staged, digest: false });
      this.#exchange(step.path, standing, staged);
    } finally {
      fs.rmSync(toFs(staged), { force: true });
    }
  }

  /** Two names are given, with nothing in between: `path` is nobody's for no longer than that (carry-out.ts). */
  #exchange(path: RelPath, standing: Entry, staged: string): void {
    this.handles.settle();
    const target = this.handles.locate(path);
    verify(target, standing);
    this.handles.forget(path);
    const { to, record } = this.#context.history.place(path);
    // Noted before it lies there: a line without a version is none, and a full disk says so while nothing is changed.
    record(standing, 'restored');
    fs.renameSync(toFs(target), toFs(to));
    try {
      nameNew(staged, target);
    } catch (error) {
      if (lstatIfPresent(target) === undefined) fs.renameSync(toFs(to), toFs(target));
      throw error;
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
