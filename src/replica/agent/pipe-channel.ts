/** A channel over a framed connection (wire/): messages become bytes here, and what comes is checked before it is believed. */
import { LockstepError } from '../../base/errors.ts';
import type { Connection } from '../../wire/connection.ts';
import type { AheadRequest, Channel, Message } from './channel.ts';
import { aheadType, MessageCodec, partHead, partType } from './protocol.ts';

/** Enough to keep the pipe busy while compressing, and not more: on a slow line it takes seconds. */
const mostQueued = 512 * 1024;

export class PipeChannel implements Channel {
  readonly #connection: Connection;
  readonly #codec = new MessageCodec();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Says what will probably be asked for; before all else. */
  sayAhead(ahead: AheadRequest): void {
    this.#connection.send(aheadType, this.#codec.encodeAhead(ahead));
  }

  /** @throws LockstepError `protocol` */
  hearAhead(payload: Uint8Array): AheadRequest {
    return this.#codec.decodeAhead(payload);
  }

  send(message: Message): void {
    if (message.type === 'part') {
      this.#connection.send(partType, message.bytes, partHead(message.id));
      return;
    }
    const { type, payload } = this.#codec.encode(message);
    this.#connection.send(type, payload);
  }

  room(): Promise<void> | undefined {
    return this.#connection.queuedBytes < mostQueued ? undefined : this.#connection.whenBelow(mostQueued);
  }

  onMessage(listener: (message: Message) => void): void {
    this.#connection.onMessage((type, payload) => {
      try {
        listener(this.#codec.decode(type, payload));
      } catch (error) {
        // Whoever sends such things is not talked to any longer.
        if (!(error instanceof LockstepError)) throw error;
        this.#connection.destroy(error);
      }
    });
  }

  onClose(listener: (reason: Error) => void): void {
    this.#connection.onClose((error) => {
      listener(error ?? new LockstepError('connection', 'the other side said goodbye'));
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
