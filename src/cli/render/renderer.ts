import type { LinkEvent, Summary } from '../../link/events.ts';

import type { LiveSummary } from '../../link/live/totals.ts';

/** Shows a run to somebody: a person (text.ts) or a program (json.ts). */
export interface Renderer {
  event(event: LinkEvent): void;
  /** A line that a program on the way to the far side printed on its stderr. */
  farLine(line: string): void;
  summary(summary: Summary): void;
  liveSummary(summary: LiveSummary): void;
  /** Leaves the terminal clean, whatever way the run ended. */
  end(): void;
}
