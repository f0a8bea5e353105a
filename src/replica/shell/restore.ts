/**
 * Bringing versions back over there: as replica/local/history/restore.ts does it, with copies that are made there, so that
 * no content is on the way. What stands where a version goes is looked at as in every other run, kept in history first, and
 * touched only while it still is what was looked at.
 */
import { randomBytes } from 'node:crypto';
import { compactStamp } from '../../base/format.ts';
import { LockstepError } from '../../base/errors.ts';
import { mtimeUs, type Entry } from '../../tree/entry.ts';
import { noRules } from '../../tree/ignore/rules.ts';
import { ancestorsOf, baseName, ownDirectory, parentPath, rebasePath, type RelPath } from '../../tree/path.ts';
import type { RestoreOptions, RestoreSummary } from '../history.ts';
import { carryOut, type BringBack, type RestoreInto } from '../local/history/carry-out.ts';
import { checkChoice, chooseVersions, type RestoreChoice } from '../local/history/choice.ts';
import { historyDirectory } from '../local/history/layout.ts';
import type { Version } from '../local/history/read.ts';
import {
  describeNew,
  describePlan,
  missingParents,
  ownName,
  parentItem,
  refuseTaken,
  summaryOf,
  withDirectories,
  type RestorePlan,
  type RestoreResult,
} from '../local/history/restore-items.ts';
import type { ApplyStep, Control, Failure, StepResult } from '../replica.ts';
import { FarApplies } from './apply.ts';
import { wantedContent } from '../wanted-content.ts';
import { changed, Changes, unfit, verdicts } from './changes.ts';
import { expectation, observe, type FarRoot } from './far-root.ts';
import { FarHistory, type Kept } from './history.ts';
import { listFarVersions } from './history-read.ts';
import { copyKept, ownersOf, sameAsKept } from './kept-content.ts';
import { lineInput, openFar, probeFar, type FarPlace } from './open.ts';
import { Stager } from './stager.ts';

interface Request extends RestoreChoice {
  /** `.lockstep/history` of the root. */
  historyPath: string;
  options: RestoreOptions;
  runId: string;
}

/**
 * @param given the root as it was named
 * @param asked path in the root; `''` for everything
 * @throws UsageError; LockstepError `not-found`; GuardError when the root is in use
 */
export async function restoreFar(
  place: FarPlace,
  given: string,
  asked: RelPath,
  options: RestoreOptions,
  control: Control,
): Promise<RestoreSummary> {
  const choice = { root: given, path: asked, at: options.at, version: options.version, to: options.to };
  checkChoice(choice);
  const root = await existing(place, given);
  const request: Request = {
    ...choice,
    root,
    historyPath: `${root === '/' ? '' : root}/${ownDirectory}/${historyDirectory}`,
    options,
    runId: `${compactStamp(Date.now())}-${randomBytes(4).toString('hex')}`,
  };
  // Before anything is locked or made: what is not there cannot be restored.
  const versions = await choose(place, request);
  const result =
    options.to === undefined
      ? await inPlace(place, request, versions, control)
      : await aside(place, request, options.to, versions, control);
  return summaryOf(result, options.dryRun ?? false);
}

/** @returns its physical path. @throws LockstepError when it is no directory */
async function existing(place: FarPlace, given: string): Promise<string> {
  const { kind, realPath } = await probeFar(place, given);
  if (kind === 'directory') return realPath;
  const hint = 'Give the root that is kept in step.';
  if (kind === 'missing') throw new LockstepError('root-missing', `${given} does not exist`, { path: given, hint });
  if (kind === 'other') {
    throw new LockstepError('root-not-directory', `${given} is not a directory`, { path: given, hint });
  }
  throw new LockstepError('root-unreadable', `${given} cannot be read: permission denied`, { path: given });
}

async function choose({ session, name }: FarPlace, request: Request): Promise<Version[]> {
  const { root, path } = request;
  await session.must({ code: 'open', input: lineInput(root) }, 'read the root');
  return chooseVersions(await listFarVersions({ session, path: root }, path), { ...request, root: name });
}

/** Opens the directory that is restored into, and in the end leaves nothing there that was only needed for it. */
async function within<T>(
  place: FarPlace,
  request: Request,
  how: { root: string; access: 'read' | 'write'; create?: boolean; forceUnlock?: boolean },
  act: (root: FarRoot, recovered: string[]) => Promise<T>,
): Promise<T> {
  const { root, access, create = false, forceUnlock = false } = how;
  const { command = 'lockstep restore' } = request.options;
  const { session } = place;
  const putAway = async (code: string): Promise<void> => {
    if (access === 'write' && session.failure === undefined) await session.run({ code, limit: 1 << 16 });
  };
  const asked = { root, access, create, forceUnlock, command, marks: false, runId: request.runId };
  const opened = await openFar(place, asked).catch(async (error: unknown) => {
    // Of another run that holds the lock nothing may be tidied up.
    await putAway('[ -z "$LOCK" ] || putaway');
    throw error;
  });
  try {
    return await act(opened.root, opened.opened.recovered);
  } finally {
    await putAway('putaway');
  }
}

async function inPlace(place: FarPlace, request: Request, found: Version[], control: Control): Promise<RestoreResult> {
  const { root, path: base, options } = request;
  if (options.dryRun === true) {
    return within(place, request, { root, access: 'read' }, async (far) => {
      missingParents(base, await standing(far, ancestorsOf(base)));
      return describePlan(root, await plan(far, request, found, base));
    });
  }
  const { forceUnlock = false } = options;
  return within(place, request, { root, access: 'write', forceUnlock }, async (far, recovered) => {
    // Another run may have pruned since; from here on nobody does.
    const versions = await choose(place, request);
    const missing = missingParents(base, await standing(far, ancestorsOf(base)));
    const known = missing.length === 0 ? [] : await listFarVersions(far, '');
    const mode = await defaultMode(far);
    const parents = missing.map((parent) => parentItem(parent, known, mode));
    const items = await plan(far, request, versions, base);
    return { ...(await carryOut(new FarInto(far, request.historyPath), items, parents, control)), recovered };
  });
}

async function aside(
  place: FarPlace,
  request: Request,
  given: string,
  versions: Version[],
  control: Control,
): Promise<RestoreResult> {
  const { path: base, options } = request;
  const probe = await probeFar(place, given);
  checkChoice({ ...request, to: probe.realPath });
  const isNew = probe.kind === 'missing';
  const to = isNew ? probe.realPath : await existing(place, given);
  if (isNew && options.dryRun === true) return describeNew(to, versions, base);
  const look = async (far: FarRoot): Promise<RestorePlan> => {
    const found = await plan(far, request, versions, ownName(base));
    refuseTaken(to, found);
    return found;
  };
  if (!isNew) {
    // Before anything is written there.
    const found = await within(place, request, { root: to, access: 'read' }, look);
    if (options.dryRun === true) return describePlan(to, found);
  }
  // Its lock too: should it be a root, its staging must not be taken for a dead run's.
  const { forceUnlock = false } = options;
  return within(place, request, { root: to, access: 'write', create: isNew, forceUnlock }, async (far) =>
    carryOut(new FarInto(far, request.historyPath), await look(far), [], control),
  );
}

/** What stands at paths, or nothing where the way there is not made of directories. */
async function standing(root: FarRoot, paths: readonly RelPath[]): Promise<(path: RelPath) => Entry | undefined> {
  const all = new Set(paths.flatMap((path) => [...ancestorsOf(path), path]));
  all.delete('');
  const found = await observe(root, [...all]);
  return (path) => {
    const above = ancestorsOf(path).filter((ancestor) => ancestor !== '');
    return above.every((ancestor) => found.get(ancestor)?.entry.kind === 'dir') ? found.get(path)?.entry : undefined;
  };
}

/** For directories that history says nothing of: no more open than the directory that is restored into. */
async function defaultMode(root: FarRoot): Promise<number> {
  return ((await observe(root, [''])).get('')?.entry.mode ?? 0o700) & 0o755;
}

/** @param to where what was asked for goes */
async function plan(
  root: FarRoot,
  { path: base, historyPath }: Request,
  versions: readonly Version[],
  to: RelPath,
): Promise<RestorePlan> {
  const wanted = withDirectories(versions, base, await defaultMode(root)).map(({ path, version, mode }) => ({
    to: rebasePath(path, base, to),
    version,
    mode,
  }));
  const standingAt = await standing(
    root,
    wanted.map((item) => item.to),
  );
  const items = wanted.map((item) => ({ ...item, standing: standingAt(item.to), unchanged: false }));
  const alike: { to: RelPath; version: Version }[] = [];
  for (const item of items) {
    const { version, standing: now } = item;
    if (version === undefined || version.kind === 'dir') item.unchanged = now?.kind === 'dir';
    else if (now?.kind !== version.kind) item.unchanged = false;
    else if (version.kind === 'symlink') item.unchanged = now.target === version.target;
    else if (looksAlike(root, now, version)) alike.push({ to: item.to, version });
  }
  const same = await sameAsKept(root, historyPath, alike);
  for (const item of items) if (same.has(item.to)) item.unchanged = true;
  return { items, failures: [] };
}

/** But for content. */
function looksAlike({ tools }: FarRoot, now: Entry, version: Version): boolean {
  const grain = tools.touch === 'fine' && tools.seesFractions ? 1n : 1_000_000n;
  if (now.size !== version.size || now.mode !== version.mode) return false;
  return mtimeUs(now) / grain === version.mtimeUs / grain;
}

/** Whatever has to make room for a restored version is kept for that reason, whatever step it was that replaced it. */
class RestoringHistory extends FarHistory {
  override async record(kept: readonly Kept[]): Promise<void> {
    return super.record(kept.map((one) => ({ ...one, reason: 'restored' })));
  }
}

type Problem = Omit<Failure, 'path'>;

/** What is in staging, and the inode by which it is known. */
interface Staged {
  place: string;
  ino: bigint;
}

class FarInto implements RestoreInto {
  readonly root: string;
  readonly #far: FarRoot;
  readonly #historyPath: string;
  readonly #history: FarHistory;
  readonly #applies = new FarApplies();

  constructor(far: FarRoot, historyPath: string) {
    this.root = far.path;
    this.#far = far;
    this.#historyPath = historyPath;
    this.#history = new RestoringHistory(far);
  }

  async apply(steps: ApplyStep[], control: Control): Promise<StepResult[]> {
    const batch = { steps, content: undefined, rules: noRules };
    return this.#applies.run(this.#far, this.#history, batch, control, copyKept(this.#far, this.#historyPath));
  }

  async lookAt(version: Version): Promise<{ source: Entry; mode: number } | undefined> {
    const { kind, mode, size, mtimeUs: time, target } = version;
    const source: Entry = { kind, mode, size, mtimeNs: time * 1000n, ctimeNs: 0n, ino: 0n, flags: 0 };
    if (target !== undefined) source.target = target;
    if (kind !== 'file' || (mode & 0o6000) === 0) return { source, mode: mode & 0o1777 };
    // Set-id bits only come back where the file belongs to the same user and group as before.
    const { uid, gid } = this.#far.tools;
    const owners = await ownersOf(this.#far, this.#historyPath, version);
    return { source, mode: owners === `${uid} ${gid}` ? mode : mode & 0o1777 };
  }

  async replaceDirectory(step: BringBack, standing: Entry, control: Control): Promise<Failure | undefined> {
    const stager = new Stager(this.#far);
    try {
      const staged = await this.#stage(step, stager, control);
      const failed = 'place' in staged ? await this.#exchange(step.path, standing, stager, staged) : staged;
      return failed && { path: step.path, ...failed };
    } finally {
      if (this.#far.session.failure === undefined) await stager.clear();
    }
  }

  /** @returns where in staging it is, complete, or why it is not */
  async #stage(step: BringBack, stager: Stager, { signal }: Control): Promise<Staged | Problem> {
    const { path, source } = step;
    const long = unfit(this.#far, path);
    if (long !== undefined) return { why: 'failed', detail: long };
    const basket = stager.fresh();
    const place = `${basket}/${baseName(path)}`;
    await stager.prepare();
    await stager.dir(basket, 0o700, undefined);
    if (step.op === 'link') await stager.link(place, source.target ?? '', mtimeUs(source));
    else {
      const [received] = await copyKept(this.#far, this.#historyPath)(stager, {
        wanted: [...wantedContent([step])],
        placeOf: () => ({ name: place, mode: step.mode }),
        earlier: Promise.resolve(),
        signal,
        onBytes: () => undefined,
      });
      if (received?.ok === false) return received.failure;
    }
    await stager.settle();
    const made = (await stager.look()).get(place)?.entry;
    const isWhole = made?.kind === source.kind && made.size === source.size && made.target === source.target;
    return isWhole ? { place, ino: made.ino } : stager.why();
  }

  /**
   * Two commands, the second sent behind the first without waiting for its answer: `path` is nobody's for no longer than they
   * take over there, whatever becomes of us (carry-out.ts). Where the first did not make room, the second gives no name.
   */
  async #exchange(
    path: RelPath,
    standing: Entry,
    stager: Stager,
    { place, ino }: Staged,
  ): Promise<Problem | undefined> {
    const at = await this.#history.reserve(path);
    const to = this.#history.path(at);
    // Noted before it lies there: a line without a version is none, and a full disk says so while nothing is changed.
    await this.#history.record([{ path, at, entry: standing, reason: 'restored' }]);
    const changes = new Changes(this.#far, this.#history, stager);
    const line = { pattern: expectation(this.#far, standing), name: baseName(path) };
    const [outcome] = await Promise.all([
      changes.command('aside 1', parentPath(path), [line], lineInput(parentPath(to))),
      changes.name([{ path, place }], false),
    ]);
    const now = (await observe(this.#far, [path])).get(path)?.entry;
    if (now?.ino === ino) return undefined;
    const failed = verdicts([path], outcome, ['v', 'w']).get(path);
    if (failed === 'w' && outcome.said !== '') return { why: 'failed', detail: outcome.said };
    if (failed !== undefined) return changed;
    const name = { pattern: '*', name: baseName(path) };
    await changes.command('putback', parentPath(path), [name], lineInput(to));
    return changes.whyNot(path, now);
  }
}
