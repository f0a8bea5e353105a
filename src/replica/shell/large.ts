/**
 * Large files on their way in: what stands there already is not sent again (on their way out: content-out.ts).
 *
 * The far side tells the SHA-256 of each block of the old version. The new content, which is read here anyway, is compared
 * with that block by block, at the same places: what was appended or changed in place is found, what was inserted is not.
 * Blocks that are the same are copied over there; holes of sparse files are made there.
 */
import { createHash } from 'node:crypto';
import { LockstepError } from '../../base/errors.ts';
import { minSummedBlock, summedBlockBytes } from '../../delta/block-sums.ts';
import type { Entry } from '../../tree/entry.ts';
import { baseName, parentPath, type RelPath } from '../../tree/path.ts';
import { observe, type FarRoot } from './far-root.ts';
import { lineInput } from './open.ts';
import type { LargeFile } from './stager.ts';
import { isAs } from './is-as.ts';

/** Without an old version, so much is sent at a time. */
const plainPieceBytes = 4 << 20;
/** Parts of a sparse file that may be left out. */
const holeBytes = 1 << 16;

export interface Base {
  path: RelPath;
  blockBytes: number;
  /** SHA-256 of each block, the last of which may be short. */
  digests: readonly string[];
  size: number;
  isStillSo: () => Promise<boolean>;
}

/** @returns undefined when nothing can be told of it: all is sent then */
export async function signBase(root: FarRoot, path: RelPath, expect: Entry): Promise<Base | undefined> {
  const { tools } = root;
  if (tools.digest === 'none' || expect.size < minSummedBlock) return undefined;
  const blockBytes = summedBlockBytes(expect.size);
  const isSo = async (): Promise<boolean> => isAs((await observe(root, [path])).get(path)?.entry, expect);
  if (!(await isSo())) return undefined;
  const digests = await sumsOfBlocks(root, path, blockBytes, Math.ceil(expect.size / blockBytes));
  if (digests === undefined) return undefined;
  return { path, blockBytes, digests, size: expect.size, isStillSo: isSo };
}

/** SHA-256 of each of a file's first blocks, in hex; undefined when not all can be told. */
export async function sumsOfBlocks(
  { session, tools }: FarRoot,
  path: RelPath,
  blockBytes: number,
  count: number,
): Promise<string[] | undefined> {
  if (tools.digest === 'none') return undefined;
  const { status, output } = await session.run({
    code: `blocks ${tools.digest} ${blockBytes} ${count}`,
    input: lineInput(parentPath(path), baseName(path)),
    limit: 256 * count + 4096,
  });
  const digests = output
    .toString('latin1')
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(0, 64));
  if (status !== 0 || digests.length !== count) return undefined;
  return digests.every((digest) => /^[0-9a-f]{64}$/.test(digest)) ? digests : undefined;
}

export class LargeWriter {
  readonly #file: LargeFile;
  readonly #base: Base | undefined;
  readonly #isSparse: boolean;
  /** Bytes that have been put. */
  #at = 0;
  /** Blocks that are to be copied together. */
  #run: { first: number; count: number } | undefined;
  /** Bytes that are there, or sent; behind them there is a hole up to `#at`. */
  #hole = false;
  copied = false;

  constructor(file: LargeFile, base: Base | undefined, isSparse: boolean) {
    this.#file = file;
    this.#base = base;
    this.#isSparse = isSparse;
  }

  /** `put` wants pieces of this size, the last one may be shorter. */
  get pieceBytes(): number {
    return this.#base?.blockBytes ?? plainPieceBytes;
  }

  async put(piece: Buffer): Promise<void> {
    const base = this.#base;
    if (base !== undefined) {
      const block = this.#at / base.blockBytes;
      const length = Math.min(base.blockBytes, base.size - this.#at);
      if (piece.length === length && createHash('sha256').update(piece).digest('hex') === base.digests[block]) {
        await this.#endHole();
        if (this.#run === undefined) this.#run = { first: block, count: 1 };
        else this.#run.count += 1;
        this.#at += piece.length;
        return;
      }
      await this.#copyRun();
    }
    if (this.#isSparse) await this.#putSparse(piece);
    else {
      await this.#file.append(piece);
      this.#at += piece.length;
    }
  }

  async flush(): Promise<void> {
    await this.#copyRun();
    await this.#endHole();
  }

  async #copyRun(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    if (run === undefined || this.#base === undefined) return;
    this.copied = true;
    await this.#file.copy(this.#base.path, { bytes: this.#base.blockBytes, ...run });
  }

  async #putSparse(piece: Buffer): Promise<void> {
    for (let from = 0; from < piece.length;) {
      let to = from;
      const isHole = isZero(piece.subarray(from, from + holeBytes));
      while (to < piece.length && isZero(piece.subarray(to, to + holeBytes)) === isHole) {
        to = Math.min(to + holeBytes, piece.length);
      }
      if (isHole) this.#hole = true;
      else {
        await this.#endHole();
        await this.#file.append(piece.subarray(from, to));
      }
      this.#at += to - from;
      from = to;
    }
  }

  /** Makes the file as long as what was put. */
  async #endHole(): Promise<void> {
    if (!this.#hole) return;
    this.#hole = false;
    if (!Number.isSafeInteger(this.#at)) throw new LockstepError('protocol', 'a file of an impossible size');
    await this.#file.extend(this.#at);
  }
}

const zeros = Buffer.alloc(holeBytes);

function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0;
}
