/** Archives for the far side, made in memory: what their formats have in common (tar.ts, cpio.ts). */

export interface ArchiveEntry {
  /** Relative; never begins with a slash or dash. */
  name: string;
  type: 'file' | 'dir' | 'symlink';
  mode: number;
  size: number;
  mtimeUs: bigint;
  target?: string;
}

/** One archive. */
export abstract class ArchiveWriter {
  protected buffer: Buffer;
  protected used = 0;

  /** @param memory for as much as fits in; more is taken when it is full */
  constructor(memory: Buffer) {
    this.buffer = memory;
  }

  /** Bytes so far. */
  get size(): number {
    return this.used;
  }

  /** Its memory, for another one, when nobody looks at this one any more. */
  get memory(): Buffer {
    return this.buffer;
  }

  /** Where the archive stands; `undo` goes back to it. */
  undo(to: number): void {
    this.used = to;
  }

  /** Can this format say when that was changed? */
  abstract holds(mtimeUs: bigint): boolean;

  /** Adds an entry; for a file, its content follows through `content` and `endContent`. */
  abstract add(entry: ArchiveEntry): void;

  /** The next bytes of a file's content. */
  content(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** All of a file's content is in it. @param size bytes of that */
  abstract endContent(size: number): void;

  /** The whole archive: a view that is good until the next use. */
  abstract finish(): Buffer;

  protected zeros(count: number): void {
    this.reserve(count);
    this.buffer.fill(0, this.used, this.used + count);
    this.used += count;
  }

  protected reserve(count: number): void {
    if (this.used + count <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.used + count));
    grown.set(this.buffer.subarray(0, this.used));
    this.buffer = grown;
  }
}
