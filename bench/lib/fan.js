import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockstep, rsync, unison } from './contenders.js';
import { expectSame, listing } from './listing.js';
import { race } from './race.js';
import { SharedRoots } from './shared-root.js';
import { copyTree } from './trees.js';

/** @import { Contender, Context, Table, Target } from './types.js' */
/** @import { Place } from './contenders.js' */

/**
 * A race in carrying over a change: one source, a destination for each contender. Every round changes the source once,
 * then each contender brings its own destination in step, so that all of them do the same work from the same state.
 *
 * @param {Context} context
 * @param {object} plan
 * @param {string} plan.title
 * @param {string} plan.src
 * @param {number} plan.rounds
 * @param {boolean} plan.deletes whether one-way contenders have to delete
 * @param {boolean} plan.push whether `lockstep push` takes part
 * @param {(round: number) => void | Promise<void>} plan.change
 * @param {(contender: Contender, dst: string, round: number) => void} [plan.inspect] after each measured run
 * @param {Target[]} [plan.targets]
 * @returns {Promise<Table>}
 */
export async function fan(context, { src, deletes, push, change, inspect, ...plan }) {
  const extra = deletes ? ['--delete'] : [];
  const roots = new SharedRoots([src], join(context.dir, 'aside'));
  /** @type {string[]} */
  let wanted = await listing(src);

  /**
   * @param {string} name
   * @param {(place: Place) => Contender} make
   * @returns {Promise<Contender>}
   */
  const enter = async (name, make) => {
    const place = { src, dst: join(context.dir, `dst-${name}`), state: join(context.dir, `state-${name}`) };
    rmSync(place.state, { recursive: true, force: true });
    const contender = make(place);
    if (!(context.onlyPeers && contender.role === 'lockstep')) await copyTree(src, place.dst);
    return {
      ...contender,
      prepare: async () => roots.lendTo(contender.name),
      check: async (round) => {
        expectSame(wanted, await listing(place.dst));
        if (round >= 0) inspect?.(contender, place.dst, round);
      },
    };
  };

  const contenders = [
    await enter('rsync', (place) => rsync(place, extra)),
    await enter('unison', unison),
    await enter('sync', (place) => lockstep(context, 'sync', place)),
    ...(push ? [await enter('push', (place) => lockstep(context, 'push', place, extra))] : []),
  ];
  return race(context, {
    ...plan,
    contenders,
    warmups: 2,
    against: ['rsync', 'unison'],
    beforeRound: async (round) => {
      await change(round);
      wanted = await listing(src);
    },
  });
}
