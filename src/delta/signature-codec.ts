/**
 * A signature as bytes:
 *
 *     varint size · varint block size · u8 bytes of a strong sum · 16 bytes of salt · blocks
 *
 * The blocks are as in `Signature.blocks` and go to the end, so their number is known twice and must agree.
 */
import { LockstepError } from '../base/errors.ts';
import { blockCount, type Signature } from './signature.ts';
import { maxBlockSize, maxDeltaSize, maxStrongLength, minBlockSize, minStrongLength, weakLength } from './sizes.ts';
import { saltLength } from './sums.ts';
import { maxVarintLength, putVarint, varintAt } from './varint.ts';

/** The byte form of a signature. */
export function encodeSignature(signature: Signature): Uint8Array {
  const { size, blockSize, strongLength, salt, blocks } = signature;
  const bytes = new Uint8Array(2 * maxVarintLength + 1 + saltLength + blocks.length);
  let at = putVarint(bytes, 0, size);
  at = putVarint(bytes, at, blockSize);
  bytes[at] = strongLength;
  bytes.set(salt, at + 1);
  bytes.set(blocks, at + 1 + saltLength);
  return bytes.subarray(0, at + 1 + saltLength + blocks.length);
}

/**
 * Reads what a peer sent. Nothing is copied: the signature's arrays are views of `bytes`.
 *
 * @throws LockstepError `protocol` when it is not a signature, or one that no honest peer makes
 */
export function decodeSignature(bytes: Uint8Array): Signature {
  const { value: size, end: sizeEnd } = varintAt(bytes, 0, broken);
  if (size > maxDeltaSize) throw broken(`a file of ${size} bytes has none`);
  const { value: blockSize, end: at } = varintAt(bytes, sizeEnd, broken);
  if (blockSize < minBlockSize || blockSize > maxBlockSize) throw broken(`its blocks have ${blockSize} bytes`);
  const strongLength = bytes[at] ?? 0;
  if (strongLength < minStrongLength || strongLength > maxStrongLength) {
    throw broken(`its strong sums have ${strongLength} bytes`);
  }
  const saltStart = at + 1;
  const blocksStart = saltStart + saltLength;
  const expected = blockCount({ size, blockSize }) * (weakLength + strongLength);
  if (bytes.length - blocksStart !== expected) {
    throw broken(
      `${size} bytes in blocks of ${blockSize} have ${expected} bytes of sums, not ${bytes.length - blocksStart}`,
    );
  }
  return {
    size,
    blockSize,
    strongLength,
    salt: bytes.subarray(saltStart, blocksStart),
    blocks: bytes.subarray(blocksStart),
  };
}

function broken(what: string): LockstepError {
  return new LockstepError('protocol', `the other side sent a signature that is none: ${what}`);
}
