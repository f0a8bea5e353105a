/** @import { Result, Table } from './types.js' */

/** @param {number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/**
 * What the samples of one contender come to; undefined when it has none. The minimum is the run least disturbed by
 * others, the median the usual one; RSS is a peak, so its largest counts.
 *
 * @param {Result} result
 */
export function summarize({ samples }) {
  if (samples.length === 0) return undefined;
  const walls = samples.map(({ wall }) => wall);
  const peaks = samples.flatMap(({ rss }) => rss ?? []);
  return {
    min: Math.min(...walls),
    median: median(walls),
    max: Math.max(...walls),
    cpu: median(samples.map(({ cpu }) => cpu)),
    rss: peaks.length === 0 ? undefined : Math.max(...peaks),
  };
}

/**
 * The summary of a contender that finished the race; undefined for any other.
 *
 * @param {Table} table
 * @param {string} name
 */
export function summaryOf(table, name) {
  const result = table.results.find(({ contender }) => contender.name === name);
  return result === undefined || result.failure !== undefined ? undefined : summarize(result);
}

/**
 * Bytes a contender sent and received; undefined when they were not counted or it did not finish the race.
 *
 * @param {Table} table
 * @param {string} name
 */
export function bytesOf(table, name) {
  const result = table.results.find(({ contender }) => contender.name === name);
  return result?.failure === undefined ? result?.bytes : undefined;
}

/** Memory a process may use before entries are charged for it (DESIGN §9): Node itself and the code. */
const BASE_MEMORY = 80e6;

/**
 * @param {number} rss
 * @param {number} entries
 */
export function bytesPerEntry(rss, entries) {
  return Math.max(0, rss - BASE_MEMORY) / entries;
}
