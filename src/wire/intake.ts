/**
 * What the receiving end tells of its reading, so that the sending one knows what the pipe does not tell: how much of what
 * it was given has come out of it, and whether that is waited for or the peer has other things to do. A full pipe looks the
 * same either way; but a peer that is busy gains nothing by compression, nor by more in the pipe than it can read (window.ts).
 */
import { perfHooks } from '../base/builtins.ts';
import { monotonicMs } from '../base/clock.ts';
import { protocolError } from './errors.ts';

export interface IntakeReport {
  /** Read since the last report, as on the pipe. */
  bytes: number;
  /** The share of its time, in percent, that this end has waited since it last said so; not always known. */
  waitedPercent: number | undefined;
}

/** Waiting for at least so much of its time, in percent, a peer could do more than the pipe brings. */
export const hungryPercent = 50;
/** After so many bytes something is told… */
const reportBytes = 128 * 1024;
/** …or after so long, if there is enough to tell of. */
const reportMs = 250;
const leastBytes = 16 * 1024;
/** Shorter times say little of what there is to do. */
const leastMeasuredMs = 100;

const unknown = 255;

interface Since {
  ms: number;
  /** What this thread's event loop had idled by then. */
  idleMs: number;
}

export class Intake {
  readonly #now: () => number;
  readonly #idleMs: () => number;
  #bytes = 0;
  #toldAt: number | undefined;
  /** Only once much has come: asking for it loads a part of Node. */
  #since: Since | undefined;

  /**
   * @param now a steady clock, in milliseconds
   * @param idleMs for how long this thread has had nothing to do so far
   */
  constructor(now: () => number = monotonicMs, idleMs: () => number = loopIdleMs) {
    this.#now = now;
    this.#idleMs = idleMs;
  }

  /** So many bytes came. @returns what is to be told; often nothing */
  read(bytes: number): IntakeReport | undefined {
    this.#bytes += bytes;
    const ms = this.#now();
    this.#toldAt ??= ms;
    const isTime = ms - this.#toldAt >= reportMs && this.#bytes >= leastBytes;
    if (!isTime && this.#bytes < reportBytes) return undefined;
    const report = { bytes: this.#bytes, waitedPercent: this.#measure(ms) };
    this.#bytes = 0;
    this.#toldAt = ms;
    return report;
  }

  /** Nothing is read for now, however much there is: what is waited for is not the pipe. */
  paused(): void {
    this.#since = undefined;
  }

  #measure(ms: number): number | undefined {
    const since = this.#since;
    if (since !== undefined && ms - since.ms < leastMeasuredMs) return undefined;
    const idleMs = this.#idleMs();
    this.#since = { ms, idleMs };
    if (since === undefined) return undefined;
    return Math.min(100, Math.max(0, Math.round(((idleMs - since.idleMs) / (ms - since.ms)) * 100)));
  }
}

export function encodeReport({ bytes, waitedPercent = unknown }: IntakeReport): Uint8Array {
  const payload = Buffer.allocUnsafe(5);
  payload.writeUInt8(waitedPercent);
  payload.writeUInt32LE(bytes, 1);
  return payload;
}

/** @throws LockstepError with code 'protocol' */
export function decodeReport(payload: Uint8Array): IntakeReport {
  if (payload.length !== 5) throw protocolError(`a report of ${payload.length} bytes`);
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const percent = bytes.readUInt8();
  if (percent > 100 && percent !== unknown) throw protocolError('a report of more than all its time');
  return { bytes: bytes.readUInt32LE(1), waitedPercent: percent === unknown ? undefined : percent };
}

function loopIdleMs(): number {
  return perfHooks().performance.eventLoopUtilization().idle;
}
