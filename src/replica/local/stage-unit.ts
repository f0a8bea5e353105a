/**
 * Building new directories in staging: the bulk of a first copy, and the part of applying that may run on several threads,
 * because nothing of it can be seen yet.
 */
import fs from 'node:fs';
import { mtimeUs, syncedMode, type Entry } from '../../tree/entry.ts';
import { Listing } from '../../tree/listing.ts';
import { isValidName, joinPath, type RelPath } from '../../tree/path.ts';
import type { ApplyBatch, Failure, FileDigest } from '../replica.ts';
import { wantsDigest, type Content } from './content.ts';
import type { Copied } from './copy.ts';
import { failureOf, StepError } from './failure.ts';
import { toFs } from './fs-path.ts';
import type { Staging } from './staging.ts';
import { observe } from './stat.ts';
import type { Work } from './slices.ts';
import { setLinkTimes } from './utime.ts';

/** A directory to be built: plain data, it may go to another thread. */
export interface StagingTask {
  /** Where to build it; does not exist yet. */
  to: string;
  /** Its path in both roots; distinct within a batch. */
  path: RelPath;
  /** Packed listing of the source directory. */
  listing: Uint8Array;
  /** Tick of the clock that stamps what is made, nanoseconds. */
  granularityNs: bigint;
}

export interface StagedUnit {
  /** Path of its task. */
  of: RelPath;
  /** Where it was built; undefined when it could not be. */
  path: string | undefined;
  /** Packed listing of what was made. */
  listing: Uint8Array;
  /** SHA-256 of the files for which it was taken. */
  digests: FileDigest[];
  failures: Failure[];
  bytes: number;
  lastWriteMs: number;
  /** The disk is full, and why one says so. */
  full: string | undefined;
}

/** The new directories of a batch, those in groups included. */
export function stagingTasks(
  batch: ApplyBatch,
  { staging, granularityNs }: { staging: Staging; granularityNs: bigint },
): StagingTask[] {
  return batch.steps
    .flatMap((step) => (step.op === 'group' ? step.steps : [step]))
    .flatMap((step) =>
      step.op === 'unit' ? [{ to: staging.fresh('d'), path: step.path, listing: step.listing, granularityNs }] : [],
    );
}

/** Builds a directory with its files and links, not its sub-directories. @param full once the disk is, nothing is tried */
export function* stageUnit(task: StagingTask, content: Content, full?: string): Work<StagedUnit> {
  const made: [string, Entry][] = [];
  const unit: StagedUnit = {
    of: task.path,
    path: undefined,
    listing: Listing.empty.bytes,
    digests: [],
    failures: [],
    bytes: 0,
    lastWriteMs: 0,
    full,
  };
  const fail = (path: RelPath, error: unknown): void => {
    const failure = failureOf(path, error);
    if (failure.why === 'no-space') unit.full = failure.detail;
    unit.failures.push(failure);
  };
  try {
    if (full !== undefined) throw new StepError('no-space', full);
    fs.mkdirSync(task.to, { mode: 0o700 });
  } catch (error) {
    fail(task.path, error);
    return unit;
  }
  unit.path = task.to;
  let count = 0;
  for (const [name, source] of new Listing(task.listing).entries()) {
    if (source.kind !== 'file' && source.kind !== 'symlink') continue;
    const path = joinPath(task.path, name);
    try {
      if (!isValidName(name)) throw new StepError('failed', 'not a name');
      if (unit.full !== undefined) throw new StepError('no-space', unit.full);
      const to = `${task.to}/${name}`;
      if (source.kind === 'symlink') made.push([name, makeSymlink(to, source)]);
      else {
        const mode = syncedMode(source);
        const copied = yield* content.fetch({
          to,
          path,
          from: path,
          source,
          mode,
          digest: wantsDigest(source, task.granularityNs),
        });
        if (copied.digest !== undefined) unit.digests.push({ name, digest: copied.digest });
        unit.bytes += copied.bytes;
        made.push([name, entryOfCopy(copied, mode)]);
      }
    } catch (error) {
      fail(path, error);
    }
    count += 1;
    if (count % 16 === 0) yield { entries: count, bytes: unit.bytes, path };
  }
  unit.listing = Listing.from(made).bytes;
  unit.lastWriteMs = Date.now();
  return unit;
}

function entryOfCopy(copied: Copied, mode: number): Entry {
  const { bytes, mtimeNs, ctimeNs, ino } = copied;
  return { kind: 'file', mode, size: bytes, mtimeNs, ctimeNs, ino, flags: 0 };
}

export function makeSymlink(to: string, source: Entry): Entry {
  fs.symlinkSync(toFs(source.target ?? ''), toFs(to));
  setLinkTimes(to, mtimeUs(source));
  const entry = observe(to, 0n);
  if (entry === undefined) throw new StepError('changed-meanwhile', 'it vanished from staging');
  return entry;
}
