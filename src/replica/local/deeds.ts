/**
 * Everything that a replica does beyond looking. Loaded when there is something to do: a run in which nothing changed, which is
 * most of those that cron starts, need not wait for its code.
 */
export { applyBatch } from './apply.ts';
export { applyStreamed, stageAndApply } from './apply-streamed.ts';
export { cleanOutRoot } from './clean-out.ts';
export { HostContent, NoContent } from './content.ts';
export { historyOf, restoreInRoot } from './history/of-root.ts';
export { ChunkRing, sendContent } from './send-content.ts';
export { signAll } from './sign.ts';
export { stagingTasks } from './stage-unit.ts';
export { Stagers } from './stagers.ts';
