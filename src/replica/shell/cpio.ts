/**
 * Archives for busybox's `cpio`, in the format that POSIX calls new ASCII (`newc`).
 *
 * Two things make it worth a format of its own. It reads an archive to its last byte and not one further, where every `tar` reads on: nothing has
 * to stand between it and our pipe. And it makes no directories that an archive does not tell of, so that it does not look for each file's
 * parents, each time: of its `tar`'s time over a tree of small files that is a quarter.
 */
import { encodeName } from '../../tree/path.ts';
import { ArchiveWriter, type ArchiveEntry } from './archive.ts';

const headerBytes = 110;
/** What an entry's name and content are filled up to. */
const alignment = 4;
const fieldBytes = 8;
/** Where its fields are in a header. */
const fields = { mode: 14, uid: 22, gid: 30, links: 38, mtime: 46, size: 54, nameBytes: 94 } as const;
const kinds = { file: 0o100000, dir: 0o040000, symlink: 0o120000 } as const;
/** Times are told in 32 bits, with or without a sign. */
const latestUs = (2n ** 31n - 1n) * 1_000_000n;
const empty = Buffer.alloc(0);

/** Whose what comes out of it is to be. */
export interface CpioOptions {
  uid: number;
  gid: number;
}

export class CpioWriter extends ArchiveWriter {
  /** A header, but for what is the entry's own. */
  readonly #blank = Buffer.alloc(headerBytes, '0', 'latin1');

  constructor({ uid, gid }: CpioOptions, memory: Buffer) {
    super(memory);
    this.#blank.write('070701', 'latin1');
    hex(this.#blank, fields.uid, uid);
    hex(this.#blank, fields.gid, gid);
    // More than one would make it look for the others.
    hex(this.#blank, fields.links, 1);
  }

  holds(mtimeUs: bigint): boolean {
    return mtimeUs >= 0n && mtimeUs <= latestUs;
  }

  add({ name, type, mode, size, mtimeUs, target }: ArchiveEntry): void {
    const content = type === 'symlink' ? encodeName(target ?? '') : empty;
    this.#header(
      encodeName(name),
      kinds[type] | mode,
      type === 'file' ? size : content.length,
      Number(mtimeUs / 1_000_000n),
    );
    if (type !== 'symlink') return;
    this.content(content);
    this.endContent(content.length);
  }

  endContent(size: number): void {
    this.zeros((alignment - (size % alignment)) % alignment);
  }

  finish(): Buffer {
    this.#header(Buffer.from('TRAILER!!!'), 0, 0, 0);
    return this.buffer.subarray(0, this.used);
  }

  #header(name: Buffer, mode: number, size: number, seconds: number): void {
    this.reserve(headerBytes);
    const { buffer, used } = this;
    buffer.set(this.#blank, used);
    hex(buffer, used + fields.mode, mode);
    hex(buffer, used + fields.mtime, seconds);
    hex(buffer, used + fields.size, size);
    hex(buffer, used + fields.nameBytes, name.length + 1);
    this.used += headerBytes;
    this.content(name);
    this.zeros(1);
    // With its header the name is filled up, not alone.
    this.endContent(headerBytes + name.length + 1);
  }
}

/** A number of 32 bits at most. */
function hex(buffer: Buffer, at: number, value: number): void {
  let rest = value;
  for (let i = at + fieldBytes - 1; i >= at; i -= 1) {
    const digit = rest & 15;
    buffer[i] = digit < 10 ? 48 + digit : 87 + digit;
    rest >>>= 4;
  }
}
