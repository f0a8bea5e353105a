/** What the far side's tools can do, as its program found out (`facts` in program.ts), and what is lost where one is missing. */
import { LockstepError } from '../../base/errors.ts';

/** How an mtime can be set: to the fraction of a second, to the second, or by calendar (`touch -t`). */
export type TouchKind = 'fine' | 'seconds' | 'old';

export interface Tools {
  /** How exactly so many bytes are taken from the pipe; `slow` reads them one by one. */
  take: 'head' | 'dd' | 'slow';
  /** `xargs -0`; else names go to tools in a loop. */
  xargs: boolean;
  /** What entries are looked at with. */
  look: 'stat' | 'find';
  /** How the tree is walked. */
  walk: 'find-printf' | 'find-stat' | 'shell';
  tar: 'none' | 'plain' | 'pax';
  /** `tar` reads times before 1970 without pax headers. Others may take such a header for a broken archive. */
  tarNegative: boolean;
  /** Busybox's `cpio`, which reads an archive to its end and no further. */
  cpio: boolean;
  touch: TouchKind;
  digest: 'sha256sum' | 'openssl' | 'none';
  host: string;
  boot: string;
  pid: number;
  start: string;
  uid: number;
  gid: number;
  /** Times of entries are seen to the fraction of a second. */
  seesFractions: boolean;
}

/** What is not there, and what it costs: for people. */
export interface Cost {
  tool: string;
  cost: string;
}

export function parseTools(text: string): Tools {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0) values.set(line.slice(0, space), line.slice(space + 1).trim());
  }
  const value = (key: string): string => values.get(key) ?? '';
  const tarSays = value('tar');
  const [uid = 0, gid = 0] = value('ids').split(' ').map(numberOf);
  const seen = value('date').split('|')[1] ?? '';
  const fraction = /\.(\d{9})/.exec(seen)?.[1];
  const hasStat = /^[0-9a-f]{4}$/.test(value('stat'));
  const hasPrintf = /^d[0-7]{3,4}$/.test(value('findprintf'));
  const hasExec = value('findexec') === '/';
  return {
    take: value('take') === 'head' ? 'head' : value('take') === 'dd' ? 'dd' : 'slow',
    xargs: value('xargs') === '1',
    look: hasStat ? 'stat' : 'find',
    walk: hasPrintf ? 'find-printf' : hasExec && hasStat ? 'find-stat' : 'shell',
    tar: tarOf(tarSays),
    tarNegative: /busybox/i.test(tarSays),
    cpio: value('cpio') === 'x',
    touch: value('touch') === 'fine' ? 'fine' : value('touch') === 'seconds' ? 'seconds' : 'old',
    digest: value('sha').startsWith(ofAbc) ? 'sha256sum' : value('openssl').startsWith(ofAbc) ? 'openssl' : 'none',
    host: value('host'),
    boot: value('boot'),
    pid: numberOf(value('pid')),
    start: /^\d{1,20}$/.test(value('start')) ? value('start') : '',
    uid,
    gid,
    seesFractions: hasPrintf || (fraction !== undefined && fraction !== '000000000'),
  };
}

/** @throws LockstepError when what is there is not enough to keep anybody's files with */
export function checkTools(tools: Tools, name: string): void {
  if (tools.look === 'stat') return;
  const missing = 'stat -c';
  throw new LockstepError(
    'connection',
    `there is neither Node nor ${missing} on ${name}: files cannot be told apart there`,
    {
      hint: 'Install busybox, coreutils or Node 18 there; lockstep doctor ENDPOINT tells what was found.',
    },
  );
}

/** What `now` printed: the time in ms since 1970, and how finely it is known. */
export function readClock(text: string): { ms: number; stepMs: number } {
  const [date = '', seen = ''] = text.trim().split('|');
  const whole = /^(\d{1,12})(?:\.(\d{3})\d*)?$/.exec(date);
  if (whole?.[2] !== undefined) return { ms: Number(whole[1]) * 1000 + Number(whole[2]), stepMs: 1 };
  const fine = clockOf(seen);
  if (fine !== undefined && !/\.0{9} /.test(seen)) return { ms: fine, stepMs: 10 };
  return { ms: Number(whole?.[1] ?? 0) * 1000, stepMs: 1000 };
}

/** What is kept less well, or done more slowly, than it could be. */
export function costsOf(tools: Tools): Cost[] {
  const costs: Cost[] = [];
  if (tools.digest === 'none') {
    costs.push({
      tool: 'sha256sum or openssl',
      cost: 'content that must be compared is brought here for it; of large files all is sent',
    });
  }
  if (tools.touch !== 'fine') costs.push({ tool: 'touch that takes fractions', cost: 'times are kept to the second' });
  if (!tools.seesFractions)
    costs.push({ tool: 'stat that shows fractions', cost: 'a second edit within a second is found by digest' });
  if (tools.tar === 'none') costs.push({ tool: 'tar', cost: 'several processes a file: slow with many small files' });
  if (tools.walk === 'shell')
    costs.push({ tool: 'find with -exec {} +', cost: 'the tree is walked by the shell itself: slow' });
  if (tools.take === 'slow') costs.push({ tool: 'head -c or dd iflag=fullblock', cost: 'about a megabyte a second' });
  if (!tools.xargs) costs.push({ tool: 'xargs -0', cost: 'names are passed on one by one: slow with many' });
  return costs;
}

const ofAbc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

/** GNU's and BSD's know the headers that hold fractions of seconds. */
function tarOf(says: string): Tools['tar'] {
  if (/GNU tar|bsdtar|libarchive/.test(says)) return 'pax';
  return /not found|^$/i.test(says) && !/busybox|toybox/i.test(says) ? 'none' : 'plain';
}

function numberOf(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}

/** `2026-11-25 14:35:55.123456789 +0000` in ms. */
function clockOf(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{3})\d*/.exec(text);
  return match === null ? undefined : Date.parse(`${match[1]}T${match[2]}.${match[3]}Z`);
}
