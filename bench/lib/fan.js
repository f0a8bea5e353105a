import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockstep, rsync, unison } from './contenders.js';
import { expectSame, listing } from './listing.js';
import { race } from './race.js';
import { SharedRoots } from './shared-root.js';
import { copyTree } from './trees.js';

/** @import { Contender, Context, Table, Target } from './types.js' */
/** @import { Place } from './contenders.js' */
/** @import { Sshd } from './sshd.js' */

/**
 * A race in carrying over a change: one source, a destination for each contender. Every round changes the source once,
 * then each contender brings its own destination in step, so that all of them do the same work from the same state.
 *
 * @param {Context} context
 * @param {object} plan
 * @param {string} plan.title
 * @param {string} plan.src
 * @param {number} plan.rounds
 * @param {Record<string, (place: Place) => Contender>} plan.contenders by a name for their directories
 * @param {string[]} plan.against
 * @param {Sshd} [plan.sshd] what the contenders connect to, if they do
 * @param {(round: number) => void | Promise<void>} plan.change
 * @param {(contender: Contender, dst: string, round: number) => void | Promise<void>} [plan.inspect] after each measured run
 * @param {Target[]} [plan.targets]
 * @returns {Promise<Table>}
 */
export async function fan(context, { src, contenders: makers, change, inspect, ...plan }) {
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
        if (round >= 0) await inspect?.(contender, place.dst, round);
      },
    };
  };

  /** @type {Contender[]} */
  const contenders = [];
  for (const [name, make] of Object.entries(makers)) contenders.push(await enter(name, make));
  return race(context, {
    ...plan,
    contenders,
    warmups: 2,
    beforeRound: async (round) => {
      await change(round);
      wanted = await listing(src);
    },
  });
}

/**
 * The usual field on one machine.
 *
 * @param {Context} context
 * @param {object} choice
 * @param {boolean} choice.deletes whether one-way contenders have to delete
 * @param {boolean} choice.push whether `lockstep push` takes part
 * @returns {{ contenders: Record<string, (place: Place) => Contender>, against: string[] }} for {@link fan}
 */
export function locally(context, { deletes, push }) {
  const extra = deletes ? ['--delete'] : [];
  return {
    contenders: {
      rsync: (place) => rsync(place, extra),
      unison,
      sync: (place) => lockstep(context, 'sync', place),
      ...(push ? { push: (/** @type {Place} */ place) => lockstep(context, 'push', place, extra) } : {}),
    },
    against: ['rsync', 'unison'],
  };
}
