/**
 * One pattern, compiled: what its slashes and its `!` mean, and whether it matches a path.
 */
import type { ByteString, Glob } from './glob.ts';
import { byteString, compileGlob, matchGlob, mayEndIn, shapeOf } from './glob.ts';

/** A compiled pattern of a list. */
export interface Pattern {
  /** As it was written, `!` and final slash included. */
  readonly text: string;
  /** Its place in its list or file, from 1. */
  readonly line: number;
  /** `!`: it takes back what an earlier one excluded. */
  readonly negated: boolean;
  /** A final slash: it matches directories only. */
  readonly directoryOnly: boolean;
  /** It has no slash inside, so it is about the base name, at any depth. */
  readonly anyDepth: boolean;
  /** How to match; the first three are the common cases that need no machine. */
  readonly kind: 'literal' | 'suffix' | 'prefix' | 'glob' | 'never';
  /** The whole of a `literal`, the fixed part of a `suffix` or `prefix`, what a `glob` that is a path must begin with. */
  readonly fixed: ByteString;
  readonly glob: Glob;
}

/** Compiles any string; one that makes no sense matches nothing. */
export function parsePattern(text: string, line: number): Pattern {
  const bytes = byteString(text);
  const negated = bytes.startsWith('!');
  const directoryOnly = bytes.length > (negated ? 1 : 0) && bytes.endsWith('/');
  const body = bytes.slice(negated ? 1 : 0, directoryOnly ? -1 : undefined);
  const anyDepth = !body.includes('/');
  const { kind, fixed, glob } = anyDepth ? compileName(body) : compilePath(body);
  return { text, line, negated, directoryOnly, anyDepth, kind, fixed, glob };
}

type Compiled = Pick<Pattern, 'kind' | 'fixed' | 'glob'>;

function compileName(body: ByteString): Compiled {
  const glob = compileGlob(body, 'name');
  const shape = shapeOf(glob);
  return { kind: shape.kind, fixed: 'text' in shape ? shape.text : '', glob };
}

/**
 * What stands before the first wildcard is compared as it is, and the rest matched as if the pattern began there. That is
 * how git does it, and it shows: stars that directly follow a fixed part span directories, so `/lib**` takes in `lib/x`.
 */
function compilePath(body: ByteString): Compiled {
  const anchored = body.startsWith('/') ? body.slice(1) : body;
  const wildcard = anchored.search(/[*?[\\]/);
  const fixed = wildcard < 0 ? anchored : anchored.slice(0, wildcard);
  const glob = compileGlob(anchored.slice(fixed.length), 'path');
  if (wildcard < 0) return { kind: fixed === '' ? 'never' : 'literal', fixed, glob };
  return { kind: shapeOf(glob).kind === 'never' ? 'never' : 'glob', fixed, glob };
}

/** False when the pattern matches no path that ends in this byte, for telling most patterns from a path at one glance. */
export function mayMatchEnd({ kind, fixed, glob }: Pattern, code: number): boolean {
  if (kind === 'literal' || kind === 'suffix') return fixed === '' || fixed.charCodeAt(fixed.length - 1) === code;
  return kind !== 'never' && mayEndIn(glob, code);
}

/**
 * @param path the whole path
 * @param base where the part below the directory of the pattern's list begins in it
 * @param name where its base name begins
 */
export function matchesPattern(
  pattern: Pattern,
  path: ByteString,
  base: number,
  name: number,
  isDirectory: boolean,
): boolean {
  if (pattern.directoryOnly && !isDirectory) return false;
  const { fixed } = pattern;
  const start = pattern.anyDepth ? name : base;
  switch (pattern.kind) {
    case 'literal':
      return path.length - start === fixed.length && path.startsWith(fixed, start);
    case 'suffix':
      return path.length - start >= fixed.length && path.endsWith(fixed);
    case 'prefix':
      return path.startsWith(fixed, start);
    case 'glob':
      return path.startsWith(fixed, start) && matchGlob(pattern.glob, path, start + fixed.length);
    case 'never':
      return false;
  }
}
