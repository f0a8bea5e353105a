import { run } from './process.js';

/**
 * What a tree holds, one sorted line per entry: path, kind, permissions, and for files size and mtime in whole seconds
 * (tools keep different fractions), for links their target. Directory times are nobody's promise here.
 *
 * @param {string} root
 * @returns {Promise<string[]>}
 */
export async function listing(root) {
  const files = ['-type', 'f', '-printf', '%P|f %m %s|%Ts\n'];
  const links = ['-type', 'l', '-printf', '%P|l %l|\n'];
  const rest = ['-printf', '%P|%y %m|\n'];
  const own = ['-path', `${root}/.lockstep`, '-prune'];
  const text = await run(['find', root, '-mindepth', '1', ...own, '-o', ...files, '-o', ...links, '-o', ...rest]);
  return text.split('\n').slice(0, -1).sort();
}

/**
 * Throws, naming the first difference, unless the two trees hold the same. A second of slack between mtimes: setting
 * a time through a floating-point interface may round it up.
 *
 * @param {string[]} wanted
 * @param {string[]} found
 */
export function expectSame(wanted, found) {
  const length = Math.max(wanted.length, found.length);
  for (let i = 0; i < length; i++) {
    const [a, b] = [wanted[i], found[i]];
    if (a === b || (a !== undefined && b !== undefined && nearlySame(a, b))) continue;
    throw new Error(
      `wrong result, ${found.length} entries for ${wanted.length}; first: ${b ?? '(end)'} instead of ${a ?? '(end)'}`,
    );
  }
}

/**
 * @param {string} a
 * @param {string} b
 */
function nearlySame(a, b) {
  const [cutA, cutB] = [a.lastIndexOf('|'), b.lastIndexOf('|')];
  return a.slice(0, cutA) === b.slice(0, cutB) && Math.abs(Number(a.slice(cutA + 1)) - Number(b.slice(cutB + 1))) <= 1;
}
