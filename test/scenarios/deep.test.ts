/** SCENARIOS 58: trees that are deeper than a stack, and paths that are longer than the kernel takes in one go. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { eventsOf, keepsSeconds, lockstep, overShell } from '../support/cli.ts';
import { withPair, type Pair } from '../support/pair.ts';
import { contents, write } from '../support/tree.ts';

/** Makes directories in each other below a root, by going down into them, with a file in every hundredth and the last. */
function dig(root: string, depth: number, name: string): void {
  fs.mkdirSync(root, { recursive: true });
  const script = `
    const fs = require('node:fs');
    for (let i = 1; i <= ${depth}; i += 1) {
      fs.mkdirSync(${JSON.stringify(name)});
      process.chdir(${JSON.stringify(name)});
      if (i % 100 === 0 || i === ${depth}) fs.writeFileSync('f', 'at ' + i);
    }`;
  execFileSync(process.execPath, ['-e', script], { cwd: root });
}

/** What \`find\` and \`cat\` see, which know no longest path: files with their texts. */
function filesIn(root: string): string[] {
  const listed = execFileSync(
    'find',
    ['.', '-path', './.lockstep', '-prune', '-o', '-type', 'f', '-execdir', 'cat', '{}', ';', '-printf', ' %d\n'],
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    },
  );
  return listed.trim().split('\n').sort();
}

function directoriesIn(root: string): number {
  const found = execFileSync('find', ['.', '-path', './.lockstep', '-prune', '-o', '-type', 'd', '-printf', 'd'], {
    cwd: root,
  });
  return found.length;
}

/** \`fs.rmSync\` cannot remove what is too deep. */
function removeAll(...dirs: string[]): void {
  execFileSync('rm', ['-rf', ...dirs]);
}

async function withDeep(depth: number, name: string, act: (pair: Pair) => Promise<void>): Promise<void> {
  await withPair(async (pair) => {
    try {
      dig(pair.a, depth, name);
      write(pair.a, { top: 'top' });
      const ran = await pair.sync();
      expect(ran.code, ran.stderr.slice(0, 2000)).toBe(0);
      await act(pair);
    } finally {
      removeAll(pair.a, pair.b);
    }
  });
}

const levels = [1000, 'ddd'] as const;

/** A thousand directories are gone into one by one over there: bash takes minutes, dash one. */
const slowly = overShell ? { timeout: 480_000 } : {};

describe('58: a thousand levels', () => {
  beforeEach((context) => {
    // names.test.ts goes as deep as is bearable.
    if (keepsSeconds) context.skip('busybox’s tar takes a minute for a thousand levels, each time');
  });

  it.for([
    ['in all', ...levels],
    ['and more, beyond the longest path', 2100, 'dd'],
    ['of bytes in names of three bytes a character', 20, '深'.repeat(85)],
  ] as const)(
    '%s are synced, rest, and are synced again after an edit at the bottom',
    async ([, depth, name], context) => {
      const isLong = (Buffer.byteLength(name) + 1) * depth > 4096;
      if (overShell && isLong) context.skip('paths that long are left alone over there, and told: names.test.ts, 58');
      await withDeep(depth, name, async (pair) => {
        expect(filesIn(pair.b)).toEqual(filesIn(pair.a));
        expect(filesIn(pair.b)).toHaveLength(Math.ceil(depth / 100) + 1);
        expect(directoriesIn(pair.b)).toBe(depth + 1);
        const idle = await pair.sync();
        expect(idle.code, idle.stderr.slice(0, 2000)).toBe(0);
        expect(eventsOf(idle, 'action')).toEqual([]);
        execFileSync('find', ['.', '-name', 'f', '-execdir', 'sh', '-c', 'echo edited >> f', ';'], { cwd: pair.b });
        const again = await pair.sync();
        expect(again.code, again.stderr.slice(0, 2000)).toBe(0);
        expect(filesIn(pair.a)).toEqual(filesIn(pair.b));
        expect(filesIn(pair.a).some((line) => line.includes('edited'))).toBe(true);
      });
    },
  );

  it('are deleted, kept in history, and come back from there', slowly, async () =>
    withDeep(...levels, async (pair) => {
      removeAll(path.join(pair.a, 'ddd'));
      const ran = await pair.sync('--max-delete', 'off');
      expect(ran.code, ran.stderr.slice(0, 2000)).toBe(0);
      expect(contents(pair.b)).toEqual({ top: 'top' });
      const restored = await lockstep(['restore', pair.b, 'ddd']);
      expect(restored.code, restored.stderr.slice(0, 2000)).toBe(0);
      expect(filesIn(pair.b)).toHaveLength(11);
      expect(directoriesIn(pair.b)).toBe(1001);
    }),
  );

  it('make room for a file of that name', slowly, async () =>
    withDeep(...levels, async (pair) => {
      removeAll(path.join(pair.a, 'ddd'));
      write(pair.a, { ddd: 'a file now' });
      const ran = await pair.sync('--max-delete', 'off');
      expect(ran.code, ran.stderr.slice(0, 2000)).toBe(0);
      expect(contents(pair.b)).toEqual({ top: 'top', ddd: 'a file now' });
    }),
  );
});
