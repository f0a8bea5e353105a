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
import { baseName, parentPath, type RelPath } from '../../tree/path.ts';
import type { ContentBase } from '../replica.ts';
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
  /** SHA-256 of each block that the new content may have, the last of which may be short. */
  digests: readonly string[];
  isStillSo: () => Promise<boolean>;
}

/** Bases whose blocks are of the same size. */
export interface Bases {
  blockBytes: number;
  bases: readonly Base[];
}

/**
 * Has the blocks of files over there summed up.
 *
 * @param size of the new content, bytes: what a base has beyond that is of no use
 * @returns without those of which nothing can be told
 */
export async function signBases(root: FarRoot, size: number, files: readonly ContentBase[]): Promise<Bases> {
  const useful = root.tools.digest === 'none' ? [] : files.filter(({ entry }) => entry.size >= minSummedBlock);
  const largest = Math.max(0, ...useful.map(({ entry }) => entry.size));
  const blockBytes = summedBlockBytes(Math.min(size, largest));
  const bases: Base[] = [];
  for (const { path, entry } of useful) {
    const isStillSo = async (): Promise<boolean> => isAs((await observe(root, [path])).get(path)?.entry, entry);
    const digests = (await isStillSo())
      ? await sumsOfBlocks(root, path, blockBytes, Math.ceil(Math.min(size, entry.size) / blockBytes))
      : undefined;
    if (digests !== undefined) bases.push({ path, digests, isStillSo });
  }
  return { blockBytes, bases };
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
  readonly #bases: Bases;
  readonly #isSparse: boolean;
  /** Bytes that have been put. */
  #at = 0;
  /** Blocks of one base that are to be copied together. */
  #run: { base: Base; first: number; count: number } | undefined;
  /** Bytes that are there, or sent; behind them there is a hole up to `#at`. */
  #hole = false;
  /** What something was copied from. */
  readonly copiedFrom = new Set<Base>();

  constructor(file: LargeFile, bases: Bases, isSparse: boolean) {
    this.#file = file;
    this.#bases = bases;
    this.#isSparse = isSparse;
  }

  /** `put` wants pieces of this size, the last one may be shorter. */
  get pieceBytes(): number {
    return this.#bases.bases.length > 0 ? this.#bases.blockBytes : plainPieceBytes;
  }

  async put(piece: Buffer): Promise<void> {
    // A hole stays one, also where the base has one there: copied, it would take room.
    const base = this.#isSparse && isZero(piece) ? undefined : this.#baseWith(piece);
    if (base !== undefined) {
      await this.#endHole();
      if (this.#run?.base !== base) await this.#copyRun();
      const first = this.#at / this.#bases.blockBytes;
      this.#run ??= { base, first, count: 0 };
      this.#run.count += 1;
      this.#at += piece.length;
      return;
    }
    await this.#copyRun();
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

  /** The base that has just this at just this place; its last block is as long as the piece, or its sum is another. */
  #baseWith(piece: Buffer): Base | undefined {
    const { blockBytes, bases } = this.#bases;
    if (bases.length === 0) return undefined;
    const block = this.#at / blockBytes;
    const digest = createHash('sha256').update(piece).digest('hex');
    return bases.find(({ digests }) => digests[block] === digest);
  }

  async #copyRun(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    if (run === undefined) return;
    const { base, first, count } = run;
    this.copiedFrom.add(base);
    await this.#file.copy(base.path, { bytes: this.#bases.blockBytes, first, count });
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
  for (let at = 0; at < bytes.length; at += holeBytes) {
    const part = bytes.subarray(at, at + holeBytes);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
