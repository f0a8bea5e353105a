/**
 * Any JavaScript string as bytes: UTF-8, with lone surrogates (names that are not UTF-8, tree/path.ts) encoded as if they
 * were characters, which is called WTF-8. Each string has exactly one form, and only such forms are decoded.
 *
 * Buffer's own coder is much faster than anything written here, and wrong only about lone surrogates, so it does the work
 * and is corrected where it was wrong.
 */

const loneSurrogate = /[\ud800-\udfff]/u;

/** @param target exactly `Buffer.byteLength(text)` bytes, which is right for lone surrogates too */
export function encodeTextInto(target: Buffer, text: string): void {
  target.write(text, 'utf8');
  if (target.length !== text.length && loneSurrogate.test(text)) correctSurrogates(target, text);
}

function correctSurrogates(target: Buffer, text: string): void {
  let at = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (isSurrogate(point)) {
      target[at] = 0xe0 | (point >> 12);
      target[at + 1] = 0x80 | ((point >> 6) & 0x3f);
      target[at + 2] = 0x80 | (point & 0x3f);
    }
    at += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
}

/** @returns the text in bytes `start` to `end`, or undefined when no string is encoded like that */
export function decodeText(bytes: Buffer, start: number, end: number): string | undefined {
  const text = bytes.toString('utf8', start, end);
  // U+FFFD stands in the text itself, or for something that Buffer did not understand.
  return text.includes('\ufffd') ? decodeCarefully(bytes.subarray(start, end)) : text;
}

function decodeCarefully(bytes: Buffer): string | undefined {
  let text = '';
  let afterHigh = false;
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] ?? 0;
    const size = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    if (size === 0 || at + size > bytes.length) return undefined;
    let point = size === 1 ? first : first & (0x7f >> size);
    for (let i = 1; i < size; i += 1) {
      const next = bytes[at + i] ?? 0;
      if ((next & 0xc0) !== 0x80) return undefined;
      point = (point << 6) | (next & 0x3f);
    }
    const least = [0, 0, 0x80, 0x800, 0x10000][size] ?? 0;
    if (point < least || point > 0x10ffff) return undefined;
    // A pair has its own, shorter form.
    if (afterHigh && point >= 0xdc00 && point <= 0xdfff) return undefined;
    afterHigh = point >= 0xd800 && point <= 0xdbff;
    text += String.fromCodePoint(point);
    at += size;
  }
  return text;
}

function isSurrogate(point: number): boolean {
  return point >= 0xd800 && point <= 0xdfff;
}
