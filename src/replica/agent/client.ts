/** The controller's half: a `Replica` whose work is done at the other end of a channel. */
import { InterruptedError, LockstepError } from '../../base/errors.ts';
import type { DigestAnswer } from '../../reconcile/input.ts';
import { treeOfChunks } from '../../tree/packer.ts';
import type {
  ApplyBatch,
  Control,
  DigestRequest,
  Failure,
  OpenedRoot,
  OpenRequest,
  Progress,
  Replica,
  Retention,
  RootProbe,
  ScanRequest,
  ScanResult,
  StepResult,
} from '../replica.ts';
import type { Channel, Message, Method } from './channel.ts';
import { fromWire } from './errors.ts';
import type { PackedScanResult } from './serve.ts';

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  onProgress: ((progress: Progress) => void) | undefined;
}

export class AgentClient implements Replica {
  readonly #channel: Channel;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #gone: string | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.onMessage((message) => this.#receive(message));
    channel.onClose((reason) => this.#lost(reason));
  }

  async probe(root: string): Promise<RootProbe> {
    return this.#call('probe', [root]);
  }

  async open(request: OpenRequest): Promise<OpenedRoot> {
    return this.#call('open', [request]);
  }

  async scan(request: ScanRequest, control: Control): Promise<ScanResult> {
    const { changed, ...rest } = await this.#call<PackedScanResult>('scan', [request], control);
    return { ...rest, changed: treeOfChunks(changed) };
  }

  async digest(requests: readonly DigestRequest[], control: Control): Promise<DigestAnswer[]> {
    return this.#call('digest', [requests], control);
  }

  async apply(batch: ApplyBatch, control: Control): Promise<StepResult[]> {
    return this.#call('apply', [batch], control);
  }

  async token(linkId: string, write?: string): Promise<string | undefined> {
    return this.#call('token', [linkId, write]);
  }

  async cleanOut(control: Control): Promise<{ removed: number; failures: Failure[] }> {
    return this.#call('cleanOut', [], control);
  }

  async prune(retention: Retention): Promise<{ removed: number; bytes: number }> {
    return this.#call('prune', [retention]);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    return this.#call('flush', [timeoutMs]);
  }

  async close(): Promise<void> {
    try {
      if (this.#gone === undefined) await this.#call('close', []);
    } finally {
      this.#channel.close();
    }
  }

  async #call<T>(method: Method, args: unknown[], control?: Control): Promise<T> {
    if (this.#gone !== undefined) throw lostAgent(this.#gone);
    if (control?.signal.aborted === true) throw new InterruptedError();
    const id = this.#next++;
    const cancel = (): void => this.#channel.send({ type: 'cancel', id });
    control?.signal.addEventListener('abort', cancel, { once: true });
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#waiting.set(id, {
          resolve: resolve as (value: unknown) => void,
          reject,
          onProgress: control?.onProgress,
        });
        this.#channel.send({ type: 'call', id, method, args });
      });
    } finally {
      control?.signal.removeEventListener('abort', cancel);
    }
  }

  #receive(message: Message): void {
    if (message.type === 'call' || message.type === 'cancel') return;
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    if (message.type === 'progress') {
      waiting.onProgress?.(message.progress as Progress);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.type === 'result') waiting.resolve(message.value);
    else waiting.reject(fromWire(message.error));
  }

  #lost(reason: string): void {
    this.#gone = reason;
    for (const { reject } of this.#waiting.values()) reject(lostAgent(reason));
    this.#waiting.clear();
  }
}

function lostAgent(reason: string): LockstepError {
  return new LockstepError('io', `lost the agent: ${reason}`, { hint: 'Run again: it continues where it stopped.' });
}
