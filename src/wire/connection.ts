/**
 * Messages over a pair of byte streams to another process, which may be slow, dead, another program or hostile.
 *
 * It ends in one of two ways. Properly: each end says goodbye after all it had to send, then ends its output. Or it is
 * lost: the stream ends or breaks without a goodbye, nothing is heard for too long, or the peer sends nonsense. An end
 * of a stream alone proves nothing: some transports cut it short and report success.
 */
import type { Readable, Writable } from 'node:stream';
import { errnoCode, LockstepError, reasonOf } from '../base/errors.ts';
import { formatBytes, formatDuration } from '../base/format.ts';
import { connectionLost, protocolError } from './errors.ts';
import { IdleTimer } from './idle-timer.ts';
import { decodeReport, Intake } from './intake.ts';
import { goodbyeType, MessageDecoder, pingType, reportType, type Message } from './messages.ts';
import { Sender, type CompressMode } from './sender.ts';
import { holdPayload } from './slab-input.ts';

export interface ConnectionOptions {
  /** 'auto': when the pipe is slower than compressing; 'on': whatever can be compressed. */
  compress: CompressMode;
  /** Limit for what is sent. */
  bytesPerSecond?: number;
  /** When nothing was sent for so long, the peer is told that this end is alive. 5000 is usual. */
  heartbeatMs: number;
  /** When nothing was received for so long, the connection is lost. 15000 is usual. */
  silenceMs: number;
  /** A longer message from the peer is an error, as is sending one. */
  maxMessageBytes: number;
  /** Compress by zstd, not deflate: only when the peer has it (`zstdAvailable` in packing.ts). */
  zstd?: boolean;
}

/** What may change while a connection is open. */
export interface ConnectionChanges {
  compress?: CompressMode;
  /** Undefined lifts the limit. */
  bytesPerSecond?: number | undefined;
  zstd?: boolean;
}

export interface Counters {
  /** On the pipe, so compressed and with heads. */
  bytesIn: number;
  bytesOut: number;
  /** Without those of the connection itself. */
  messagesIn: number;
  messagesOut: number;
}

/** Types that a user of a connection may send. */
const maxUserType = 12;

/** How long a closing connection goes on without any progress. */
const closingMs = 5000;

/** How long to listen for the peer's last words, when it no longer listens to ours. */
const lastWordsMs = 2000;

const nothing = new Uint8Array(0);

type MessageListener = (type: number, payload: Uint8Array) => void;
type CloseListener = (error: LockstepError | undefined) => void;

export class Connection {
  readonly counters: Counters = { bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0 };
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #options: ConnectionOptions;
  readonly #sender: Sender;
  readonly #decoder: MessageDecoder;
  readonly #heartbeat: IdleTimer;
  readonly #silence: IdleTimer;
  readonly #closing: IdleTimer;
  readonly #intake = new Intake();

  #onMessage: MessageListener | undefined;
  #closeListeners: CloseListener[] = [];
  /** Set when it is over. */
  #outcome: { error: LockstepError | undefined } | undefined;
  #paused = false;
  /** A message that cannot be delivered yet; no more are decoded while there is one. */
  #held: Message | undefined;
  #delivering = false;
  #inputEnded = false;
  #saidGoodbye = false;
  #heardGoodbye = false;
  #endingOutput = false;
  #writeError: { error: unknown; timer: NodeJS.Timeout } | undefined;

  /** Reads and writes from now on; both streams belong to the connection. */
  constructor(input: Readable, output: Writable, options: ConnectionOptions) {
    this.#input = input;
    this.#output = output;
    this.#options = { ...options };
    this.#decoder = new MessageDecoder(options.maxMessageBytes);
    // The pipes keep the process as long as it is needed.
    this.#heartbeat = new IdleTimer(options.heartbeatMs, false, () => this.#ping());
    this.#silence = new IdleTimer(options.silenceMs, true, () => this.#suspectSilence());
    this.#closing = new IdleTimer(closingMs, true, () => this.#giveUpClosing());
    this.#sender = new Sender(output, this.#options, {
      onWritten: (bytes) => {
        this.counters.bytesOut += bytes;
        this.#heartbeat.touch();
      },
      onTaken: () => this.#closing.touch(),
    });

    output.on('error', (error) => this.#writeFailed(error));
    output.on('close', () => this.#writeFailed(undefined));
    input.on('error', (error) => this.#finish(connectionLost(reasonOf(error), error)));
    input.on('end', () => this.#inputOver());
    input.on('close', () => this.#inputOver());
    input.on('data', (chunk: Uint8Array) => this.#received(chunk));
    this.#heartbeat.start();
    this.#silence.start();
  }

  /**
   * Queues a message. The payload is not copied: it must not change until it is sent. Without effect once the connection
   * is closed or closing.
   *
   * @param type 0 to 12
   * @param head a few bytes that come before the payload and belong to it: spares a copy of a large one
   * @throws RangeError for a type or length that the peer would refuse
   */
  send(type: number, payload: Uint8Array, head?: Uint8Array): void {
    if (!Number.isInteger(type) || type < 0 || type > maxUserType) throw new RangeError(`no type of message: ${type}`);
    if (payload.length > this.#options.maxMessageBytes) {
      throw new RangeError(`a message of ${formatBytes(payload.length)} is too long to be sent`);
    }
    if (this.#outcome !== undefined || this.#saidGoodbye) return;
    this.counters.messagesOut += 1;
    this.#sender.enqueue(type, payload, head);
  }

  /** Bytes queued and not yet taken by the pipe. */
  get queuedBytes(): number {
    return this.#sender.queuedBytes;
  }

  /** Resolves when fewer than `below` bytes are queued, or when there will never be a way for them. */
  whenBelow(below: number): Promise<void> {
    return this.#sender.whenBelow(below);
  }

  /**
   * Sets who gets the messages, one after the other. Those that come before are kept. A payload may be a view of a larger
   * buffer; it is the listener's to keep, until it releases it (slab-input.ts). A 'protocol' error thrown by the listener ends the connection.
   */
  onMessage(listener: MessageListener): void {
    this.#onMessage = listener;
    queueMicrotask(() => this.#deliver());
  }

  /** Told once how it ended: with an error, or with none after both ends said goodbye. */
  onClose(listener: CloseListener): void {
    const outcome = this.#outcome;
    if (outcome === undefined) this.#closeListeners.push(listener);
    else queueMicrotask(() => listener(outcome.error));
  }

  /**
   * Stops delivering and reading. The peer's silence is not noticed meanwhile; and as what it says of its own reading is not
   * heard, less is sent.
   */
  pause(): void {
    this.#paused = true;
    this.#steerInput();
  }

  resume(): void {
    this.#paused = false;
    this.#steerInput();
    queueMicrotask(() => this.#deliver());
  }

  /** For what is not on its way yet. */
  configure(changes: ConnectionChanges): void {
    Object.assign(this.#options, changes);
    this.#sender.configure(this.#options);
  }

  /**
   * Says goodbye after everything queued and waits until the peer did too; its messages are delivered until then,
   * so do not leave it paused. Resolves when the connection is over, in whatever way: `onClose` says in which.
   */
  close(): Promise<void> {
    this.#sayGoodbye();
    return new Promise((resolve) => this.onClose(() => resolve()));
  }

  /** Ends it at once; what was queued is lost. */
  destroy(error?: LockstepError): void {
    this.#finish(error ?? new LockstepError('connection', 'the connection was cut off from this end'));
  }

  // Receiving

  #received(chunk: Uint8Array): void {
    this.counters.bytesIn += chunk.length;
    this.#silence.touch();
    if (this.#outcome !== undefined) return;
    this.#decoder.feed(chunk);
    this.#report(chunk.length);
    this.#deliver();
    if (!this.#decoder.isBetweenMessages) this.#closing.touch();
  }

  /** Handles what was received, in order, as far as somebody listens. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      while (this.#deliverNext());
    } catch (error) {
      if (!(error instanceof LockstepError && error.code === 'protocol')) throw error;
      this.#finish(error);
    } finally {
      this.#delivering = false;
      this.#steerInput();
    }
  }

  /** @returns whether there may be more */
  #deliverNext(): boolean {
    if (this.#outcome !== undefined) return false;
    const message = this.#held ?? this.#decoder.next();
    this.#held = undefined;
    if (message === undefined) {
      if (this.#inputEnded) this.#streamEnded();
      return false;
    }
    if (message.type > maxUserType) {
      this.#handleInternal(message);
      return true;
    }
    if (this.#heardGoodbye) throw protocolError('a message after its goodbye');
    if (this.#paused || this.#onMessage === undefined) {
      this.#held = message;
      return false;
    }
    this.counters.messagesIn += 1;
    this.#closing.touch();
    holdPayload(message.payload);
    this.#onMessage(message.type, message.payload);
    return true;
  }

  #handleInternal({ type, payload }: Message): void {
    if (this.#heardGoodbye) throw protocolError('a message after its goodbye');
    if (type === reportType) {
      this.#sender.peerRead(decodeReport(payload));
      this.#closing.touch();
      return;
    }
    if (payload.length > 0) throw protocolError('a ping or a goodbye with something in it');
    if (type === pingType) return;
    this.#heardGoodbye = true;
    // It reports no more, and reads to the end. And it need not say anything more.
    this.#sender.sendFreely();
    this.#silence.stop();
    this.#sayGoodbye();
    this.#endOutput();
  }

  /** Reads only as long as what is read can be delivered: the rest waits in the pipe. */
  #steerInput(): void {
    if (this.#outcome !== undefined || this.#inputEnded) return;
    if (this.#paused || this.#held !== undefined) {
      this.#intake.paused();
      this.#input.pause();
      this.#silence.stop();
    } else {
      this.#input.resume();
      if (!this.#heardGoodbye) this.#silence.start();
    }
  }

  #inputOver(): void {
    if (this.#inputEnded) return;
    this.#inputEnded = true;
    this.#silence.stop();
    this.#deliver();
  }

  /** After everything that came was delivered. */
  #streamEnded(): void {
    if (this.#heardGoodbye) return;
    if (this.#writeError !== undefined) {
      this.#giveUpWriting(this.#writeError.error);
    } else if (!this.#decoder.isBetweenMessages) {
      this.#finish(connectionLost('the other end closed the stream in the middle of a message'));
    } else if (this.#saidGoodbye && this.#sender.queuedBytes === 0) {
      // Our goodbye is out, and not everybody answers: a peer that is stopped by its input's end just stops.
      this.#endOutput();
    } else {
      this.#finish(connectionLost('the other end closed the stream'));
    }
  }

  /** Called when nothing was heard; what waits in the pipe, because this process was busy or asleep, is read first. */
  #suspectSilence(): void {
    const { bytesIn } = this.counters;
    setImmediate(() => {
      if (this.counters.bytesIn !== bytesIn || this.#paused || this.#held !== undefined || this.#inputEnded) return;
      this.#finish(
        connectionLost(`nothing was heard from the other end for ${formatDuration(this.#options.silenceMs)}`),
      );
    });
  }

  // Sending

  #report(bytes: number): void {
    const report = this.#intake.read(bytes);
    if (report !== undefined) this.#sender.report(report);
  }

  #ping(): void {
    // What is queued will be a sign of life, as soon as the pipe takes it.
    if (!this.#saidGoodbye && this.#sender.queuedBytes === 0) this.#sender.enqueue(pingType, nothing);
  }

  #writeFailed(error: unknown): void {
    if (this.#outcome !== undefined || this.#writeError !== undefined || this.#output.writableFinished) return;
    this.#sender.stop();
    if (this.#heardGoodbye) {
      this.#finish(undefined);
      return;
    }
    // A peer that dies of something often says so first: that may still be on its way.
    const timer = setTimeout(() => this.#giveUpWriting(error), lastWordsMs);
    this.#writeError = { error, timer };
  }

  #giveUpWriting(error: unknown): void {
    const closed = error === undefined || errnoCode(error) === 'EPIPE';
    const reason = closed ? 'the other end closed the stream' : `writing to the other end failed: ${reasonOf(error)}`;
    this.#finish(connectionLost(reason, error));
  }

  // Ending

  #sayGoodbye(): void {
    if (this.#saidGoodbye || this.#outcome !== undefined) return;
    this.#saidGoodbye = true;
    this.#sender.enqueueLast(goodbyeType, nothing);
    this.#heartbeat.stop();
    this.#closing.start();
  }

  #endOutput(): void {
    if (this.#endingOutput) return;
    this.#endingOutput = true;
    void this.#sender.whenBelow(1).then(() => {
      if (this.#outcome === undefined) this.#output.end(() => this.#finish(undefined));
    });
  }

  #giveUpClosing(): void {
    const waited = formatDuration(closingMs);
    this.#finish(connectionLost(`the other end did not answer the goodbye within ${waited}`));
  }

  #finish(error: LockstepError | undefined): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = { error };
    for (const timer of [this.#heartbeat, this.#silence, this.#closing]) timer.stop();
    clearTimeout(this.#writeError?.timer);
    this.#sender.stop();
    this.#held = undefined;
    this.#input.destroy();
    this.#output.destroy();
    const listeners = this.#closeListeners;
    this.#closeListeners = [];
    // Later, so that nobody is called from within what he called.
    queueMicrotask(() => {
      for (const listener of listeners) listener(error);
    });
  }
}
