/**
 * What dead runs left: their staged copies are worthless, but a parked file may be the only one of its kind and goes to
 * history. Called with the root's lock held, so every other run's staging is a dead one's.
 */
import { isValidName } from '../../tree/path.ts';
import { pathOfParked } from '../parked-path.ts';
import { partialDirectory, pathInPartialName } from '../partial-name.ts';
import { cutShort, readRecords, type FarRoot } from './far-root.ts';
import { FarHistory } from './history.ts';
import { lineInput } from './open.ts';
import { readOwn } from './read-own.ts';
import type { Found } from './records.ts';

/** Who has not tried again for so long will not. */
const partialKeptMs = 7 * 24 * 3600 * 1000;

/** @returns a line for the user per file that was saved */
export async function recoverStaging(root: FarRoot): Promise<string[]> {
  const saved: string[] = [];
  const { session, request } = root;
  for (const { path: dead } of await listOwn(root, 'staging')) {
    if (dead === request.runId || !isValidName(dead)) continue;
    saved.push(...(await saveParked(root, dead)));
    await session.run({ code: 'rmown', input: lineInput(`staging/${dead}`), limit: 1 << 20 });
  }
  return saved;
}

/** The most that runs which broke off left of each large file; what is less, and what nobody came back for, is removed. */
export async function recoverPartials(root: FarRoot): Promise<FarRoot['leftPartials']> {
  const now = Date.now() + root.clockOffsetMs;
  const most = new Map<string, FarRoot['leftPartials'][number]>();
  const useless: string[] = [];
  const found = (await listOwn(root, partialDirectory)).sort((a, b) => b.entry.size - a.entry.size);
  for (const { path: name, entry } of found) {
    if (!isValidName(name)) continue;
    const path = pathInPartialName(name);
    const isOld = now - Number(entry.ctimeNs / 1_000_000n) > partialKeptMs;
    if (isOld || (entry.kind === 'file' && most.has(path))) useless.push(name);
    else if (entry.kind === 'file') most.set(path, { name, entry });
  }
  for (const name of useless) {
    await root.session.run({ code: 'rmown', input: lineInput(`${partialDirectory}/${name}`), limit: 1 << 20 });
  }
  return [...most.values()];
}

async function saveParked(root: FarRoot, dead: string): Promise<string[]> {
  const saved: string[] = [];
  const { session } = root;
  const parked = (await listOwn(root, `staging/${dead}/parked`)).filter(({ path }) => !path.endsWith('.name'));
  if (parked.length === 0) return saved;
  const history = new FarHistory(root);
  for (const { path: number, entry } of parked) {
    const place = `staging/${dead}/parked/${number}`;
    // With a second name it has been renamed already; directories have none. Without an answer it may be the only one.
    const { status } =
      entry.kind === 'dir' ? { status: 1 } : await session.run({ code: 'twin', input: lineInput(place) });
    if (status === 0) continue;
    if (status !== 1) throw cutShort(session, 'stat ended too early');
    const path = pathOfParked(await readOwn(session, `${place}.name`), number);
    const at = await history.reserve(path);
    await session.must({ code: 'tohistory', input: lineInput(place, history.path(at)) }, `keep ${path} in history`);
    await history.record([{ path, at, entry, reason: 'recovered' }]);
    saved.push(`${path}: a run died while renaming it; it is kept in history`);
  }
  return saved;
}

/** What is in a directory of ours; nothing when there is none. */
export async function listOwn(root: FarRoot, dir: string): Promise<Found[]> {
  const found: Found[] = [];
  await readRecords(root, { code: 'listown', input: lineInput(dir) }, (one) => {
    if (one.path !== '') found.push(one);
  });
  return found;
}
