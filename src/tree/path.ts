/**
 * Paths inside a root, and names that need not be UTF-8.
 *
 * A relative path is `''` for the root itself or `a/b/c`: no leading, trailing or double slash, no `.` or `..`.
 *
 * Linux names are byte strings. A name that is not valid UTF-8 is carried as a string in which each undecodable byte `b`
 * stands as the lone surrogate U+DC00+b (Python's PEP 383, "surrogateescape"); it turns back into the exact bytes at the
 * file-system boundary. Such strings are not well-formed, which is how they are told from ordinary ones.
 */

import { isWellFormed } from '../base/text.ts';

/** A path inside a root, see above. */
export type RelPath = string;

/** Lockstep's own directory; never synced at any depth. */
export const ownDirectory = '.lockstep';

/** The order of names everywhere: by UTF-16 code unit, which is what `<` and `Array.prototype.sort` do. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function joinPath(dir: RelPath, name: string): RelPath {
  return dir === '' ? name : `${dir}/${name}`;
}

/** The directory that holds a path; `''` for a top-level one. */
export function parentPath(path: RelPath): RelPath {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

export function baseName(path: RelPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** True when `path` is `dir` itself or lies below it. */
export function isWithin(path: RelPath, dir: RelPath): boolean {
  return dir === '' || path === dir || (path.startsWith(dir) && path.charCodeAt(dir.length) === 0x2f);
}

/** Replaces the leading directory `from` of `path` by `to`. The path must lie within `from`. */
export function rebasePath(path: RelPath, from: RelPath, to: RelPath): RelPath {
  return path === from ? to : joinPath(to, from === '' ? path : path.slice(from.length + 1));
}

/** Every directory above a path, nearest last: `a/b/c` → `''`, `a`, `a/b`. */
export function ancestorsOf(path: RelPath): RelPath[] {
  if (path === '') return [];
  const found: RelPath[] = [''];
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1))
    found.push(path.slice(0, slash));
  return found;
}

/** True for a name that may be one component of a path. */
export function isValidName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

/**
 * True for names that some file system may take for `.lockstep`: without regard to case, and to what HFS+ leaves out. Where it is not
 * known what a file system does, whoever is not trusted is not to have them.
 */
export function maybeOwn(name: string): boolean {
  return name === ownDirectory || name.replace(/[^\x20-\x7e]/g, '').toLowerCase() === ownDirectory;
}

/** True for a path that stays inside its root and does not touch Lockstep's own directory. */
export function isSafePath(path: RelPath): boolean {
  return path !== '' && path.split('/').every((name) => isValidName(name) && name !== ownDirectory);
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes a name's bytes; bytes that are not UTF-8 become lone surrogates U+DC80…U+DCFF. */
export function decodeName(bytes: Uint8Array): string {
  // Buffer's decoder is several times faster than TextDecoder, and takes shared memory; it only cannot say what was broken.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text.includes('\ufffd') ? decodeEscaping(bytes) : text;
}

function decodeEscaping(bytes: Uint8Array): string {
  let text = '';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at] ?? 0);
    const sequence = bytes.subarray(at, at + length);
    const decoded = length > 0 && sequence.length === length ? tryDecode(sequence) : undefined;
    if (decoded === undefined) {
      text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    } else {
      text += decoded;
      at += length;
    }
  }
  return text;
}

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

function tryDecode(sequence: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(Buffer.from(sequence));
  } catch {
    return undefined;
  }
}

/** The exact bytes of a name or path that `decodeName` made, escapes turned back. */
export function encodeName(name: string): Buffer {
  if (isWellFormed(name)) return Buffer.from(name, 'utf8');
  const parts: Buffer[] = [];
  let start = 0;
  for (let i = 0; i < name.length; i += 1) {
    const unit = name.charCodeAt(i);
    if (unit < 0xdc80 || unit > 0xdcff || isHighSurrogate(name.charCodeAt(i - 1))) continue;
    parts.push(Buffer.from(name.slice(start, i), 'utf8'), Buffer.from([unit - 0xdc00]));
    start = i + 1;
  }
  parts.push(Buffer.from(name.slice(start), 'utf8'));
  return Buffer.concat(parts);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

/** How many bytes a name takes on disk. */
export function nameBytes(name: string): number {
  return isWellFormed(name) ? Buffer.byteLength(name) : encodeName(name).length;
}
