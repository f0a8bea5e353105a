/**
 * Sets of characters in a pattern: `[a-z]`, `[!0-9]`, `[[:alpha:]_]`.
 *
 * Characters are bytes 0-255 here, see `glob.ts`. Oddities that are git's and that its tests hold us to: `]` is an
 * ordinary member in first place, a `-` beside a bracket or after a range is ordinary, `\` escapes, `^` negates like `!`,
 * a set without its `]` or with an unknown `[:name:]` makes the whole pattern match nothing.
 */

/** The members of a set: 1 at the index of each character that it holds. */
export type CharSet = Uint8Array;

/** A set read from a pattern. */
export interface ParsedSet {
  readonly members: CharSet;
  /** Where the pattern goes on, behind the `]`. */
  readonly end: number;
}

const slash = 0x2f;

/**
 * The named classes, over ASCII only and in no locale. `space` lacks the vertical tab and the form feed, which git does
 * not take for spaces.
 */
const namedClasses: ReadonlyMap<string, RegExp> = new Map([
  ['alnum', /[A-Za-z0-9]/],
  ['alpha', /[A-Za-z]/],
  ['blank', /[ \t]/],
  ['cntrl', /[\u0000-\u001f\u007f]/],
  ['digit', /[0-9]/],
  ['graph', /[!-~]/],
  ['lower', /[a-z]/],
  ['print', /[ -~]/],
  ['punct', /[!-/:-@[-`{-~]/],
  ['space', /[ \t\n\r]/],
  ['upper', /[A-Z]/],
  ['xdigit', /[A-Fa-f0-9]/],
]);

/**
 * Reads the set that opens at `glob[open]`.
 *
 * @returns undefined when it is malformed
 */
export function parseSet(glob: string, open: number): ParsedSet | undefined {
  const members = new Uint8Array(256);
  const negated = glob[open + 1] === '!' || glob[open + 1] === '^';
  const first = open + (negated ? 2 : 1);
  // The member that a following `-` would start a range from.
  let low: number | undefined;
  let at = first;
  while (glob[at] !== ']' || at === first) {
    if (glob[at] === '-' && low !== undefined && glob[at + 1] !== ']') {
      const high = readMember(glob, at + 1);
      if (high === undefined) return undefined;
      members.fill(1, low, Math.max(low, high.code + 1));
      low = undefined;
      at = high.end;
      continue;
    }
    const name = readClassName(glob, at);
    if (name !== undefined) {
      if (!addClass(members, name)) return undefined;
      low = undefined;
      at += name.length + '[::]'.length;
      continue;
    }
    const member = readMember(glob, at);
    if (member === undefined) return undefined;
    members[member.code] = 1;
    low = member.code;
    at = member.end;
  }
  if (negated) for (let code = 0; code < members.length; code += 1) members[code] = members[code] === 1 ? 0 : 1;
  // No set ever matches the separator, not even one that names it.
  members[slash] = 0;
  return { members, end: at + 1 };
}

/** One character of a set, escaped or not; undefined at the end of the pattern. */
function readMember(glob: string, at: number): { code: number; end: number } | undefined {
  const start = glob[at] === '\\' ? at + 1 : at;
  return start < glob.length ? { code: glob.charCodeAt(start), end: start + 1 } : undefined;
}

/** The name in `[:name:]`; undefined when `[` is just a member here. */
function readClassName(glob: string, at: number): string | undefined {
  if (!glob.startsWith('[:', at)) return undefined;
  const close = glob.indexOf(']', at + 2);
  return close > at + 2 && glob[close - 1] === ':' ? glob.slice(at + 2, close - 1) : undefined;
}

function addClass(members: CharSet, name: string): boolean {
  const named = namedClasses.get(name);
  if (named === undefined) return false;
  for (let code = 0; code < 128; code += 1) if (named.test(String.fromCharCode(code))) members[code] = 1;
  return true;
}
