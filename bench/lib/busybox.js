import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contender, lockstep } from './contenders.js';

/** @import { Context } from './types.js' */
/** @import { Place } from './contenders.js' */

/**
 * A far side with nothing but busybox: a program that gives its `sh`, in an environment with only its applets on PATH.
 *
 * @param {string} dir made
 * @returns {string} the program
 */
export function busyboxShell(dir) {
  const bin = join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  for (const applet of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync(busybox, join(bin, applet));
  }
  const program = join(dir, 'far');
  writeFileSync(program, `#!/bin/sh\nexec /usr/bin/env -i PATH='${bin}' '${bin}/sh'\n`, { mode: 0o755 });
  return program;
}

/**
 * What such a far side could do at best: everything through one pipe, and nothing looked at.
 *
 * @param {string} program
 * @param {Place} place
 */
export function tarShell(program, place) {
  const script = `tar -C "$0" -cf - . | env -i "PATH=\${2%/far}/bin" "\${2%/far}/bin/sh" -c "cd '$1' && tar -xpf -"`;
  const made = contender('tar | sh tar', 'floor', place, ['sh', '-c', script, place.src, place.dst, program]);
  return { ...made, shown: made.shown.replaceAll(program, 'FAR') };
}

/**
 * @param {string} program
 * @param {Context} context
 * @param {Place} place
 */
export function lockstepShell(program, context, place) {
  const made = lockstep(context, 'push', place, ['--agent', 'sh']);
  const argv = [...made.argv, '--', program];
  return { ...made, name: 'lockstep push, sh', argv, shown: `${made.shown} -- FAR` };
}

/**
 * Busybox sets times to the second; only the root's own has more than that.
 *
 * @param {string} src
 */
export function inWholeSeconds(src) {
  const { mtimeMs } = statSync(src);
  utimesSync(src, Math.floor(mtimeMs / 1000), Math.floor(mtimeMs / 1000));
}
