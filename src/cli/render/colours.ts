import { styleText } from 'node:util';

export interface Colours {
  red: (text: string) => string;
  green: (text: string) => string;
  yellow: (text: string) => string;
  dim: (text: string) => string;
}

const plain = (text: string): string => text;
const none: Colours = { red: plain, green: plain, yellow: plain, dim: plain };
const coloured: Colours = {
  red: (text) => styleText('red', text),
  green: (text) => styleText('green', text),
  yellow: (text) => styleText('yellow', text),
  dim: (text) => styleText('dim', text),
};

/** Colours for a stream: none when it is no terminal or NO_COLOR is set, always with FORCE_COLOR. */
export function colours(stream: NodeJS.WriteStream): Colours {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== '') return none;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '0') return coloured;
  return stream.isTTY && TERM !== 'dumb' && stream.hasColors() ? coloured : none;
}
