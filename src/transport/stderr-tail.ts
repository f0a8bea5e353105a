/** The last words of a process on stderr: kept for messages, and passed on line by line. */

/** Is a line no words for people, and was taken care of? */
export type TakeLine = (line: string) => boolean;

/** How much is kept, in bytes: enough for the end of any complaint. */
const kept = 4096;

export class StderrTail {
  #tail = Buffer.alloc(0);
  #line = '';
  /** Sees every line first. */
  take: TakeLine | undefined;
  readonly #decoder = new TextDecoder();

  constructor(private readonly onLine: ((line: string) => void) | undefined) {}

  add(chunk: Buffer): void {
    this.#forward(this.#decoder.decode(chunk, { stream: true }));
  }

  /** No more will come. */
  end(): void {
    this.#forward(this.#decoder.decode());
    if (this.#line !== '') this.#emit(this.#line, '');
    this.#line = '';
  }

  /** The last few kilobytes, as text. */
  text(): string {
    return Buffer.concat([this.#tail, Buffer.from(this.#line)])
      .subarray(-kept)
      .toString();
  }

  #forward(text: string): void {
    const lines = `${this.#line}${text}`.split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) this.#emit(line, '\n');
    // A line that never ends must not fill the memory.
    if (this.#line.length > kept) {
      this.#emit(this.#line, '');
      this.#line = '';
    }
  }

  #emit(line: string, end: string): void {
    const words = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (this.take?.(words) === true) return;
    this.#tail = Buffer.concat([this.#tail, Buffer.from(`${line}${end}`)]).subarray(-kept);
    this.onLine?.(words);
  }
}
