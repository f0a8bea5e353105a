/**
 * Frames: what messages are cut into to travel over a byte stream. All little-endian.
 *
 *     u32 length of payload · u8 bits · payload · u32 CRC-32 of bits and payload
 *
 * Bits 0–3 are the message's type; bit 4: the payload is compressed; bit 5: more frames of the same message follow;
 * bit 6: it is compressed by zstd, not by deflate (raw, RFC 1951). Bit 7 is zero.
 *
 * A message is its frames' payloads in a row, uncompressed. The frames of a message follow each other directly. No payload
 * is longer than 256 KiB, neither compressed nor uncompressed.
 */
import { formatBytes } from '../base/format.ts';
import { crc32 } from './crc32.ts';
import { protocolError } from './errors.ts';
import { Fifo } from './fifo.ts';

export const maxPayload = 256 * 1024;

const headBytes = 5;
const tailBytes = 4;

/** What a frame has beside its payload. */
export const frameOverhead = headBytes + tailBytes;

/** Payloads up to here are copied next to their head and tail, which is cheaper than three writes. */
const copiedPayload = 8 * 1024;

export type Packing = 'none' | 'deflate' | 'zstd';

export interface Frame {
  /** 0 to 15. */
  type: number;
  /** More frames of the same message follow. */
  more: boolean;
  /** How `payload` is compressed. */
  packing: Packing;
  payload: Uint8Array;
}

/** A frame to be sent. */
export interface FrameToSend extends Frame {
  /** Comes before the payload and is part of it: for few bytes that would cost a copy of many. Never compressed. */
  head?: Uint8Array | undefined;
}

const compressedBit = 0x10;
const moreBit = 0x20;
const zstdBit = 0x40;
const unusedBit = 0x80;

/** @returns the frame's bytes, in pieces; a large payload is not copied */
export function encodeFrame(frame: FrameToSend): Uint8Array[] {
  const { payload, head = nothing } = frame;
  const bits =
    frame.type |
    (frame.packing === 'none' ? 0 : compressedBit) |
    (frame.packing === 'zstd' ? zstdBit : 0) |
    (frame.more ? moreBit : 0);
  const whole = payload.length <= copiedPayload;
  const rim = Buffer.allocUnsafe(frameOverhead + head.length + (whole ? payload.length : 0));
  const tail = rim.length - tailBytes;
  const start = headBytes + head.length;
  rim.writeUInt32LE(head.length + payload.length, 0);
  rim.writeUInt8(bits, 4);
  rim.set(head, headBytes);
  rim.writeUInt32LE(crc32(payload, checksum(bits, head)), tail);
  if (!whole) return [rim.subarray(0, start), payload, rim.subarray(tail)];
  rim.set(payload, start);
  return [rim];
}

const nothing = new Uint8Array(0);

function checksum(bits: number, payload: Uint8Array): number {
  return crc32(payload, crc32(Uint8Array.of(bits)));
}

/** The part of a frame that is known before its payload. */
interface Head {
  length: number;
  bits: number;
}

/**
 * Finds the frames in a stream of bytes. Holds at most one frame beside the chunks that it was given and that were not
 * taken out yet. After an error it must not be used any more.
 */
export class FrameDecoder {
  readonly #chunks = new Fifo<Buffer>();
  /** The chunk that was pushed last. */
  #last: Buffer | undefined;
  /** How much of the first chunk was taken. */
  #at = 0;
  #head: Head | undefined;
  /** Bytes of a head, or of a payload with its tail, that is spread over chunks. */
  #gathered: Buffer | undefined;
  #filled = 0;

  /** The bytes must not change afterwards. */
  feed(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const last = this.#chunks.size > 0 ? this.#last : undefined;
    // Read into one buffer, one behind the other (slab-input.ts): then they are one chunk.
    const goesOn = last?.buffer === chunk.buffer && last.byteOffset + last.length === chunk.byteOffset;
    const start = goesOn ? last.byteOffset : chunk.byteOffset;
    const joined = Buffer.from(chunk.buffer, start, chunk.byteOffset + chunk.length - start);
    if (goesOn) this.#chunks.replaceLast(joined);
    else this.#chunks.push(joined);
    this.#last = joined;
  }

  /** True between two frames, with nothing fed that was not taken. */
  get isBetweenFrames(): boolean {
    return this.#head === undefined && this.#gathered === undefined && this.#chunks.size === 0;
  }

  /**
   * The next frame, as soon as all of it was fed. Its payload is a view of what was fed, where possible.
   *
   * @throws LockstepError with code 'protocol'
   */
  next(): Frame | undefined {
    if (this.#head === undefined) {
      const bytes = this.#take(headBytes);
      if (bytes === undefined) return undefined;
      this.#head = decodeHead(bytes);
    }
    const { length, bits } = this.#head;
    const bytes = this.#take(length + tailBytes);
    if (bytes === undefined) return undefined;
    this.#head = undefined;
    const payload = new Uint8Array(bytes.buffer, bytes.byteOffset, length);
    if (bytes.readUInt32LE(length) !== checksum(bits, payload)) {
      throw protocolError('a frame whose checksum is wrong');
    }
    return {
      type: bits & 0x0f,
      more: (bits & moreBit) !== 0,
      packing: (bits & compressedBit) === 0 ? 'none' : (bits & zstdBit) === 0 ? 'deflate' : 'zstd',
      payload,
    };
  }

  /** The next `size` bytes, or undefined until there are so many. Copies only what is spread over chunks. */
  #take(size: number): Buffer | undefined {
    for (;;) {
      const chunk = this.#chunks.peek();
      if (chunk === undefined) return undefined;
      const at = this.#at;
      if (this.#gathered === undefined && chunk.length - at >= size) {
        this.#advance(chunk, size);
        return chunk.subarray(at, at + size);
      }
      // What comes next may be right behind it.
      if (this.#gathered === undefined && this.#chunks.size === 1) return undefined;
      this.#gathered ??= Buffer.allocUnsafeSlow(size);
      const copied = chunk.copy(this.#gathered, this.#filled, at);
      this.#filled += copied;
      this.#advance(chunk, copied);
      if (this.#filled === size) {
        const bytes = this.#gathered;
        this.#gathered = undefined;
        this.#filled = 0;
        return bytes;
      }
    }
  }

  #advance(chunk: Buffer, size: number): void {
    this.#at += size;
    if (this.#at < chunk.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }
}

function decodeHead(bytes: Buffer): Head {
  const length = bytes.readUInt32LE(0);
  const bits = bytes.readUInt8(4);
  if (length > maxPayload) {
    throw protocolError(`a frame of ${formatBytes(length)}, where ${formatBytes(maxPayload)} is the limit`);
  }
  if ((bits & unusedBit) !== 0 || (bits & (zstdBit | compressedBit)) === zstdBit) {
    throw protocolError(`a frame with the unknown bits 0x${bits.toString(16)}`);
  }
  return { length, bits };
}
