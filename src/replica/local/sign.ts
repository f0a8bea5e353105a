/** Signatures of files (delta/), each taken while the file demonstrably did not change. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { encodeSignature } from '../../delta/signature-codec.ts';
import { SignatureBuilder } from '../../delta/signature.ts';
import { saltLength } from '../../delta/sums.ts';
import type { SignatureRequest } from '../replica.ts';
import type { DirHandles } from './dir-handles.ts';
import { openExpected } from './open-expected.ts';
import type { Work } from './slices.ts';

const chunkBytes = 1 << 18;

export function* signAll(handles: DirHandles, requests: readonly SignatureRequest[]): Work<(Uint8Array | undefined)[]> {
  const signatures: (Uint8Array | undefined)[] = [];
  let bytes = 0;
  for (const request of requests) {
    signatures.push(yield* sign(handles, request));
    bytes += request.expect.size;
    yield { entries: signatures.length, bytes, path: request.path };
  }
  return signatures;
}

/** @returns undefined when there is nothing to take one of: the whole content is sent then */
function* sign(handles: DirHandles, { path, expect }: SignatureRequest): Work<Uint8Array | undefined> {
  const file = openExpected(handles, path, expect);
  if (file === undefined) return undefined;
  try {
    const builder = new SignatureBuilder(expect.size, new Uint8Array(randomBytes(saltLength)));
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, expect.size));
    for (let left = expect.size; left > 0;) {
      const count = fs.readSync(file, chunk, 0, Math.min(chunk.length, left), null);
      if (count === 0) return undefined;
      builder.push(chunk.subarray(0, count));
      left -= count;
      yield { entries: 0, bytes: expect.size - left, path };
    }
    return encodeSignature(builder.finish());
  } catch {
    // Whatever it is that cannot be read: that shows when it is to be replaced.
    return undefined;
  } finally {
    fs.closeSync(file);
  }
}
