import { join } from 'node:path';
import { cp, lockstep, rsync, rsyncDurable } from '../contenders.js';
import { fromNothing } from '../from-nothing.js';
import { race } from '../race.js';
import { copyLinux } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/** @type {Benchmark} */
export const firstCopy = {
  name: 'first-copy',
  about: 'the Linux source tree into an empty directory',
  bytes: 4e9,
  run: async (context) => {
    const at = (/** @type {string} */ name) => join(context.dir, name);
    const place = { src: at('src'), dst: at('dst'), state: at('state') };
    await copyLinux(context, place.src);
    const contenders = await fromNothing(place, [
      rsync(place),
      ...(context.fs === 'disk' ? [rsyncDurable(place)] : []),
      cp(place),
      lockstep(context, 'push', place),
      lockstep(context, 'sync', place),
    ]);
    const table = await race(context, {
      title: 'first-copy: Linux source tree',
      contenders,
      rounds: 5,
      warmups: 1, // A virtual machine gets its memory from the host when it is first touched.
      against: ['rsync'],
      targets: ['lockstep push', 'lockstep sync'].map((contender) => ({
        contender,
        against: 'rsync',
        max: 1,
        aim: 0.8,
      })),
    });
    return [table];
  },
};
