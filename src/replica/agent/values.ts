/** How the values of the Replica interface look on a pipe, and what they must be to be believed. */
import type { Reason, SkipReason } from '../../reconcile/plan.ts';
import { syncedModeBits, type Entry } from '../../tree/entry.ts';
import { distrustListing } from '../../tree/distrust.ts';
import type { IgnoreRules } from '../../tree/ignore/rules.ts';
import { isSafePath, isValidName } from '../../tree/path.ts';
import {
  array,
  bool,
  bytes,
  count,
  i64,
  lazy,
  oneOf,
  optional,
  refine,
  struct,
  tagged,
  text,
  u64,
  type Codec,
} from '../../wire/codec.ts';
import { digestBytes, scanSaltBytes } from '../listing-digest.ts';
import type { ApplyStep, Failure, Recorded, StepResult } from '../replica.ts';
import type { DirtyDirectory, LookPatch, WatchEvent } from '../watching.ts';

/** Items of one message; the message's size is the real limit. */
const many = 10_000_000;
/** A directory of a million files is 70 MB. */
const maxListingBytes = 1 << 28;

/** A value that is there or undefined, as a property that is always there. */
export function orUndefined<T>(inner: Codec<T>): Codec<T | undefined> {
  const codec = optional(inner);
  return { write: (out, value) => codec.write(out, value), read: (input) => codec.read(input) };
}

/** Several values in a row. */
export function tuple(...items: readonly Codec<unknown>[]): Codec<unknown[]> {
  return {
    write(out, values) {
      for (const [at, item] of items.entries()) item.write(out, values[at]);
    },
    read: (input) => items.map((item) => item.read(input)),
  };
}

export const list = <T>(item: Codec<T>): Codec<T[]> => array(item, many);

export const path = refine(text, (value) => (isSafePath(value) ? undefined : `the path ${JSON.stringify(value)}`));
/** Also the root itself. */
export const pathOrRoot = refine(text, (value) =>
  value === '' || isSafePath(value) ? undefined : `the path ${JSON.stringify(value)}`,
);
/** A path of the machine, not inside a root. */
export const hostPath = refine(text, (value) => (value.includes('\0') ? 'a path with a NUL' : undefined));
export const fileName = refine(text, (value) => (isValidName(value) ? undefined : `the name ${JSON.stringify(value)}`));

/** Something that is so; left out where it is not. */
export const mark = refine(bool, (value) => (value ? undefined : 'a mark that is none')) as Codec<true>;

export const digest = refine(bytes(32), ({ length }) => (length === 32 ? undefined : `a digest of ${length} bytes`));
const mode = refine(count, (value) => (value <= 0o7777 ? undefined : `the mode ${value}`));
/** What a step may set: set-id bits belong to an owner and never travel (tree/entry.ts). */
const stepMode = refine(count, (value) => ((value & ~syncedModeBits) === 0 ? undefined : `the mode ${value}`));

export const entry: Codec<Entry> = struct({
  kind: oneOf('file', 'dir', 'symlink', 'special', 'unreadable', 'ignored'),
  mode,
  size: count,
  mtimeNs: i64,
  ctimeNs: i64,
  ino: u64,
  flags: refine(count, (value) => (value <= 0xfff ? undefined : `the flags ${value}`)),
  target: optional(refine(text, (value) => (value.includes('\0') ? 'a target with a NUL' : undefined))),
});

export const listing = refine(bytes(maxListingBytes), distrustListing);

export const rules: Codec<IgnoreRules> = struct({
  patterns: list(text),
  presets: list(text),
  files: list(fileName),
  perishable: list(text),
});

/** `told`: it was told ahead already (protocol.ts). */
export const recorded: Codec<Recorded | { as: 'told' }> = tagged('as', {
  packed: struct({ layers: refine(array(bytes(0), 1), () => 'records that only a replica on this machine can read') }),
  digests: struct({
    salt: refine(bytes(scanSaltBytes), ({ length }) => (length === scanSaltBytes ? undefined : 'a salt cut short')),
    digests: refine(bytes(1 << 28), ({ length }) => (length % digestBytes === 0 ? undefined : 'digests cut short')),
  }),
  told: struct({}),
});

const reason: Codec<Reason> = oneOf(
  'created',
  'edited',
  'deleted',
  'renamed',
  'type-changed',
  'conflict',
  'mirrored',
  'metadata',
  'clean-out',
);

export const skipReason: Codec<SkipReason> = oneOf(
  'unreadable',
  'special',
  'newer-far-side',
  'would-delete',
  'kept-ignored',
  'name-clash',
  'changed-meanwhile',
  'source-changed',
  'no-space',
  'failed',
);

const move = struct({ op: oneOf('move'), path, to: path, expect: entry, reason });

export const step: Codec<ApplyStep> = lazy(() =>
  tagged('op', {
    unit: struct({ path, source: entry, listing, filledLater: bool, reason }),
    mkdir: struct({ path, source: entry, reason }),
    put: struct({
      path,
      from: path,
      source: entry,
      expect: orUndefined(entry),
      mode: stepMode,
      keep: bool,
      reason,
      like: optional(struct({ path, entry })),
    }),
    link: struct({ path, from: path, source: entry, expect: orUndefined(entry), keep: bool, reason }),
    meta: struct({ path: pathOrRoot, expect: entry, mode: optional(stepMode), mtimeUs: optional(i64), reason }),
    remove: struct({ path, expect: entry, keep: bool, reason }),
    moves: struct({ path, moves: list(move) }),
    'directory-time': struct({ path: pathOrRoot, mtimeUs: i64, mode: optional(stepMode) }),
    group: struct({ path, steps: list(step) }),
  }),
);

export const failure: Codec<Failure> = struct({ path: pathOrRoot, why: skipReason, detail: text });

export const stepResult: Codec<StepResult> = lazy(() =>
  struct({
    step: count,
    path: pathOrRoot,
    observed: orUndefined(entry),
    listing: optional(listing),
    digest: optional(digest),
    digests: optional(list(struct({ name: fileName, digest }))),
    moved: optional(list(struct({ from: path, to: path, observed: orUndefined(entry) }))),
    inner: optional(list(stepResult)),
    failures: list(failure),
    wantsWhole: optional(mark),
    bytes: count,
    kept: bool,
  }),
);

const names = orUndefined(list(fileName));

export const dirtyDirectory: Codec<DirtyDirectory> = struct({ dir: pathOrRoot, names });

export const watchEvent: Codec<WatchEvent> = tagged('type', {
  dirty: struct({ directories: list(dirtyDirectory) }),
  lost: struct({ reason: text }),
  polled: struct({ directories: count, reason: text }),
});

export const lookPatch: Codec<LookPatch> = struct({ dir: pathOrRoot, names, listing });
