/** CRC-32 as in zip and gzip. Node has it since 20.15 and 22.2; agents may run on older ones. */
import zlib from 'node:zlib';

const polynomial = 0xedb88320;

/** Entry 256·k + b is the effect of byte b followed by k more bytes ("slicing by eight"). Filled when first used. */
const table = new Int32Array(8 * 256);

function fillTable(): void {
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    table[byte] = crc;
  }
  for (let at = 256; at < table.length; at += 1) {
    const shorter = entry(at - 256, 0);
    table[at] = (shorter >>> 8) ^ entry(0, shorter);
  }
}

/** What `crc32` is where Node has none. @param before the CRC of the bytes that come before these */
export function crc32InScript(bytes: Uint8Array, before = 0): number {
  if (table[1] === 0) fillTable();
  let crc = ~before;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    crc ^= byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24);
    crc =
      entry(0x700, crc) ^
      entry(0x600, crc >>> 8) ^
      entry(0x500, crc >>> 16) ^
      entry(0x400, crc >>> 24) ^
      entry(0x300, byte(bytes, at + 4)) ^
      entry(0x200, byte(bytes, at + 5)) ^
      entry(0x100, byte(bytes, at + 6)) ^
      entry(0, byte(bytes, at + 7));
  }
  for (; at < bytes.length; at += 1) crc = (crc >>> 8) ^ entry(0, crc ^ byte(bytes, at));
  return ~crc >>> 0;
}

/** @param row 256 times the number of bytes that follow */
function entry(row: number, value: number): number {
  return table[row + (value & 0xff)] ?? 0;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

/** Absent in older versions, whatever the types say. */
const native = (zlib as { crc32?: (bytes: Uint8Array, before?: number) => number }).crc32;

/** @param before the CRC of the bytes that come before these */
export function crc32(bytes: Uint8Array, before = 0): number {
  // For some empty arrays Node 20 and 22 forget what came before.
  if (bytes.length === 0) return before;
  return native === undefined ? crc32InScript(bytes, before) : native(bytes, before);
}
