/** A two-way stream of messages between a controller and an agent. Plain data only; order is kept. */
export interface Channel {
  /** @param transfer buffers in the message that the sender gives away instead of having them copied */
  send(message: Message, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: Message) => void): void;
  /** Called once when the other end is gone, with the reason. */
  onClose(listener: (reason: string) => void): void;
  close(): void;
}

/** Calls go from the controller to the agent; everything else comes back under the call's number. */
export type Message =
  | { type: 'call'; id: number; method: Method; args: unknown[] }
  | { type: 'cancel'; id: number }
  | { type: 'progress'; id: number; progress: unknown }
  | { type: 'result'; id: number; value: unknown }
  | { type: 'error'; id: number; error: WireError };

export type Method =
  'probe' | 'open' | 'scan' | 'digest' | 'apply' | 'token' | 'cleanOut' | 'prune' | 'flush' | 'close';

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
