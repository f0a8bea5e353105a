import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expectSame, listing } from './listing.js';
import { run } from './process.js';

/** @import { Contender } from './types.js' */
/** @import { Place } from './contenders.js' */

/**
 * Makes contenders start from nothing each time: an empty destination, no state, and none of Lockstep's own traces in
 * the source. Their results are compared with the source and then removed, one tree at a time being enough to hold.
 *
 * @param {Place} place
 * @param {Contender[]} contenders
 * @returns {Promise<Contender[]>}
 */
export async function fromNothing(place, contenders) {
  const wanted = await listing(place.src);
  const own = join(place.src, '.lockstep');
  return contenders.map((contender) => ({
    ...contender,
    prepare: async () => {
      await run(['rm', '-rf', place.dst, place.state, own]);
      mkdirSync(place.dst);
      mkdirSync(place.state);
    },
    check: async () => expectSame(wanted, await listing(place.dst)),
  }));
}
