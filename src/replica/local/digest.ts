/** SHA-256 of files, each read while it demonstrably did not change. */
import fs from 'node:fs';
import { crypto, sha256 } from '../../base/builtins.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import type { DigestRequest } from '../replica.ts';
import { openRegular, SourceChangedError } from './copy.ts';
import type { DirHandles } from './dir-handles.ts';
import { entryOf, matches, noGrain } from './stat.ts';
import type { Work } from './slices.ts';

const chunk = Buffer.allocUnsafeSlow(1 << 20);

export function* digestAll(handles: DirHandles, requests: readonly DigestRequest[]): Work<DigestAnswer[]> {
  const answers: DigestAnswer[] = [];
  let bytes = 0;
  for (const request of requests) {
    answers.push(yield* digestOne(handles, request));
    bytes += request.expect.size;
    yield { entries: answers.length, bytes, path: request.path };
  }
  return answers;
}

function* digestOne(handles: DirHandles, request: DigestRequest): Work<DigestAnswer> {
  let file: number;
  try {
    file = openRegular(handles.locate(request.path));
  } catch (error) {
    return error instanceof SourceChangedError ? 'changed' : 'unreadable';
  }
  try {
    const before = fs.fstatSync(file, { bigint: true });
    if (!before.isFile() || !matches(entryOf(before, noGrain), request.expect)) return 'changed';
    const digest = yield* digestDescriptor(file, Number(before.size), request.path);
    const after = fs.fstatSync(file, { bigint: true });
    const still = after.mtimeNs === before.mtimeNs && after.ctimeNs === before.ctimeNs && after.size === before.size;
    return still && digest !== undefined ? digest : 'changed';
  } catch {
    // An I/O error while reading: the content is unknown.
    return 'unreadable';
  } finally {
    fs.closeSync(file);
  }
}

function* digestDescriptor(file: number, size: number, path: string): Work<Uint8Array | undefined> {
  if (size <= chunk.length) {
    const count = size === 0 ? 0 : fs.readSync(file, chunk, 0, size, 0);
    if (count !== size) return undefined;
    return sha256(chunk.subarray(0, count));
  }
  const hash = crypto().createHash('sha256');
  for (let done = 0; done < size;) {
    const count = fs.readSync(file, chunk, 0, Math.min(chunk.length, size - done), null);
    if (count === 0) return undefined;
    hash.update(chunk.subarray(0, count));
    done += count;
    yield { entries: 0, bytes: done, path };
  }
  return new Uint8Array(hash.digest());
}
