/**
 * Content on its way out (content-stream.ts): many small files in one go, large ones piece by piece.
 *
 * Invariant: a record that ends as intact holds what the file held at one moment. Every file is looked at before and after;
 * in between nothing wrote to it, or its ctime would show. Files that were asked for together are told apart by their sizes,
 * so if one of them is not what it should be, none of that answer is used, and each is asked for alone. Of a large file that the
 * other side has in another version, blocks with the same sums at the same places are not fetched.
 */
import { InterruptedError } from '../../base/errors.ts';
import {
  blockSumLength,
  BlockwiseSum,
  decodeBlockSums,
  minSummedBlock,
  type BlockSums,
} from '../../delta/block-sums.ts';
import { InstructionEncoder, type Instruction } from '../../delta/instructions.ts';
import { baseName, isSafePath, parentPath, type RelPath } from '../../tree/path.ts';
import {
  contentChunkBytes,
  putRecordHeader,
  recordEnds,
  recordHeaderBytes,
  recordKinds,
  sendFailures,
  type ReadRequest,
  type SendFailure,
} from '../content-stream.ts';
import type { Control } from '../replica.ts';
import { isAs } from './is-as.ts';
import { sumsOfBlocks } from './large.ts';
import { observe, type FarRoot } from './far-root.ts';
import { listOf } from './names.ts';
import { lineInput } from './open.ts';
import type { Found } from './records.ts';

const groupBytes = 4 << 20;
const groupFiles = 1000;
/** What `piece` in program.ts counts in. */
const unitBytes = minSummedBlock;
const pieceBytes = 16 * unitBytes;

interface Item {
  index: number;
  request: ReadRequest;
}

export async function* sendFar(
  root: FarRoot,
  requests: readonly ReadRequest[],
  control: Control,
): AsyncGenerator<Uint8Array, void, undefined> {
  const groups = [...groupsOf(requests)];
  const fetch = (at: number): Promise<Uint8Array[]> | undefined => {
    const group = groups[at];
    const [only] = group ?? [];
    if (group === undefined || (only !== undefined && isLarge(only.request))) return undefined;
    const fetched = fetchGroup(root, group);
    fetched.catch(() => undefined);
    return fetched;
  };
  let ahead = fetch(0);
  for (const [at, group] of groups.entries()) {
    if (control.signal.aborted) throw new InterruptedError();
    const fetched = ahead;
    // The next group is on its way while this one is being taken.
    ahead = fetch(at + 1);
    const [only] = group;
    if (fetched !== undefined) yield* cut(await fetched);
    else if (only !== undefined) yield* sendLarge(root, only, control);
  }
}

function* groupsOf(requests: readonly ReadRequest[]): Generator<Item[]> {
  let group: Item[] = [];
  let bytes = 0;
  for (const [index, request] of requests.entries()) {
    const { size } = request.expect;
    if (group.length > 0 && (isLarge(request) || bytes + size > groupBytes || group.length >= groupFiles)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push({ index, request });
    bytes += size;
    if (!isLarge(request)) continue;
    yield group;
    group = [];
    bytes = 0;
  }
  if (group.length > 0) yield group;
}

function isLarge({ expect }: ReadRequest): boolean {
  return expect.size > groupBytes;
}

/** The records of a group. */
async function fetchGroup(root: FarRoot, group: readonly Item[]): Promise<Uint8Array[]> {
  const safe = group.filter(({ request }) => isSafePath(request.path));
  const paths = safe.map(({ request }) => request.path);
  const list = listOf(paths, root.tools.xargs);
  const total = safe.reduce((sum, { request }) => sum + request.expect.size, 0);
  const [before, content, after] = await Promise.all([
    observe(root, paths),
    total === 0
      ? Promise.resolve(Buffer.alloc(0))
      : root.session
          .run({ code: `contents ${list.length}`, input: list, limit: total + groupBytes })
          .then(({ output }) => output),
    observe(root, paths),
  ]);
  const asExpected = safe.every(({ request }) => isIntact(request, before, after));
  if (safe.length === group.length && asExpected && content.length === total) {
    const records: Uint8Array[] = [];
    let at = 0;
    for (const { index, request } of group) {
      const { size } = request.expect;
      records.push(header(recordKinds.whole, 0, index, size), content.subarray(at, at + size), intact);
      at += size;
    }
    return records;
  }
  const records: Uint8Array[] = [];
  if (group.length > 1) {
    for (const item of group) records.push(...(await fetchGroup(root, [item])));
    return records;
  }
  const [item] = group;
  if (item === undefined) return records;
  const { index, request } = item;
  if (!isSafePath(request.path)) return failed(index, 'failed', 'not a path that may be read');
  if (!isIntact(request, before, after)) return failed(index, 'source-changed', '');
  return failed(index, 'unreadable', 'permission denied');
}

function isIntact({ path, expect }: ReadRequest, before: Map<string, Found>, after: Map<string, Found>): boolean {
  const [then, now] = [before.get(path)?.entry, after.get(path)?.entry];
  if (!isAs(then, expect) || !isAs(now, expect)) return false;
  // Where the plan leaves the ctime open, another step of the same run moves it.
  return expect.ctimeNs === 0n || then?.ctimeNs === now?.ctimeNs;
}

async function* sendLarge(
  root: FarRoot,
  { index, request }: Item,
  control: Control,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { path, expect } = request;
  const before = isSafePath(path) ? await observe(root, [path]) : new Map<string, Found>();
  if (!isAs(before.get(path)?.entry, expect)) {
    yield* cut(failed(index, 'source-changed', ''));
    return;
  }
  const same = request.signature && (await heldAgainst(root, path, expect.size, decodeBlockSums(request.signature)));
  const fetch = async ({ offset, length }: Part): Promise<Buffer> => {
    const code = `piece ${offset / unitBytes} ${Math.ceil(length / unitBytes)}`;
    const input = lineInput(parentPath(path), baseName(path));
    return (await root.session.run({ code, input, limit: pieceBytes + unitBytes })).output;
  };
  // Not all at once: what the far side says of a file's size may be anything.
  const coming = partsOf(expect.size, same);
  const start = (): Promise<Buffer> | undefined => {
    for (let next = coming.next(); next.done !== true; next = coming.next()) {
      if (next.value.kind === 'copy') continue;
      const fetched = fetch(next.value);
      fetched.catch(() => undefined);
      return fetched;
    }
    return undefined;
  };
  const record = new LargeRecord(same);
  yield* cut(record.begin(index, expect.size));
  let ahead = start();
  let end: number = recordEnds.intact;
  for (const part of partsOf(expect.size, same)) {
    if (control.signal.aborted) throw new InterruptedError();
    if (part.kind === 'copy') {
      yield* cut(record.copy(part));
      continue;
    }
    const piece = (await ahead) ?? Buffer.alloc(0);
    ahead = start();
    // What is missing is filled up: the announced length is kept, the content is worth nothing.
    if (piece.length !== part.length) end = recordEnds.changed;
    yield* cut(
      record.content(
        piece.length >= part.length ? piece.subarray(0, part.length) : Buffer.concat([piece], part.length),
      ),
    );
  }
  const after = await observe(root, [path]);
  if (!isIntact(request, before, after)) end = recordEnds.changed;
  else if (end !== recordEnds.intact) end = recordEnds.unreadable;
  yield* cut(record.end(end));
}

/** A part of a large file, in bytes: fetched, or known to the other side at the same place. */
interface Part {
  kind: 'copy' | 'fetch';
  offset: number;
  length: number;
}

/** What the other side has at the same places. */
interface Same {
  blockBytes: number;
  /** The sum of each block that is the same; undefined for one that is not. */
  blocks: readonly (Uint8Array | undefined)[];
}

/** Has the blocks of a file summed over there, and compares. @returns undefined when that cannot be told: all is sent then */
async function heldAgainst(root: FarRoot, path: RelPath, size: number, base: BlockSums): Promise<Same | undefined> {
  const { blockBytes, sums } = base;
  const blocksOf = (bytes: number): number => Math.ceil(bytes / blockBytes);
  const count = Math.min(blocksOf(size), blocksOf(base.size));
  const found = count === 0 ? [] : await sumsOfBlocks(root, path, blockBytes, count);
  const blocks = found?.map((hex, block) => {
    const sum = sums.subarray(block * blockSumLength, (block + 1) * blockSumLength);
    return Buffer.from(hex, 'hex').equals(sum) ? sum : undefined;
  });
  return blocks?.some((sum) => sum !== undefined) === true ? { blockBytes, blocks } : undefined;
}

/** Neighbours that the other side has go together; what is fetched comes in pieces. */
function* partsOf(size: number, same: Same | undefined): Generator<Part> {
  const { blockBytes, blocks } = same ?? { blockBytes: size, blocks: [] };
  let next: Part | undefined;
  for (let offset = 0; offset < size; offset += blockBytes) {
    const kind = blocks[offset / blockBytes] === undefined ? 'fetch' : 'copy';
    const length = Math.min(blockBytes, size - offset);
    if (next?.kind === kind) next.length += length;
    else {
      if (next !== undefined) yield* inPieces(next);
      next = { kind, offset, length };
    }
  }
  if (next !== undefined) yield* inPieces(next);
}

function* inPieces({ kind, offset, length }: Part): Generator<Part> {
  const most = kind === 'copy' ? length : pieceBytes;
  for (let done = 0; done < length; done += most) {
    yield { kind, offset: offset + done, length: Math.min(most, length - done) };
  }
}

/** The bytes of a large file's record: with all of the content, or with what is not the same. */
class LargeRecord {
  readonly #same: Same | undefined;
  readonly #encoder = new InstructionEncoder();
  readonly #sum: BlockwiseSum | undefined;

  constructor(same: Same | undefined) {
    this.#same = same;
    this.#sum = same && new BlockwiseSum(same.blockBytes);
  }

  begin(index: number, size: number): Uint8Array[] {
    if (this.#same === undefined) return [header(recordKinds.whole, 0, index, size)];
    return [header(recordKinds.blocks, 0, index, size), number(this.#same.blockBytes)];
  }

  /** Whole blocks that are the same. */
  copy({ offset, length }: Part): Uint8Array[] {
    const { blockBytes, blocks } = this.#same ?? { blockBytes: length, blocks: [] };
    for (let at = offset; at < offset + length; at += blockBytes) {
      const sum = blocks[at / blockBytes];
      if (sum !== undefined) this.#sum?.takeBlock(sum);
    }
    return this.#pieces({ kind: 'copy', offset, length });
  }

  content(bytes: Uint8Array): Uint8Array[] {
    if (this.#sum === undefined) return [bytes];
    this.#sum.update(bytes);
    return this.#pieces({ kind: 'literal', bytes });
  }

  end(end: number): Uint8Array[] {
    if (this.#sum === undefined) return [Uint8Array.of(end)];
    return [number(0), Uint8Array.of(end), this.#sum.digest()];
  }

  #pieces(instruction: Instruction): Uint8Array[] {
    return this.#encoder.encode(instruction).flatMap((bytes) => [number(bytes.length), bytes]);
  }
}

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

const intact = Uint8Array.of(recordEnds.intact);

function header(kind: number, bits: number, index: number, size: number): Uint8Array {
  const bytes = new Uint8Array(recordHeaderBytes);
  putRecordHeader(bytes, 0, { kind, bits, index, size });
  return bytes;
}

function failed(index: number, why: SendFailure, text: string): Uint8Array[] {
  const bytes = Buffer.from(text);
  return [header(recordKinds.failed, sendFailures.indexOf(why), index, bytes.length), bytes];
}

/** Pieces as chunks of the size that a stream has. */
function* cut(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let chunk = new Uint8Array(contentChunkBytes);
  let used = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + chunk.length - used);
      chunk.set(part, used);
      used += part.length;
      at += part.length;
      if (used < chunk.length) continue;
      yield chunk;
      chunk = new Uint8Array(contentChunkBytes);
      used = 0;
    }
  }
  if (used > 0) yield chunk.subarray(0, used);
}
