/** What the probe told about the far side. It comes from there: nothing of it is trusted further than its use needs. */
import { decodeName } from '../tree/path.ts';
import { probedTools } from './probe-script.ts';

export interface NodeFound {
  path: string;
  /** As it says itself: `v20.20.2`; none when it did not run. */
  version: string | undefined;
}

export interface FarFacts {
  /** `Linux x86_64`. */
  system: string | undefined;
  uid: number | undefined;
  umask: number | undefined;
  home: string | undefined;
  /** Where the shell was started: the home directory with ssh, the image's choice in a container. */
  workingDirectory: string | undefined;
  /** The home of the user whom the endpoint's path names (`~ann/…`). */
  userHome: string | undefined;
  /** Its clock in whole seconds since 1970, and ours in milliseconds when that was read here (a little later). */
  clock: { seconds: number; readAtMs: number } | undefined;
  /** What its kernel calls itself since it was started. */
  boot: string | undefined;
  /** Which of the tools asked for are there. */
  tools: ReadonlySet<string>;
  /** The Node that would run a program there; none when there is none, or none is new enough. */
  node: NodeFound | undefined;
  /** Those that were found and are of no use. */
  tried: readonly NodeFound[];
}

/** @param lines what the probe printed between marker and end, as bytes: paths need not be UTF-8 */
export function parseFacts(lines: Uint8Array, readAtMs: number): FarFacts {
  const values = new Map<string, string>();
  const tried: NodeFound[] = [];
  for (const line of decodeName(lines).split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const [key, value] = [line.slice(0, space), line.slice(space + 1)];
    if (key !== 'tried') values.set(key, value);
    else if (tried.length < mostTried) tried.push(parseNode(value));
  }
  const node = values.get('node');
  const seconds = wholeNumber(values.get('clock'), 10);
  const tools = new Set(values.get('tools')?.split(' '));
  return {
    system: present(values.get('uname')),
    uid: wholeNumber(values.get('uid'), 10),
    umask: wholeNumber(values.get('umask'), 8),
    home: absolute(values.get('home')),
    workingDirectory: absolute(values.get('pwd')),
    userHome: absolute(values.get('userhome')),
    clock: seconds === undefined ? undefined : { seconds, readAtMs },
    boot: /^[0-9a-f-]{36}$/.exec(values.get('boot') ?? '')?.[0],
    tools: new Set(probedTools.filter((tool) => tools.has(tool))),
    node: node === undefined ? undefined : parseNode(node),
    tried,
  };
}

const mostTried = 20;

/** `v20.1.0 /path`, or `none /path` for one that did not run. */
function parseNode(value: string): NodeFound {
  const space = value.indexOf(' ');
  const version = value.slice(0, space);
  return { path: value.slice(space + 1), version: version === 'none' ? undefined : version };
}

function present(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function absolute(value: string | undefined): string | undefined {
  return value?.startsWith('/') === true ? value : undefined;
}

function wholeNumber(text: string | undefined, radix: 8 | 10): number | undefined {
  if (text === undefined || !(radix === 8 ? /^[0-7]{1,6}$/ : /^[0-9]{1,15}$/).test(text)) return undefined;
  return Number.parseInt(text, radix);
}
