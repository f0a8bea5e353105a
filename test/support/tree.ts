/** Trees as plain objects: made on disk, read back, compared. A scenario reads like its row in SCENARIOS.md. */
import fs from 'node:fs';
import { keepsSeconds } from './cli.ts';
import path from 'node:path';

export interface FileSpec {
  kind: 'file';
  text: string | Buffer;
  mode?: number;
  /** Seconds since 1970. */
  mtime?: number;
}
export type Spec = string | Buffer | FileSpec | { kind: 'dir'; mode?: number } | { kind: 'link'; target: string };
/** Paths (`a/b`, `d/` for a directory) to what is there. */
export type TreeSpec = Record<string, Spec>;

export function file(text: string | Buffer, more: { mode?: number; mtime?: number } = {}): FileSpec {
  return { kind: 'file', text, ...more };
}
/** An mtime that is later than any that was given so far, also where times are kept to the second. */
export function soon(): number {
  return Math.ceil(Date.now() / 1000) + 2;
}
export function link(target: string): Spec {
  return { kind: 'link', target };
}
export function dir(mode?: number): Spec {
  return mode === undefined ? { kind: 'dir' } : { kind: 'dir', mode };
}

/** Puts everything of a spec below a root, parents made; what else is there stays. */
export function write(root: string, spec: TreeSpec): void {
  fs.mkdirSync(root, { recursive: true });
  for (const [name, given] of Object.entries(spec)) {
    const full = path.join(root, name);
    fs.mkdirSync(path.dirname(full), { recursive: true });
    if (name.endsWith('/') || (typeof given === 'object' && 'kind' in given && given.kind === 'dir')) {
      fs.mkdirSync(full, { recursive: true });
      if (typeof given === 'object' && 'kind' in given && given.kind === 'dir' && given.mode !== undefined) {
        fs.chmodSync(full, given.mode);
      }
    } else if (typeof given === 'object' && 'kind' in given && given.kind === 'link') {
      fs.rmSync(full, { force: true });
      fs.symlinkSync(given.target, full);
    } else {
      const spec = typeof given === 'object' && 'kind' in given ? given : file(given);
      fs.writeFileSync(full, spec.text);
      if (spec.mode !== undefined) fs.chmodSync(full, spec.mode);
      if (spec.mtime !== undefined) fs.utimesSync(full, spec.mtime, spec.mtime);
    }
  }
}

/** What is below a root (not `.lockstep`): files as their text, links as `-> target`, directories as `dir`. */
export function contents(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  walk(root, (relative, stats, full) => {
    if (stats.isDirectory()) found[relative] = 'dir';
    else if (stats.isSymbolicLink()) found[relative] = `-> ${fs.readlinkSync(full)}`;
    else if (stats.isFile()) found[relative] = fs.readFileSync(full).toString('latin1');
    else found[relative] = 'special';
  });
  return found;
}

/** Everything that must not change where nothing was to be done: inode, mtime (ns), mode, size. */
export function fingerprints(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  walk(root, (relative, stats) => {
    const time = stats.isSymbolicLink() ? '' : String(stats.mtimeNs);
    found[relative] = `${stats.ino} ${stats.mode.toString(8)} ${stats.size} ${time}`;
  });
  return found;
}

/** Finest step of an mtime that can be set at the far end, nanoseconds. */
const mtimeStep = keepsSeconds ? 1_000_000_000n : 1000n;

/**
 * Content, kind, permission bits, link targets and mtimes (to the µs, or what the far end can keep) of files and directories:
 * what both sides share.
 */
export function comparable(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const text = contents(root);
  walk(root, (relative, stats) => {
    const mode = stats.isSymbolicLink() ? '' : (Number(stats.mode) & 0o1777).toString(8);
    const time = stats.isSymbolicLink() ? '' : String(stepOf(stats.mtimeNs));
    found[relative] = `${text[relative] ?? ''} ${mode} ${time}`;
  });
  return found;
}

/** The step that a time lies in: before 1970 that is the one below it, too. */
function stepOf(ns: bigint): bigint {
  const step = ns / mtimeStep;
  return ns < 0n && step * mtimeStep !== ns ? step - 1n : step;
}

/** All versions kept in a root's history, as path → contents in order of runs. */
export function history(root: string): Record<string, string[]> {
  const base = path.join(root, '.lockstep', 'history');
  const found: Record<string, string[]> = {};
  if (!fs.existsSync(base)) return found;
  for (const run of fs.readdirSync(base).sort()) {
    // What prune knows of the whole (history/summary.ts).
    if (run === 'summary.json') continue;
    for (const files of fs.readdirSync(path.join(base, run)).filter((name) => name.startsWith('files'))) {
      walk(path.join(base, run, files), (relative, stats, full) => {
        if (stats.isDirectory()) return;
        const text = stats.isSymbolicLink() ? `-> ${fs.readlinkSync(full)}` : fs.readFileSync(full).toString('latin1');
        (found[relative] ??= []).push(text);
      });
    }
  }
  return found;
}

/** Names left in `.lockstep/` that no finished run may leave: staging and locks. */
export function litter(root: string): string[] {
  const own = path.join(root, '.lockstep');
  if (!fs.existsSync(own)) return [];
  return fs.readdirSync(own).filter((name) => !['.gitignore', 'id', 'links', 'history'].includes(name));
}

function walk(root: string, visit: (relative: string, stats: fs.BigIntStats, full: string) => void): void {
  const inner = (dir: string): void => {
    for (const name of fs.readdirSync(bytesOf(root, dir), 'latin1').sort()) {
      if (dir === '' && name === '.lockstep') continue;
      const relative = dir === '' ? name : `${dir}/${name}`;
      const full = bytesOf(root, relative);
      const stats = fs.lstatSync(full, { bigint: true });
      visit(relative, stats, full as unknown as string);
      if (stats.isDirectory()) inner(relative);
    }
  };
  inner('');
}

/** Full path of something below a root, as bytes: below it, names are latin1 here. */
function bytesOf(root: string, relative: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(relative, 'latin1')]);
}
