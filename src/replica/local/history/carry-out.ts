/**
 * Doing what a restore comes to, in whatever directory it is: the steps are those of a sync, under the same rules.
 *
 * Invariant: nothing that stands in the way is lost. Files and links are replaced by steps that keep them; a whole directory
 * makes room in one rename, and gets its name back when what was to come in its place does not.
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

/** The directory that versions are brought back into. Locked, and with the versions within reach. */
export interface RestoreInto {
  /** Its absolute path. */
  root: string;
  /** Carries out steps, whose content is `<run>/<place>` in history. */
  apply(steps: ApplyStep[], control: Control): Promise<StepResult[]>;
  /** A version as it is now, and the permission bits that it may come back with; undefined when it is gone. */
  lookAt(version: Version): Promise<{ source: Entry; mode: number } | undefined>;
  /** Moves a whole directory into history, in one rename. @returns what gives it back its name, if that is free */
  displace(path: RelPath, standing: Entry): Promise<{ putBack: () => Promise<void> } | { failure: Failure }>;
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
    // A whole directory must make room: on its own, so that it can be put back should its successor fail.
    await flush();
    const displaced = await into.displace(to, standing);
    if ('failure' in displaced) {
      failures.set(to, displaced.failure);
      continue;
    }
    try {
      const own = await stepsFor(into, item, undefined, failures);
      if (own.length > 0) collect(await into.apply(own, control));
    } catch (error) {
      await displaced.putBack();
      throw error;
    }
    if (failures.has(to)) await displaced.putBack();
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
  const { to, version } = item;
  const base = { path: to, reason: 'edited', keep: true } as const;
  if (version === undefined || version.kind === 'dir') {
    const source: Entry = { kind: 'dir', mode: item.mode, size: 0, mtimeNs: 0n, ctimeNs: 0n, ino: 0n, flags: 0 };
    const made = { ...base, op: 'mkdir', source } as const;
    return standing === undefined ? [made] : [{ ...base, op: 'remove', expect: standing }, made];
  }
  const found = await into.lookAt(version);
  if (found === undefined) {
    failures.set(to, { path: to, why: 'failed', detail: 'it is not in history any more' });
    return [];
  }
  const { source, mode } = found;
  const from = `${version.runId}/${version.at}`;
  if (version.kind === 'symlink') return [{ ...base, op: 'link', from, source, expect: standing }];
  return [{ ...base, op: 'put', from, source, expect: standing, mode }];
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
