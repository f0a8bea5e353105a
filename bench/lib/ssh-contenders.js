import { contender, lockstep, rsync } from './contenders.js';
import { HOST } from './sshd.js';

/** @import { Contender, Context } from './types.js' */
/** @import { Place } from './contenders.js' */
/** @import { Sshd } from './sshd.js' */

/**
 * The contenders of contenders.js with `place.dst` at the other end of an ssh connection. To this process it is a local
 * path all the same, which is how results are checked.
 *
 * @param {Place} place
 * @returns {Place}
 */
const far = (place) => ({ ...place, dst: `${HOST}:${place.dst}` });

/**
 * @param {Contender} made
 * @param {Sshd} sshd
 * @returns {Contender}
 */
function through({ shown, ...made }, sshd) {
  return { ...made, shown: shown.replaceAll(sshd.config, 'CONFIG').replace(/ DST\b/, ` ${HOST}:DST`) };
}

/**
 * @param {Sshd} sshd
 * @param {Place} place
 * @param {string[]} [extra]
 */
export function rsyncSsh(sshd, place, extra = []) {
  return through(rsync(far(place), ['-e', `ssh -F ${sshd.config}`, ...extra]), sshd);
}

/**
 * Every byte pushed through the pipe and nothing looked at: a floor for copying into an empty directory.
 *
 * @param {Sshd} sshd
 * @param {Place} place
 */
export function tarSsh(sshd, place) {
  const script = `tar -C "$0" -cf - . | ssh -F "$1" ${HOST} "tar -C '$2' -xpf -"`;
  const argv = ['sh', '-c', script, place.src, sshd.config, place.dst];
  const made = contender('tar | ssh tar', 'floor', place, argv);
  return { ...made, shown: made.shown.replaceAll(sshd.config, 'CONFIG') };
}

/**
 * @param {Sshd} sshd
 * @param {Context} context
 * @param {'sync' | 'push'} command
 * @param {Place} place
 */
export function lockstepSsh(sshd, context, command, place) {
  return through(lockstep(context, command, far(place), [`--ssh-option=-F${sshd.config}`]), sshd);
}
