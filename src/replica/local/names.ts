import fs from 'node:fs';
import { compareNames, decodeName } from '../../tree/path.ts';
import { toFs } from './fs-path.ts';

/** Names of a directory in the order of `compareNames`, bytes that are not UTF-8 escaped (tree/path.ts). */
export function readNames(prefix: string): string[] {
  let names = fs.readdirSync(toFs(prefix), 'utf8');
  // U+FFFD is what a broken name decodes to (or a name that really holds it): only then are the bytes asked for.
  if (names.some((name) => name.includes('\ufffd'))) {
    names = fs.readdirSync(toFs(prefix), 'buffer').map((bytes) => decodeName(bytes));
  }
  for (let i = 1; i < names.length; i += 1) {
    // libuv hands them out in byte order, which is ours but for names beyond ASCII.
    if ((names[i - 1] ?? '') > (names[i] ?? '')) return names.sort(compareNames);
  }
  return names;
}
