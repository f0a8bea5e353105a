import { join } from 'node:path';
import { busyboxShell, inWholeSeconds, lockstepShell } from '../busybox.js';
import { lockstep } from '../contenders.js';
import { expectSame, listing } from '../listing.js';
import { race } from '../race.js';
import { SharedRoots } from '../shared-root.js';
import { copyLinux, copyTree } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/** @type {Benchmark} */
export const shellUnchanged = {
  name: 'shell-unchanged',
  about: 'two Linux source trees already in step, one served by nothing but busybox',
  bytes: 4e9,
  run: async (context) => {
    const [src, dst] = [join(context.dir, 'src'), join(context.dir, 'dst')];
    await copyLinux(context, src);
    inWholeSeconds(src);
    await copyTree(src, dst);
    const wanted = await listing(src);
    const roots = new SharedRoots([src, dst], join(context.dir, 'aside'));
    const place = (/** @type {string} */ name) => ({ src, dst, state: join(context.dir, `state-${name}`) });
    const far = busyboxShell(join(context.dir, 'far'));
    const contenders = [lockstep(context, 'push', place('local')), lockstepShell(far, context, place('shell'))].map(
      (contender) => ({
        ...contender,
        prepare: async () => roots.lendTo(contender.name),
        check: async (/** @type {number} */ round) => {
          if (round < 0) expectSame(wanted, await listing(dst));
        },
      }),
    );
    const table = await race(context, {
      title: 'shell-unchanged: Linux source tree',
      contenders,
      rounds: 5,
      warmups: 2,
      against: ['lockstep push'],
      targets: [{ contender: 'lockstep push, sh', against: 'lockstep push', max: 3 }],
    });
    return [table];
  },
};
