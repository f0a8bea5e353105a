import type { Progress, ScanRequest } from '../replica.ts';

/** A two-way stream of messages between a controller and an agent. Plain data only; order is kept. */
export interface Channel {
  /** @param transfer buffers in the message that the sender gives away instead of having them copied */
  send(message: Message, transfer?: readonly ArrayBuffer[]): void;
  /**
   * When there is room for more of a stream of bytes; undefined when there is. What is queued here holds up whatever is
   * sent after it: a cancel, a goodbye.
   */
  room(): Promise<void> | undefined;
  onMessage(listener: (message: Message) => void): void;
  /** Called once when the other end is gone, with the reason. */
  onClose(listener: (reason: Error) => void): void;
  /** Ends the channel in good order: what was sent still arrives. */
  close(): Promise<void>;
}

/**
 * Calls go from the controller to the agent; results and progress come back under the call's number. A call may have a
 * stream of bytes with it: `part` and `end` go where the bytes go (to the agent with `apply`, to the controller with `read`,
 * `scan`, `look` and `watch`, where the result ends it), `credit` goes the other way: so many bytes more may be sent.
 */
export type Message =
  | { type: 'call'; id: number; method: Method; args: unknown[] }
  | { type: 'cancel'; id: number }
  | { type: 'progress'; id: number; progress: Progress }
  | { type: 'result'; id: number; value: unknown }
  | { type: 'error'; id: number; error: WireError }
  | { type: 'part'; id: number; bytes: Uint8Array }
  | { type: 'end'; id: number; error?: WireError }
  | { type: 'credit'; id: number; bytes: number };

export const methods = [
  'probe',
  'open',
  'scan',
  'digest',
  'signatures',
  'read',
  'apply',
  'token',
  'cleanOut',
  'prune',
  'history',
  'restore',
  'flush',
  'close',
  'watch',
  'look',
] as const;
export type Method = (typeof methods)[number];

/** What will probably be asked for once all has been said that has to be said before. */
export interface AheadRequest {
  root: string;
  request: ScanRequest;
}

/** An error on its way through a channel. */
export interface WireError {
  name: string;
  code: string;
  message: string;
  hint: string | undefined;
  path: string | undefined;
  option: string | undefined;
  stack: string | undefined;
}
