import { join } from 'node:path';
import { fromNothing } from '../from-nothing.js';
import { race } from '../race.js';
import { lockstepSsh, rsyncSsh, tarSsh } from '../ssh-contenders.js';
import { withSshd } from '../sshd.js';
import { copyLinux } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/** @type {Benchmark} */
export const sshFirstCopy = {
  name: 'ssh-first-copy',
  about: 'the Linux source tree into an empty directory behind ssh',
  bytes: 4e9,
  run: async (context) => {
    const at = (/** @type {string} */ name) => join(context.dir, name);
    const place = { src: at('src'), dst: at('dst'), state: at('state') };
    await copyLinux(context, place.src);
    // Below the contender's state, which is removed before every run.
    return withSshd(join(place.state, 'far'), async (sshd) => {
      const table = await race(context, {
        title: 'ssh-first-copy: Linux source tree',
        contenders: await fromNothing(place, [
          rsyncSsh(sshd, place),
          tarSsh(sshd, place),
          lockstepSsh(sshd, context, 'push', place),
        ]),
        rounds: 3,
        warmups: 1, // A virtual machine gets its memory from the host when it is first touched.
        against: ['rsync'],
        targets: [{ contender: 'lockstep push', against: 'rsync', max: 1, aim: 0.85 }],
        sshd,
      });
      return [table];
    });
  },
};
