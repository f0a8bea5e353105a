/** A bad line to the far side (proxy.js), for behind `--`. */
import fs from 'node:fs';
import path from 'node:path';

export interface Line {
  /** After so many bytes in this direction both ends find the line closed. */
  cutToFar?: number;
  cutFromFar?: number;
  /** Each way. */
  delayMs?: number;
  /** What it takes at most of what goes to the far side. */
  bytesPerSecond?: number;
  /** File for what `lineReport` reads; written when the line ends. */
  report?: string;
}

export interface LineReport {
  toFar: Way;
  fromFar: Way;
}

export interface Way {
  bytes: number;
  /** How often one end waited for the other, at most: with a delay, no more than one per delay. */
  depth: number;
  /** When its last byte came, since the start. */
  lastMs: number;
}

/** `-- node proxy.js sh`: a plain shell at the end of a bad line. How bad it is stands not here: the command names the place. */
export const badLine: readonly string[] = ['--', process.execPath, path.join(import.meta.dirname, 'proxy.js'), 'sh'];

/** Environment of a run over `badLine`. */
export function lineEnv(line: Line): Record<string, string> {
  return { LOCKSTEP_TEST_LINE: JSON.stringify(line) };
}

export function lineReport(file: string): LineReport {
  return JSON.parse(fs.readFileSync(file, 'utf8')) as LineReport;
}

/** What an uncut run needs, all in all. */
export function bytesOf({ toFar, fromFar }: LineReport): number {
  return toFar.bytes + fromFar.bytes;
}
