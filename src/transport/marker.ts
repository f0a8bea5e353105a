/** Markers: what tells an answer from everything that a login script prints. */
import { crypto } from '../base/builtins.ts';

export interface Marker {
  /** 32 hexadecimal digits, as the far side prints them. */
  text: string;
  /**
   * The same in two, for what we send: a far side that echoes its input (a terminal, a shell told to be verbose) must not
   * produce the marker by doing so.
   */
  halves: readonly [string, string];
}

export function newMarker(): Marker {
  const text = crypto().randomBytes(16).toString('hex');
  return { text, halves: [text.slice(0, 16), text.slice(16)] };
}
