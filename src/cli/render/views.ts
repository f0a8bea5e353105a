/** A renderer for each remote root of a command: they share the terminal. */
import type { SyncOptions } from '../../workspace/options.ts';
import { jsonRenderer } from './json.ts';
import { liveTextRenderer } from './live-text.ts';
import type { Renderer } from './renderer.ts';
import { StatusLine } from './status-line.ts';
import { textRenderer } from './text.ts';

export interface ViewOptions {
  local: string;
  remotes: readonly string[];
  json: boolean;
  verbosity: number;
  options: SyncOptions;
}

export class Views {
  readonly #options: ViewOptions;
  readonly #status = new StatusLine(process.stderr);
  readonly #renderers = new Map<string, Renderer>();

  constructor(options: ViewOptions) {
    this.#options = options;
  }

  get json(): boolean {
    return this.#options.json;
  }

  of(remote: string): Renderer {
    let renderer = this.#renderers.get(remote);
    if (renderer === undefined) this.#renderers.set(remote, (renderer = this.#make(remote)));
    return renderer;
  }

  /** A line that a program on the way to one of the far sides printed on its stderr. */
  farLine(line: string): void {
    this.of(this.#options.remotes[0] ?? '').farLine(line);
  }

  end(): void {
    for (const renderer of this.#renderers.values()) renderer.end();
  }

  #make(remote: string): Renderer {
    const { local, remotes, json, verbosity, options } = this.#options;
    const label = remotes.length > 1 ? remote : undefined;
    if (json) return jsonRenderer(label);
    const names = { a: local, b: remote };
    if (options.watch === true) return liveTextRenderer({ verbosity, names, label, status: this.#status });
    return textRenderer({ verbosity, dryRun: options.dryRun ?? false, names });
  }
}
