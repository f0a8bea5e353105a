import { join } from 'node:path';
import { expectSame, listing } from '../listing.js';
import { race } from '../race.js';
import { SharedRoots } from '../shared-root.js';
import { lockstepSsh, rsyncSsh } from '../ssh-contenders.js';
import { withSshd } from '../sshd.js';
import { copyLinux, copyTree } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/**
 * Like `unchanged`, both contenders look at the same two trees.
 *
 * @type {Benchmark}
 */
export const sshUnchanged = {
  name: 'ssh-unchanged',
  about: 'two Linux source trees already in step, one behind ssh',
  bytes: 4e9,
  run: async (context) => {
    const [src, dst] = [join(context.dir, 'src'), join(context.dir, 'dst')];
    await copyLinux(context, src);
    await copyTree(src, dst);
    const wanted = await listing(src);
    const roots = new SharedRoots([src, dst], join(context.dir, 'aside'));
    const place = (/** @type {string} */ name) => ({ src, dst, state: join(context.dir, `state-${name}`) });
    return withSshd(join(context.dir, 'far'), async (sshd) => {
      const contenders = [rsyncSsh(sshd, place('rsync')), lockstepSsh(sshd, context, 'push', place('push'))].map(
        (contender) => ({
          ...contender,
          prepare: async () => roots.lendTo(contender.name),
          // A tool may well be fast at wrecking things: the warm-up rounds are looked at, later ones have nothing to write.
          check: async (/** @type {number} */ round) => {
            if (round < 0) expectSame(wanted, await listing(dst));
          },
        }),
      );
      const table = await race(context, {
        title: 'ssh-unchanged: Linux source tree',
        contenders,
        rounds: 3,
        warmups: 2,
        against: ['rsync'],
        targets: [
          { contender: 'lockstep push', against: 'rsync', max: 1 },
          { contender: 'lockstep push', against: 'rsync', max: 0.1, unit: 'bytes' },
        ],
        sshd,
      });
      return [table];
    });
  },
};
