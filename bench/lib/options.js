import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { benchmarks } from './benchmarks/index.js';

/** A mistake on the command line. */
export class UsageError extends Error {}

export const USAGE = `npm run bench [-- NAME… --rounds N --fs tmpfs|disk --data DIR --markdown FILE --only-peers]

  NAME…            benchmarks to run (default: all of them)
  --rounds N       measured rounds (default: each benchmark's own number)
  --fs tmpfs|disk  where the trees live (default: tmpfs if it can be had, else disk)
  --data DIR       trees are made and kept here (default: bench data in the directory for temporary files)
  --markdown FILE  append a section with the results to FILE
  --only-peers     without Lockstep: tries out the benchmark itself
  --no-build       take dist/ as it is
  --list           name the benchmarks`;

/** @param {string[]} args */
export function parseOptions(args) {
  const { values, positionals } = parse(args);
  const unknown = positionals.find((name) => !benchmarks.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined) throw new UsageError(`no benchmark is called ${unknown}; --list names them`);
  const { fs } = values;
  if (fs !== undefined && fs !== 'tmpfs' && fs !== 'disk') throw new UsageError('--fs is tmpfs or disk');
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new UsageError('--rounds takes a whole number from 1 on');
  }
  return {
    benchmarks:
      positionals.length === 0 ? benchmarks : benchmarks.filter((benchmark) => positionals.includes(benchmark.name)),
    rounds,
    fs,
    data: resolve(values.data ?? join(tmpdir(), 'lockstep-bench')),
    markdown: values.markdown,
    onlyPeers: values['only-peers'],
    build: !values['no-build'] && !values['only-peers'],
    list: values.list,
    help: values.help,
    // What RESULTS.md shows: the same run anywhere, so without the two options that hold paths of this machine.
    command: [
      'npm run bench --',
      ...positionals,
      ...(rounds === undefined ? [] : [`--rounds ${rounds}`]),
      ...(values['only-peers'] ? ['--only-peers'] : []),
    ].join(' '),
  };
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        fs: { type: 'string' },
        data: { type: 'string' },
        markdown: { type: 'string' },
        'only-peers': { type: 'boolean', default: false },
        'no-build': { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
