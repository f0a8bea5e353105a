import { renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fan, locally } from '../fan.js';
import { copyLinux, writeDistinctFiles } from '../trees.js';

/** @import { Benchmark } from '../types.js' */

/** @param {number} round */
const nameIn = (round) => `bench-directory-${round}`;

/** @type {Benchmark} */
export const rename = {
  name: 'rename',
  about: 'a directory of 10,000 files in the Linux source tree renamed on one side',
  bytes: 9e9,
  run: async (context) => {
    const src = join(context.dir, 'src');
    await copyLinux(context, src);
    writeDistinctFiles(join(src, nameIn(-1)), 20, 500);
    /** Inode of a file in each destination: it stays the same only if the far side renamed. @type {Map<string, number>} */
    const inodes = new Map();
    /** @type {Set<string>} */
    const copied = new Set();
    const table = await fan(context, {
      title: 'rename: a directory of 10,000 files beside the Linux source tree',
      src,
      rounds: 5,
      ...locally(context, { deletes: true, push: false }),
      change: (round) => renameSync(join(src, nameIn(round - 1)), join(src, nameIn(round))),
      inspect: ({ name }, dst, round) => {
        const { ino } = statSync(join(dst, nameIn(round), 'part-7', 'file-77.txt'));
        if (round > 0 && inodes.get(name) !== ino) copied.add(name);
        inodes.set(name, ino);
      },
      targets: [{ contender: 'lockstep sync', max: 1, unit: 'seconds' }],
    });
    if (table.rounds > 1) {
      const finished = table.results
        .filter(({ failure }) => failure === undefined)
        .map(({ contender }) => contender.name);
      const list = (/** @type {string[]} */ names) => names.join(', ') || 'nobody';
      const renamed = finished.filter((name) => !copied.has(name));
      table.notes.push(`same inodes afterwards: ${list(renamed)}; written anew: ${list([...copied])}`);
    }
    return [table];
  },
};
