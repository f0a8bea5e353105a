import { join } from 'node:path';
import { find, lockstep, rsync, unison } from '../contenders.js';
import { expectSame, listing } from '../listing.js';
import { race } from '../race.js';
import { SharedRoots } from '../shared-root.js';
import { copyLinux, copyTree } from '../trees.js';

/** @import { Benchmark, Target } from '../types.js' */

/** @type {Target[]} */
const TARGETS = [
  { contender: 'lockstep push', against: 'rsync', max: 1, aim: 0.8 },
  { contender: 'lockstep sync', against: 'rsync', max: 1, aim: 0.8 },
  { contender: 'lockstep sync', against: 'unison', max: 0.6 },
];

/**
 * All contenders look at the same two trees: with nothing to do none of them changes anything the next would see.
 *
 * @type {Benchmark}
 */
export const unchanged = {
  name: 'unchanged',
  about: 'two Linux source trees already in step',
  bytes: 4e9,
  run: async (context) => {
    const [src, dst] = [join(context.dir, 'src'), join(context.dir, 'dst')];
    await copyLinux(context, src);
    await copyTree(src, dst);
    const wanted = await listing(src);
    const roots = new SharedRoots([src, dst], join(context.dir, 'aside'));
    const place = (/** @type {string} */ name) => ({ src, dst, state: join(context.dir, `state-${name}`) });
    const contenders = [
      rsync(place('rsync')),
      unison(place('unison')),
      find(place('find')),
      lockstep(context, 'push', place('push')),
      lockstep(context, 'sync', place('sync')),
    ].map((contender) => ({
      ...contender,
      prepare: async () => roots.lendTo(contender.name),
      // A tool may well be fast at wrecking things: the warm-up rounds are looked at, later ones have nothing to write.
      check: async (/** @type {number} */ round) => {
        if (round < 0) expectSame(wanted, await listing(dst));
      },
    }));
    const table = await race(context, {
      title: 'unchanged: Linux source tree',
      contenders,
      rounds: 10,
      warmups: 2,
      against: ['rsync', 'unison'],
      targets: TARGETS,
    });
    return [table];
  },
};
