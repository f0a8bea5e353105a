/** What must hold after every run, whatever happened before it: the oracles G1–G10 of SCENARIOS.md, on a `Pair`. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { Baseline } from '../../src/link/baseline/baseline.ts';
import { observe } from '../../src/replica/local/stat.ts';
import { isRacy, sameFingerprint, syncedMode } from '../../src/tree/entry.ts';
import { encodeName, joinPath } from '../../src/tree/path.ts';
import { eventsOf, type JsonEvent, type Ran } from './cli.ts';
import type { Pair } from './pair.ts';
import { comparable, contents, fingerprints, history } from './tree.ts';

export type Side = 'a' | 'b';
export const sides: readonly Side[] = ['a', 'b'];

export function other(side: Side): Side {
  return side === 'a' ? 'b' : 'a';
}

/** What a run told, in a form that can be compared and read: `B replace d/f`, `content d/f open`, `A unreadable d/g`. */
export interface Told {
  actions: string[];
  conflicts: string[];
  skips: string[];
}

/** The side that an event is about. */
export function sideOf(name: unknown): Side {
  return name === 'local' ? 'a' : 'b';
}

/** A path of an event in the form of `contents`: its bytes as latin1; conflict copies without their time and side. */
export function pathOf(event: JsonEvent, key = 'path'): string {
  return encodeName(String(event[key])).toString('latin1');
}

/** What a run told about paths below `below`, sorted: the two sides work at the same time. */
export function told(ran: Ran, below = ''): Told {
  const isBelow = (event: JsonEvent): boolean => below === '' || pathOf(event).startsWith(`${below}/`);
  const short = (event: JsonEvent, key = 'path'): string =>
    withoutStamp(pathOf(event, key).slice(below === '' ? 0 : below.length + 1));
  const lines = (type: string, line: (event: JsonEvent) => string): string[] =>
    eventsOf(ran, type).filter(isBelow).map(line).sort();
  return {
    actions: lines('action', (event) => {
      const to = event['to'] === undefined ? '' : ` > ${short(event, 'to')}`;
      return `${sideOf(event['side']).toUpperCase()} ${String(event['op'])} ${short(event)}${to}`;
    }),
    conflicts: lines('conflict', (event) => {
      const winner = String(event['winner']).replace('local', 'a').replace('remote', 'b');
      return `${String(event['what'])} ${short(event)} ${winner}`;
    }),
    skips: lines('skip', (event) => `${sideOf(event['side']).toUpperCase()} ${String(event['why'])} ${short(event)}`),
  };
}

/** `f.conflict-local-20261121T031500Z.txt` → `f.conflict-a.txt`. */
export function withoutStamp(name: string): string {
  return name.replace(/\.conflict-(local|remote)-[0-9TZ]+(-\d+)?/g, (_, side: string) =>
    side === 'local' ? '.conflict-a' : '.conflict-b',
  );
}

/** Conflict copies by their stampless names. */
export function withoutStamps(tree: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).map(([name, text]) => [withoutStamp(name), text]));
}

/** What was told, as the mirrored run should have told it. */
export function mirror(given: Told): Told {
  const swapName = (text: string): string =>
    text.replace(/\.conflict-([ab])/g, (_, side: Side) => `.conflict-${other(side)}`);
  const swapFirst = (line: string): string => (line.startsWith('A') ? `B${line.slice(1)}` : `A${line.slice(1)}`);
  return {
    actions: given.actions.map((line) => swapName(swapFirst(line))).sort(),
    conflicts: given.conflicts
      .map((line) => swapName(line).replace(/ ([ab])$/, (_, side: Side) => ` ${other(side)}`))
      .sort(),
    skips: given.skips.map((line) => swapName(swapFirst(line))).sort(),
  };
}

/** Both roots and what is in them, at one moment. */
export interface Moment {
  contents: Record<Side, Record<string, string>>;
  fingerprints: Record<Side, Record<string, string>>;
  history: Record<Side, Record<string, string[]>>;
}

export function moment(pair: Pair): Moment {
  const both = <T>(look: (root: string) => T): Record<Side, T> => ({ a: look(pair.a), b: look(pair.b) });
  return { contents: both(contents), fingerprints: both(withCtimes), history: both(history) };
}

/** Fingerprints, with the ctime of what is no directory (ours comes and goes in them, which changes theirs). */
function withCtimes(root: string): Record<string, string> {
  const found = fingerprints(root);
  for (const name of Object.keys(found)) {
    const stats = fs.lstatSync(Buffer.from(`${Buffer.from(root).toString('latin1')}/${name}`, 'latin1'), {
      bigint: true,
    });
    if (!stats.isDirectory()) found[name] = `${found[name] ?? ''} ${stats.ctimeNs}`;
  }
  const { ino, mtimeNs, mode } = fs.statSync(root, { bigint: true });
  found['.'] = `${ino} ${mode.toString(8)} ${mtimeNs}`;
  return found;
}

/** Every byte below a directory, `.lockstep` and all: for runs that must not write anything. */
export function everything(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  if (!fs.existsSync(dir)) return found;
  const visit = (relative: Buffer): void => {
    const full = Buffer.concat([Buffer.from(`${dir}/`), relative]);
    const stats = fs.lstatSync(full, { bigint: true });
    const what = stats.isFile() ? createHash('sha1').update(fs.readFileSync(full)).digest('hex') : '';
    found[relative.toString('latin1')] =
      `${stats.ino} ${stats.mode.toString(8)} ${stats.mtimeNs} ${stats.ctimeNs} ${what}`;
    if (!stats.isDirectory()) return;
    for (const name of fs.readdirSync(full, 'buffer')) {
      visit(relative.length === 0 ? name : Buffer.concat([relative, Buffer.from('/'), name]));
    }
  };
  visit(Buffer.alloc(0));
  return found;
}

/** G6: a dry run writes nothing, neither in the roots nor in the state. @returns what it predicts */
export async function dryRun(pair: Pair, args: readonly string[] = []): Promise<Ran> {
  const look = (): unknown => [pair.a, pair.b, pair.state].map(everything);
  const before = look();
  const ran = await pair.sync('--dry-run', ...args);
  expect(look(), 'a dry run wrote something').toEqual(before);
  return ran;
}

/** G6: what the dry run said is what the run did. */
export function expectPredicted(predicted: Ran, ran: Ran): void {
  expect(told(predicted), 'the dry run predicted something else').toEqual(told(ran));
  expect(predicted.code).toBe(ran.code);
}

/**
 * G1: every content that was there is still somewhere, but for the agreed version of a path that exactly one side
 * changed or deleted.
 *
 * @param agreed the contents that both sides had agreed on
 */
export function expectNoLoss(agreed: Record<string, string>, before: Moment, after: Moment, below = ''): void {
  const inside = (name: string): boolean => below === '' || name.startsWith(`${below}/`);
  const there = new Set<string>();
  for (const side of sides) {
    for (const [name, text] of Object.entries(after.contents[side])) if (inside(name)) there.add(text);
    for (const [name, texts] of Object.entries(after.history[side])) {
      if (inside(name)) for (const text of texts) there.add(text);
    }
  }
  // What was renamed on this side is looked for by its content.
  const wasAgreed = new Set(Object.entries(agreed).flatMap(([name, text]) => (inside(name) ? [text] : [])));
  for (const side of sides) {
    for (const [name, text] of Object.entries(before.contents[side])) {
      if (!inside(name) || text === 'dir' || text === 'special' || there.has(text)) continue;
      const elsewhere = Object.entries(before.contents[other(side)]);
      const superseded =
        wasAgreed.has(text) &&
        !elsewhere.some(([at, same]) => same === text && (text === agreed[name] ? at === name : inside(at)));
      expect(superseded, `G1: ${name} of ${side} is lost: ${text.slice(0, 80)}`).toBe(true);
    }
  }
}

/**
 * G4: what no action names is untouched, to inode and ctime; what was renamed still is the same inode; what is gone was
 * deleted or renamed by an action.
 */
export function expectLocality(ran: Ran, before: Moment, after: Moment): void {
  for (const side of sides) {
    const actions = eventsOf(ran, 'action').filter((event) => sideOf(event['side']) === side);
    const named = new Set(
      actions.flatMap((event) => [pathOf(event), ...(event['to'] === undefined ? [] : [pathOf(event, 'to')])]),
    );
    const renames = actions
      .filter((event) => event['op'] === 'rename')
      .map((event) => ({ from: pathOf(event), to: pathOf(event, 'to') }));
    const [was, is] = [before.fingerprints[side], after.fingerprints[side]];
    for (const [name, now] of Object.entries(is)) {
      if (name === '.' || before.contents[side][name] === 'dir' || named.has(name)) continue;
      if (after.contents[side][name] === 'dir') continue;
      expect(now, `G4: ${name} on ${side} was touched`).toBe(was[nameBefore(renames, name)]);
    }
    for (const { from, to } of renames) {
      const inode = (text: string | undefined): string | undefined => text?.split(' ')[0];
      // A name may be given on by a second rename, or be replaced by an edit on top.
      if (actions.some((event) => pathOf(event) === to)) continue;
      expect(inode(is[to]), `G4: ${to} on ${side} is not what was ${from}`).toBe(inode(was[nameBefore(renames, to)]));
    }
    for (const name of Object.keys(was)) {
      if (name in is || named.has(name)) continue;
      const explained = renames.some(({ from }) => name.startsWith(`${from}/`));
      expect(explained, `G4: ${name} on ${side} is gone and no action says so`).toBe(true);
    }
  }
}

/** Where a path was before the renames: of files all at once, of directories one inside the other. */
function nameBefore(renames: readonly { from: string; to: string }[], name: string): string {
  const own = renames.find(({ to }) => name === to);
  let at = own?.from ?? name;
  const rest = new Set(renames);
  if (own !== undefined) rest.delete(own);
  for (;;) {
    const [outer] = [...rest].filter(({ to }) => at.startsWith(`${to}/`)).sort((x, y) => y.to.length - x.to.length);
    if (outer === undefined) return at;
    rest.delete(outer);
    at = outer.from + at.slice(outer.to.length);
  }
}

/** G9, and G2 where nothing is left open: every path in which the sides still differ was told, and the code says so. */
export function expectTold(pair: Pair, ran: Ran): void {
  const open = eventsOf(ran, 'conflict').filter((event) => event['winner'] === 'open');
  const skips = eventsOf(ran, 'skip');
  expect(ran.code, ran.stdout + ran.stderr).toBe(open.length + skips.length > 0 ? 2 : 0);
  const toldOf = [...open, ...skips].map((event) => pathOf(event));
  const now = { a: comparable(pair.a), b: comparable(pair.b) };
  for (const name of new Set([...Object.keys(now.a), ...Object.keys(now.b)])) {
    if (now.a[name] === now.b[name]) continue;
    const known = toldOf.some((path) => path === '' || name === path || name.startsWith(`${path}/`));
    expect(known, `G9: ${name} differs and nobody said so: ${now.a[name] ?? '–'} / ${now.b[name] ?? '–'}`).toBe(true);
  }
}

/** G3: another run does nothing and writes nothing; what is still open is told again. */
export async function expectRest(
  pair: Pair,
  first: Ran,
  args: readonly string[] = [],
  toldOnce = false,
): Promise<void> {
  const before = moment(pair);
  const state = texts(pair.state);
  const ran = await pair.sync(...args);
  expect(told(ran).actions, 'G3: the second run found something to do').toEqual([]);
  const after = moment(pair);
  expect(after.fingerprints, 'G3: the second run touched something').toEqual(before.fingerprints);
  expect(after.history, 'G3: the second run kept something').toEqual(before.history);
  expect(texts(pair.state), 'G3: the second run wrote into the state').toEqual(state);
  if (toldOnce) return;
  const open = (given: Ran): Told => ({
    actions: [],
    conflicts: told(given).conflicts.filter((line) => line.endsWith(' open')),
    skips: told(given).skips,
  });
  expect(open(ran), 'G3: what is open is told again').toEqual(open(first));
  expect(ran.code).toBe(first.code);
}

/** The state's files, readable: of the binary records only their headers. */
function texts(dir: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [name, text] of fs.existsSync(dir) ? Object.entries(contents(dir)) : []) {
    found[name] = [createHash('sha1').update(text).digest('hex'), ...(text.match(/\{"[\x20-\x7e]*\}/g) ?? [])];
  }
  return found;
}

/**
 * G10: the baseline never claims that a path is in step when it is not. It claims so for a path that both sides recorded
 * and that still looks on both as recorded.
 */
export function expectTruth(pair: Pair): void {
  const links = path.join(pair.state, 'links');
  for (const name of fs.existsSync(links) ? fs.readdirSync(links) : []) {
    if (name.includes('.')) continue;
    const baseline = Baseline.load(pair.state, name);
    expect(baseline.lost).toBeUndefined();
    for (const [dir, listing] of baseline.a.listings()) {
      for (const [child, a] of listing.entries()) {
        const relative = joinPath(dir, child);
        const b = baseline.b.get(relative);
        if (b === undefined) continue;
        const now = { a: observe(`${pair.a}/${relative}`, 0n), b: observe(`${pair.b}/${relative}`, 0n) };
        if (now.a === undefined && now.b === undefined) {
          expect.fail(`G10: ${relative} is recorded and on neither side`);
        }
        if (now.a === undefined || now.b === undefined || isRacy(a) || isRacy(b)) continue;
        if (!sameFingerprint(a, now.a) || !sameFingerprint(b, now.b)) continue;
        expect(now.a.kind, `G10: ${relative}`).toBe(now.b.kind);
        expect(syncedMode(now.a).toString(8), `G10: mode of ${relative}`).toBe(syncedMode(now.b).toString(8));
        if (now.a.kind === 'symlink') expect(now.a.target, `G10: ${relative}`).toBe(now.b.target);
        if (now.a.kind !== 'file') continue;
        expect(digest(`${pair.b}/${relative}`), `G10: content of ${relative}`).toBe(digest(`${pair.a}/${relative}`));
      }
    }
  }
}

function digest(file: string): string {
  return createHash('sha256')
    .update(fs.readFileSync(encodeName(file)))
    .digest('hex');
}

/** All oracles around one run: dry run, run, second run. @returns the run, and the roots before and after it */
export async function checkedRun(
  pair: Pair,
  options: { agreed?: Record<string, string>; args?: readonly string[]; toldOnce?: boolean } = {},
): Promise<{ ran: Ran; before: Moment; after: Moment }> {
  const { agreed = {}, args = [], toldOnce = false } = options;
  const before = moment(pair);
  const predicted = await dryRun(pair, args);
  const ran = await pair.sync(...args);
  const after = moment(pair);
  expectPredicted(predicted, ran);
  expectNoLoss(agreed, before, after);
  expectLocality(ran, before, after);
  expectTold(pair, ran);
  expectTruth(pair);
  await expectRest(pair, ran, args, toldOnce);
  pair.expectClean();
  return { ran, before, after };
}
