/** Archives as busybox's `cpio` reads them. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { CpioWriter } from './cpio.ts';

/** @returns the directory it was put into, and what was left of a stream that goes on behind it */
function extracted(fill: (archive: CpioWriter) => void): { dir: string; left: string } {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'lockstep-cpio-'));
  onTestFinished(() => fs.rmSync(dir, { recursive: true }));
  const archive = new CpioWriter({ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }, Buffer.alloc(16));
  fill(archive);
  const input = Buffer.concat([archive.finish(), Buffer.from('behind')]);
  const left = execFileSync('sh', ['-c', 'umask 0; busybox cpio -imu 2>/dev/null && cat'], { cwd: dir, input });
  return { dir, left: left.toString() };
}

function addFile(archive: CpioWriter, name: string, text: string, seconds = 1_700_000_000): void {
  const content = Buffer.from(text);
  archive.add({ name, type: 'file', mode: 0o640, size: content.length, mtimeUs: BigInt(seconds) * 1_000_000n });
  archive.content(content);
  archive.endContent(content.length);
}

it('content of every length under names of every length is whole, and what follows is left', () => {
  const names = Array.from({ length: 40 }, (_, i) => `${'n'.repeat(1 + i)} ${'é'.repeat(i % 5)}\n*`);
  const { dir, left } = extracted((archive) => {
    for (const [i, name] of names.entries()) addFile(archive, name, 'c'.repeat(i % 9), i);
  });
  expect(left).toBe('behind');
  expect(fs.readdirSync(dir).sort()).toEqual([...names].sort());
  for (const [i, name] of names.entries()) {
    const stat = fs.statSync(path.join(dir, name));
    expect([stat.size, stat.mtimeMs, stat.mode & 0o7777]).toEqual([i % 9, i * 1000, 0o640]);
  }
});

it('directories get their times when they are told of again, links lead where they should, and nothing undone is there', () => {
  // One that leads upwards is made only in the end, and moves the directory's time.
  const target = `${'t'.repeat(200)}/${'t'.repeat(200)}`;
  const { dir, left } = extracted((archive) => {
    archive.add({ name: 'd', type: 'dir', mode: 0o755, size: 0, mtimeUs: 1_800_000_000_000_000n });
    const before = archive.size;
    addFile(archive, 'd/half', 'half');
    archive.undo(before);
    addFile(archive, 'd/TRAILER!!!', 'whole');
    archive.add({ name: 'd/link', type: 'symlink', mode: 0o777, size: 0, mtimeUs: 0n, target });
    archive.add({ name: 'd', type: 'dir', mode: 0o755, size: 0, mtimeUs: 1_000_000_000_000_000n });
  });
  expect(left).toBe('behind');
  expect(fs.readdirSync(path.join(dir, 'd')).sort()).toEqual(['TRAILER!!!', 'link']);
  expect(fs.statSync(path.join(dir, 'd')).mtimeMs).toBe(1_000_000_000_000);
  expect(fs.statSync(path.join(dir, 'd')).mode & 0o7777).toBe(0o755);
  expect(fs.readlinkSync(path.join(dir, 'd/link'))).toBe(target);
});

it('says which times it can hold', () => {
  const archive = new CpioWriter({ uid: 0, gid: 0 }, Buffer.alloc(16));
  const seconds = [-1, 0, 2 ** 31 - 1, 2 ** 31];
  expect(seconds.map((s) => archive.holds(BigInt(s) * 1_000_000n))).toEqual([false, true, true, false]);
});
