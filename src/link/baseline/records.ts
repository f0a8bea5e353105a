/**
 * The baseline's log, record by record (docs/formats.md).
 *
 *     u32 bytes of payload · u32 CRC-32 of payload · payload
 *     payload: u32 bytes of header · header (JSON) · listing of a · listing of b
 *
 * A record is whole or it is not there: reading stops at the first that is cut short or does not match its checksum.
 */
import { crc32 } from 'node:zlib';
import { checkListing, Listing } from '../../tree/listing.ts';
import type { RelPath } from '../../tree/path.ts';

/** What happened, in the order it happened. */
export type LogRecord =
  /** The complete listings of a directory as they are now agreed. */
  | { type: 'set'; dir: RelPath; a: Listing; b: Listing }
  /** Some entries of a directory: those in the listings are agreed, those named are gone. */
  | { type: 'patch'; dir: RelPath; a: Listing; b: Listing; goneA: string[]; goneB: string[]; digests: DigestChange[] }
  /** Directories or files were renamed on both sides, all at once. */
  | { type: 'moves'; moves: { from: RelPath; to: RelPath }[] }
  /** Changes are about to be made under this token (token.ts); what follows are their results. */
  | { type: 'intent'; token: string }
  /** Written under these sessions of the two file systems, not yet known to be durable. */
  | { type: 'session'; a: string; b: string; time: number }
  /** Everything up to here is durable. */
  | { type: 'durable' };

/** A content digest that becomes known, or (undefined) is not true any more. */
export interface DigestChange {
  name: string;
  sha256: string | undefined;
}

/** Encodes records into memory of its own, again and again the same: a first copy writes hundreds of megabytes of them. */
export class RecordEncoder {
  #buffer = Buffer.alloc(64 << 10);

  /** @returns valid until the next call */
  encode(records: readonly LogRecord[]): Buffer {
    let end = 0;
    for (const record of records) end = this.#add(record, end);
    return this.#buffer.subarray(0, end);
  }

  /** @returns where it ends */
  #add(record: LogRecord, start: number): number {
    const listings = record.type === 'set' || record.type === 'patch' ? [record.a.bytes, record.b.bytes] : [];
    const header = JSON.stringify(headerOf(record));
    const headerBytes = Buffer.byteLength(header);
    const length = 4 + headerBytes + listings.reduce((sum, bytes) => sum + bytes.length, 0);
    this.#reserve(start, 8 + length);
    const buffer = this.#buffer;
    buffer.writeUInt32LE(headerBytes, start + 8);
    buffer.write(header, start + 12);
    let end = start + 12 + headerBytes;
    for (const bytes of listings) {
      buffer.set(bytes, end);
      end += bytes.length;
    }
    buffer.writeUInt32LE(length, start);
    buffer.writeUInt32LE(crc32(buffer.subarray(start + 8, end)), start + 4);
    return end;
  }

  #reserve(used: number, more: number): void {
    if (used + more <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, used + more));
    this.#buffer.copy(larger, 0, 0, used);
    this.#buffer = larger;
  }
}

function headerOf(record: LogRecord): object {
  if (record.type !== 'set' && record.type !== 'patch') return record;
  return { ...record, a: record.a.bytes.length, b: record.b.bytes.length };
}

/** Reads whole records. @returns them, and how many bytes they take: what comes after is torn */
export function decodeRecords(bytes: Buffer): { records: LogRecord[]; end: number } {
  const records: LogRecord[] = [];
  let end = 0;
  while (end + 8 <= bytes.length) {
    const length = bytes.readUInt32LE(end);
    const payload = bytes.subarray(end + 8, end + 8 + length);
    // Nothing is that short, but the checksum of nothing is zero: a tail of zeros, as a power cut leaves one, would match.
    if (length < 4) break;
    if (payload.length < length || crc32(payload) !== bytes.readUInt32LE(end + 4)) break;
    const record = decodePayload(payload);
    if (record === undefined) break;
    records.push(record);
    end += 8 + length;
  }
  return { records, end };
}

function decodePayload(payload: Buffer): LogRecord | undefined {
  const headerLength = payload.readUInt32LE(0);
  const header = JSON.parse(payload.toString('utf8', 4, 4 + headerLength)) as LogRecord & { a: number; b: number };
  if (header.type !== 'set' && header.type !== 'patch') return header;
  const start = 4 + headerLength;
  const a = payload.subarray(start, start + header.a);
  const b = payload.subarray(start + header.a, start + header.a + header.b);
  if (checkListing(a) !== undefined || checkListing(b) !== undefined) return undefined;
  return { ...header, a: new Listing(a), b: new Listing(b) };
}
