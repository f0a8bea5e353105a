import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** @import { Contender, Context, Role } from './types.js' */

/**
 * A pair of roots and a directory of the contender's own, for the state it keeps between runs.
 * @typedef {{ src: string, dst: string, state: string }} Place
 */

/**
 * @param {string} name
 * @param {Role} role
 * @param {Place} place
 * @param {string[]} argv
 * @param {Record<string, string>} [env]
 * @returns {Contender}
 */
export function contender(name, role, place, argv, env) {
  const shown = argv
    .map((word) => word.replaceAll(place.src, 'SRC').replaceAll(place.dst, 'DST').replaceAll(place.state, 'STATE'))
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`))
    .join(' ');
  return { name, role, argv, shown, ...(env ? { env } : {}) };
}

/**
 * @param {Place} place
 * @param {string[]} [extra]
 */
export function rsync(place, extra = []) {
  return contender('rsync', 'peer', place, ['rsync', '-a', ...extra, `${place.src}/`, `${place.dst}/`]);
}

/**
 * rsync held to durability: Lockstep may not record in its baseline what a power cut could still take away (DESIGN §6),
 * so on a disk it waits for the flush and plain rsync does not.
 *
 * @param {Place} place
 */
export function rsyncDurable(place) {
  const script = 'rsync -a "$0/" "$1/" && sync -f "$1"';
  return contender('rsync + sync', 'peer', place, ['sh', '-c', script, place.src, place.dst]);
}

/** @param {Place} place */
export function cp(place) {
  return contender('cp', 'peer', place, ['cp', '-a', `${place.src}/.`, `${place.dst}/`]);
}

/**
 * Unison with an archive directory of its own. `-times`, because keeping mtimes is part of the job for everyone else
 * here; `-fastcheck true` is its default on Unix, spelled out since it decides the outcome.
 *
 * @param {Place} place
 */
export function unison(place) {
  mkdirSync(place.state, { recursive: true });
  const flags = ['-ui', 'text', '-batch', '-auto', '-silent', '-times', '-fastcheck', 'true'];
  const env = { UNISON: place.state, UNISONLOCALHOSTNAME: 'bench' };
  return contender('unison', 'peer', place, ['unison', place.src, place.dst, ...flags], env);
}

/**
 * Both trees walked and every entry's metadata read, which no tool that trusts nothing but the file system can avoid.
 *
 * @param {Place} place
 */
export function find(place) {
  const script = `for root in "$0" "$1"; do find "$root" -printf '%P %y %m %s %T@ %C@ %i\\n' >/dev/null; done`;
  return contender('find, twice', 'floor', place, ['sh', '-c', script, place.src, place.dst]);
}

/**
 * @param {Context} context
 * @param {'sync' | 'push'} command
 * @param {Place} place
 * @param {string[]} [extra]
 */
export function lockstep(context, command, place, extra = []) {
  // The user's own state and configuration must not reach the measured run, whatever --state-dir covers.
  const env = {
    XDG_STATE_HOME: join(place.state, 'xdg-state'),
    XDG_CONFIG_HOME: join(place.state, 'xdg-config'),
    NODE_OPTIONS: '',
  };
  // Push honours .gitignore files, and Debian's Linux source tree has one that excludes everything.
  const all = command === 'push' ? ['--no-gitignore'] : [];
  const flags = ['--state-dir', place.state, '-q', ...all, ...extra];
  const argv = [process.execPath, context.cli, command, place.src, place.dst, ...flags];
  const made = contender(`lockstep ${command}`, 'lockstep', place, argv, env);
  const shown = contender('', 'lockstep', place, ['lockstep', command, place.src, place.dst, ...flags]).shown;
  return { ...made, shown };
}
