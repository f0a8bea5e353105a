import { bytesPerEntry, summarize, summaryOf } from './statistics.js';
import { verdict } from './verdict.js';

/** @import { Result, Table } from './types.js' */

/**
 * The table's cells, headings first. All of it is text: both renderings below only differ in how they draw it.
 *
 * @param {Table} table
 * @returns {string[][]}
 */
function cells(table) {
  const ratios = table.against.flatMap((name) => [`median/${name}`, `min/${name}`]);
  const memory = table.entries === undefined ? [] : ['B/entry'];
  const heading = ['', 'min s', 'median s', 'max s', 'CPU s', 'RSS MB', ...memory, ...ratios];
  return [heading, ...table.results.map((result) => row(table, result, heading.length))];
}

/**
 * @param {Table} table
 * @param {Result} result
 * @param {number} width
 */
function row(table, result, width) {
  const { name, role } = result.contender;
  const label = role === 'floor' ? `(${name})` : name;
  const own = summarize(result);
  if (result.failure !== undefined || own === undefined) {
    return [label, 'failed', .../** @type {string[]} */ (Array(width - 2).fill('-'))];
  }
  const ratios = table.against.flatMap((against) => {
    const peer = summaryOf(table, against);
    return peer ? [(own.median / peer.median).toFixed(2), (own.min / peer.min).toFixed(2)] : ['-', '-'];
  });
  const { entries } = table;
  const memory =
    entries === undefined ? [] : [own.rss === undefined ? '-' : bytesPerEntry(own.rss, entries).toFixed(0)];
  return [
    label,
    ...[own.min, own.median, own.max, own.cpu].map((seconds) => seconds.toFixed(2)),
    own.rss === undefined ? '-' : (own.rss / 1e6).toFixed(0),
    ...memory,
    ...ratios,
  ];
}

/**
 * Everything below the table: targets, notes, failures.
 *
 * @param {Table} table
 */
function remarks(table) {
  const raced = new Set(table.results.map(({ contender }) => contender.name));
  return [
    ...table.targets.filter(({ contender }) => raced.has(contender)).map((target) => verdict(table, target)),
    ...traffic(table),
    ...table.notes,
    ...table.results.flatMap(({ contender, failure }) =>
      failure === undefined ? [] : `${contender.name} failed: ${firstLine(failure)}`,
    ),
  ];
}

/**
 * @param {Table} table
 * @returns {string[]} a line when bytes were counted, else none
 */
function traffic({ results }) {
  const counts = results.flatMap(({ contender, bytes, failure }) =>
    bytes === undefined || failure !== undefined ? [] : `${contender.name} ${bytes.toLocaleString('en')}`,
  );
  return counts.length === 0 ? [] : [`bytes on the pipe, both ways, ssh's own included: ${counts.join('; ')}`];
}

/** @param {string} text */
const firstLine = (text) => text.split('\n')[0] ?? '';

/** @param {Table} table */
function caption({ title, rounds, load }) {
  const plural = rounds === 1 ? 'round' : 'rounds';
  return `${title} (${rounds} ${plural}; load ${load[0].toFixed(1)} before, ${load[1].toFixed(1)} after)`;
}

/**
 * For the terminal.
 *
 * @param {Table} table
 */
export function asText(table) {
  const rows = cells(table);
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((line) => line[column]?.length ?? 0)));
  const lines = rows.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return [caption(table), ...lines, ...remarks(table).map((line) => `· ${line}`), ''].join('\n');
}

/**
 * A section for RESULTS.md: with the machine it was measured on and the command that repeats it, without any path.
 *
 * @param {Table[]} tables
 * @param {object} about
 * @param {string} about.date
 * @param {string[]} about.machine
 * @param {string} about.command
 * @returns {string}
 */
export function asMarkdown(tables, { date, machine, command }) {
  const body = tables.flatMap((table) => [
    `### ${caption(table)}`,
    '',
    ...drawMarkdown(cells(table)),
    '',
    ...remarks(table).map((line) => `- ${line}`),
    ...table.results.map(({ contender }) => `- ${contender.name}: \`${contender.shown}\``),
    '',
  ]);
  return [`## ${date}`, '', ...machine.map((line) => `- ${line}`), `- again: \`${command}\``, '', ...body].join('\n');
}

/** @param {string[][]} rows */
function drawMarkdown([heading = [], ...rows]) {
  const rule = heading.map((_, column) => (column === 0 ? ':--' : '--:'));
  return [heading, rule, ...rows].map((line) => `| ${line.join(' | ')} |`);
}
