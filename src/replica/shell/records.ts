/** What the far side's `stat` and `find` say of entries, read strictly; and how such a line must look for an entry that we know. */
import { flags, type Entry, type Kind } from '../../tree/entry.ts';
import { decodeName } from '../../tree/path.ts';

/** Something found, with what an `Entry` has no room for. */
export interface Found {
  /** As it was asked for, or below `.`: without the `./`. */
  path: string;
  dev: number;
  entry: Entry;
}

export class BadRecordError extends Error {}

const types: Readonly<Record<string, Kind>> = { '8': 'file', '4': 'dir', a: 'symlink' };
const letters: Readonly<Record<string, Kind>> = { f: 'file', d: 'dir', l: 'symlink' };

/**
 * Reads the records of one answer as its pieces come. A record is `marker fields name`, from the start of a line to the
 * next marker at one; what begins a record nobody can have put into a name.
 */
export class RecordReader {
  readonly #start: string;
  readonly #each: (found: Found) => void;
  /** Told of `marker!text`, the errors that a walk ends with. */
  errors = '';
  #text = '';
  #last: Found | undefined;

  constructor(marker: string, each: (found: Found) => void) {
    this.#start = marker;
    this.#each = each;
  }

  push(piece: Buffer): void {
    // latin1: a character is a byte.
    this.#text += piece.toString('latin1');
    this.#parse(false);
  }

  /** All is there. @throws BadRecordError when it does not end with a whole record */
  finish(): void {
    this.#parse(true);
    this.#deliver();
  }

  #parse(isEnd: boolean): void {
    const separator = `\n${this.#start}`;
    const text = this.#text;
    let at = 0;
    if (text.length < this.#start.length && !isEnd) return;
    for (;;) {
      if (at === text.length) break;
      if (!text.startsWith(this.#start, at)) throw new BadRecordError('something between two records');
      const next = text.indexOf(separator, at + this.#start.length);
      if (next < 0 && !isEnd) break;
      const end = next < 0 ? text.length : next;
      this.#one(text, at + this.#start.length, next < 0 && text.charCodeAt(end - 1) === 10 ? end - 1 : end);
      at = next < 0 ? text.length : next + 1;
    }
    this.#text = text.slice(at);
    if (this.#text.length > 1 << 20) throw new BadRecordError('a record without an end');
  }

  /** One record, between two markers. */
  #one(text: string, from: number, to: number): void {
    const kind = text.charCodeAt(from);
    if (kind === 0x21) {
      this.errors = complaintsIn(text.slice(from + 1, to));
    } else if (kind === 0x2d) {
      const last = this.#last;
      if (last === undefined) throw new BadRecordError('the target of nothing');
      // Where links were not asked about alone, `%N` is printed of everything.
      if (last.entry.kind === 'symlink') last.entry.target = nameOf(targetOf(text.slice(from + 1, to), last.path));
    } else if (kind === 0x20) {
      this.#deliver();
      this.#last = parseRecord(text, from + 1, to);
    } else throw new BadRecordError('a record that is none');
  }

  #deliver(): void {
    const last = this.#last;
    this.#last = undefined;
    if (last === undefined) return;
    const name = last.path;
    const path = nameOf(name.startsWith('./') ? name.slice(2) : name === '.' ? '' : name);
    this.#each({ ...last, path });
  }
}

/**
 * What tools complained of, without what the program says of their ends (`whole` in program.ts).
 *
 * @returns with a line more when one of them came to no good end: who is not content says why, and who was killed says nothing
 */
function complaintsIn(text: string): string {
  let status = 0;
  let open = 0;
  const complaints = text.split('\n').filter((line) => {
    const ended = /^@status (\d{1,3})$/.exec(line)?.[1];
    if (ended !== undefined) status = Number(ended);
    else if (line === '@begin') open += 1;
    else if (line === '@end') open -= 1;
    else return true;
    return false;
  });
  const isSilent = complaints.every((line) => line.trim() === '' || /^\d*(?:\.\d+)?\|/.test(line));
  if (open !== 0 || status > 125 || (status !== 0 && isSilent)) complaints.unshift(`find was killed (${status})`);
  return complaints.join('\n');
}

/** `'name' -> 'target'`, or without the quotes: what `stat -c %N` makes of a symlink. Or just the target. */
function targetOf(text: string, name: string): string {
  const quoted = `'${name}' -> '`;
  if (text.startsWith(quoted) && text.endsWith("'")) return text.slice(quoted.length, -1);
  const bare = `${name} -> `;
  return text.startsWith(bare) ? text.slice(bare.length) : text;
}

/** A name as bytes a character, as it is carried (tree/path.ts). */
function nameOf(latin1: string): string {
  return /^[\x00-\x7f]*$/.test(latin1) ? latin1 : decodeName(Buffer.from(latin1, 'latin1'));
}

function parseRecord(text: string, from: number, to: number): Found {
  const ends: number[] = [];
  let at = from;
  const field = (): string => {
    const space = text.indexOf(' ', at);
    if (space < 0 || space > to || ends.length > 12) throw new BadRecordError('a record that is too short');
    const value = text.slice(at, space);
    at = space + 1;
    ends.push(space);
    return value;
  };
  const type = field();
  const size = whole(field());
  const ino = BigInt(digits(field()));
  const dev = whole(field());
  const first = field();
  let mtimeNs: bigint;
  let ctimeNs: bigint;
  const isCalendar = first.indexOf('-') > 0;
  if (isCalendar) {
    const clock = field();
    zone(field());
    mtimeNs = calendarNs(first, clock);
    const date = field();
    ctimeNs = calendarNs(date, field());
    zone(field());
  } else {
    mtimeNs = epochNs(first);
    ctimeNs = epochNs(field());
  }
  // `stat` says the type in hexadecimal and times by the calendar, `find` a letter and seconds.
  const [kind, mode] = isCalendar ? kindOfHex(type) : kindOfLetter(type);
  const entry: Entry = {
    kind,
    mode: kind === 'symlink' ? 0 : mode,
    size: kind === 'file' ? size : 0,
    mtimeNs,
    ctimeNs,
    ino,
    flags: 0,
  };
  return { path: text.slice(at, to), dev, entry };
}

function kindOfHex(text: string): [Kind, number] {
  if (!/^[0-9a-f]{1,5}$/.test(text)) throw new BadRecordError('an entry of no known kind');
  const value = Number.parseInt(text, 16);
  return [types[((value >> 12) & 15).toString(16)] ?? 'special', value & 0o7777];
}

function kindOfLetter(text: string): [Kind, number] {
  if (!/^[a-zA-Z?][0-7]{1,5}$/.test(text)) throw new BadRecordError('an entry of no known kind');
  return [letters[text.charAt(0)] ?? 'special', Number.parseInt(text.slice(1), 8) & 0o7777];
}

function zone(text: string): void {
  if (text !== '+0000') throw new BadRecordError('a time of another zone than was asked for');
}

function digits(text: string): string {
  if (!/^\d{1,20}$/.test(text)) throw new BadRecordError('a number that is none');
  return text;
}

function whole(text: string): number {
  const value = Number(digits(text));
  if (!Number.isSafeInteger(value)) throw new BadRecordError('an impossible number');
  return value;
}

/** Days that were read lately, in seconds: a tree has few. */
const days = new Map<string, number>();

function dayOf(date: string): number {
  let seconds = days.get(date);
  if (seconds === undefined) {
    const match = /^(-?\d{4,12})-(\d\d)-(\d\d)$/.exec(date);
    if (match === null) throw new BadRecordError('a date that is none');
    seconds = Date.UTC(2000, Number(match[2]) - 1, Number(match[3])) / 1000;
    // Years that no calendar of ours has, for file systems that have them: 400 of them are always as long.
    const year = Number(match[1]);
    const within = 2000 + (((year % 400) + 400) % 400);
    seconds =
      Date.UTC(within, Number(match[2]) - 1, Number(match[3])) / 1000 + ((year - within) / 400) * 12_622_780_800;
    if (days.size > 50_000) days.clear();
    days.set(date, seconds);
  }
  return seconds;
}

function calendarNs(date: string, clock: string): bigint {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?$/.exec(clock);
  if (match === null) throw new BadRecordError('a time that is none');
  const seconds = dayOf(date) + Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]);
  return BigInt(seconds) * 1_000_000_000n + BigInt((match[4] ?? '').padEnd(9, '0'));
}

/** `1577836800.1234567890`, as find prints it: seconds, and what is to be added; `-2.5000000000` is a second and a half before 1970. */
function epochNs(text: string): bigint {
  const match = /^(-?)(\d{1,18})(?:\.(\d{1,10}))?$/.exec(text);
  if (match === null) throw new BadRecordError('a time that is none');
  const seconds = BigInt(`${match[1] ?? ''}${match[2] ?? '0'}`);
  return seconds * 1_000_000_000n + BigInt((match[3] ?? '').padEnd(9, '0').slice(0, 9));
}

/** How `stat` shows a time; `*` for one that may be anything. */
function calendar(ns: bigint): string {
  let seconds = ns / 1_000_000_000n;
  let rest = ns % 1_000_000_000n;
  if (rest < 0n) {
    rest += 1_000_000_000n;
    seconds -= 1n;
  }
  const ms = Number(seconds) * 1000;
  if (Math.abs(ms) > 8.64e15) return '* * *';
  const text = new Date(ms).toISOString();
  if (!/^\d{4}-/.test(text)) return '* * *';
  return `${text.slice(0, 10)} ${text.slice(11, 19)}.${rest.toString().padStart(9, '0')} +0000`;
}

const typeDigits: Readonly<Record<string, string>> = { file: '8', dir: '4', symlink: 'a' };

/**
 * The pattern that the far `verify` matches the line of `stat` against: what must still be so for the entry to be what the
 * plan saw (as `matches` of replica/local/stat.ts).
 *
 * @param dev of the root's file system: what is in a nested mount is not touched
 * @param seesFractions else times are zero behind the point over there
 */
export function patternOf(expect: Entry, dev: number, seesFractions: boolean): string {
  const type = `${typeDigits[expect.kind] ?? 'x'}???`;
  const ino = expect.ino === 0n ? '*' : expect.ino.toString();
  if (expect.kind === 'dir') return `${type} * ${ino} ${dev} * * * * * *`;
  const time = (ns: bigint): string => calendar(seesFractions ? ns : ns - mod(ns));
  const size = expect.kind === 'file' ? String(expect.size) : '*';
  const ctime = expect.ctimeNs === 0n ? '* * *' : time(expect.ctimeNs);
  return `${type} ${size} ${ino} ${dev} ${time(expect.mtimeNs)} ${ctime}`;
}

function mod(ns: bigint): bigint {
  const rest = ns % 1_000_000_000n;
  return rest < 0n ? rest + 1_000_000_000n : rest;
}

/** Marks a file whose times lie within so much of the moments between which it was looked at. */
export function markRacy(entry: Entry, fromNs: bigint, toNs: bigint): void {
  if (entry.kind !== 'file') return;
  const within = (ns: bigint): boolean => ns >= fromNs && ns <= toNs;
  if (within(entry.ctimeNs) || within(entry.mtimeNs)) entry.flags |= flags.racy;
}
