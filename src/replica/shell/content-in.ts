/**
 * Content on its way in (content-stream.ts), brought into staging over there: small files together in archives, large ones
 * piece by piece.
 *
 * Invariant: what `intact` is said of is in staging as the source held it at one moment, as far as the tools over there said
 * the truth about writing it; that is looked at afterwards (size, kind), before anything gets its name.
 */
import { createHash, type Hash } from 'node:crypto';
import { InterruptedError, LockstepError } from '../../base/errors.ts';
import { isRacy, mtimeUs, type Entry } from '../../tree/entry.ts';
import {
  maxFailureBytes,
  recordEnds,
  recordHeader,
  recordHeaderBytes,
  recordKinds,
  resumableSize,
  sendFailures,
  sparseBit,
  type RecordHeader,
} from '../content-stream.ts';
import type { RelPath } from '../../tree/path.ts';
import type { ContentBase, Failure } from '../replica.ts';
import type { WantedContent } from '../wanted-content.ts';
import type { FarRoot } from './far-root.ts';
import { LargeWriter, signBases, type Bases } from './large.ts';
import { forgetLeft, leftOf, partialPlace } from './partials.ts';
import { maxGrainToWaitNs } from './look-settled.ts';
import type { Stager } from './stager.ts';

/** What became of a wanted file. */
export type Received = { ok: true; digest: Uint8Array | undefined } | { ok: false; failure: Omit<Failure, 'path'> };

/** Files up to this size go into archives. */
const smallBytes = 4 << 20;
/** Beside the ends that a record may have: what its unchanged blocks were copied from is not what it was. */
const baseChanged = -1;

/** Brings bytes of a stream in the sizes that are asked for. */
class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Between one and `max` bytes: a view that is good until the next call. */
  async some(max: number): Promise<Uint8Array> {
    while (this.#chunk.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true)
        throw new LockstepError('protocol', 'the other side sent less content than it was asked for');
      this.#chunk = next.value;
    }
    const piece = this.#chunk.subarray(0, max);
    this.#chunk = this.#chunk.subarray(piece.length);
    return piece;
  }

  async exactly(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const piece = await this.some(count - at);
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) left -= (await this.some(left)).length;
  }

  /** All was taken. The source comes to its end now, and can begin with the next; one that hangs is not waited for. */
  end(): void {
    this.#iterator.next().catch(() => undefined);
  }
}

export interface ContentTask {
  wanted: readonly WantedContent[];
  /** Where in staging each goes, and with which mode; undefined for one that is not needed any more. */
  placeOf: (wanted: WantedContent) => { name: string; mode: number } | undefined;
  /** Ends when what was to be done before is done: until then a file there may still be replaced. Never rejects. */
  earlier: Promise<unknown>;
  signal: AbortSignal;
  onBytes: (bytes: number) => void;
}

/** Takes all of a batch's content. @returns what became of each wanted file, in their order */
export async function receiveContent(
  root: FarRoot,
  stager: Stager,
  task: ContentTask,
  content: AsyncIterable<Uint8Array>,
): Promise<Received[]> {
  return new Receiver(root, stager, task, content).run();
}

class Receiver {
  readonly #root: FarRoot;
  readonly #stager: Stager;
  readonly #task: ContentTask;
  readonly #reader: ByteReader;
  #bytes = 0;

  constructor(root: FarRoot, stager: Stager, task: ContentTask, content: AsyncIterable<Uint8Array>) {
    this.#root = root;
    this.#stager = stager;
    this.#task = task;
    this.#reader = new ByteReader(content);
  }

  async run(): Promise<Received[]> {
    const results: Received[] = [];
    for (const [index, wanted] of this.#task.wanted.entries()) {
      if (this.#task.signal.aborted) throw new InterruptedError();
      results.push(await this.#one(index, wanted));
    }
    this.#reader.end();
    return results;
  }

  async #one(index: number, wanted: WantedContent): Promise<Received> {
    const header = recordHeader(await this.#reader.exactly(recordHeaderBytes));
    if (header === undefined) throw broken('a record that is none');
    if (header.index !== index) throw broken('files in another order than asked');
    if (header.kind === recordKinds.failed) return { ok: false, failure: await this.#failure(header) };
    // No signatures are given out for what comes here (shell-replica.ts).
    if (header.kind !== recordKinds.whole) throw broken('a delta that nobody can use');
    const place = this.#task.placeOf(wanted);
    if (header.size !== wanted.source.size || place === undefined || this.#stager.full !== undefined) {
      await this.#reader.skip(header.size + 1);
      const full = this.#stager.full;
      if (header.size === wanted.source.size && full !== undefined) {
        return { ok: false, failure: { why: 'no-space', detail: full } };
      }
      return { ok: false, failure: sourceChanged };
    }
    const hash = wantsDigest(wanted.source, this.#root.granularityNs) ? createHash('sha256') : undefined;
    const end =
      header.size <= smallBytes && this.#stager.archives
        ? await this.#small(header.size, wanted, place, hash)
        : await this.#large(header, wanted, place, hash);
    this.#bytes += header.size;
    this.#task.onBytes(this.#bytes);
    if (end === recordEnds.intact) {
      return { ok: true, digest: hash === undefined ? undefined : new Uint8Array(hash.digest()) };
    }
    if (end === baseChanged) {
      const detail = 'the old version changed while the new one was made of it';
      return { ok: false, failure: { why: 'changed-meanwhile', detail } };
    }
    if (end === recordEnds.unreadable) {
      return { ok: false, failure: { why: 'unreadable', detail: 'it could not be read to its end' } };
    }
    return { ok: false, failure: sourceChanged };
  }

  async #small(
    size: number,
    { source }: WantedContent,
    place: { name: string; mode: number },
    hash: Hash | undefined,
  ): Promise<number> {
    const time = mtimeUs(source);
    const archive = await this.#stager.archiveFor(size, time);
    const start = archive.size;
    archive.add({ name: place.name, type: 'file', mode: place.mode, size, mtimeUs: time });
    for (let left = size; left > 0;) {
      const piece = await this.#reader.some(left);
      hash?.update(piece);
      archive.content(piece);
      left -= piece.length;
    }
    archive.endContent(size);
    const end = (await this.#reader.exactly(1))[0] ?? 0;
    if (end !== recordEnds.intact) archive.undo(start);
    return end;
  }

  async #large(
    header: RecordHeader,
    { to, source, base }: WantedContent,
    place: { name: string; mode: number },
    hash: Hash | undefined,
  ): Promise<number> {
    const { size, bits } = header;
    const isKept = size >= resumableSize && this.#root.tools.digest !== 'none';
    const file = await this.#stager.begin(place.name, isKept ? partialPlace(this.#root, to) : undefined);
    const bases = await this.#bases(size, to, base);
    const writer = new LargeWriter(file, bases, (bits & sparseBit) !== 0);
    for (let left = size; left > 0;) {
      const piece = Buffer.allocUnsafe(Math.min(writer.pieceBytes, left));
      for (let at = 0; at < piece.length;) {
        const some = await this.#reader.some(piece.length - at);
        piece.set(some, at);
        at += some.length;
      }
      hash?.update(piece);
      await writer.put(piece);
      left -= piece.length;
    }
    await writer.flush();
    const end = (await this.#reader.exactly(1))[0] ?? 0;
    if (end !== recordEnds.intact) {
      await file.discard();
      return end;
    }
    // What was copied over there came from what stood there before, and that has not changed meanwhile: then it is what was sent.
    for (const base of writer.copiedFrom) {
      if (await base.isStillSo()) continue;
      await file.discard();
      return baseChanged;
    }
    // What is not in staging is missed when it is looked at there.
    if ((await file.finish(place.mode, mtimeUs(source))) && isKept) await forgetLeft(this.#root, to);
    return end;
  }

  /** What there is over there of a large file: what had come of the new version, then the old one. */
  async #bases(size: number, to: RelPath, base: ContentBase | undefined): Promise<Bases> {
    const left = size >= resumableSize ? leftOf(this.#root, to) : undefined;
    const old = base !== undefined && size > smallBytes ? base : undefined;
    if (old !== undefined) await this.#task.earlier;
    return signBases(
      this.#root,
      size,
      [left, old].filter((one) => one !== undefined),
    );
  }

  async #failure(header: RecordHeader): Promise<Omit<Failure, 'path'>> {
    if (header.size > maxFailureBytes) throw broken('an endless reason for a failure');
    const why = sendFailures[header.bits];
    const text = Buffer.from(await this.#reader.exactly(header.size)).toString();
    if (why === 'source-changed') return sourceChanged;
    if (why === 'unreadable') return { why, detail: text };
    return { why: 'failed', detail: `the other side could not send it: ${text}` };
  }
}

const sourceChanged = { why: 'source-changed', detail: 'it changed while it was being read' } as const;

/** As in replica/local/content.ts: the record of what is born racy needs to say what it was. */
export function wantsDigest(source: Entry, granularityNs: bigint): boolean {
  if (granularityNs > maxGrainToWaitNs || isRacy(source)) return true;
  return Date.now() - Number(source.mtimeNs / 1_000_000n) < 1000;
}

function broken(what: string): LockstepError {
  return new LockstepError('protocol', `the other side sent ${what}`);
}
