/**
 * Live mode held against other tools that keep directories in step: how long an edit takes, how long a burst of changes, and
 * what it costs while nothing happens. Apart from `npm run bench`, because what is measured are not whole processes.
 *
 *     node bench/live.js [--data DIR] [--dir DIR] [--edits N] [--idle SECONDS] [--bursts N] [--only NAME…]
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { linuxSource } from './lib/linux-source.js';
import { arrival, burst, filesOf, latencies, usage } from './lib/live/measures.js';
import { run } from './lib/process.js';
import { HOST, withSshd } from './lib/sshd.js';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    dir: { type: 'string' },
    edits: { type: 'string', default: '40' },
    idle: { type: 'string', default: '20' },
    bursts: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
  },
});
const edits = Number(values.edits);
const idleSeconds = Number(values.idle);
const bursts = Number(values.bursts);
const cli = resolve(import.meta.dirname, '../dist/lockstep.cjs');
const say = (/** @type {string} */ text) => void process.stderr.write(`${text}\n`);

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {boolean} [far] the destination is named through ssh
 * @property {boolean} [bothWays]
 * @property {(place: { src: string, dst: string, state: string, config: string }) => string[]} argv
 */

/** @type {Contender[]} */
const contenders = [
  { name: 'lockstep sync --watch', bothWays: true, argv: (place) => lockstep(place, place.dst) },
  { name: 'lsyncd, delay 0', argv: (place) => lsyncd(place, place.dst, '') },
  {
    name: 'lockstep sync --watch, ssh',
    bothWays: true,
    argv: (place) => lockstep(place, `${HOST}:${place.dst}`, `--ssh-option=-F${place.config}`),
  },
  {
    name: 'lsyncd, delay 0, ssh',
    argv: (place) => lsyncd(place, `${HOST}:${place.dst}`, `rsh = "ssh -F ${place.config}",`),
  },
];

/**
 * @param {{ src: string, state: string }} place
 * @param {string} dst
 * @param {string[]} more
 */
function lockstep({ src, state }, dst, ...more) {
  // A burst is no accident.
  return [
    process.execPath,
    cli,
    'sync',
    src,
    dst,
    '--watch',
    '-q',
    '--state-dir',
    state,
    '--max-delete',
    'off',
    ...more,
  ];
}

/**
 * @param {{ src: string, state: string }} place
 * @param {string} target
 * @param {string} more
 */
function lsyncd({ src, state }, target, more) {
  mkdirSync(state, { recursive: true });
  const file = join(state, 'lsyncd.lua');
  writeFileSync(
    file,
    `settings { nodaemon = true, logfile = "${state}/log", statusFile = "${state}/status" }
sync { default.rsync, source = "${src}", target = "${target}", delay = 0, rsync = { archive = true, ${more} } }
`,
  );
  return ['lsyncd', file];
}

const dir = mkdtempSync(join(values.dir ?? tmpdir(), 'lockstep-bench-live-'));
try {
  const data = resolve(values.data ?? join(tmpdir(), 'lockstep-bench'));
  const pristine = await linuxSource(data, say);
  await withSshd(join(dir, 'far'), async ({ config }) => {
    say(
      `load ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}`,
    );
    console.log('| | median ms | p90 ms | max ms | burst s | rsync s | ratio | idle CPU % | RSS MB |');
    console.log('| --- | --: | --: | --: | --: | --: | --: | --: | --: |');
    for (const contender of contenders) {
      if (values.only !== undefined && !values.only.some((word) => contender.name.includes(word))) continue;
      await measure(contender, pristine, config);
    }
    say(
      `load ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}`,
    );
  });
} finally {
  rmSync(dir, { recursive: true, force: true });
}

/**
 * @param {Contender} contender
 * @param {string} pristine
 * @param {string} config
 */
async function measure(contender, pristine, config) {
  const place = { src: join(dir, 'src'), dst: join(dir, 'dst'), state: join(dir, 'state'), config };
  const beside = join(dir, 'beside');
  for (const copy of [place.src, place.dst, beside]) await run(['cp', '-a', pristine, copy]);
  const [program = '', ...args] = contender.argv(place);
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], detached: true });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} does not start`);
  try {
    const files = filesOf(place.src);
    writeFileSync(join(place.src, 'marker'), 'started');
    await arrival(place.src, place.dst, ['marker']);
    await pause(3000);
    report(contender.name, await latencies(place.src, place.dst, files, 1, edits));
    if (contender.bothWays === true) {
      report(`${contender.name}, back`, await latencies(place.dst, place.src, files, 2, edits));
    }
    // Idle begins when what is done after changes is done: storing, and making the record compact.
    await pause(12_000);
    const before = usage(pid);
    await pause(idleSeconds * 1000);
    const after = usage(pid);
    const idle = ((after.cpu - before.cpu) / idleSeconds) * 100;
    const usual = [idle.toFixed(2), (after.rss / 1e6).toFixed(0)];
    const isFar = args.some((word) => word.includes(HOST)) || contender.name.includes('ssh');
    const target = isFar
      ? ['-e', `ssh -F ${config}`, `${place.src}/`, `${HOST}:${beside}/`]
      : [`${place.src}/`, `${beside}/`];
    const rsync = () => run(['rsync', '-a', '--delete', '--exclude', '/.lockstep', ...target]);
    await rsync();
    for (let at = 0; at < bursts; at += 1) {
      // Each after everything has come to rest, and with other files.
      if (at > 0) await pause(12_000);
      const changed = await burst(place.src, filesOf(place.src), 3 + at);
      const took = await seconds(() => arrival(place.src, place.dst, changed));
      const beaten = await seconds(rsync);
      const ratio = (took / beaten).toFixed(2);
      row([contender.name, '', '', '', took.toFixed(2), beaten.toFixed(2), ratio, ...(at === 0 ? usual : [])]);
    }
  } catch (error) {
    row([contender.name, error instanceof Error ? error.message : String(error)]);
  } finally {
    const gone = new Promise((resolve) => child.once('close', resolve));
    process.kill(-pid, 'SIGTERM');
    await gone;
    for (const path of [place.src, place.dst, beside, place.state]) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * @param {string} name
 * @param {number[]} times
 */
function report(name, times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => (sorted[Math.floor((sorted.length - 1) * share)] ?? NaN).toFixed(1);
  row([name, at(0.5), at(0.9), at(1)]);
}

/** @param {string[]} cells */
function row(cells) {
  console.log(`| ${[...cells, ...Array(Math.max(0, 9 - cells.length)).fill('')].join(' | ')} |`);
}

/**
 * @param {() => Promise<unknown>} act
 * @returns {Promise<number>} how long it took
 */
async function seconds(act) {
  const start = performance.now();
  await act();
  return (performance.now() - start) / 1000;
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
