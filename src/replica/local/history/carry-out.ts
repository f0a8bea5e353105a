/**
 * Doing what a restore comes to, in whatever directory it is: the steps are those of a sync, under the same rules.
 *
 * Invariant: nothing that stands in the way is lost. Files and links are replaced by steps that keep them. A whole directory
 * makes room in one rename, but only once what comes in its place is complete in staging, and gets its name back when that
 * does not get it: were its name nobody's for as long as a copy takes, a restore that is killed meanwhile would look like a
 * deletion, which the next sync carries to the other side.
 */
import { append } from '../../../base/append.ts';
import type { Entry } from '../../../tree/entry.ts';
import type { RelPath } from '../../../tree/path.ts';
import type { ApplyStep, Control, Failure, StepResult } from '../../replica.ts';
import type { Version } from './read.ts';
import {
  countUnchanged,
  describePlan,
  type RestoreItem,
  type RestorePlan,
  type RestoreResult,
} from './restore-items.ts';

/** A step that brings back a file or a symlink. */
export type BringBack = Extract<ApplyStep, { op: 'put' | 'link' }>;

/** The directory that versions are brought back into. Locked, and with the versions within reach. */
export interface RestoreInto {
  /** Its absolute path. */
  root: string;
  /** Carries out steps, whose content is `<run>/<place>` in history. */
  apply(steps: ApplyStep[], control: Control): Promise<StepResult[]>;
  /** A version as it is now, and the permission bits that it may come back with; undefined when it is gone. */
  lookAt(version: Version): Promise<{ source: Entry; mode: number } | undefined>;
  /**
   * Carries out a step where a whole directory stands, under the invariant above. @returns why it could not be: then all is as
   * it was
   */
  replaceDirectory(step: BringBack, standing: Entry, control: Control): Promise<Failure | undefined>;
}

/** @param parents directories that must be made above what is restored, top-most first */
export async function carryOut(
  into: RestoreInto,
  plan: RestorePlan,
  parents: readonly RestoreItem[],
  control: Control,
): Promise<RestoreResult> {
  const failures = new Map(plan.failures.map((failure) => [failure.path, failure]));
  const collect = (results: readonly StepResult[]): void => {
    for (const failure of results.flatMap((result) => result.failures)) {
      if (!failures.has(failure.path)) failures.set(failure.path, failure);
    }
  };
  const wanted = [...parents, ...plan.items.filter((item) => !item.unchanged)];
  let steps: ApplyStep[] = [];
  const flush = async (): Promise<void> => {
    if (steps.length > 0) collect(await into.apply(steps, control));
    steps = [];
  };
  for (const item of wanted) {
    const { to, standing } = item;
    if (standing?.kind !== 'dir') {
      append(steps, await stepsFor(into, item, standing, failures));
      continue;
    }
    await flush();
    const step = await bringBack(into, item, undefined, failures);
    const failure = step && (await into.replaceDirectory(step, standing, control));
    if (failure !== undefined) failures.set(to, failure);
  }
  await flush();
  append(steps, directoryTimes(wanted.filter((item) => !failures.has(item.to))));
  await flush();
  const done = wanted.filter((item) => !failures.has(item.to));
  const result = describePlan(into.root, { items: done, failures: [...failures.values()] });
  return { ...result, unchanged: countUnchanged(plan.items) };
}

async function stepsFor(
  into: RestoreInto,
  item: RestoreItem,
  standing: Entry | undefined,
  failures: Map<RelPath, Failure>,
): Promise<ApplyStep[]> {
  if (item.version !== undefined && item.version.kind !== 'dir') {
    const step = await bringBack(into, item, standing, failures);
    return step === undefined ? [] : [step];
  }
  const base = { path: item.to, reason: 'edited', keep: true } as const;
  const source: Entry = { kind: 'dir', mode: item.mode, size: 0, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, flags: 0 };
  const made = { ...base, op: 'mkdir', source } as const;
  return standing === undefined ? [made] : [{ ...base, op: 'remove', expect: standing }, made];
}

/** @returns undefined for what is not in history any more, and so among the failures; and for directories */
async function bringBack(
  into: RestoreInto,
  { to, version }: RestoreItem,
  standing: Entry | undefined,
  failures: Map<RelPath, Failure>,
): Promise<BringBack | undefined> {
  if (version === undefined || version.kind === 'dir') return undefined;
  const found = await into.lookAt(version);
  if (found === undefined) {
    failures.set(to, { path: to, why: 'failed', detail: 'it is not in history any more' });
    return undefined;
  }
  const { source, mode } = found;
  const from = `${version.runId}/${version.at}`;
  const step = { path: to, reason: 'edited', keep: true, from, source, expect: standing } as const;
  return version.kind === 'symlink' ? { ...step, op: 'link' } : { ...step, op: 'put', mode };
}

/** Modes and times of the directories that were made, once nothing changes in them any more. */
function directoryTimes(items: readonly RestoreItem[]): ApplyStep[] {
  return items
    .flatMap(({ to, version }): ApplyStep[] => {
      if (version?.kind !== 'dir') return [];
      return [{ op: 'directory-time', path: to, mtimeUs: version.mtimeUs, mode: version.mode }];
    })
    .reverse();
}
