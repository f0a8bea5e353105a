/** Live mode: whatever happens on one side is on the other, over each kind of replica that can watch (SCENARIOS 86 ff., NODE.md). */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { withLive, type LivePair } from '../support/live.ts';
import { contents, dir, file, link, write } from '../support/tree.ts';

const kinds: Record<string, readonly string[]> = { 'two local roots': [], 'an agent behind a pipe': ['--', 'sh'] };

type Act = (root: string) => void;

/** What happens in one root; the other must come to look the same. */
const cases: Record<string, { before?: Parameters<typeof write>[1]; act: Act }> = {
  'a new file': { act: (root) => write(root, { 'new.txt': 'new' }) },
  'an edit': { before: { 'd/f': 'before' }, act: (root) => write(root, { 'd/f': 'after' }) },
  'an edit of the same size within the same second': {
    before: { f: 'one' },
    act: (root) => write(root, { f: 'two' }),
  },
  'a file that is appended to': {
    before: { log: 'x\n' },
    act: (root) => fs.appendFileSync(path.join(root, 'log'), 'y\n'),
  },
  'a deleted file': { before: { 'd/f': 'f', 'd/g': 'g' }, act: (root) => fs.rmSync(path.join(root, 'd/f')) },
  'a deleted directory': {
    before: { 'd/e/f': 'f', g: 'g' },
    act: (root) => fs.rmSync(path.join(root, 'd'), { recursive: true }),
  },
  'a directory that is filled in the same moment': {
    act: (root) => execFileSync('sh', ['-c', 'mkdir -p a/b/c && echo > a/b/c/f'], { cwd: root }),
  },
  'sixty of them': {
    act: (root) =>
      execFileSync('sh', ['-c', 'for i in $(seq 60); do mkdir -p n$i/x && echo $i > n$i/x/f; done'], { cwd: root }),
  },
  'a directory that is removed and made again, with the same inode': {
    before: { 's/t/f': 'before' },
    act: (root) => {
      execFileSync('sh', ['-c', 'rm -r s; mkdir -p s/t'], { cwd: root });
      write(root, { 's/t/f': 'after', 's/g': 'more' });
    },
  },
  'a tree that is moved in': {
    act: (root) => {
      write(`${root}-outside`, { 'm/n/o': 'o', 'm/p': 'p' });
      fs.renameSync(`${root}-outside/m`, path.join(root, 'm'));
    },
  },
  'a tree that is moved out': {
    before: { 'm/n/o': 'o', 'm/p': 'p', q: 'q' },
    act: (root) => fs.renameSync(path.join(root, 'm'), `${root}-moved-out`),
  },
  'an atomic save': {
    before: { 'd/f': 'before' },
    act: (root) => {
      write(root, { 'd/.f.swp': 'after' });
      fs.renameSync(path.join(root, 'd/.f.swp'), path.join(root, 'd/f'));
    },
  },
  'an editor that keeps a backup': {
    before: { f: 'before' },
    act: (root) => {
      fs.renameSync(path.join(root, 'f'), path.join(root, 'f~'));
      write(root, { f: 'after' });
      fs.rmSync(path.join(root, 'f~'));
    },
  },
  'a renamed file': {
    before: { 'd/f': file('content'), 'e/': dir() },
    act: (root) => fs.renameSync(path.join(root, 'd/f'), path.join(root, 'e/g')),
  },
  'a renamed directory': {
    before: { 'd/e/f': 'f', 'd/g': 'g' },
    act: (root) => fs.renameSync(path.join(root, 'd'), path.join(root, 'h')),
  },
  'permission bits': { before: { f: 'f' }, act: (root) => fs.chmodSync(path.join(root, 'f'), 0o755) },
  'permission bits of a directory': {
    before: { 'd/f': 'f' },
    act: (root) => fs.chmodSync(path.join(root, 'd'), 0o700),
  },
  'an mtime': { before: { f: 'f' }, act: (root) => fs.utimesSync(path.join(root, 'f'), 1e9, 1e9) },
  'a symlink': { act: (root) => write(root, { l: link('nowhere') }) },
  'a symlink that is turned': { before: { l: link('a') }, act: (root) => write(root, { l: link('b') }) },
  'a file that becomes a directory': {
    before: { x: 'file' },
    act: (root) => {
      fs.rmSync(path.join(root, 'x'));
      write(root, { 'x/y': 'y' });
    },
  },
  'a directory that becomes a symlink': {
    before: { 'd/f': 'f' },
    act: (root) => {
      fs.rmSync(path.join(root, 'd'), { recursive: true });
      fs.symlinkSync('elsewhere', path.join(root, 'd'));
    },
  },
  'a name that is not UTF-8': {
    act: (root) => fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]), 'bytes'),
  },
  'two files that swap names': {
    before: { f: 'f', g: 'g' },
    act: (root) => execFileSync('sh', ['-c', 'mv f t; mv g f; mv t g'], { cwd: root }),
  },
};

for (const [kind, there] of Object.entries(kinds)) {
  describe(`over ${kind}:`, () => {
    for (const side of ['a', 'b'] as const) {
      it(`everything that happens ${side === 'a' ? 'here' : 'there'}`, async () =>
        withLive(async (pair) => {
          for (const [name, { before }] of Object.entries(cases))
            write(path.join(pair.a, name), before ?? { '.': dir() });
          await pair.start({ args: there });
          for (const [name, { act }] of Object.entries(cases)) {
            act(path.join(pair[side], name));
            await pair.inStep();
            // And what it left behind is watched: an edit afterwards gets over, too.
            const [file] = Object.entries(contents(path.join(pair[side], name))).filter(
              ([at, text]) => !text.startsWith('-> ') && text !== 'dir' && at.charCodeAt(0) < 0x80,
            );
            if (file !== undefined) fs.appendFileSync(path.join(pair[side], name, file[0]), 'more');
            await pair.inStep();
          }
          await pair.finish(...there);
          expect(pair.live.of('conflict')).toEqual([]);
          expect(pair.live.of('skip')).toEqual([]);
        }));
    }

    it('ten thousand files, written while it watches', async () =>
      withLive(async (pair) => {
        await pair.start({ args: there });
        for (let i = 0; i < 10_000; i += 1) {
          const at = path.join(pair.a, `d${i % 40}`);
          if (i < 40) fs.mkdirSync(at);
          fs.writeFileSync(path.join(at, `f${i}`), String(i));
        }
        await pair.inStep();
        await pair.finish(...there);
      }));

    it('nothing comes back: what was brought over is not taken for a change', async () =>
      withLive(async (pair) => {
        const live = await pair.start({ args: there });
        write(pair.a, { 'd/e/f': 'f', g: 'g' });
        write(pair.b, { 'h/i': 'i' });
        await pair.inStep();
        await settled(pair);
        // Everything was done once, by the side that did not have it.
        const paths = live.actions.map(({ side, op, path: at }) => `${String(side)} ${String(op)} ${String(at)}`);
        expect(paths.filter((each) => !each.includes('metadata')).sort()).toEqual([
          'local create h',
          'local create h/i',
          'remote create d',
          'remote create d/e',
          'remote create d/e/f',
          'remote create g',
        ]);
        await pair.finish(...there);
      }));
  });
}

/** Waits until a while has passed in which it did not look at anything. */
async function settled({ live }: LivePair): Promise<void> {
  for (let passes = -1; passes !== live.of('pass').length;) {
    passes = live.of('pass').length;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
