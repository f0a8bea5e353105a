import { join } from 'node:path';
import { lockstep, rsync } from '../contenders.js';
import { fromNothing } from '../from-nothing.js';
import { race } from '../race.js';
import { run } from '../process.js';
import { SharedRoots } from '../shared-root.js';
import { writeManyFiles } from '../trees.js';

/** @import { Benchmark, Context, Target } from '../types.js' */

/** @type {Target[]} */
const TARGETS = [{ contender: 'lockstep sync', max: 300, unit: 'bytes per entry' }];

/**
 * Peak memory hardly varies from run to run, and these runs are long: a single round does. For a quick trial of the
 * benchmark itself `LOCKSTEP_BENCH_SCALE=0.04` makes a tree of that share of the size.
 *
 * @type {Benchmark}
 */
export const memory = {
  name: 'memory',
  about: 'a million files: peak memory of a first copy and of a run with nothing to do',
  bytes: 6e9,
  run: async (context) => {
    const at = (/** @type {string} */ name) => join(context.dir, name);
    const place = { src: at('src'), dst: at('dst'), state: at('state') };
    context.say('memory: making a million files');
    const entries = writeManyFiles(place.src, Number(process.env['LOCKSTEP_BENCH_SCALE'] ?? 1));
    const title = `${entries.toLocaleString('en')} entries`;
    const contenders = [rsync(place), lockstep(context, 'sync', place)];
    const copying = await race(context, {
      title: `memory: first copy of ${title}`,
      contenders: await fromNothing(place, contenders),
      rounds: 1,
      against: ['rsync'],
      targets: TARGETS,
      entries,
    });
    return [copying, await idle(context, place, title, entries)];
  },
};

/**
 * Goes on with the trees the first copy left.
 *
 * @param {Context} context
 * @param {import('../contenders.js').Place} place
 * @param {string} title
 * @param {number} entries
 */
async function idle(context, place, title, entries) {
  for (const root of [place.src, place.dst]) await run(['rm', '-rf', join(root, '.lockstep')]);
  const roots = new SharedRoots([place.src, place.dst], join(context.dir, 'aside'));
  const states = (/** @type {string} */ name) => ({ ...place, state: join(context.dir, `state-${name}`) });
  const contenders = [rsync(states('rsync')), lockstep(context, 'sync', states('sync'))];
  return race(context, {
    title: `memory: nothing changed in ${title}`,
    contenders: contenders.map((contender) => ({
      ...contender,
      prepare: async () => roots.lendTo(contender.name),
    })),
    rounds: 1,
    warmups: 2,
    against: ['rsync'],
    targets: TARGETS,
    entries,
  });
}
