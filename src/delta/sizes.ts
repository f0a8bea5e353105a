/**
 * How large blocks and sums are.
 *
 * A change costs about a block and a half of literal bytes, and each block costs its sums, so the block that suits few
 * changes to any file grows with the square root of its size. 1 GiB gets blocks of 32 KiB and a signature of 256 KiB.
 */

/**
 * Below this size, in bytes, a file is better sent whole: the message with its signature costs as much time as the bytes
 * that are saved.
 */
export const minDeltaSize = 65_536;

/** Above this size, in bytes (16 TiB), a file is sent whole: its signature would not fit into memory. */
export const maxDeltaSize = 2 ** 44;

/** Smaller blocks would cost more time in calls to the cipher than in bytes. */
export const minBlockSize = 1024;
/** Reached at 1 TiB; it bounds the window that the search keeps. */
export const maxBlockSize = 2 ** 20;

/** Bytes of a weak sum in a signature. */
export const weakLength = 4;
export const minStrongLength = 2;
export const maxStrongLength = 12;

/** A file is taken for another with a probability of about 2^-16; then its digest says so, and it is sent whole. */
const safetyBits = 16;

/** @returns the block size, in bytes, that suits a base of `size` bytes; a multiple of 64 */
export function blockSizeFor(size: number): number {
  const root = Math.ceil(Math.sqrt(size) / 64) * 64;
  return Math.min(Math.max(root, minBlockSize), maxBlockSize);
}

/**
 * How many bytes of a strong sum are kept so that false matches stay rare. There are two chances for one: at every byte
 * some block may match by both sums, and at every block's end the following block is tried by its strong sum alone.
 */
export function strongLengthFor(size: number, blockSize: number): number {
  const blocks = Math.max(1, size / blockSize);
  const anywhere = Math.log2(Math.max(1, size)) + Math.log2(blocks) - 8 * weakLength;
  const following = Math.log2(blocks);
  const bytes = Math.ceil((safetyBits + Math.max(anywhere, following)) / 8);
  return Math.min(Math.max(bytes, minStrongLength), maxStrongLength);
}
