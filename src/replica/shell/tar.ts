/** Archives for the far `tar`: what every one of them has understood for thirty years, and the headers of today where it knows them. */
import { encodeName } from '../../tree/path.ts';
import { ArchiveWriter, type ArchiveEntry } from './archive.ts';

const blockBytes = 512;
const recordBytes = 20 * blockBytes;
/** What `takedd` takes at a time, and how large an archive must be for a few more zeros not to matter. */
const takenBytes = 4 * recordBytes;
const worthRounding = 1 << 20;

export interface TarOptions {
  uid: number;
  gid: number;
  /** The far side knows pax headers: times with fractions. */
  pax: boolean;
  /** It reads a negative number in base 256: times before 1970. */
  negative: boolean;
}

export class TarWriter extends ArchiveWriter {
  readonly #options: TarOptions;
  /** A header, but for what is the entry's own. */
  readonly #blank = Buffer.alloc(blockBytes);
  /** The sum of its bytes. */
  readonly #blankSum: number;

  /** @param memory for as much as fits in; more is taken when it is full */
  constructor(options: TarOptions, memory: Buffer) {
    super(memory);
    this.#options = options;
    octal(this.#blank, 108, 8, options.uid);
    octal(this.#blank, 116, 8, options.gid);
    // Spaces where its sum will be.
    this.#blank.write('        ', 148, 'latin1');
    this.#blank.write('ustar  \0', 257, 'latin1');
    this.#blankSum = sumOf(this.#blank, 0, blockBytes);
  }

  /** What it cannot say becomes 1970. */
  holds(): boolean {
    return true;
  }

  add(entry: ArchiveEntry): void {
    const name = encodeName(entry.type === 'dir' ? `${entry.name}/` : entry.name);
    const target = encodeName(entry.target ?? '');
    const seconds = floorDiv(entry.mtimeUs, 1_000_000n);
    const micros = entry.mtimeUs - seconds * 1_000_000n;
    if (this.#options.pax && entry.type !== 'symlink' && (micros !== 0n || seconds < 0n))
      this.#pax(paxTime(entry.mtimeUs));
    else if (this.#options.pax && entry.type === 'symlink') this.#pax(paxTime(entry.mtimeUs));
    if (name.length > 100) this.#long('L', name);
    if (target.length > 100) this.#long('K', target);
    const type = entry.type === 'dir' ? '5' : entry.type === 'symlink' ? '2' : '0';
    this.#header({
      name: name.subarray(0, 100),
      target: target.subarray(0, 100),
      mode: entry.mode,
      size: entry.type === 'file' ? entry.size : 0,
      seconds: seconds < 0n && !this.#options.negative ? 0n : seconds,
      type,
    });
  }

  endContent(size: number): void {
    this.zeros((blockBytes - (size % blockBytes)) % blockBytes);
  }

  finish(): Buffer {
    this.zeros(2 * blockBytes);
    // GNU tar reads twenty blocks at a time. A large one is rounded up so that one `dd` can take it (program.ts).
    const unit = this.used < worthRounding ? recordBytes : takenBytes;
    this.zeros((unit - (this.used % unit)) % unit);
    return this.buffer.subarray(0, this.used);
  }

  #pax(record: string): void {
    const bytes = Buffer.from(record);
    this.#header({ name: Buffer.from('x'), target: empty, mode: 0o600, size: bytes.length, seconds: 0n, type: 'x' });
    this.content(bytes);
    this.endContent(bytes.length);
  }

  /** GNU's way of saying a long name; busybox and BSD know it. */
  #long(type: 'L' | 'K', name: Buffer): void {
    const size = name.length + 1;
    this.#header({ name: Buffer.from('././@LongLink'), target: empty, mode: 0, size, seconds: 0n, type });
    this.content(name);
    this.zeros(1);
    this.endContent(size);
  }

  #header(h: { name: Buffer; target: Buffer; mode: number; size: number; seconds: bigint; type: string }): void {
    this.reserve(blockBytes);
    const block = this.buffer.subarray(this.used, this.used + blockBytes);
    block.set(this.#blank);
    block.set(h.name, 0);
    octal(block, 100, 8, h.mode);
    octal(block, 124, 12, h.size);
    octal(block, 136, 12, Number(h.seconds));
    block[156] = h.type.charCodeAt(0);
    block.set(h.target, 157);
    // Only what differs from the blank is summed up: of the fields below 148 the owner's are in it already, as are spaces at 148.
    const sum =
      this.#blankSum + sumOf(block, 0, 108) + sumOf(block, 124, 148) + sumOf(block, 156, 157 + h.target.length);
    octal(block, 148, 7, sum);
    this.used += blockBytes;
  }
}

const empty = Buffer.alloc(0);

function sumOf(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += bytes[i] as number;
  return sum;
}

/** A whole number in octal, or, where it is too large or too small for that, in base 256 as GNU has it. */
function octal(block: Buffer, at: number, width: number, value: number): void {
  if (value < 0 || value >= 8 ** (width - 1)) {
    let rest = BigInt(value);
    for (let i = at + width - 1; i > at; i -= 1) {
      block[i] = Number(rest & 255n);
      rest >>= 8n;
    }
    block[at] = value < 0 ? 0xff : 0x80;
    return;
  }
  let rest = value;
  for (let i = at + width - 2; i >= at; i -= 1) {
    block[i] = 48 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  block[at + width - 1] = 0;
}

/** `27 mtime=1350244992.023960\n`: the length counts itself. */
function paxTime(us: bigint): string {
  const negative = us < 0n;
  const absolute = negative ? -us : us;
  const time = `${negative ? '-' : ''}${absolute / 1_000_000n}.${(absolute % 1_000_000n).toString().padStart(6, '0')}`;
  const rest = ` mtime=${time}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

function floorDiv(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value < 0n && quotient * by !== value ? quotient - 1n : quotient;
}
