import { appendFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fan, locally } from '../fan.js';
import { run } from '../process.js';
import { random, take } from '../random.js';
import { copyLinux } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/**
 * Another 5,000 files appended to, 500 deleted and 500 created, spread over the whole tree.
 *
 * @param {string} src
 * @param {number} round
 */
async function change(src, round) {
  const next = random(round);
  const text = await run(['find', src, '-path', `${src}/.lockstep`, '-prune', '-o', '-type', 'f', '-print']);
  const files = text.split('\n').slice(0, -1).sort();
  for (const path of take(files, 5000, next)) appendFileSync(path, `/* round ${round} */\n`);
  for (const path of take(files, 500, next)) unlinkSync(path);
  take(files, 500, next).forEach((path, i) => {
    writeFileSync(join(dirname(path), `bench-${round}-${i}.c`), `int round_${round}_${i};\n`.repeat(200));
  });
}

/** @type {Benchmark} */
export const edit5000 = {
  name: 'edit-5000',
  about: '5,000 files of the Linux source tree appended to, 500 deleted, 500 created',
  bytes: 9e9,
  run: async (context) => {
    const src = join(context.dir, 'src');
    await copyLinux(context, src);
    const table = await fan(context, {
      title: 'edit-5000: 5,000 files appended to, 500 deleted, 500 created',
      src,
      rounds: 5,
      ...locally(context, { deletes: true, push: true }),
      change: (round) => change(src, round),
    });
    return [table];
  },
};
