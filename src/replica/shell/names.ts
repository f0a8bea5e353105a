/**
 * Names on their way to the far `sh`: never as words of its language.
 *
 * A single one goes in a line of its own, every byte that is not plain as `\0ooo` for `printf %b`; the program reads it
 * with `read -r`. Lists that a tool reads go as they are, ended by NUL, where its `xargs` knows `-0`.
 */
import { encodeName, type RelPath } from '../../tree/path.ts';

const plain = /^[A-Za-z0-9_.,:+=@%/-]*$/;

/** A name or path for a line of its own. */
export function lineOf(name: string): string {
  if (plain.test(name)) return name;
  let line = '';
  for (const byte of encodeName(name)) {
    const character = String.fromCharCode(byte);
    line += plain.test(character) ? character : `\\0${byte.toString(8).padStart(3, '0')}`;
  }
  return line;
}

/** Paths in the root as arguments that no tool takes for options. */
export function listOf(paths: readonly RelPath[], asNul: boolean): Uint8Array {
  if (!asNul) return Buffer.from(paths.map((path) => `${lineOf(`./${path}`)}\n`).join(''), 'latin1');
  return Buffer.concat(paths.flatMap((path) => [Buffer.from('./'), encodeName(path), nul]));
}

const nul = Buffer.of(0);
