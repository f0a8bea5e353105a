import type { TouchKind } from './tools.ts';

/** The mtime that a file has when the far `touch` has set it to this one, microseconds, if the file system keeps all of that. */
export function touchedUs(kind: TouchKind, mtimeUs: bigint): bigint {
  if (kind === 'fine') return mtimeUs;
  const rest = mtimeUs % 1_000_000n;
  const whole = mtimeUs - (rest < 0n ? rest + 1_000_000n : rest);
  return whole === notTaken ? 0n : whole;
}

/** Busybox takes this time, microseconds, for an error of its own: better the next second than none. */
const notTaken = -1_000_000n;

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
  return `@${kind === 'fine' ? seconds : touchedUs(kind, mtimeUs) / 1_000_000n}`;
}
