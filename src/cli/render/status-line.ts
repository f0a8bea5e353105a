/** The last line of a terminal in live mode: what the links are doing now. Nothing where there is no terminal. */
import type { LiveState } from '../../link/live/state.ts';
import { localTime } from './time.ts';

export class StatusLine {
  readonly #stream: NodeJS.WriteStream;
  readonly #states = new Map<string, LiveState>();
  #changedAt: number | undefined;
  #shown = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** @param link names it, among several */
  set(link: string, state: LiveState): void {
    this.#states.set(link, state);
    this.draw();
  }

  /** Something was brought over. */
  changed(): void {
    this.#changedAt = Date.now();
  }

  draw(): void {
    if (!this.#stream.isTTY) return;
    const states = Array.from(this.#states, ([link, state]) => (link === '' ? word(state) : `${link}: ${word(state)}`));
    // Progress has the line to itself.
    if ([...this.#states.values()].some(({ name }) => name === 'checking' || name === 'connecting')) return;
    const last = this.#changedAt === undefined ? '' : ` · last change ${this.#time(this.#changedAt)}`;
    const width = this.#stream.columns > 0 ? this.#stream.columns : 80;
    const line = `${states.join(' · ')}${last}`.slice(0, width - 1);
    this.#shown = true;
    this.#stream.write(`\r\u001b[K${line}`);
  }

  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#stream.write('\r\u001b[K');
  }

  #time(ms: number): string {
    return localTime(new Date(ms).toISOString()).slice(-8);
  }
}

function word(state: LiveState): string {
  switch (state.name) {
    case 'watching':
    case 'syncing':
      return 'watching';
    case 'waiting':
      return 'waiting to connect again';
    case 'halted':
      return 'HALTED';
    case 'connecting':
    case 'checking':
    case 'ended':
      return state.name;
  }
}
