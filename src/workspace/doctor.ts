/** What `lockstep doctor` looks at: this machine, and the far side of an endpoint. Nothing is written anywhere. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { childProcess } from '../base/builtins.ts';
import { reasonOf, UsageError } from '../base/errors.ts';
import { formatBytes } from '../base/format.ts';
import type { OpenedRoot, Replica, RootProbe } from '../replica/replica.ts';
import { ShellReplica } from '../replica/shell/shell-replica.ts';
import { costsOf } from '../replica/shell/tools.ts';
import { parseCommandEndpoint, parseEndpoint } from '../transport/endpoint.ts';
import { remoteOptions } from './options.ts';
import { openRoot } from './remote.ts';
import type { RemoteOptionsGiven } from './remote-options.ts';

/** One thing that was looked at. */
export interface Finding {
  about: 'here' | 'there';
  what: string;
  found: string;
  /** `cost`: it works, less well; `problem`: something will not work. */
  verdict: 'ok' | 'cost' | 'problem';
  /** What it costs, or what to do. */
  advice?: string;
}

export interface DoctorRequest extends RemoteOptionsGiven {
  remoteCommand?: readonly string[];
  signal: AbortSignal;
  onStderr?: (line: string) => void;
}

/** Fewer watches than this are soon used up. */
const fewWatches = 65_536;
const tightBytes = 1 << 30;

export async function examineHere(): Promise<Finding[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const findings: Finding[] = [
    {
      about: 'here',
      what: 'Node',
      found: process.version,
      ...(major > 20 || (major === 20 && minor >= 19)
        ? { verdict: 'ok' }
        : { verdict: 'problem', advice: 'Lockstep needs Node 20.19 or later.' }),
    },
    { about: 'here', what: 'system', found: `${os.type()} ${os.release()} ${os.arch()}`, verdict: 'ok' },
    { about: 'here', what: 'clock', found: new Date().toISOString(), verdict: 'ok' },
    await sshHere(),
    ...inotify(),
    space(os.homedir(), 'space for what is recorded'),
  ];
  return findings;
}

async function sshHere(): Promise<Finding> {
  const said = await new Promise<string | undefined>((resolve) => {
    const child = childProcess().spawn('ssh', ['-V'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    child.on('error', () => resolve(undefined));
    child.on('close', () => resolve(text.trim().split('\n')[0]));
  });
  if (said !== undefined) return { about: 'here', what: 'ssh', found: said, verdict: 'ok' };
  const advice = 'Roots behind ssh cannot be reached: install the OpenSSH client.';
  return { about: 'here', what: 'ssh', found: 'none on PATH', verdict: 'cost', advice };
}

function inotify(): Finding[] {
  if (process.platform !== 'linux') return [];
  const limits = ['max_user_watches', 'max_user_instances', 'max_queued_events'] as const;
  return limits.flatMap((name): Finding[] => {
    try {
      const found = fs.readFileSync(`/proc/sys/fs/inotify/${name}`, 'utf8').trim();
      const low = name === 'max_user_watches' && Number(found) < fewWatches;
      const what = `inotify ${name}`;
      if (!low) return [{ about: 'here', what, found, verdict: 'ok' }];
      const advice = `One is needed for each directory that is watched: sysctl fs.inotify.${name}=524288`;
      return [{ about: 'here', what, found, verdict: 'cost', advice }];
    } catch (error) {
      return [{ about: 'here', what: `inotify ${name}`, found: `cannot be read: ${reasonOf(error)}`, verdict: 'ok' }];
    }
  });
}

function space(dir: string, what: string): Finding {
  try {
    const { bavail, bsize } = fs.statfsSync(dir);
    const free = bavail * bsize;
    const found = `${formatBytes(free)} free`;
    if (free >= tightBytes) return { about: 'here', what, found, verdict: 'ok' };
    return { about: 'here', what, found, verdict: 'cost', advice: `There is little room in ${dir}.` };
  } catch (error) {
    return { about: 'here', what, found: `unknown: ${reasonOf(error)}`, verdict: 'problem', advice: `Look at ${dir}.` };
  }
}

/** Looks at a root and what would serve it. @throws what keeps it from being reached */
export async function examineEndpoint(root: string, request: DoctorRequest): Promise<Finding[]> {
  const { remoteCommand, signal, onStderr, ...options } = request;
  if (root.trim() === '') throw new UsageError('the endpoint is empty');
  const endpoint = remoteCommand === undefined ? parseEndpoint(root) : parseCommandEndpoint(root, remoteCommand);
  const findings: Finding[] = [];
  const there = (what: string, found: string, advice?: string, verdict: Finding['verdict'] = 'cost'): void => {
    findings.push({ about: 'there', what, found, ...(advice === undefined ? { verdict: 'ok' } : { verdict, advice }) });
  };
  const { replica, name } = await openRoot(endpoint, remoteOptions(options), {
    signal,
    ...(onStderr === undefined ? {} : { onStderr }),
    onDetail: (line) => {
      if (!line.startsWith('sh without')) there('served by', line);
    },
  });
  try {
    if (endpoint.kind === 'local') there('served by', 'this process');
    if (replica instanceof ShellReplica) tellTools(replica, there);
    const probe = await replica.probe(endpoint.kind === 'local' ? path.resolve(endpoint.path) : name);
    tellRoot(probe, there);
    if (probe.kind === 'directory') tellOpened(await openToLook(replica, probe), there);
  } finally {
    await replica.close();
  }
  return findings;
}

type Tell = (what: string, found: string, advice?: string, verdict?: Finding['verdict']) => void;

function tellTools({ tools }: ShellReplica, there: Tell): void {
  there('names to tools', tools.xargs ? 'xargs -0' : 'one by one');
  there('walking', tools.walk);
  there('archives', archivesOf(tools));
  there('digests', tools.digest);
  for (const { tool, cost } of costsOf(tools)) there('missing', tool, cost);
}

function archivesOf({ tar, cpio }: ShellReplica['tools']): string {
  if (tar === 'none') return 'no tar';
  if (tar === 'pax') return 'tar, with fractions of seconds';
  return cpio ? 'cpio and tar' : 'tar';
}

function tellRoot({ kind, realPath, reason, dangerous }: RootProbe, there: Tell): void {
  if (kind === 'directory') {
    there(
      'root',
      realPath,
      dangerous ? 'It is a home directory or the whole system: deletions are refused.' : undefined,
    );
  } else if (kind === 'missing') there('root', `${realPath} (missing: it would be made)`);
  else there('root', `${realPath} ${reason ?? kind}`, 'It cannot be synced as it is.', 'problem');
}

async function openToLook(replica: Replica, { realPath }: RootProbe): Promise<OpenedRoot> {
  return replica.open({
    root: realPath,
    access: 'read',
    marks: false,
    create: false,
    runId: 'doctor',
    command: 'lockstep doctor',
    forceUnlock: false,
  });
}

function tellOpened({ capabilities, freeBytes }: OpenedRoot, there: Tell): void {
  const { foldsNames, granularityNs, clock } = capabilities;
  there('space', freeBytes === 0 ? 'unknown' : `${formatBytes(freeBytes)} free`);
  const folds = 'Names that differ only in case are one file there: clashes are reported.';
  there('names', foldsNames ? 'case is folded' : 'case counts', foldsNames ? folds : undefined);
  const step = granularityNs >= 1_000_000_000n ? `${granularityNs / 1_000_000_000n} s` : `${granularityNs / 1000n} µs`;
  there('times', `kept in steps of ${step}`);
  if (clock === undefined) return;
  const off = Math.abs(clock.offsetMs) > Math.max(1000, clock.uncertaintyMs);
  const found = `${(clock.offsetMs / 1000).toFixed(2)} s ahead of ours, give or take ${(clock.uncertaintyMs / 1000).toFixed(2)} s`;
  there('clock', found, off ? 'Conflicts take the difference into account; better set the clock.' : undefined);
}
