/** Puts messages together from frames. */
import { formatBytes } from '../base/format.ts';
import { protocolError } from './errors.ts';
import { FrameDecoder, maxPayload } from './frames.ts';
import { unpack } from './packing.ts';

export interface Message {
  type: number;
  payload: Uint8Array;
}

/** Types of the connection's own messages; lower ones are its user's. */
export const pingType = 13;
export const goodbyeType = 14;
/** Comes also between the frames of another message: both ends may be in the midst of a long one. */
export const reportType = 15;

/**
 * What a frame that is not the last of its message must hold at least, uncompressed: a message of a million frames of one
 * byte would take a hundred times its size here.
 */
const leastPart = 16 * 1024;

/** A message being put together. */
interface Unfinished {
  type: number;
  parts: Uint8Array[];
  bytes: number;
}

/** Bytes in, messages out. Takes at most about twice `maxMessageBytes` of memory. After an error it must not be used. */
export class MessageDecoder {
  readonly #frames = new FrameDecoder();
  readonly #maxMessageBytes: number;
  #unfinished: Unfinished | undefined;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** The bytes must not change afterwards. */
  feed(chunk: Uint8Array): void {
    this.#frames.feed(chunk);
  }

  /** True when the stream may end here. */
  get isBetweenMessages(): boolean {
    return this.#unfinished === undefined && this.#frames.isBetweenFrames;
  }

  /** The next message, as soon as all of it was fed. @throws LockstepError with code 'protocol' */
  next(): Message | undefined {
    for (;;) {
      const frame = this.#frames.next();
      if (frame === undefined) return undefined;
      const { type, more } = frame;
      if (type === reportType) {
        if (more) throw protocolError('a report in pieces');
        return { type, payload: unpack(frame.packing, frame.payload) };
      }
      const begun = this.#unfinished;
      if (begun !== undefined && begun.type !== type) {
        throw protocolError(`a frame of type ${type} within a message of type ${begun.type}`);
      }
      const part = unpack(frame.packing, frame.payload);
      if (more && part.length < leastPart) throw protocolError(`a message in pieces of ${part.length} bytes`);
      const bytes = (begun?.bytes ?? 0) + part.length;
      if (bytes > this.#maxMessageBytes) {
        throw protocolError(`a message of more than ${formatBytes(this.#maxMessageBytes)}`);
      }
      if (begun === undefined && !more) return { type, payload: part };

      const unfinished = begun ?? { type, parts: [], bytes: 0 };
      // A copy: what it is a view of may be used again before the message is whole (slab-input.ts).
      unfinished.parts.push(new Uint8Array(part));
      unfinished.bytes = bytes;
      this.#unfinished = unfinished;
      if (more) continue;
      this.#unfinished = undefined;
      return { type, payload: Buffer.concat(unfinished.parts, bytes) };
    }
  }
}

/** A message in the pieces that frames hold. An empty message is one empty piece. */
export function* piecesOf(payload: Uint8Array): Generator<{ piece: Uint8Array; more: boolean }> {
  let at = 0;
  do {
    const end = Math.min(at + maxPayload, payload.length);
    yield { piece: payload.subarray(at, end), more: end < payload.length };
    at = end;
  } while (at < payload.length);
}
