import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { fan, locally } from '../fan.js';
import { copyLinux } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/** Present in any kernel; taken in turn so that no tool profits from having just seen the file. */
const EDITED = ['kernel/sched/core.c', 'fs/ext4/inode.c', 'drivers/net/tun.c', 'Makefile', 'mm/memory.c'];

/** @type {Benchmark} */
export const smallChange = {
  name: 'small-change',
  about: 'one file edited in the Linux source tree',
  bytes: 9e9,
  run: async (context) => {
    const src = join(context.dir, 'src');
    await copyLinux(context, src);
    const table = await fan(context, {
      title: 'small-change: one file of the Linux source tree edited',
      src,
      rounds: 10,
      ...locally(context, { deletes: false, push: true }),
      change: (round) => appendFileSync(join(src, EDITED[round % EDITED.length] ?? ''), `\n# round ${round}\n`),
    });
    return [table];
  },
};
