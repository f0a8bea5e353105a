/** What is told of a live link: everything once. A conflict that stays open is found again by every look at everything. */
import type { RelPath } from '../../tree/path.ts';
import type { LinkEvent, Listener } from '../events.ts';
import type { UnsettledPaths, UnsettledReason } from './unsettled.ts';

/** So many different messages are remembered. */
const maxMessages = 1000;

export class Told {
  readonly #listener: Listener;
  readonly #isPassing: (path: RelPath, why: UnsettledReason) => boolean;
  /** Open conflicts and skips that were told of, by path. */
  readonly #paths = new Map<RelPath, Set<string>>();
  readonly #messages = new Set<string>();
  counts = { conflicts: 0, skipped: 0 };

  constructor(listener: Listener, isPassing: (path: RelPath, why: UnsettledReason) => boolean) {
    this.#listener = listener;
    this.#isPassing = isPassing;
  }

  hear(event: LinkEvent): void {
    if (this.#isWorthTelling(event)) this.#listener(event);
  }

  /** A pass has ended: what is settled may be told of again, should it come back. */
  passed(unsettled: UnsettledPaths): void {
    this.counts = unsettled.counts;
    for (const path of this.#paths.keys()) if (!unsettled.has(path)) this.#paths.delete(path);
  }

  #isWorthTelling(event: LinkEvent): boolean {
    switch (event.type) {
      case 'skip': {
        const { path, why, side, detail } = event.skip;
        return !this.#isPassing(path, why) && this.#isNew(path, `${side} ${why} ${detail ?? ''}`);
      }
      case 'conflict': {
        const { path, what, winner } = event.conflict;
        return winner !== 'open' || this.#isNew(path, `conflict ${what}`);
      }
      case 'warning':
      case 'notice':
        if (this.#messages.has(event.message)) return false;
        if (this.#messages.size < maxMessages) this.#messages.add(event.message);
        return true;
      case 'action':
      case 'progress':
      case 'state':
      case 'pass':
        return true;
    }
  }

  #isNew(path: RelPath, what: string): boolean {
    const known = this.#paths.get(path);
    if (known?.has(what) === true) return false;
    if (known === undefined) this.#paths.set(path, new Set([what]));
    else known.add(what);
    return true;
  }
}
