import { join } from 'node:path';
import { busyboxShell, inWholeSeconds, lockstepShell, tarShell } from '../busybox.js';
import { fromNothing } from '../from-nothing.js';
import { race } from '../race.js';
import { copyLinux } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/** @type {Benchmark} */
export const shellFirstCopy = {
  name: 'shell-first-copy',
  about: 'the Linux source tree into an empty directory served by nothing but busybox',
  bytes: 4e9,
  run: async (context) => {
    const at = (/** @type {string} */ name) => join(context.dir, name);
    const place = { src: at('src'), dst: at('dst'), state: at('state') };
    await copyLinux(context, place.src);
    inWholeSeconds(place.src);
    const far = busyboxShell(at('far'));
    const table = await race(context, {
      title: 'shell-first-copy: Linux source tree to busybox',
      contenders: await fromNothing(place, [tarShell(far, place), lockstepShell(far, context, place)]),
      rounds: 3,
      warmups: 1,
      against: ['tar | sh tar'],
      targets: [{ contender: 'lockstep push, sh', against: 'tar | sh tar', max: 1.5 }],
    });
    return [table];
  },
};
