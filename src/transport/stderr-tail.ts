/** The last words of a process on stderr: kept for messages, and passed on line by line. */

/** How much is kept, in bytes: enough for the end of any complaint. */
const kept = 4096;

export class StderrTail {
  #tail = Buffer.alloc(0);
  #line = '';
  readonly #decoder = new TextDecoder();

  constructor(private readonly onLine: ((line: string) => void) | undefined) {}

  add(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-kept);
    this.#forward(this.#decoder.decode(chunk, { stream: true }));
  }

  /** No more will come. */
  end(): void {
    this.#forward(this.#decoder.decode());
    if (this.#line !== '') this.#emit(this.#line);
    this.#line = '';
  }

  /** The last few kilobytes, as text. */
  text(): string {
    return this.#tail.toString();
  }

  #forward(text: string): void {
    const lines = `${this.#line}${text}`.split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) this.#emit(line);
    // A line that never ends must not fill the memory.
    if (this.#line.length > kept) {
      this.#emit(this.#line);
      this.#line = '';
    }
  }

  #emit(line: string): void {
    this.onLine?.(line.endsWith('\r') ? line.slice(0, -1) : line);
  }
}
