/**
 * The sending half of a connection: a queue of messages, cut into frames, compressed when that helps, and given to the
 * pipe no faster than it takes them.
 *
 * A piece of a message goes from `#queue` to `#ready` (as a frame, or as a place held for one that is being compressed)
 * and from there to the pipe. Pieces are taken out of the queue as late as possible, so that the decision whether to
 * compress is made by what is known of the pipe by then. Reports go past all that, between two frames: the peer may be waiting
 * for them.
 */
import type { Writable } from 'node:stream';
import { monotonicMs } from '../base/clock.ts';
import { DrainRate } from './drain-rate.ts';
import { Fifo } from './fifo.ts';
import { encodeFrame, frameOverhead, maxPayload, type Packing } from './frames.ts';
import { encodeReport, hungryPercent, type IntakeReport } from './intake.ts';
import { piecesOf, reportType } from './messages.ts';
import { pack } from './packing.ts';
import { TokenBucket } from './token-bucket.ts';
import { Verdicts } from './verdicts.ts';
import { patienceMs, SendWindow } from './window.ts';

export type CompressMode = 'auto' | 'on' | 'off';

export interface SenderOptions {
  compress: CompressMode;
  bytesPerSecond?: number | undefined;
  zstd?: boolean | undefined;
}

export interface SenderEvents {
  /** So many bytes were given to the pipe. */
  onWritten(bytes: number): void;
  /** The pipe took some of what it was given. */
  onTaken(): void;
}

/** Payloads below are not worth compressing. */
const leastCompressed = 512;

/** Pipes that take more than this are not helped by compression at level 1. */
const fastPipe = 12_000_000;

/** So many bytes given to the pipe and not taken yet: enough to keep it busy. */
const pipeFull = 128 * 1024;

/** A peer that sends so much without reading anything is none of ours. */
const mostReported = 2 ** 32 - 1;

/** So many frames are compressed, or wait for one that is, at a time. */
const mostReady = 4;

interface Piece {
  type: number;
  more: boolean;
  /** The beginning of the payload, where it is in a place of its own (frames.ts). */
  head?: Uint8Array;
  raw: Uint8Array;
}

interface ReadyFrame {
  /** What is left to write; undefined while it is being compressed. */
  bytes: Uint8Array[] | undefined;
  /** What it counted in the queue. */
  cost: number;
}

interface Waiter {
  below: number;
  resolve: () => void;
}

export class Sender {
  readonly #output: Writable;
  readonly #events: SenderEvents;
  readonly #queue = new Fifo<Piece>();
  readonly #ready = new Fifo<ReadyFrame>();
  /** By what the pipe has taken, and by what the peer has read: one of them is what is waited for. */
  readonly #rates = { pipe: new DrainRate(monotonicMs), peer: new DrainRate(monotonicMs) };
  readonly #verdicts = new Verdicts();
  #waiters: Waiter[] = [];
  #compress: CompressMode = 'off';
  #packing: Exclude<Packing, 'none'> = 'deflate';
  #bucket: TokenBucket | undefined;
  /** The limit, not the pipe, is what is waited for. */
  #limitIsSlow = false;
  /** The peer has time to spare: what it does not take, the pipe does not bring. */
  #peerIsHungry = false;
  #bucketTimer: NodeJS.Timeout | undefined;
  #queuedBytes = 0;
  /** Given to the pipe, not taken yet. */
  #inPipe = 0;
  readonly #window = new SendWindow(monotonicMs);
  #windowTimer: NodeJS.Timeout | undefined;
  /** What the peer is to be told of our reading. */
  #report: IntakeReport | undefined;
  /** A frame was begun and not ended: nothing comes between, and it does not wait for the peer to read. */
  #midFrame = false;
  /** Nothing follows what is queued; and that is out. */
  #isLast = false;
  #isOver = false;
  /** Something had to wait for the pipe (or the limit), and not everything was sent since. */
  #pipeIsBehind = false;
  #scheduled = false;
  #stopped = false;

  constructor(output: Writable, options: SenderOptions, events: SenderEvents) {
    this.#output = output;
    this.#events = events;
    this.configure(options);
  }

  /** For what was not cut into frames yet. */
  configure(options: SenderOptions): void {
    const limit = options.bytesPerSecond;
    this.#compress = options.compress;
    this.#packing = options.zstd === true ? 'zstd' : 'deflate';
    this.#bucket = limit === undefined ? undefined : new TokenBucket(limit, () => monotonicMs());
    this.#limitIsSlow = limit !== undefined && limit < fastPipe;
    this.#schedule();
  }

  /** The peer told of its reading. */
  peerRead(report: IntakeReport): void {
    this.#rates.peer.took(report.bytes);
    const waitedPercent = this.#window.read(report);
    if (waitedPercent !== undefined) this.#peerIsHungry = waitedPercent >= hungryPercent;
    clearTimeout(this.#windowTimer);
    this.#windowTimer = undefined;
    this.#schedule();
  }

  /** Tells the peer of our reading, ahead of what is queued; until the last message is out. */
  report({ bytes, waitedPercent }: IntakeReport): void {
    const before = this.#report;
    this.#report = {
      bytes: Math.min(bytes + (before?.bytes ?? 0), mostReported),
      waitedPercent: waitedPercent ?? before?.waitedPercent,
    };
    this.#schedule();
  }

  /** Queues a message that nothing follows. */
  enqueueLast(type: number, payload: Uint8Array): void {
    this.enqueue(type, payload);
    this.#isLast = true;
  }

  /** From now on what was sent is not waited for to be read. */
  sendFreely(): void {
    this.#window.open();
    this.#schedule();
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  whenBelow(below: number): Promise<void> {
    if (this.#stopped || this.#queuedBytes < below) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ below, resolve }));
  }

  /** @param head comes before the payload; worth it when the two fit into one frame */
  enqueue(type: number, payload: Uint8Array, head?: Uint8Array): void {
    if (this.#stopped) return;
    this.#window.work();
    if (head !== undefined) {
      if (head.length + payload.length > maxPayload) this.enqueue(type, Buffer.concat([head, payload]));
      else {
        this.#queue.push({ type, more: false, head, raw: payload });
        this.#queuedBytes += head.length + payload.length + frameOverhead;
        this.#schedule();
      }
      return;
    }
    for (const { piece, more } of piecesOf(payload)) {
      this.#queue.push({ type, more, raw: piece });
      this.#queuedBytes += piece.length + frameOverhead;
    }
    this.#schedule();
  }

  /** Drops what was not given to the pipe. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#bucketTimer);
    clearTimeout(this.#windowTimer);
    this.#queue.clear();
    this.#ready.clear();
    this.#report = undefined;
    this.#queuedBytes = 0;
    this.#wake();
  }

  /** What is sent in one go is written in one go. */
  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (!this.#stopped) this.#pump();
    });
  }

  #pump(): void {
    const { pipe, peer } = this.#rates;
    if (!this.#isBlocked) for (const rate of [pipe, peer]) rate.free();
    this.#output.cork();
    do {
      this.#interject();
      this.#prepare();
    } while (this.#writeNext());
    this.#output.uncork();
    if (this.#isBlocked) for (const rate of [pipe, peer]) rate.wait();
    if (this.#window.isFull && this.#queuedBytes > 0) this.#waitForPeer();
    if (this.#inPipe === 0 && this.#queuedBytes === 0) {
      this.#pipeIsBehind = false;
      this.#window.rest();
    }
  }

  #waitForPeer(): void {
    this.#window.hold();
    this.#windowTimer ??= setTimeout(() => {
      this.#windowTimer = undefined;
      this.#window.lift();
      this.#pump();
    }, patienceMs);
  }

  /** Goes past the window and the limit: two ends that both have much to send would wait for each other's. */
  #interject(): void {
    const report = this.#report;
    if (report === undefined || this.#midFrame || this.#isOver || this.#inPipe >= pipeFull) return;
    this.#report = undefined;
    const frame = { type: reportType, more: false, packing: 'none', payload: encodeReport(report) } as const;
    for (const bytes of encodeFrame(frame)) this.#write(bytes, 0);
  }

  get #isBlocked(): boolean {
    if (this.#inPipe >= pipeFull || this.#bucketTimer !== undefined) return true;
    return this.#window.isFull && !this.#midFrame;
  }

  /** Moves pieces from the queue to `#ready`: ahead of time while compressing, otherwise when they can be written. */
  #prepare(): void {
    for (let piece = this.#queue.peek(); piece !== undefined; piece = this.#queue.peek()) {
      if (this.#isBlocked) this.#pipeIsBehind = true;
      const compress = this.#compressesNow;
      const mostNow = compress ? mostReady : this.#isBlocked ? 0 : 1;
      if (this.#ready.size >= mostNow) return;
      this.#queue.shift();
      const frame: ReadyFrame = {
        bytes: undefined,
        cost: (piece.head?.length ?? 0) + piece.raw.length + frameOverhead,
      };
      this.#ready.push(frame);
      if (compress && piece.raw.length >= leastCompressed) this.#compressPiece(piece, frame);
      else frame.bytes = framed(piece, 'none', piece.raw, piece.head);
    }
  }

  get #compressesNow(): boolean {
    if (this.#compress !== 'auto') return this.#compress === 'on';
    if (!this.#peerIsHungry && !this.#limitIsSlow) return false;
    const { pipe, peer } = this.#rates;
    // What is not known is not slow.
    const rate = Math.max(pipe.bytesPerSecond ?? Infinity, peer.bytesPerSecond ?? Infinity);
    return this.#pipeIsBehind && rate < fastPipe;
  }

  #compressPiece(piece: Piece, frame: ReadyFrame): void {
    const { type } = piece;
    const raw = piece.head === undefined ? piece.raw : Buffer.concat([piece.head, piece.raw]);
    const verdict = this.#verdicts.judge(type, raw);
    if (verdict === 'no') {
      frame.bytes = framed(piece, 'none', piece.raw, piece.head);
    } else if (verdict !== 'try') {
      frame.bytes = framed(piece, 'deflate', verdict);
    } else {
      const packing = this.#packing;
      pack(packing, raw, (packed) => {
        const good = packed !== undefined && this.#verdicts.tell(type, raw.length, packed.length);
        frame.bytes = good ? framed(piece, packing, packed) : framed(piece, 'none', piece.raw, piece.head);
        this.#schedule();
      });
    }
  }

  /** Gives the next bytes to the pipe. @returns whether it is worth trying again at once */
  #writeNext(): boolean {
    const frame = this.#ready.peek();
    const next = frame?.bytes?.[0];
    if (frame?.bytes === undefined || next === undefined || this.#isBlocked) return false;

    const granted = this.#bucket?.take(next.length) ?? next.length;
    if (granted === 0) {
      this.#waitForTokens(next.length);
      return false;
    }
    if (granted < next.length) {
      frame.bytes[0] = next.subarray(granted);
      this.#midFrame = true;
      this.#write(next.subarray(0, granted), 0);
      return true;
    }
    frame.bytes.shift();
    this.#midFrame = frame.bytes.length > 0;
    if (!this.#midFrame) this.#ready.shift();
    this.#isOver = this.#isLast && this.#ready.size === 0 && this.#queue.peek() === undefined;
    this.#write(next, this.#midFrame ? 0 : frame.cost);
    return true;
  }

  #waitForTokens(wanted: number): void {
    // Bytes that wait for the limit: the process must not end before they are sent.
    this.#bucketTimer = setTimeout(() => {
      this.#bucketTimer = undefined;
      this.#pump();
    }, this.#bucket?.waitMs(wanted));
    this.#pipeIsBehind = true;
  }

  #write(bytes: Uint8Array, cost: number): void {
    this.#inPipe += bytes.length;
    this.#window.sent(bytes.length);
    this.#events.onWritten(bytes.length);
    this.#output.write(bytes, (error) => {
      // The stream's 'error' event tells the same.
      if (error || this.#stopped) return;
      this.#inPipe -= bytes.length;
      this.#queuedBytes -= cost;
      this.#rates.pipe.took(bytes.length);
      this.#events.onTaken();
      this.#wake();
      this.#schedule();
    });
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const due = this.#waiters.filter(({ below }) => this.#stopped || this.#queuedBytes < below);
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    for (const { resolve } of due) resolve();
  }
}

function framed({ type, more }: Piece, packing: Packing, payload: Uint8Array, head?: Uint8Array): Uint8Array[] {
  return encodeFrame({ type, more, packing, payload, head });
}
