/** A race injector: another process that turns a directory into a symlink and back, as fast as it can (row 62). */
import { spawn } from 'node:child_process';
import fs from 'node:fs';

export interface Flipping {
  /** Ends it; the directory is a directory again. */
  stop: () => Promise<void>;
}

const script = `
const fs = require('fs');
const [dir, parked, target] = process.argv.slice(1);
let running = true;
process.stdin.on('data', () => { running = false; });
process.stdout.write('started');
const turn = () => {
  for (let n = 0; n < 50; n += 1) {
    // A sync may have put something there meanwhile: that stays, and this turn is left out.
    try {
      fs.renameSync(dir, parked);
      fs.symlinkSync(target, dir);
      fs.unlinkSync(dir);
    } catch {}
    try {
      fs.unlinkSync(dir);
    } catch {}
    try {
      fs.renameSync(parked, dir);
    } catch {}
  }
  if (running) setImmediate(turn);
  else process.exit(0);
};
turn();
`;

/** @param parked where the directory is while the symlink stands in for it; on the same file system, in no root */
export async function startFlipping(dir: string, parked: string, target: string): Promise<Flipping> {
  const child = spawn(process.execPath, ['-e', script, dir, parked, target], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  return {
    stop: async () => {
      child.stdin.end('stop');
      await ended;
      if (!fs.existsSync(dir) && fs.existsSync(parked)) fs.renameSync(parked, dir);
    },
  };
}
