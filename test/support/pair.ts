/** Two roots in a temporary directory, and the oracles of SCENARIOS.md that hold after every run. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { eventsOf, lockstep, type Ran, type RunOptions } from './cli.ts';
import { comparable, contents, fingerprints, history, litter, write, type TreeSpec } from './tree.ts';

export class Pair {
  readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-test-'));
  readonly a = path.join(this.dir, 'a');
  readonly b = path.join(this.dir, 'b');
  readonly state = path.join(this.dir, 'state');

  constructor() {
    fs.mkdirSync(this.a);
  }

  remove(): void {
    // A far side whose controller is gone may still be tidying up.
    fs.rmSync(this.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** Writes the same tree to A and lets a first run bring it to B. */
  async agreed(spec: TreeSpec, ...args: string[]): Promise<void> {
    write(this.a, spec);
    const ran = await this.sync(...args);
    expect(ran.code, ran.stderr).toBe(0);
  }

  async sync(...args: string[]): Promise<Ran> {
    return this.run('sync', args);
  }

  /** Any of sync, push, pull; with `--json`. pull is given its roots the other way round: B is the source. */
  async run(command: 'sync' | 'push' | 'pull', args: readonly string[] = [], options: RunOptions = {}): Promise<Ran> {
    const roots = command === 'pull' ? [this.b, this.a] : [this.a, this.b];
    return lockstep([command, ...roots, '--json', '--state-dir', this.state, ...args], options);
  }

  /** G2: both sides alike, to permission bits and mtimes. */
  expectEqual(): void {
    expect(comparable(this.b)).toEqual(comparable(this.a));
  }

  expectBoth(expected: Record<string, string>): void {
    expect(contents(this.a)).toEqual(expected);
    expect(contents(this.b)).toEqual(expected);
  }

  /** G3 and G4: another run does nothing, and touches nothing. */
  async expectIdle(...args: string[]): Promise<void> {
    const before = [fingerprints(this.a), fingerprints(this.b)];
    const ran = await this.sync(...args);
    expect(ran.code, ran.stdout + ran.stderr).toBe(0);
    expect(eventsOf(ran, 'action')).toEqual([]);
    expect([fingerprints(this.a), fingerprints(this.b)]).toEqual(before);
  }

  /** G7, last part: no staging, no locks. */
  expectClean(): void {
    expect(litter(this.a)).toEqual([]);
    expect(litter(this.b)).toEqual([]);
  }

  /** G1: these contents still exist somewhere: on a side, or in a history. */
  expectKept(...texts: string[]): void {
    const all = new Set<string>();
    for (const root of [this.a, this.b]) {
      if (!fs.existsSync(root)) continue;
      for (const text of Object.values(contents(root))) all.add(text);
      for (const versions of Object.values(history(root))) for (const text of versions) all.add(text);
    }
    for (const text of texts) expect([...all]).toContain(text);
  }
}

/** A temporary pair for one test: removed when the test ends. */
export async function withPair(act: (pair: Pair) => Promise<void>): Promise<void> {
  const pair = new Pair();
  try {
    await act(pair);
  } finally {
    pair.remove();
  }
}
