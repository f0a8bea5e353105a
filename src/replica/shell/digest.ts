/** SHA-256 of files over there, many to a command; each seen to be what was asked for before and after. */
import { append } from '../../base/append.ts';
import { crypto } from '../../base/builtins.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import { baseName, isSafePath, parentPath } from '../../tree/path.ts';
import type { Control, DigestRequest } from '../replica.ts';
import { isAs } from './is-as.ts';
import { observe, type FarRoot } from './far-root.ts';
import { lineOf } from './names.ts';
import { lineInput } from './open.ts';

/** Files, and their bytes, in one command: what can be cancelled in between. */
const batchFiles = 500;
const batchBytes = 64 << 20;
/** Megabytes that are brought here at a time. */
const pieceBlocks = 4;

export async function digestFar(
  root: FarRoot,
  requests: readonly DigestRequest[],
  control: Control,
): Promise<DigestAnswer[]> {
  const answers: DigestAnswer[] = [];
  let bytes = 0;
  for (let at = 0; at < requests.length;) {
    let [end, size] = [at, 0];
    while (end < requests.length && end - at < batchFiles && (end === at || size < batchBytes)) {
      size += requests[end]?.expect.size ?? 0;
      end += 1;
    }
    control.signal.throwIfAborted();
    append(answers, await digestBatch(root, requests.slice(at, end)));
    at = end;
    bytes += size;
    control.onProgress?.({ entries: answers.length, bytes, path: requests[end - 1]?.path ?? '' });
  }
  return answers;
}

/** Where nothing over there can take digests, the content is brought here for it: slow, but never wrong. */
async function digestHere(root: FarRoot, path: string, size: number): Promise<Uint8Array | undefined> {
  const hash = crypto().createHash('sha256');
  let read = 0;
  for (let block = 0; read < size; block += pieceBlocks) {
    const code = `piece ${block} ${pieceBlocks}`;
    const limit = (pieceBlocks + 1) << 20;
    const { output } = await root.session.run({ code, input: lineInput(parentPath(path), baseName(path)), limit });
    if (output.length === 0) return undefined;
    hash.update(output);
    read += output.length;
  }
  return read === size ? new Uint8Array(hash.digest()) : undefined;
}

async function digestBatch(root: FarRoot, requests: readonly DigestRequest[]): Promise<DigestAnswer[]> {
  const { session, tools } = root;
  const safe = requests.filter(({ path }) => isSafePath(path));
  const paths = safe.map(({ path }) => path);
  const before = await observe(root, paths);
  const fit = safe.filter(({ path, expect }) => isAs(before.get(path)?.entry, expect));
  const digests = new Map<string, Uint8Array>();
  // A line break in a name would be one in the list of digests, too: such a file is asked about alone.
  const plain = fit.filter(({ path }) => !path.includes('\n'));
  const groups = [
    ...(plain.length > 0 ? [plain] : []),
    ...fit.filter((one) => !plain.includes(one)).map((one) => [one]),
  ];
  if (tools.digest === 'none') {
    for (const { path, expect } of fit) {
      const digest = await digestHere(root, path, expect.size);
      if (digest !== undefined) digests.set(path, digest);
    }
    groups.length = 0;
  }
  for (const group of groups) {
    const input = Buffer.from(group.map(({ path }) => `${lineOf(path)}\n`).join(''), 'latin1');
    const { output } = await session.run({
      code: `digests ${tools.digest} ${group.length}`,
      input,
      limit: 256 * group.length + 4096,
    });
    for (const line of output.toString('latin1').split('\n')) {
      const match = /^(\d{1,9}) ([0-9a-f]{64})$/.exec(line);
      const path = group[Number(match?.[1] ?? -1)]?.path;
      if (match === null || path === undefined) {
        if (line !== '') session.broken('something else than digests');
        continue;
      }
      digests.set(path, Uint8Array.from(Buffer.from(match[2] ?? '', 'hex')));
    }
  }
  const after = await observe(
    root,
    fit.map(({ path }) => path),
  );
  return requests.map(({ path, expect }) => {
    const digest = digests.get(path);
    if (!isAs(before.get(path)?.entry, expect) || !isAs(after.get(path)?.entry, expect)) return 'changed';
    return digest ?? 'unreadable';
  });
}
