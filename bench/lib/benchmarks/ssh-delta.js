import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fan } from '../fan.js';
import { mutateLargeFile, writeLargeFile } from '../large-file.js';
import { run } from '../process.js';
import { lockstepSsh, rsyncSsh } from '../ssh-contenders.js';
import { withSshd } from '../sshd.js';

/** @import { Benchmark } from '../types.js' */

const FILE = 'large.bin';

/**
 * rsync as it comes: over ssh `-a` sends deltas, and builds the new file beside the old one.
 *
 * @type {Benchmark}
 */
export const sshDelta = {
  name: 'ssh-delta',
  about: 'a 1 GiB file behind ssh: 1 MiB changed in the middle, 100 bytes inserted at the front',
  bytes: 9e9,
  run: async (context) => {
    const src = join(context.dir, 'src');
    mkdirSync(src);
    writeLargeFile(join(src, FILE), 2 ** 30);
    return withSshd(join(context.dir, 'far'), async (sshd) => {
      const table = await fan(context, {
        title: 'ssh-delta: a 1 GiB file, 1 MiB changed in the middle, 100 bytes inserted at the front',
        src,
        rounds: 3,
        contenders: {
          rsync: (place) => rsyncSsh(sshd, place),
          push: (place) => lockstepSsh(sshd, context, 'push', place),
        },
        against: ['rsync'],
        change: (round) => mutateLargeFile(join(src, FILE), join(context.dir, 'next'), round),
        // A listing does not see a block put in the wrong place.
        inspect: async (_contender, dst) => {
          await run(['cmp', join(src, FILE), join(dst, FILE)]);
        },
        targets: [
          { contender: 'lockstep push', against: 'rsync', max: 1 },
          { contender: 'lockstep push', against: 'rsync', max: 1, unit: 'bytes' },
        ],
        sshd,
      });
      return [table];
    });
  },
};
