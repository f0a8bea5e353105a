/** A line that shows how far a run is: rewritten in place on a terminal, a plain line now and then elsewhere. */
import { monotonicMs } from '../../base/clock.ts';
import { formatBytes, formatDuration } from '../../base/format.ts';
import type { RunProgress } from '../../link/events.ts';

const redrawMs = 100;
/** Where nothing can be rewritten, a long run still shows that it lives. */
const plainLineMs = 30_000;

export class ProgressLine {
  readonly #stream: NodeJS.WriteStream;
  #shown = false;
  #lastAt: number;
  #applyingSince: number | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#lastAt = monotonicMs();
  }

  show(progress: RunProgress): void {
    const now = monotonicMs();
    if (progress.phase === 'applying') this.#applyingSince ??= now;
    if (now - this.#lastAt < (this.#stream.isTTY ? redrawMs : plainLineMs)) return;
    this.#lastAt = now;
    const line = this.#describe(progress, now);
    if (!this.#stream.isTTY) {
      this.#stream.write(`${line}\n`);
      return;
    }
    this.#shown = true;
    // A terminal that does not know its size says 0.
    const width = this.#stream.columns > 0 ? this.#stream.columns : 80;
    this.#stream.write(`\r\u001b[K${line.slice(0, width - 1)}`);
  }

  clear(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#stream.write('\r\u001b[K');
  }

  #describe(progress: RunProgress, now: number): string {
    const { phase, entries, totalEntries, bytes, totalBytes } = progress;
    if (phase !== 'applying') return `${phase}… ${entries.toLocaleString('en-US')} entries`;
    const seconds = Math.max(0.001, (now - (this.#applyingSince ?? now)) / 1000);
    const rate = bytes / seconds;
    const share = totalBytes === undefined || totalBytes === 0 ? undefined : Math.min(1, bytes / totalBytes);
    const left =
      share === undefined || rate === 0 ? '' : `, ${formatDuration((((totalBytes ?? 0) - bytes) / rate) * 1000)} left`;
    const files =
      totalEntries === undefined
        ? entries.toLocaleString('en-US')
        : `${entries.toLocaleString('en-US')}/${totalEntries.toLocaleString('en-US')}`;
    const bar =
      share === undefined
        ? ''
        : `[${'#'.repeat(Math.round(share * 20)).padEnd(20, '.')}] ${Math.floor(share * 100)}%  `;
    const size = totalBytes === undefined ? formatBytes(bytes) : `${formatBytes(bytes)}/${formatBytes(totalBytes)}`;
    return `${bar}${files} files, ${size}, ${formatBytes(rate)}/s${left}`;
  }
}
