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
  /** Two 32-bit words shared by both threads: the next task, and 1 when all shall stop. */
  shared: SharedArrayBuffer;
}

const nextWord = 0;
const stopWord = 1;

export class Stagers {
  #helper: Worker | undefined;

  /** Builds all directories of the tasks. @returns them by path */
  async stage(tasks: StagingTask[], hostPath: string, control: Control): Promise<Map<RelPath, StagedUnit>> {
    if (tasks.length === 0) return new Map();
    const shared = new SharedArrayBuffer(8);
    const job: StagerJob = { tasks, hostPath, shared };
    const helped = this.#askForHelp(job);
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
    return new Promise((resolve, reject) => {
      helper.once('message', (units: StagedUnit[]) => {
        helper.off('error', reject);
        resolve(units);
      });
      helper.once('error', reject);
      helper.postMessage(job);
    });
  }
}

/** The loop of a stager thread. */
export function serveStagings(port: MessagePort): void {
  port.on('message', (job: StagerJob) => {
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
