/** Signatures of files, or sums of their blocks (delta/), each taken while the file demonstrably did not change. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { BlockSumsBuilder } from '../../delta/block-sums.ts';
import { encodeSignature } from '../../delta/signature-codec.ts';
import { SignatureBuilder } from '../../delta/signature.ts';
import { saltLength } from '../../delta/sums.ts';
import type { SignatureRequest } from '../replica.ts';
import { openForSigning } from './bases.ts';
import type { DirHandles } from './dir-handles.ts';
import type { Partials } from './partials.ts';
import type { Work } from './slices.ts';

const chunkBytes = 1 << 18;

export function* signAll(
  handles: DirHandles,
  partials: Partials,
  requests: readonly SignatureRequest[],
): Work<(Uint8Array | undefined)[]> {
  const signatures: (Uint8Array | undefined)[] = [];
  let bytes = 0;
  for (const request of requests) {
    signatures.push(yield* sign(handles, partials, request));
    bytes += request.expect?.size ?? 0;
    yield { entries: signatures.length, bytes, path: request.path };
  }
  return signatures;
}

/** @returns undefined when there is nothing to take one of: the whole content is sent then */
function* sign(handles: DirHandles, partials: Partials, request: SignatureRequest): Work<Uint8Array | undefined> {
  const base = openForSigning(handles, partials, request);
  if (base === undefined) return undefined;
  const { file, size } = base;
  try {
    const builder =
      request.blocks === true
        ? new BlockSumsBuilder(size)
        : new SignatureBuilder(size, new Uint8Array(randomBytes(saltLength)));
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size));
    for (let left = size; left > 0;) {
      const count = fs.readSync(file, chunk, 0, Math.min(chunk.length, left), null);
      if (count === 0) return undefined;
      builder.push(chunk.subarray(0, count));
      left -= count;
      yield { entries: 0, bytes: size - left, path: request.path };
    }
    return builder instanceof BlockSumsBuilder ? builder.finish() : encodeSignature(builder.finish());
  } catch {
    // Whatever it is that cannot be read: that shows when it is to be replaced.
    return undefined;
  } finally {
    fs.closeSync(file);
  }
}
