import type { TouchKind } from './tools.ts';

/** An mtime as the far `touch` takes it: one word for `-d`. */
export function touchTime(kind: TouchKind, mtimeUs: bigint): string {
  let seconds = mtimeUs / 1_000_000n;
  let micros = mtimeUs % 1_000_000n;
  if (micros < 0n) {
    micros += 1_000_000n;
    seconds -= 1n;
  }
  if (kind === 'fine' && seconds >= 0n && micros !== 0n) return `@${seconds}.${micros.toString().padStart(6, '0')}`;
  if (kind === 'fine' && seconds < 0n && micros !== 0n) {
    // GNU reads -1.5 as a second and a half before.
    const us = -mtimeUs;
    return `@-${us / 1_000_000n}.${(us % 1_000_000n).toString().padStart(6, '0')}`;
  }
  // Busybox takes this one second for an error of its own: better the next one than none.
  if (kind === 'seconds' && seconds === -1n) return '@0';
  return `@${seconds}`;
}
