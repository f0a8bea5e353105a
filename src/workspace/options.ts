/**
 * The one schema of everything that can be set for a sync: library options, command line, defaults and documentation are
 * made from it. `flags` is how an option is spelt on the command line, `description` what help says of it.
 *
 * In zod's small form: it is on the path of every start, and the large one takes 15 ms to load.
 */
import os from 'node:os';
import path from 'node:path';
import * as z from 'zod/mini';
import { UsageError } from '../base/errors.ts';
import type { LiveOptions } from '../link/live/live-link.ts';
import type { LinkOptions, MaxDelete } from '../link/options.ts';
import type { Mode, Side } from '../reconcile/options.ts';
import { checkPattern } from '../tree/ignore/check.ts';
import { presets } from '../tree/ignore/presets.ts';
import { isSafePath } from '../tree/path.ts';
import type { Direction } from './direction.ts';
import type { RemoteOptionsGiven } from './remote-options.ts';
import type { RemoteSettings } from './remote.ts';

/** The first change after a quiet time waits so long, ms: whoever truncates a file is about to write it. */
const firstMs = 2;

/** What a schema entry tells besides its type. */
export interface OptionMeta {
  /** Commander's notation: `-n, --dry-run`, `--mode <mode>`, `--path <sub...>`. */
  flags: string;
  description: string;
  /** Heading in `--help`. */
  group: 'What' | 'How' | 'Live' | 'Conflicts and deletions' | 'History' | 'Remote' | 'Running';
  /** Only for commands of these directions; all when absent. */
  only?: readonly ('two-way' | 'one-way')[];
}

const registry = z.registry<OptionMeta>();

function option<T extends z.ZodMiniType>(schema: T, meta: OptionMeta): T {
  registry.add(schema, meta);
  return schema;
}

const side = z.enum(['local', 'remote', 'both']);
const milliseconds = (least: number) =>
  z.coerce.number<number | string>().check(z.minimum(least), z.maximum(3_600_000));
/** At most a week: no timer takes more than 24 days, and a longer one ends at once. */
const seconds = (least: number) => z.coerce.number<number | string>().check(z.minimum(least), z.maximum(604_800));
const bytes = z.string().check(z.regex(/^\d+(\.\d+)?\s*([kKMGT]i?)?B?$/, 'not a size such as 500MB or 10GB'));

export const syncOptionsSchema = z.strictObject({
  dryRun: option(z._default(z.boolean(), false), {
    flags: '-n, --dry-run',
    description: 'show exactly what would be done; write nothing anywhere',
    group: 'How',
  }),
  mode: option(z.optional(z.enum(['two-way', 'additive', 'mirror'])), {
    flags: '--mode <mode>',
    description: 'sync: two-way or additive (nothing is ever deleted); push and pull: mirror, the same as --delete',
    group: 'How',
  }),
  delete: option(z._default(z.boolean(), false), {
    flags: '--delete',
    description: 'make the destination a mirror: extras are deleted, its own edits undone (all kept in history)',
    group: 'How',
    only: ['one-way'],
  }),
  force: option(z._default(z.boolean(), false), {
    flags: '--force',
    description: 'the source wins wherever the destination differs, even where that is newer',
    group: 'How',
    only: ['one-way'],
  }),
  cleanOutFirst: option(z._default(z.boolean(), false), {
    flags: '--clean-out-first',
    description: 'empty the destination first, dotfiles too (into history); it keeps its inode',
    group: 'How',
    only: ['one-way'],
  }),
  checksum: option(z._default(z.boolean(), false), {
    flags: '--checksum',
    description: 'compare the content of all files instead of trusting size, times and inode',
    group: 'How',
  }),
  atomic: option(z._default(z.array(z.string()), []), {
    flags: '--atomic <pattern...>',
    description: 'take directories that match (such as .git) as one thing: never a mixture of both sides',
    group: 'How',
  }),
  patterns: option(z._default(z.array(z.string()), []), {
    flags: '--exclude <pattern>',
    description:
      'leave out what matches, as a line of .gitignore would; --include PATTERN takes it back in; later ones win',
    group: 'What',
  }),
  gitignore: option(z.optional(z.boolean()), {
    flags: '--gitignore',
    description: 'honour .gitignore files at any depth (push and pull do; --no-gitignore turns it off)',
    group: 'What',
  }),
  ignoreFile: option(z._default(z.array(z.string()), []), {
    flags: '--ignore-file <name...>',
    description: 'honour files of this name like .gitignore; .lockstepignore always counts',
    group: 'What',
  }),
  preset: option(z._default(z.array(z.string()), []), {
    flags: '--preset <name...>',
    description: `leave out what nobody wants synced: ${Object.keys(presets).join(', ')}`,
    group: 'What',
  }),
  perishable: option(z._default(z.array(z.string()), []), {
    flags: '--perishable <pattern...>',
    description: 'ignored things that may go together with a deleted directory',
    group: 'What',
  }),
  path: option(z._default(z.array(z.string()), []), {
    flags: '--path <sub...>',
    description: 'only these paths inside the roots; nothing else is looked at or touched',
    group: 'What',
  }),
  watch: option(z._default(z.boolean(), false), {
    flags: '-w, --watch',
    description: 'go on until interrupted: bring over every change as it is made',
    group: 'Live',
  }),
  quietPeriod: option(z._default(milliseconds(0), 20), {
    flags: '--quiet-period <ms>',
    description: 'with --watch: changes that follow one another are gathered until it is quiet for so long',
    group: 'Live',
  }),
  maxWait: option(z._default(milliseconds(0), 200), {
    flags: '--max-wait <ms>',
    description: 'with --watch: but no longer than this',
    group: 'Live',
  }),
  settle: option(z._default(milliseconds(0), 50), {
    flags: '--settle <ms>',
    description: 'with --watch: a file that keeps changing waits until it rests for so long',
    group: 'Live',
  }),
  rescan: option(z._default(seconds(1), 600), {
    flags: '--rescan <seconds>',
    description: 'with --watch: how often everything is looked at all the same, in case a change was not told of',
    group: 'Live',
  }),
  pollInterval: option(z._default(seconds(0.1), 2), {
    flags: '--poll-interval <seconds>',
    description: 'with --watch: how often what cannot be watched is looked at',
    group: 'Live',
  }),
  onConflict: option(z._default(z.enum(['newer', 'older', 'local', 'remote', 'both', 'manual']), 'newer'), {
    flags: '--on-conflict <policy>',
    description: 'when both sides changed a file: newer, older, local (the first root), remote, both or manual',
    group: 'Conflicts and deletions',
  }),
  deletes: option(z._default(z.enum(['lose', 'win']), 'lose'), {
    flags: '--deletes <lose|win>',
    description: 'deleted on one side, edited on the other: the edit wins (lose) or the deletion (win)',
    group: 'Conflicts and deletions',
  }),
  skipDeletion: option(z._default(z.array(side), []), {
    flags: '--skip-deletion <side...>',
    description: 'do not carry deletions to local (the first root), remote, or both',
    group: 'Conflicts and deletions',
  }),
  maxDelete: option(z.optional(z.string().check(z.regex(/^(\d+%?|off)$/, 'neither a number, a percentage nor off'))), {
    flags: '--max-delete <n>',
    description: 'stop if more would be deleted: a number, 30%, or off (default: half of all, but at least 25)',
    group: 'Conflicts and deletions',
  }),
  backup: option(z._default(z.enum(['conflicts', 'all', 'off']), 'conflicts'), {
    flags: '--backup <what>',
    description: 'versions kept in history: conflicts (what would exist nowhere else), all, or off',
    group: 'History',
  }),
  keepDays: option(z._default(z.coerce.number<number | string>().check(z.minimum(0)), 30), {
    flags: '--keep-days <n>',
    description: 'how long versions are kept, from their deletion; 0: for ever',
    group: 'History',
  }),
  keepVersions: option(z._default(z.coerce.number<number | string>().check(z.int(), z.minimum(0)), 10), {
    flags: '--keep-versions <n>',
    description: 'how many versions of a path are kept; 0: all',
    group: 'History',
  }),
  keepSize: option(z._default(bytes, '10GB'), {
    flags: '--keep-size <size>',
    description: 'how much history may hold, oldest first out; 0: no limit',
    group: 'History',
  }),
  sshOption: option(z._default(z.array(z.string()), []), {
    flags: '--ssh-option <option...>',
    description: 'for ssh, as in its configuration: ProxyJump=bastion; with a leading dash, an option of its own: -v',
    group: 'Remote',
  }),
  identity: option(z.optional(z.string().check(z.minLength(1, 'it is empty'))), {
    flags: '--identity <file>',
    description: 'for ssh: this private key, and no other',
    group: 'Remote',
  }),
  composeFile: option(z.optional(z.string().check(z.minLength(1, 'it is empty'))), {
    flags: '--compose-file <file>',
    description: 'for compose:// roots: the compose file (default: as docker compose finds it)',
    group: 'Remote',
  }),
  compress: option(z._default(z.enum(['auto', 'on', 'off']), 'auto'), {
    flags: '--compress <when>',
    description: 'what crosses the pipe: auto (when the pipe is what is waited for), on or off',
    group: 'Remote',
  }),
  bwlimit: option(z.optional(bytes), {
    flags: '--bwlimit <size>',
    description: 'send no more than so much in a second, e.g. 2MB; each end keeps to it; 0: no limit',
    group: 'Remote',
  }),
  remoteSudo: option(z._default(z.boolean(), false), {
    flags: '--remote-sudo',
    description: 'run the far end through sudo -n',
    group: 'Remote',
  }),
  agent: option(z._default(z.enum(['auto', 'node', 'sh']), 'auto'), {
    flags: '--agent <which>',
    description:
      'what serves the root over there: node, sh (nothing but a POSIX shell), or auto: node where there is one',
    group: 'Remote',
  }),
  remoteNode: option(z.optional(z.string().check(z.minLength(1, 'it is empty'))), {
    flags: '--remote-node <path>',
    description: 'a Node to try first over there (otherwise the first of 18 or later that is found)',
    group: 'Remote',
  }),
  agentCache: option(z._default(z.boolean(), false), {
    flags: '--agent-cache',
    description: 'keep the program that is sent there in ~/.cache/lockstep, for the next time',
    group: 'Remote',
  }),
  connectTimeout: option(z._default(seconds(1), 20), {
    flags: '--connect-timeout <seconds>',
    description: 'how long the far side may take to answer',
    group: 'Remote',
  }),
  timeout: option(z._default(seconds(5), 15), {
    flags: '--timeout <seconds>',
    description: 'a far side from which nothing is heard for so long is lost',
    group: 'Remote',
  }),
  stateDir: option(z.optional(z.string().check(z.minLength(1, 'it is empty'))), {
    flags: '--state-dir <dir>',
    description: 'where Lockstep remembers what was agreed (default: $XDG_STATE_HOME/lockstep)',
    group: 'Running',
  }),
  rebaseline: option(z._default(z.boolean(), false), {
    flags: '--rebaseline',
    description: 'forget what was agreed before: both sides meet as for the first time, and that run deletes nothing',
    group: 'Running',
  }),
  forceUnlock: option(z._default(z.boolean(), false), {
    flags: '--force-unlock',
    description: 'take a lock even from a run that seems alive; only if you know that it is not',
    group: 'Running',
  }),
  allowDangerousTarget: option(z._default(z.boolean(), false), {
    flags: '--allow-dangerous-target',
    description: 'carry deletions into / or a home directory after all',
    group: 'Running',
  }),
});

/** Options as a user gives them; everything is optional. */
export type SyncOptions = z.input<typeof syncOptionsSchema>;
type Parsed = z.output<typeof syncOptionsSchema>;

/** Checks options and turns them into a link's. @throws UsageError naming the option and what it takes */
export function linkOptions(direction: Direction, given: SyncOptions, command: string): LinkOptions {
  const parsed = parse(given);
  const gitignore = parsed.gitignore ?? direction !== 'sync';
  checkPatterns(parsed);
  return {
    mode: modeOf(direction, parsed),
    onConflict: parsed.onConflict,
    deletes: parsed.deletes,
    skipDeletion: parsed.skipDeletion.flatMap(sidesOf),
    backup: parsed.backup,
    force: parsed.force,
    maxDelete: maxDeleteOf(parsed.maxDelete),
    rules: {
      patterns: parsed.patterns,
      presets: parsed.preset,
      files: [...(gitignore ? ['.gitignore'] : []), '.lockstepignore', ...parsed.ignoreFile],
      perishable: parsed.perishable,
    },
    scope: parsed.path.map(scopeOf),
    atomic: parsed.atomic,
    checksum: parsed.checksum,
    cleanOutFirst: parsed.cleanOutFirst,
    retention: { days: parsed.keepDays, versions: parsed.keepVersions, bytes: parseBytes(parsed.keepSize) },
    dryRun: parsed.dryRun,
    rebaseline: parsed.rebaseline,
    forceUnlock: parsed.forceUnlock,
    allowDangerousTarget: parsed.allowDangerousTarget,
    stateDir: path.resolve(parsed.stateDir ?? defaultStateDir()),
    command,
  };
}

/** How a far side is reached, and how one talks with it. @throws UsageError as `linkOptions` */
export function remoteOptions(given: RemoteOptionsGiven): RemoteSettings {
  const parsed = parse(given);
  const { sshOption, identity, composeFile, remoteSudo, remoteNode, agentCache, compress, bwlimit } = parsed;
  const silenceMs = parsed.timeout * 1000;
  const bytesPerSecond = bwlimit === undefined ? 0 : parseBytes(bwlimit);
  return {
    agent: parsed.agent,
    transport: {
      sshOptions: sshOption,
      ...(identity === undefined ? {} : { identity }),
      ...(composeFile === undefined ? {} : { composeFile }),
      ...(remoteNode === undefined ? {} : { remoteNode }),
      connectTimeoutMs: parsed.connectTimeout * 1000,
      remoteSudo,
      agentCache,
    },
    connection: {
      compress,
      ...(bytesPerSecond === 0 ? {} : { bytesPerSecond }),
      heartbeatMs: Math.min(5000, silenceMs / 3),
      silenceMs,
    },
  };
}

/** How live mode goes about it. @throws UsageError */
export function liveOptions(given: SyncOptions): LiveOptions {
  const { quietPeriod, maxWait, settle, rescan, pollInterval, dryRun } = parse(given);
  if (dryRun) throw new UsageError('--dry-run shows one run: it does not go with --watch');
  return {
    timing: { firstMs: Math.min(firstMs, quietPeriod), quietMs: quietPeriod, maxWaitMs: maxWait, settleMs: settle },
    rescanMs: rescan * 1000,
    pollMs: pollInterval * 1000,
  };
}

function parse(given: SyncOptions): Parsed {
  const result = syncOptionsSchema.safeParse(given);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const key = String(issue?.path[0] ?? '');
  const schema = Object.entries(syncOptionsSchema.shape).find(([name]) => name === key)?.[1];
  if (issue === undefined || schema === undefined) {
    const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : key;
    throw new UsageError(`there is no option ${unknown}`);
  }
  const meta = optionMeta(schema);
  const flag = meta.flags.split(/[ ,]+/).find((part) => part.startsWith('--')) ?? key;
  const value = Object.entries(given).find(([name]) => name === key)?.[1];
  const hint = `${flag}: ${meta.description}.`;
  throw new UsageError(`${flag} ${String(value)}: ${complaint(issue)}`, { hint });
}

function complaint(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return `not one of ${issue.values.join(', ')}`;
  if (issue.code === 'too_small' && issue.origin === 'number') return `less than ${String(issue.minimum)}`;
  if (issue.code === 'too_big' && issue.origin === 'number') return `more than ${String(issue.maximum)}`;
  return issue.code === 'invalid_type' ? `not a ${issue.expected}` : issue.message;
}

export function optionMeta(schema: z.ZodMiniType): OptionMeta {
  const meta = registry.get(schema);
  if (meta === undefined) throw new Error('an option without a description');
  return meta;
}

function modeOf(direction: Direction, parsed: Parsed): Mode {
  const wrong = (message: string): UsageError => new UsageError(message, { hint: `See lockstep ${direction} --help.` });
  if (direction === 'sync') {
    if (parsed.mode === 'mirror') {
      throw new UsageError('--mode mirror has a direction', { hint: 'Use: lockstep push SRC DST --delete' });
    }
    if (parsed.delete || parsed.force || parsed.cleanOutFirst) {
      throw wrong('--delete, --force and --clean-out-first belong to push and pull');
    }
    return parsed.mode ?? 'two-way';
  }
  if (parsed.mode !== undefined && parsed.mode !== 'mirror') throw wrong(`--mode ${parsed.mode} belongs to sync`);
  if (parsed.cleanOutFirst && parsed.path.length > 0) {
    throw wrong('--clean-out-first empties the whole destination, --path leaves all but some paths alone: choose one');
  }
  const target = direction === 'push' ? 'remote' : 'local';
  if (parsed.cleanOutFirst && parsed.skipDeletion.some((side) => side === target || side === 'both')) {
    throw wrong(
      `--clean-out-first empties the destination, --skip-deletion ${target} deletes nothing there: choose one`,
    );
  }
  const mirrors = parsed.delete || parsed.mode === 'mirror';
  if (direction === 'push') return mirrors ? 'mirror' : 'push';
  return mirrors ? 'pull-mirror' : 'pull';
}

function sidesOf(which: z.output<typeof side>): Side[] {
  return which === 'both' ? ['a', 'b'] : [which === 'local' ? 'a' : 'b'];
}

function maxDeleteOf(text: string | undefined): MaxDelete {
  if (text === undefined) return { kind: 'default' };
  if (text === 'off') return { kind: 'off' };
  const value = Number.parseInt(text, 10);
  return text.endsWith('%') ? { kind: 'percent', percent: value } : { kind: 'count', count: value };
}

function checkPatterns(parsed: Parsed): void {
  for (const pattern of [...parsed.patterns, ...parsed.perishable, ...parsed.atomic]) {
    const complaint = checkPattern(pattern);
    if (complaint !== undefined) throw new UsageError(`the pattern "${pattern}": ${complaint}`);
  }
  for (const name of parsed.preset) {
    if (!Object.hasOwn(presets, name)) {
      throw new UsageError(`there is no preset "${name}"`, { hint: `There are: ${Object.keys(presets).join(', ')}.` });
    }
  }
}

/** `./a/b/` → `a/b`. @throws UsageError for what is not inside the root */
function scopeOf(given: string): string {
  const cleaned = given
    .replace(/^(\.\/+)+/, '')
    .replace(/\/+$/, '')
    .replace(/\/{2,}/g, '/');
  if (isSafePath(cleaned)) return cleaned;
  throw new UsageError(`--path ${given} is not a path inside the roots`, {
    hint: 'Give it relative to the roots, without "..", e.g. --path src/lib.',
  });
}

/** `10GB` → bytes; powers of 1000, `Gi` of 1024. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kKMGT])?(i)?B?$/.exec(text);
  if (match === null) throw new UsageError(`${text} is not a size such as 500MB or 10GB`);
  const [, number, unit, binary] = match;
  const power = unit === undefined ? 0 : 'KMGT'.indexOf(unit.toUpperCase()) + 1;
  return Math.round(Number(number) * (binary === undefined ? 1000 : 1024) ** power);
}

/** XDG base directory for state, `lockstep` in it. */
export function defaultStateDir(): string {
  const base = process.env['XDG_STATE_HOME'];
  const root = base !== undefined && path.isAbsolute(base) ? base : path.join(homeDirectory(), '.local', 'state');
  return path.join(root, 'lockstep');
}

function homeDirectory(): string {
  try {
    const home = os.homedir();
    if (path.isAbsolute(home)) return home;
  } catch {
    // HOME is not set and the user has no entry in the user database.
  }
  throw new UsageError('there is no home directory to keep the state in', {
    hint: 'Set HOME or XDG_STATE_HOME, or name a place with --state-dir.',
  });
}
