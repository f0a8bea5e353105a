/**
 * Staging on two threads (DESIGN §3.1: writing a tree with two workers takes half of one thread's time). The second thread
 * is started when a batch is large enough to pay for it. Both take the next directory from a shared counter, so a large
 * one holds up only one of them.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import { InterruptedError } from '../../base/errors.ts';
import type { RelPath } from '../../tree/path.ts';
import type { Control } from '../replica.ts';
import { startWorker } from '../worker-file.ts';
import { HostContent } from './content.ts';
import { stageUnit, type StagedUnit, type StagingTask } from './stage-unit.ts';
import { drive, type Work } from './slices.ts';

/** Fewer entries than this are staged before a second thread would be up. */
const minEntriesForHelp = 500;

/** What a stager thread is told; it answers with its `StagedUnit[]`. */
export interface StagerJob {
  tasks: StagingTask[];
  /** The other root on this machine. */
  hostPath: string;
  /** Three 32-bit words shared by both threads: the next task, 1 when all shall stop, 1 when the second thread has begun. */
  shared: SharedArrayBuffer;
}

const nextWord = 0;
const stopWord = 1;
const begunWord = 2;

export class Stagers {
  #helper: Worker | undefined;

  /** Builds all directories of the tasks. @returns them by path */
  async stage(tasks: StagingTask[], hostPath: string, control: Control): Promise<Map<RelPath, StagedUnit>> {
    if (tasks.length === 0) return new Map();
    const shared = new SharedArrayBuffer(12);
    const job: StagerJob = { tasks, hostPath, shared };
    const helped = this.#askForHelp(job);
    // Awaited below; until then a failure must not count as unhandled.
    helped.catch(() => undefined);
    try {
      const own = await drive(stageShare(job), control);
      const theirs = await helped;
      return new Map([...own, ...theirs].map((unit) => [unit.of, unit]));
    } catch (error) {
      Atomics.store(new Int32Array(shared), stopWord, 1);
      await helped.catch(() => undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#helper?.terminate();
    this.#helper = undefined;
  }

  async #askForHelp(job: StagerJob): Promise<StagedUnit[]> {
    const entries = job.tasks.reduce((sum, { listing }) => sum + listing.length / 64, 0);
    if (job.tasks.length < 2 || entries < minEntriesForHelp) return [];
    this.#helper ??= startWorker({ role: 'stager' });
    const helper = this.#helper;
    const words = new Int32Array(job.shared);
    return new Promise((resolve, reject) => {
      const settled = (): void => {
        helper.off('message', onMessage);
        helper.off('error', onEnd);
        helper.off('exit', onEnd);
      };
      const onMessage = (units: StagedUnit[]): void => {
        settled();
        resolve(units);
      };
      const onEnd = (error: unknown): void => {
        settled();
        this.#helper = undefined;
        // One that could not even be started has taken nothing: an upgrade may have replaced its file. The first does it all.
        if (Atomics.load(words, begunWord) === 0) resolve([]);
        else reject(error instanceof Error ? error : new Error('the second staging thread ended'));
      };
      helper.on('message', onMessage);
      helper.on('error', onEnd);
      helper.on('exit', onEnd);
      helper.postMessage(job);
    });
  }
}

/** The loop of a stager thread. */
export function serveStagings(port: MessagePort): void {
  port.on('message', (job: StagerJob) => {
    Atomics.store(new Int32Array(job.shared), begunWord, 1);
    // Not cancelled by a signal but by the stop word.
    const control = { signal: new AbortController().signal };
    drive(stageShare(job), control).then(
      (units) => port.postMessage(units),
      (error: unknown) => {
        if (!(error instanceof InterruptedError)) throw error;
        port.postMessage([]);
      },
    );
  });
}

/** One thread's share of a job: as many tasks as it comes to. */
export function* stageShare(job: StagerJob): Work<StagedUnit[]> {
  const words = new Int32Array(job.shared);
  const content = new HostContent(job.hostPath);
  const staged: StagedUnit[] = [];
  let bytes = 0;
  let full: string | undefined;
  for (;;) {
    const task = job.tasks[Atomics.add(words, nextWord, 1)];
    if (task === undefined) return staged;
    const unit = yield* unlessStopped(words, stageUnit(task, content, full));
    full = unit.full;
    bytes += unit.bytes;
    staged.push(unit);
    yield { entries: staged.length, bytes, path: task.path };
  }
}

/** Work that also ends, in the middle of a directory or of a large file, when the other thread has been told to stop. */
function* unlessStopped<T>(words: Int32Array, work: Work<T>): Work<T> {
  try {
    for (;;) {
      if (Atomics.load(words, stopWord) === 1) throw new InterruptedError();
      const step = work.next();
      if (step.done === true) return step.value;
      yield step.value;
    }
  } finally {
    work.return(undefined as never);
  }
}
