/**
 * Content on its way out (content-stream.ts): many small files in one go, large ones piece by piece.
 *
 * Invariant: a record that ends as intact holds what the file held at one moment. Every file is looked at before and after;
 * in between nothing wrote to it, or its ctime would show. Files that were asked for together are told apart by their sizes,
 * so if one of them is not what it should be, none of that answer is used, and each is asked for alone.
 */
import { InterruptedError } from '../../base/errors.ts';
import { baseName, isSafePath, parentPath } from '../../tree/path.ts';
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
import { observe, type FarRoot } from './far-root.ts';
import { listOf } from './names.ts';
import { lineInput } from './open.ts';
import type { Found } from './records.ts';

const groupBytes = 4 << 20;
const groupFiles = 1000;
/** Blocks of `piece` in program.ts. */
const blockBytes = 1 << 20;
const pieceBlocks = 4;

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
  const blocks = Math.ceil(expect.size / blockBytes);
  const fetch = async (block: number): Promise<Buffer> => {
    const count = Math.min(pieceBlocks, blocks - block);
    const code = `piece ${block} ${count}`;
    return (
      await root.session.run({
        code,
        input: lineInput(parentPath(path), baseName(path)),
        limit: (count + 1) * blockBytes,
      })
    ).output;
  };
  yield header(recordKinds.whole, 0, index, expect.size);
  let ahead = fetch(0);
  let end: number = recordEnds.intact;
  for (let block = 0; block < blocks; block += pieceBlocks) {
    if (control.signal.aborted) throw new InterruptedError();
    const wanted = Math.min(pieceBlocks * blockBytes, expect.size - block * blockBytes);
    const piece = await ahead;
    if (block + pieceBlocks < blocks) {
      ahead = fetch(block + pieceBlocks);
      ahead.catch(() => undefined);
    }
    // What is missing is filled up: the announced length is kept, the content is worth nothing.
    if (piece.length !== wanted) end = recordEnds.changed;
    yield* cut([piece.length >= wanted ? piece.subarray(0, wanted) : Buffer.concat([piece], wanted)]);
  }
  const after = await observe(root, [path]);
  if (!isIntact(request, before, after)) end = recordEnds.changed;
  else if (end !== recordEnds.intact) end = recordEnds.unreadable;
  yield Uint8Array.of(end);
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
