import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { fan } from '../fan.js';
import { lockstepSsh, rsyncSsh } from '../ssh-contenders.js';
import { withSshd } from '../sshd.js';
import { copyLinux, writeDistinctFiles } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/** @param {number} round */
const nameIn = (round) => `bench-directory-${round}`;

/** @type {Benchmark} */
export const sshRename = {
  name: 'ssh-rename',
  about: 'a directory of 10,000 files in the Linux source tree renamed, the other tree behind ssh',
  bytes: 7e9,
  run: async (context) => {
    const src = join(context.dir, 'src');
    await copyLinux(context, src);
    writeDistinctFiles(join(src, nameIn(-1)), 20, 500);
    return withSshd(join(context.dir, 'far'), async (sshd) => {
      const table = await fan(context, {
        title: 'ssh-rename: a directory of 10,000 files beside the Linux source tree',
        src,
        rounds: 3,
        contenders: {
          rsync: (place) => rsyncSsh(sshd, place, ['--delete']),
          sync: (place) => lockstepSsh(sshd, context, 'sync', place),
        },
        against: ['rsync'],
        change: (round) => renameSync(join(src, nameIn(round - 1)), join(src, nameIn(round))),
        targets: [
          { contender: 'lockstep sync', max: 1, unit: 'seconds' },
          { contender: 'lockstep sync', max: 1e6, unit: 'bytes' },
        ],
        sshd,
      });
      return [table];
    });
  },
};
