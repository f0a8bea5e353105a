/** Archives as a real `tar` reads them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TarWriter, type TarOptions } from './tar.ts';

function extracted(options: Pick<TarOptions, 'pax' | 'negative'>, fill: (archive: TarWriter) => void): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-tar-'));
  onTestFinished(() => fs.rmSync(dir, { recursive: true }));
  const archive = new TarWriter(
    { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, ...options },
    Buffer.alloc(512),
  );
  fill(archive);
  execFileSync('tar', ['-xpof', '-'], { cwd: dir, input: archive.finish() });
  return dir;
}

function addFile(archive: TarWriter, name: string, text: string, mtimeUs: bigint): void {
  const content = Buffer.from(text);
  archive.add({ name, type: 'file', mode: 0o640, size: content.length, mtimeUs });
  archive.content(content);
  archive.endContent(content.length);
}

it.each([
  ['in base 256', { pax: false, negative: true }, -86_400],
  ['in a pax header', { pax: true, negative: false }, -86_399.5],
  ['not at all: then it is 1970', { pax: false, negative: false }, 0],
])('a time before 1970 goes %s', (_, options, seconds) => {
  const dir = extracted(options, (archive) => {
    addFile(archive, 'old', 'old', options.pax ? -86_399_500_000n : -86_400_000_000n);
    addFile(archive, 'new', 'new', 1_700_000_000_000_000n);
  });
  expect(fs.statSync(path.join(dir, 'old')).mtimeMs).toBe(seconds * 1000);
  expect(fs.statSync(path.join(dir, 'new')).mtimeMs).toBe(1_700_000_000_000);
  expect(fs.readFileSync(path.join(dir, 'new'), 'utf8')).toBe('new');
});

it('what was undone is not in it, and long names and targets are whole', () => {
  const long = `${'d'.repeat(90)}/${'f'.repeat(90)}`;
  const target = 't'.repeat(300);
  const dir = extracted({ pax: false, negative: false }, (archive) => {
    archive.add({ name: 'd'.repeat(90), type: 'dir', mode: 0o750, size: 0, mtimeUs: 0n });
    const before = archive.size;
    addFile(archive, 'half', 'half', 0n);
    archive.undo(before);
    addFile(archive, long, 'whole', 0n);
    archive.add({ name: 'link', type: 'symlink', mode: 0o777, size: 0, mtimeUs: 0n, target });
  });
  expect(fs.readdirSync(dir).sort()).toEqual(['d'.repeat(90), 'link']);
  expect(fs.readFileSync(path.join(dir, long), 'utf8')).toBe('whole');
  expect(fs.statSync(path.join(dir, long)).mode & 0o777).toBe(0o640);
  expect(fs.readlinkSync(path.join(dir, 'link'))).toBe(target);
});
