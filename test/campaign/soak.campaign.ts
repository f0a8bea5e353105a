/**
 * A two-way star of three that is kept in step live, while all three roots are changed at random, agents are killed and lines cut;
 * every now and then it must come to rest with all three alike. Nothing that was written and not written over or deleted by
 * the same writer may be missing in the end.
 *
 * LOCKSTEP_SOAK_MINUTES (3) says how long each; 60 is the long form. LOCKSTEP_SEED repeats the deeds, not their timing.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { LiveRun, withLive } from '../support/live.ts';
import { random, type Random } from '../support/random.ts';
import { startSshd } from '../support/sshd.ts';
import { markSetting, survivors } from '../support/survivors.ts';
import { contents, history, write } from '../support/tree.ts';

const minutes = Number(process.env['LOCKSTEP_SOAK_MINUTES'] ?? 3);
const seed = Number(process.env['LOCKSTEP_SEED'] ?? Date.now() % 1_000_000);
const restMs = 60_000;
/** What was said by so many runs is kept, to be told when something is lost: in an hour there are hundreds. */
const runsRemembered = 20;

// A shell cannot watch: its root is looked at twice a second.
const served = { 'an agent': [], 'a plain shell': ['--agent', 'sh', '--poll-interval', '0.5'] };

it.each(Object.entries(served))(`with %s over there, ${minutes} minutes (LOCKSTEP_SEED=${seed})`, async (_, agent) => {
  const mark = randomUUID();
  // Not the home of whoever runs this: what a login there starts is killed as well, and may not stand it (pyenv's lock).
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-home-'));
  const sshd = await startSshd({ serverConfig: [`SetEnv ${markSetting(mark)} HOME=${home}`] });
  try {
    await withLive(async (pair) => {
      const roots = [pair.a, pair.b, path.join(pair.dir, 'c')] as const;
      write(pair.a, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`start/${i % 9}/f${i}`, `start ${i}`])));
      const args = [
        '--watch',
        '--json',
        '--state-dir',
        pair.state,
        '--max-delete',
        'off',
        '--timeout',
        '5',
        '--on-conflict',
        'local',
        // What all share is fought over hundreds of times in an hour, and all of it is looked for at the end.
        '--keep-versions',
        '0',
        ...agent,
      ];
      const ssh = sshd.sshOptions.map((option) => `--ssh-option=${option}`);
      const names = [roots[0], `${sshd.host}:${roots[1]}`, roots[2]];
      const runs: LiveRun[] = [];
      const start = (): LiveRun => {
        const run = new LiveRun(['sync', ...names, ...args, ...ssh]);
        runs.push(run);
        if (runs.length > runsRemembered) runs.shift();
        return (pair.run$ = run);
      };
      let live = start();
      const chance = random(seed);
      const shared = new Map<string, string>();
      const writers = roots.map((root, at) => new Writer(root, `w${at}`, chance, shared));
      const rested = async (): Promise<void> => {
        const deadline = Date.now() + restMs;
        while (!alike(roots)) {
          if (Date.now() > deadline) {
            throw new Error(`never came to rest\n${difference(roots)}\n${tail(live, roots)}`);
          }
          if (live.child.exitCode !== null)
            throw new Error(`it ended ${live.stderr.slice(-500)}\n${tail(live, roots)}`);
          await pause(100);
        }
      };
      const end = Date.now() + minutes * 60_000;
      let rests = 0;
      while (Date.now() < end) {
        for (let deed = 0; deed < 60; deed += 1) {
          const writer = writers[chance.int(writers.length)];
          writer?.act();
          if (chance.int(4) === 0) await pause(chance.int(60));
          if (chance.int(60) === 0) killOne(survivors(mark), chance);
          if (chance.int(150) !== 0) continue;
          await live.kill();
          live = start();
        }
        await rested();
        rests += 1;
      }
      await rested();
      await live.interrupt();
      // A kill between a deed and its record makes conflicts even of files that only one writes to, and what all share is fought
      // over: all that nobody wrote over knowingly is somewhere.
      const all = roots.flatMap((root) => [...Object.values(contents(root)), ...Object.values(history(root)).flat()]);
      const kept = new Set(all);
      const written = [
        ...writers.flatMap(({ expected }) => Array.from(expected, ([at, text]) => ({ at, text }))),
        ...Array.from(shared, ([text, at]) => ({ at, text })),
      ];
      const lost = written.filter(({ text }) => !kept.has(text));
      expect(lost.map(({ at, text }) => `${at}: ${text.slice(0, 40)}`).join('\n') + said(runs, lost)).toEqual('');
      expect(execFileSync('git', ['fsck', '--strict'], { cwd: path.join(roots[2], 'w0/repo'), encoding: 'utf8' })).toBe(
        '',
      );
      console.log(`${rests} times at rest, ${writers.map(({ deeds }) => deeds).join(' + ')} deeds`);
    });
  } finally {
    await sshd.stop();
    fs.rmSync(home, { recursive: true, force: true });
  }
});

/** Somebody who works in a root: in a directory of his own, and sometimes on a file that all share. */
class Writer {
  readonly #root: string;
  readonly #own: string;
  readonly #chance: Random;
  /** What was written into files that all share, and that nobody has seen and written over, with where. */
  readonly #shared: Map<string, string>;
  /** What his files must be in the end. */
  readonly expected = new Map<string, string>();
  deeds = 0;

  constructor(root: string, own: string, chance: Random, shared: Map<string, string>) {
    this.#root = root;
    this.#own = own;
    this.#chance = chance;
    this.#shared = shared;
    if (own === 'w0') this.#git('init', '-q', '-b', 'main');
  }

  act(): void {
    // The root may be made only by the first connection.
    if (!fs.existsSync(this.#root)) return;
    this.deeds += 1;
    const name = `${this.#own}/d${this.#chance.int(6)}/f${this.#chance.int(20)}`;
    const text = `${this.#own} ${this.deeds} ${'x'.repeat(this.#chance.int(5000))}`;
    switch (this.#chance.int(9)) {
      case 0:
      case 1:
        return this.#put(name, text);
      case 2: {
        // Saved as editors do.
        this.#put(`${name}.tmp`, text);
        return this.#move(`${name}.tmp`, name);
      }
      case 3:
        fs.rmSync(path.join(this.#root, name), { force: true });
        this.expected.delete(name);
        return;
      case 4:
        return this.#move(name, `${this.#own}/d${this.#chance.int(6)}/f${this.#chance.int(20)}`);
      case 5:
        return this.#moveDirectory(`${this.#own}/d${this.#chance.int(6)}`, `${this.#own}/d${this.#chance.int(6)}`);
      case 6: {
        const dir = `${this.#own}/d${this.#chance.int(6)}`;
        fs.rmSync(path.join(this.#root, dir), { recursive: true, force: true });
        for (const at of this.expected.keys()) if (at.startsWith(`${dir}/`)) this.expected.delete(at);
        return this.#put(`${dir}/f0`, text);
      }
      case 7:
        return this.#putShared(`shared/s${this.#chance.int(3)}`, text);
      default:
        if (this.#own !== 'w0') return this.#put(name, text);
        fs.writeFileSync(path.join(this.#root, 'w0/repo', `g${this.#chance.int(10)}`), text);
        this.#git('add', '-A');
        this.#git('commit', '-q', '--allow-empty', '-m', `deed ${this.deeds}`);
    }
  }

  #put(at: string, text: string): void {
    write(this.#root, { [at]: text });
    this.expected.set(at, text);
  }

  /**
   * Writes over what he has seen, and over nothing else: by way of one descriptor. Who reads a file and then opens it again may
   * write over one that has just come in its place, which waits for no more than the rename that he waits for on a slow disk.
   * On such a disk the file may also have lost its name before all was written: then nobody can have seen what he wrote.
   */
  #putShared(at: string, text: string): void {
    const full = path.join(this.#root, at);
    const file = openOrMake(full);
    try {
      const before = fs.readFileSync(file, 'utf8');
      fs.ftruncateSync(file);
      fs.writeSync(file, text, 0);
      this.#shared.delete(before);
      if (fs.statSync(full, { throwIfNoEntry: false })?.ino === fs.fstatSync(file).ino) this.#shared.set(text, at);
    } finally {
      fs.closeSync(file);
    }
  }

  #move(from: string, to: string): void {
    const text = this.expected.get(from);
    if (text === undefined || from === to || !fs.existsSync(path.join(this.#root, from))) return;
    fs.mkdirSync(path.dirname(path.join(this.#root, to)), { recursive: true });
    fs.renameSync(path.join(this.#root, from), path.join(this.#root, to));
    this.expected.delete(from);
    this.expected.set(to, text);
  }

  #moveDirectory(from: string, to: string): void {
    if (fs.existsSync(path.join(this.#root, to)) || !fs.existsSync(path.join(this.#root, from))) return;
    fs.renameSync(path.join(this.#root, from), path.join(this.#root, to));
    for (const [at, text] of [...this.expected]) {
      if (!at.startsWith(`${from}/`)) continue;
      this.expected.delete(at);
      this.expected.set(`${to}${at.slice(from.length)}`, text);
    }
  }

  #git(...args: string[]): void {
    const cwd = path.join(this.#root, 'w0/repo');
    fs.mkdirSync(cwd, { recursive: true });
    // A kill between a deletion over there and its record brings a file back: this one as if git had died here.
    fs.rmSync(path.join(cwd, '.git/index.lock'), { force: true });
    execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.org', '-c', 'gc.auto=0', ...args], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }
}

function alike(roots: readonly string[]): boolean {
  try {
    // Not the times: what both sides were found to have after a kill is equal whatever they are (DESIGN §5).
    const [first, ...others] = roots.map((root) => JSON.stringify(contents(root)));
    return others.every((other) => other === first);
  } catch {
    return false;
  }
}

function difference(roots: readonly string[]): string {
  const [first = {}, ...others] = roots.map((root) => (fs.existsSync(root) ? contents(root) : {}));
  const lines: string[] = [];
  for (const [at, other] of others.entries()) {
    for (const name of new Set([...Object.keys(first), ...Object.keys(other)])) {
      if (first[name] === other[name]) continue;
      const [here, there] = [first[name] ?? 'none', other[name] ?? 'none'];
      let same = 0;
      while (same < here.length && here[same] === there[same]) same += 1;
      const shown = (text: string): string => `${text.length}: …${text.slice(same, same + 80)}`;
      lines.push(`${at}: ${name}: alike for ${same}, then ${shown(here)} | ${shown(there)}`);
    }
  }
  return lines.slice(0, 20).join('\n');
}

function killOne(processes: readonly string[], chance: Random): void {
  const pid = Number.parseInt(processes[chance.int(Math.max(1, processes.length))] ?? '', 10);
  if (!Number.isInteger(pid)) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended in the same moment.
  }
}

/** What was said of the paths that differ, and last of all. */
function tail(live: LiveRun, roots: readonly string[]): string {
  const different = difference(roots)
    .split('\n')
    .map((line) => line.split(': ')[1]);
  const about = live.events.filter(({ path: at }) => different.includes(at as string)).slice(-30);
  return [...about, ...live.events.slice(-6)].map((event) => JSON.stringify(event).slice(0, 300)).join('\n');
}

/** A file to be read and written: the one that is there, or one that nobody has made meanwhile. */
function openOrMake(full: string): number {
  for (;;) {
    fs.mkdirSync(path.dirname(full), { recursive: true });
    for (const how of ['r+', 'wx+']) {
      try {
        return fs.openSync(full, how);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
      }
    }
  }
}

/** What all runs have said of the paths of what was lost. */
function said(runs: readonly LiveRun[], lost: readonly { at: string }[]): string {
  const paths = new Set(lost.map(({ at }) => at));
  const lines = runs.flatMap(({ events }, at) =>
    events
      .filter(
        ({ path: of }) => typeof of === 'string' && [...paths].some((one) => one === of || one.startsWith(`${of}/`)),
      )
      .map((event) => `run ${at}: ${JSON.stringify(event).slice(0, 400)}`),
  );
  return lines
    .slice(-60)
    .map((line) => `\n${line}`)
    .join('');
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
