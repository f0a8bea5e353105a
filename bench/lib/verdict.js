import { bytesOf, bytesPerEntry, summaryOf } from './statistics.js';

/** @import { Table, Target } from './types.js' */

/**
 * One line on one target. A ratio counts as met or missed when medians and minima say the same; when they differ the
 * noise is larger than the margin and the honest answer is neither.
 *
 * @param {Table} table
 * @param {Target} target
 * @returns {string}
 */
export function verdict(table, target) {
  const { contender, against, max, aim, unit } = target;
  const own = summaryOf(table, contender);
  const limit = against === undefined ? `${max} ${unit ?? ''}` : `${max.toFixed(2)} × ${against}`;
  const wanted = `${contender} ≤ ${limit}${aim === undefined ? '' : `, aim ${aim.toFixed(2)}`}`;
  if (own === undefined) return `${wanted}: not measured`;
  if (unit === 'bytes') return `${bytesWanted(target)}: ${bytesVerdict(table, target)}`;
  if (unit === 'bytes per entry') {
    if (own.rss === undefined || table.entries === undefined) return `${wanted}: not measured`;
    const bytes = bytesPerEntry(own.rss, table.entries);
    return `${wanted}: ${bytes.toFixed(0)}, ${judge([bytes], max, aim)}`;
  }
  if (against === undefined) {
    return `${wanted}: median ${own.median.toFixed(2)}, min ${own.min.toFixed(2)}, ${judge([own.median, own.min], max, aim)}`;
  }
  const peer = summaryOf(table, against);
  if (peer === undefined) return `${wanted}: not measured`;
  const ratios = [own.median / peer.median, own.min / peer.min];
  const [medians = NaN, minima = NaN] = ratios;
  return `${wanted}: medians ${medians.toFixed(2)}, minima ${minima.toFixed(2)}, ${judge(ratios, max, aim)}`;
}

/** @param {Target} target */
function bytesWanted({ contender, against, max }) {
  const limit = against === undefined ? max.toLocaleString('en') : `${max.toFixed(2)} × ${against}`;
  return `${contender} ≤ ${limit} in bytes on the pipe`;
}

/**
 * Bytes hardly vary from run to run, so one count decides.
 *
 * @param {Table} table
 * @param {Target} target
 */
function bytesVerdict(table, { contender, against, max, aim }) {
  const own = bytesOf(table, contender);
  const base = against === undefined ? 1 : bytesOf(table, against);
  if (own === undefined || base === undefined) return 'not measured';
  const value = own / base;
  return `${against === undefined ? own.toLocaleString('en') : value.toPrecision(2)}, ${judge([value], max, aim)}`;
}

/**
 * @param {number[]} values
 * @param {number} max
 * @param {number | undefined} aim
 */
function judge(values, max, aim) {
  if (aim !== undefined && values.every((value) => value <= aim)) return 'met, aim too';
  if (values.every((value) => value <= max)) return 'met';
  return values.every((value) => value > max) ? 'MISSED' : 'undecided (noise)';
}
