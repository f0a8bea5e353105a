/**
 * Which ignore files count when the two sides' differ.
 *
 * Each agent walks by the ignore files it finds. One-way modes go by the source's; two-way by the text that a file will
 * have after the run: the changed one if one side changed it. Where they differ from what a side walked by, that side is
 * scanned again by the right ones: rules are rarely edited, and a wrong rule must not look like a deletion.
 */
import { joinPath, type RelPath } from '../tree/path.ts';
import type { ReconcileInput } from '../reconcile/input.ts';
import { sourceOf, type Side } from '../reconcile/options.ts';
import { sameFingerprint } from '../tree/entry.ts';
import type { ScanRequest, ScanResult } from '../replica/replica.ts';

type IgnoreFile = ScanRequest['ignoreFiles'][number];

/** The ignore files that a side must be scanned again with; undefined when it was scanned with the right ones. */
export function ignoreFilesFor(
  side: Side,
  scans: Record<Side, ScanResult>,
  input: Pick<ReconcileInput, 'base' | 'a' | 'b' | 'options'>,
): IgnoreFile[] | undefined {
  const texts = { a: byPath(scans.a), b: byPath(scans.b) };
  const wanted: IgnoreFile[] = [];
  let differs = false;
  // Where a side could not read its own, it knows nothing of the directory, whatever the other's says.
  const unknown = new Set([...scans.a.unreadable, ...scans.b.unreadable].map(({ path }) => path));
  for (const [path, file] of new Map([...texts.a, ...texts.b])) {
    if (unknown.has(file.dir)) continue;
    const text = effectiveText(path, texts.a.get(path)?.text, texts.b.get(path)?.text, input);
    wanted.push({ dir: file.dir, name: file.name, text });
    if (text !== texts[side].get(path)?.text) differs = true;
  }
  return differs ? wanted : undefined;
}

function byPath(scan: ScanResult): Map<RelPath, ScanResult['ignoreFiles'][number]> {
  return new Map(scan.ignoreFiles.map((file) => [joinPath(file.dir, file.name), file]));
}

function effectiveText(
  path: RelPath,
  a: string | undefined,
  b: string | undefined,
  input: Pick<ReconcileInput, 'base' | 'a' | 'b' | 'options'>,
): string | undefined {
  if (a === b) return a;
  const source = sourceOf(input.options.mode);
  if (source !== undefined) return source === 'a' ? a : b;
  const changed = { a: isChanged('a', path, input), b: isChanged('b', path, input) };
  if (changed.a && !changed.b) return a;
  if (changed.b && !changed.a) return b;
  // Both changed, or they meet for the first time: what either excludes is left alone until they agree.
  return [a, b].filter((text) => text !== undefined).join('\n');
}

function isChanged(side: Side, path: RelPath, input: Pick<ReconcileInput, 'base' | 'a' | 'b'>): boolean {
  const recorded = input.base[side].get(path);
  const changed = input[side].changed;
  const now = changed.listing(parentOf(path)) === undefined ? recorded : changed.get(path);
  if (recorded === undefined || now === undefined) return recorded !== now;
  return !sameFingerprint(recorded, now);
}

function parentOf(path: RelPath): RelPath {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}
