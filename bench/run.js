/**
 * `npm run bench`: Lockstep held against rsync, cp and Unison on this machine, now. Figures of different machines, or of
 * one busy machine at different times, cannot be compared; ratios within one run can. See README.md.
 */

import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { linuxSource } from './lib/linux-source.js';
import { machine } from './lib/machine.js';
import { parseOptions, USAGE, UsageError } from './lib/options.js';
import { describeEnding, finish, Interrupted, stopAll } from './lib/process.js';
import { asMarkdown, asText } from './lib/report.js';
import { openWorkspace, tmpfsObstacle } from './lib/workspace.js';

/** @import { Table } from './lib/types.js' */

const PROJECT = join(import.meta.dirname, '..');
const CLI = join(PROJECT, 'dist', 'lockstep.cjs');

/** @param {string} text */
const say = (text) => console.error(text);

async function build() {
  const ending = await finish([process.execPath, join(PROJECT, 'scripts', 'build.js')], { cwd: PROJECT });
  if (ending.code !== 0) throw new Error(`the build failed, ${describeEnding(ending)}`);
}

/**
 * @param {ReturnType<typeof parseOptions>} options
 * @returns {'tmpfs' | 'disk'}
 */
function chooseFs({ fs, benchmarks }) {
  if (fs === 'disk') return fs;
  const obstacle = tmpfsObstacle(benchmarks);
  if (obstacle === undefined) return 'tmpfs';
  if (fs === 'tmpfs') throw new Error(`no tmpfs: ${obstacle}`);
  say(`measuring on disk, which is noisier than a tmpfs: ${obstacle}`);
  return 'disk';
}

/** @param {ReturnType<typeof parseOptions>} options */
async function main(options) {
  const { benchmarks, data, onlyPeers, rounds, markdown } = options;
  if (options.build) await build();
  if (!onlyPeers && !existsSync(CLI)) throw new Error('dist/lockstep.cjs is missing: build first, or use --only-peers');
  mkdirSync(data, { recursive: true });
  const fs = chooseFs(options);
  const workspace = await openWorkspace(data, fs, benchmarks);
  /** @type {Table[]} */
  const tables = [];
  try {
    for (const benchmark of benchmarks) {
      const dir = workspace.enter(benchmark.name);
      const linuxTree = () => linuxSource(data, say);
      const context = { dir, fs, rounds, onlyPeers, cli: CLI, linuxTree, settle: workspace.settle, say };
      try {
        for (const table of await benchmark.run(context)) {
          tables.push(table);
          console.log(asText(table));
        }
      } catch (error) {
        // The tables that exist are worth hours: one benchmark that cannot be set up must not take them along.
        if (error instanceof Interrupted) throw error;
        say(`bench: ${benchmark.name}: ${error instanceof Error ? error.message : String(error)}`);
        process.exitCode = 1;
      } finally {
        await workspace.leave(dir);
      }
    }
  } finally {
    await workspace.close();
  }
  if (markdown !== undefined && tables.length > 0) {
    const command = `${options.command} --fs ${fs}`;
    const date = new Date().toISOString().slice(0, 16).replace('T', ' ') + ' UTC';
    const about = { date, machine: await machine(fs, data), command };
    appendFileSync(markdown, `${existsSync(markdown) ? '\n' : '# Benchmark results\n\n'}${asMarkdown(tables, about)}`);
  }
  if (tables.some(({ results }) => results.some(({ failure }) => failure !== undefined))) process.exitCode = 1;
}

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, stopAll);
try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else if (options.list) for (const { name, about } of options.benchmarks) console.log(`${name.padEnd(16)}${about}`);
  else await main(options);
} catch (error) {
  if (error instanceof Interrupted) process.exitCode = 130;
  else {
    say(error instanceof Error ? `bench: ${error.message}` : String(error));
    process.exitCode = error instanceof UsageError ? 64 : 1;
  }
}
