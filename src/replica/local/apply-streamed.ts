/** Applying a batch whose content comes as a stream: one thread, everything in the stream's order. */
import { InterruptedError } from '../../base/errors.ts';
import type { RelPath } from '../../tree/path.ts';
import type { ApplyBatch, Control, StepResult } from '../replica.ts';
import { applyBatch, type ApplyContext } from './apply.ts';
import { Bases } from './bases.ts';
import type { Content } from './content.ts';
import { ContentFeed } from './content-feed.ts';
import type { Partials } from './partials.ts';
import { drive, type Work } from './slices.ts';
import { stageUnit, type StagedUnit, type StagingTask } from './stage-unit.ts';
import { StreamContent } from './stream-content.ts';

/** Chunks taken from the stream ahead of the work: the next is on its way while the last is being written. */
const chunksAhead = 4;

export async function applyStreamed(
  context: ApplyContext,
  batch: ApplyBatch,
  { tasks, content, partials }: { tasks: StagingTask[]; content: AsyncIterable<Uint8Array>; partials: Partials },
  control: Control,
): Promise<StepResult[]> {
  let stopped = false;
  const isStopped = (): boolean => stopped;
  let queued = 0;
  let wake: (() => void) | undefined;
  const feed = new ContentFeed(() => {
    queued -= 1;
    wake?.();
  });
  void (async () => {
    try {
      for await (const chunk of content) {
        if (isStopped()) return;
        if (chunk.length === 0) continue;
        queued += 1;
        feed.push(chunk);
        while (queued >= chunksAhead) {
          if (isStopped()) return;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      feed.end();
    } catch (error) {
      feed.end(error instanceof Error ? error : new InterruptedError());
    }
  })();
  const stream = new StreamContent(feed, batch.steps, new Bases(context.handles, partials, batch.steps));
  try {
    return await drive(stageAndApply(context, batch, tasks, stream), control);
  } finally {
    // The stream may not have ended; whoever feeds it is told by our being done.
    stopped = true;
    wake?.();
  }
}

/** One thread, everything in order. */
export function* stageAndApply(
  context: ApplyContext,
  batch: ApplyBatch,
  tasks: readonly StagingTask[],
  content: Content,
): Work<StepResult[]> {
  const staged = new Map<RelPath, StagedUnit>();
  let full: string | undefined;
  for (const task of tasks) {
    const unit = yield* stageUnit(task, content, full);
    full = unit.full;
    staged.set(task.path, unit);
  }
  return yield* applyBatch(context, batch, content, staged);
}
