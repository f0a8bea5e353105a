/** The two roots before anything is opened: are they there, are they directories, are they two (DESIGN §7)? */
import path from 'node:path';
import { GuardError, UsageError } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';
import { isMirror, otherSide, sourceOf, type Side } from '../reconcile/options.ts';
import type { RootProbe } from '../replica/replica.ts';
import type { LinkOptions } from './options.ts';

export type Probes = Record<Side, RootProbe>;

/** @throws UsageError for a path that nobody means */
function checkRootPath(root: string, known: boolean, probe: RootProbe): void {
  if (!known && probe.kind === 'missing' && /[\n\r]$/.test(root)) {
    throw new UsageError(`${escapeControls(root)} ends in a line break and does not exist`, {
      path: root,
      hint: 'Remove the line break (a quoting mistake in a script?).',
    });
  }
}

/**
 * Checks both roots against each other and the mode.
 *
 * @param known there is a baseline: the roots have met before
 */
export function checkRoots(roots: Record<Side, string>, probes: Probes, options: LinkOptions, known: boolean): void {
  const source = sourceOf(options.mode);
  for (const side of ['a', 'b'] as const) {
    // A local root that is missing is a mistake; a missing destination is made, unless it was there once.
    const mustExist = side === (source ?? 'a') || known;
    checkRootPath(roots[side], known, probes[side]);
    checkOne(roots[side], probes[side], mustExist, known);
  }
  checkOverlap(roots, probes);
  const target = source === undefined ? undefined : otherSide(source);
  const deletes = target === undefined || isMirror(options.mode) || options.cleanOutFirst;
  for (const side of target === undefined ? (['a', 'b'] as const) : [target]) {
    if (!deletes || !probes[side].dangerous || options.allowDangerousTarget) continue;
    throw new GuardError(
      'dangerous-target',
      `${roots[side]} is ${describeDanger(probes[side])}: deletions would be carried there`,
      {
        path: roots[side],
        hint: 'If that is what you mean, add --allow-dangerous-target; otherwise name a directory inside it.',
        option: '--allow-dangerous-target',
      },
    );
  }
}

function describeDanger(probe: RootProbe): string {
  return probe.realPath === '/' ? 'the whole file system' : 'a home directory';
}

function checkOne(root: string, probe: RootProbe, mustExist: boolean, known: boolean): void {
  const shown = escapeControls(root);
  switch (probe.kind) {
    case 'directory':
      return;
    case 'missing':
      if (!mustExist) return;
      throw new GuardError('root-missing', `${shown} does not exist${known ? ', but it was synced before' : ''}`, {
        path: root,
        hint: known
          ? 'Mount or restore it. If it is meant to start anew: make the directory and add --rebaseline.'
          : 'Check the path; the directory to start from must exist.',
      });
    case 'other':
      throw new GuardError('root-not-directory', `${shown} is not a directory`, {
        path: root,
        hint: 'Name a directory. A single file is synced with its directory as root and --path FILE.',
      });
    case 'unreadable':
      throw new GuardError('root-unreadable', `${shown} cannot be read: ${probe.reason ?? 'unknown reason'}`, {
        path: root,
        hint: 'Check the path and its permissions, or run as a user who may read it.',
      });
  }
}

/** @throws GuardError when two roots are one, or lie one in the other */
export function checkOverlap(roots: Record<Side, string>, probes: Probes): void {
  const { a, b } = probes;
  const areNeighbours = a.host === b.host;
  // Reached by another way, its path may be another, and the same path another directory: as in a container.
  const haveOneKernel = areNeighbours || (a.boot !== undefined && a.boot === b.boot);
  const same = (areNeighbours && a.realPath === b.realPath) || (haveOneKernel && a.inode !== '' && a.inode === b.inode);
  const nested = areNeighbours && (contains(a.realPath, b.realPath) || contains(b.realPath, a.realPath));
  if (!same && !nested) return;
  const how = same ? 'are the same directory' : 'lie one inside the other';
  throw new GuardError('roots-overlap', `${escapeControls(roots.a)} and ${escapeControls(roots.b)} ${how}`, {
    path: roots.b,
    hint: same ? 'Name two different directories.' : 'Choose a directory outside; links count as what they point to.',
  });
}

function contains(outer: string, inner: string): boolean {
  // A name may begin with dots, too.
  return path.relative(outer, inner).split(path.sep)[0] !== '..';
}
