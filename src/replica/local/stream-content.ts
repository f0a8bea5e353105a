/** Content that another replica sends (content-stream.ts), written into staging as it comes. */
import type { Hash } from 'node:crypto';
import fs from 'node:fs';
import { crypto } from '../../base/builtins.ts';
import { LockstepError } from '../../base/errors.ts';
import { BlockwiseSum, blockSumLength } from '../../delta/block-sums.ts';
import { Patch } from '../../delta/patch.ts';
import { WholeSum, wholeSumKeyLength, wholeSumLength } from '../../delta/sums.ts';
import { mtimeUs } from '../../tree/entry.ts';
import type { RelPath } from '../../tree/path.ts';
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
import type { ApplyStep } from '../replica.ts';
import { wantedContent } from '../wanted-content.ts';
import type { Bases } from './bases.ts';
import type { Content, FetchTask } from './content.ts';
import type { ContentFeed } from './content-feed.ts';
import { createNew, finishFile, SourceChangedError, writeFully, writeWithHoles, type Copied } from './copy.ts';
import { DeltaMismatchError, isFull, StepError } from './failure.ts';
import { toFs } from './fs-path.ts';
import type { Work } from './slices.ts';

/** What comes before and behind the pieces: what the sum of the whole is made with; whether it is intact, and that sum. */
const framing = {
  [recordKinds.delta]: { headBytes: wholeSumKeyLength, endBytes: 1 + wholeSumLength },
  [recordKinds.blocks]: { headBytes: 4, endBytes: 1 + blockSumLength },
} as const;

type DeltaKind = keyof typeof framing;

function sumFor(kind: DeltaKind, head: Uint8Array): WholeSum | BlockwiseSum {
  if (kind === recordKinds.delta) return new WholeSum(head);
  return new BlockwiseSum(new DataView(head.buffer, head.byteOffset).getUint32(0, true));
}

const copyBuffer = Buffer.allocUnsafeSlow(1 << 18);

export class StreamContent implements Content {
  readonly #feed: ContentFeed;
  readonly #bases: Bases;
  /** Place of each wanted file in the stream. */
  readonly #places: ReadonlyMap<RelPath, number>;
  readonly #count: number;
  /** Place of the next record. */
  #next = 0;

  /** @param steps the batch's, from which both ends know what is sent in which order */
  constructor(feed: ContentFeed, steps: readonly ApplyStep[], bases: Bases) {
    this.#feed = feed;
    this.#bases = bases;
    this.#places = new Map([...wantedContent(steps)].map(({ to }, place) => [to, place]));
    this.#count = this.#places.size;
  }

  *fetch(task: FetchTask): Work<Copied> {
    const place = this.#places.get(task.path);
    if (place === undefined || place < this.#next) throw new Error(`content of ${task.path} taken out of order`);
    // What was wanted but could not be used any more is passed over.
    while (this.#next < place) yield* this.#pass(yield* this.#header());
    const header = yield* this.#header();
    switch (header.kind) {
      case recordKinds.whole:
        return yield* this.#whole(task, header);
      case recordKinds.delta:
      case recordKinds.blocks:
        return yield* this.#delta(task, header, header.kind);
      default:
        throw yield* this.#failure(header);
    }
  }

  *#header(): Work<RecordHeader> {
    const header = recordHeader(yield* this.#feed.exactly(recordHeaderBytes));
    if (header === undefined) throw broken('a record that is none');
    if (header.index !== this.#next || header.index >= this.#count) throw broken('files in another order than asked');
    this.#next += 1;
    return header;
  }

  *#pass(header: RecordHeader): Work<void> {
    if (header.kind === recordKinds.whole) yield* this.#feed.skip(header.size + 1);
    else if (header.kind === recordKinds.failed) yield* this.#failure(header);
    else {
      const kind = header.kind === recordKinds.delta ? header.kind : recordKinds.blocks;
      yield* this.#feed.skip(framing[kind].headBytes);
      yield* this.#passPieces(kind);
    }
  }

  *#failure(header: RecordHeader): Work<Error> {
    if (header.size > maxFailureBytes) throw broken('an endless reason for a failure');
    const why = sendFailures[header.bits];
    const text = header.size === 0 ? '' : Buffer.from(yield* this.#feed.exactly(header.size)).toString();
    if (why === 'source-changed') return new SourceChangedError();
    if (why === 'unreadable') return new StepError('unreadable', text);
    return new StepError('failed', `the other side could not send it: ${text}`);
  }

  *#whole(task: FetchTask, header: RecordHeader): Work<Copied> {
    if (header.size !== task.source.size) {
      yield* this.#pass(header);
      throw new SourceChangedError();
    }
    const isSparse = (header.bits & sparseBit) !== 0;
    const hash = task.digest ? crypto().createHash('sha256') : undefined;
    const feed = this.#feed;
    const progress = { left: header.size, ended: false };
    try {
      return yield* this.#make(task, hash, function* (file) {
        while (progress.left > 0) {
          const piece = yield* feed.some(progress.left);
          const at = header.size - progress.left;
          progress.left -= piece.length;
          hash?.update(piece);
          if (isSparse) writeWithHoles(file, piece, at);
          else writeFully(file, piece);
          if (progress.left > 0) yield { entries: 0, bytes: at, path: task.path };
        }
        if (isSparse) fs.ftruncateSync(file, header.size);
        progress.ended = true;
        checkEnd((yield* feed.exactly(1))[0]);
      });
    } catch (error) {
      // A full disk, say: the rest of this record is not wanted, but the next ones are.
      if (!progress.ended) yield* feed.skip(progress.left + 1);
      throw error;
    }
  }

  *#delta(task: FetchTask, header: RecordHeader, kind: DeltaKind): Work<Copied> {
    const { headBytes, endBytes } = framing[kind];
    const sum = sumFor(kind, yield* this.#feed.exactly(headBytes));
    const isAsked = header.size === task.source.size;
    const base = isAsked ? this.#bases.open(task.path) : undefined;
    if (base === undefined) {
      yield* this.#passPieces(kind);
      // What is made of nothing any more can still be had whole.
      throw isAsked ? new DeltaMismatchError() : new SourceChangedError();
    }
    const feed = this.#feed;
    const number = (): Work<number> => this.#number();
    const hash = task.digest ? crypto().createHash('sha256') : undefined;
    const take = (bytes: Uint8Array): void => {
      sum.update(bytes);
      hash?.update(bytes);
    };
    const progress = { left: 0, ended: false };
    try {
      const patch = new Patch({ baseSize: fs.fstatSync(base).size, size: header.size });
      return yield* this.#make(task, hash, function* (file) {
        let made = 0;
        for (progress.left = yield* number(); progress.left > 0; progress.left = yield* number()) {
          while (progress.left > 0) {
            const piece = yield* feed.some(progress.left);
            progress.left -= piece.length;
            for (const instruction of patch.push(piece)) {
              if (instruction.kind === 'copy') {
                yield* copyRange(base, file, take, instruction);
                made += instruction.length;
              } else {
                take(instruction.bytes);
                writeFully(file, instruction.bytes);
                made += instruction.bytes.length;
              }
            }
            yield { entries: 0, bytes: made, path: task.path };
          }
        }
        progress.ended = true;
        const end = yield* feed.exactly(endBytes);
        checkEnd(end[0]);
        patch.finish();
        if (!sum.digest().equals(end.subarray(1))) throw new DeltaMismatchError();
      });
    } catch (error) {
      if (!progress.ended) {
        yield* feed.skip(progress.left);
        yield* this.#passPieces(kind);
      }
      throw error;
    } finally {
      fs.closeSync(base);
    }
  }

  /**
   * Makes a file and has it filled. A large one is filled where it stays, should it not become whole (partials.ts).
   *
   * @throws what `fill` throws
   */
  *#make(task: FetchTask, hash: Hash | undefined, fill: (file: number) => Work<void>): Work<Copied> {
    const { mode, source, path } = task;
    const { partials } = this.#bases;
    const isLarge = source.size >= resumableSize;
    const place = isLarge ? partials.place(path) : task.to;
    // What stays must be readable for the next attempt; the file gets its own mode when it is whole.
    const file = createNew(place, isLarge ? 0o600 : mode);
    let made = false;
    try {
      yield* fill(file);
      let copied = { bytes: source.size, ...finishFile(file, { mode, mtimeUs: mtimeUs(source) }, hash) };
      if (isLarge) {
        fs.renameSync(place, toFs(task.to));
        copied = { ...copied, ctimeNs: fs.fstatSync(file, { bigint: true }).ctimeNs };
        partials.forget(path);
      }
      made = true;
      return copied;
    } catch (error) {
      // Only what broke off is gone on with. What is not what was sent is of no use, and what found no room would keep the
      // disk full.
      const brokeOff = error instanceof LockstepError && (error.code === 'connection' || error.code === 'interrupted');
      if (!brokeOff) fs.rmSync(toFs(place), { force: true });
      if (isFull(error) && partials.makeRoom()) {
        throw new DeltaMismatchError('there was no room for it beside what earlier attempts had left');
      }
      throw error;
    } finally {
      fs.closeSync(file);
      if (!made && isLarge) partials.abandon(path, place);
      else if (!made) fs.rmSync(toFs(place), { force: true });
    }
  }

  /** Passes over the rest of a delta, from the beginning of a piece on. */
  *#passPieces(kind: DeltaKind): Work<void> {
    for (let length = yield* this.#number(); length > 0; length = yield* this.#number()) yield* this.#feed.skip(length);
    yield* this.#feed.skip(framing[kind].endBytes);
  }

  *#number(): Work<number> {
    const bytes = yield* this.#feed.exactly(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  }
}

function* copyRange(
  from: number,
  to: number,
  take: (bytes: Uint8Array) => void,
  range: { offset: number; length: number },
): Work<void> {
  for (let done = 0; done < range.length;) {
    const wanted = Math.min(copyBuffer.length, range.length - done);
    const count = fs.readSync(from, copyBuffer, 0, wanted, range.offset + done);
    // Cut short since its signature was taken: the sum will not fit.
    const piece = count === 0 ? copyBuffer.fill(0, 0, wanted).subarray(0, wanted) : copyBuffer.subarray(0, count);
    take(piece);
    writeFully(to, piece);
    done += piece.length;
    yield { entries: 0, bytes: 0, path: '' };
  }
}

/** @throws for content that is not, to its end, what the file held at one moment */
function checkEnd(end: number | undefined): void {
  if (end === recordEnds.intact) return;
  if (end === recordEnds.unreadable) throw new StepError('unreadable', 'it could not be read to its end');
  throw new SourceChangedError();
}

function broken(what: string): LockstepError {
  return new LockstepError('protocol', `the other side sent ${what}`);
}
