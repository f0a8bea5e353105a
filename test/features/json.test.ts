/** `--json`: every event has exactly the fields that docs/json.md promises. */
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { clockDoubtMs, events, eventsOf, lockstep, onlyHere, type Ran } from '../support/cli.ts';
import { withPair } from '../support/pair.ts';
import { file, write } from '../support/tree.ts';

const side = z.enum(['local', 'remote']);
const count = z.int().min(0);
const counts = z.strictObject({ create: count, replace: count, delete: count, rename: count, metadata: count });
const reasons = [
  'created',
  'edited',
  'deleted',
  'renamed',
  'type-changed',
  'conflict',
  'mirrored',
  'metadata',
] as const;

/** docs/json.md as a schema. A field added here is added there. */
const schema = z.discriminatedUnion('type', [
  z.strictObject({ v: z.literal(1), type: z.enum(['notice', 'warning']), message: z.string().min(1) }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal('action'),
    side,
    op: z.enum(['create', 'replace', 'delete', 'rename', 'metadata']),
    path: z.string(),
    to: z.string().optional(),
    kind: z.enum(['file', 'dir', 'symlink']),
    bytes: count,
    reason: z.enum(reasons),
  }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal('conflict'),
    path: z.string(),
    what: z.enum(['content', 'kind', 'metadata', 'directory']),
    winner: z.enum(['local', 'remote', 'both', 'open']),
    detail: z.string().optional(),
  }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal('skip'),
    side,
    path: z.string(),
    why: z.enum([
      'unreadable',
      'special',
      'newer-far-side',
      'would-delete',
      'kept-ignored',
      'name-clash',
      'changed-meanwhile',
      'source-changed',
      'no-space',
      'failed',
    ]),
    detail: z.string().optional(),
  }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal('summary'),
    total: count,
    bytes: count,
    conflicts: z.strictObject({ settled: count, open: count }),
    skipped: count,
    outOfSpace: count,
    kept: count,
    dryRun: z.boolean(),
    actions: z.strictObject({ local: counts, remote: counts }),
    entries: z.strictObject({ local: count, remote: count }),
    durationMs: count,
  }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal('error'),
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    path: z.string().optional(),
    command: z.string().optional(),
    exitCode: z.int(),
  }),
]);

/** Every line fits the schema, and the run ends with a summary or an error. */
function expectValid(ran: Ran): void {
  const all = events(ran);
  for (const event of all) expect(schema.safeParse(event).error?.message, JSON.stringify(event)).toBeUndefined();
  expect(['summary', 'error']).toContain(all.at(-1)?.type);
  expect(all.filter(({ type }) => type === 'summary' || type === 'error')).toHaveLength(1);
}

describe('--json', () => {
  it('tells actions of every kind, both ways, and a summary that counts them', async () =>
    withPair(async (pair) => {
      await pair.agreed({ edited: 'o', gone: 'o', mode: 'o', name: 'renamed later', type: 'o', 'd/f': 'o' });
      write(pair.a, { edited: 'longer', new: '12345', 'n/deep': '1' });
      fs.symlinkSync('new', path.join(pair.a, 'link'));
      fs.rmSync(path.join(pair.a, 'type'));
      fs.mkdirSync(path.join(pair.a, 'type'));
      fs.rmSync(path.join(pair.b, 'gone'));
      fs.chmodSync(path.join(pair.b, 'mode'), 0o600);
      fs.renameSync(path.join(pair.b, 'name'), path.join(pair.b, 'renamed'));
      const ran = await pair.sync();
      expectValid(ran);
      const actions = eventsOf(ran, 'action');
      const told = actions.map(({ side, op, path: at, to, kind, bytes, reason }) => [
        side,
        op,
        at,
        to,
        kind,
        bytes,
        reason,
      ]);
      expect(told).toEqual(
        expect.arrayContaining([
          ['remote', 'replace', 'edited', undefined, 'file', 6, 'edited'],
          ['remote', 'create', 'new', undefined, 'file', 5, 'created'],
          ['remote', 'create', 'n', undefined, 'dir', 0, 'created'],
          ['remote', 'create', 'link', undefined, 'symlink', 0, 'created'],
          ['remote', 'create', 'type', undefined, 'dir', 0, 'type-changed'],
          ['local', 'delete', 'gone', undefined, 'file', 0, 'deleted'],
          ['local', 'metadata', 'mode', undefined, 'file', 0, 'metadata'],
          ['local', 'rename', 'name', 'renamed', 'file', 0, 'renamed'],
        ]),
      );
      const [summary] = eventsOf(ran, 'summary');
      const total = actions.length;
      expect(summary).toMatchObject({ total, dryRun: false, skipped: 0, conflicts: { settled: 0, open: 0 } });
      expect(summary?.['bytes']).toBe(actions.reduce((sum, action) => sum + Number(action['bytes']), 0));
    }));

  it('tells conflicts, skips, notices and warnings', async () =>
    withPair(async (pair) => {
      await pair.agreed({ open: 'o', won: 'o', mode: 'o', 'd/f': 'o' });
      for (const [root, text, mtime] of [
        [pair.a, 'from a', 1_600_000_000],
        [pair.b, 'from b', 1_600_000_009],
      ] as const) {
        write(root, { won: file(text, { mtime }), open: file(text, { mtime: 1_600_000_000 }) });
      }
      fs.chmodSync(path.join(pair.a, 'mode'), 0o700);
      // Further apart than the clock that stamps them ticks.
      await setTimeout(30 + clockDoubtMs);
      fs.chmodSync(path.join(pair.b, 'mode'), 0o755);
      expect(spawnSync('mkfifo', [path.join(pair.a, 'pipe')]).status).toBe(0);
      const ran = await pair.sync('--exclude', 'nothing-like-it');
      expect(ran.code).toBe(2);
      expectValid(ran);
      expect(eventsOf(ran, 'conflict').map(({ path: at, what, winner }) => [at, what, winner])).toEqual([
        ['mode', 'metadata', 'remote'],
        ['open', 'content', 'open'],
        ['won', 'content', 'remote'],
      ]);
      expect(eventsOf(ran, 'skip')).toMatchObject([{ path: 'pipe', side: 'local', why: 'special' }]);
      expect(eventsOf(ran, 'warning')).toHaveLength(1);
      const again = await pair.sync('--mode', 'two-way', '--rebaseline');
      expectValid(again);
      expect(eventsOf(again, 'notice')).toHaveLength(1);
    }));

  it('ends with an error event when a guard or a mistake stops the run, and stderr stays empty', async (context) =>
    withPair(async (pair) => {
      onlyHere(context, 'that a far root is the local one as well is seen by its lock only');
      const halted = await lockstep(['sync', pair.a, pair.a, '--json', '--state-dir', pair.state]);
      expectValid(halted);
      expect(halted).toMatchObject({ code: 3, stderr: '' });
      expect(events(halted)).toMatchObject([{ code: 'roots-overlap', path: pair.a, exitCode: 3 }]);
      const wrong = await pair.sync('--on-conflict', 'newest');
      expectValid(wrong);
      expect(wrong).toMatchObject({ code: 64, stderr: '' });
    }));

  it('carries any name: line breaks as JSON has them, bytes that are no UTF-8 as lone surrogates', async () =>
    withPair(async (pair) => {
      write(pair.a, { 'a\nb"c\\': 'x' });
      fs.writeFileSync(Buffer.concat([Buffer.from(`${pair.a}/`), Buffer.from([0x66, 0xff])]), 'y');
      const ran = await pair.sync();
      expectValid(ran);
      expect(eventsOf(ran, 'action').map((action) => action['path'])).toEqual(['a\nb"c\\', 'f\udcff']);
      expect(ran.stdout).toContain('"f\\udcff"');
    }));

  it('-n tells the same as the run after it, with dryRun set', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'x', 'd/g': 'y' });
      const dry = await pair.sync('-n');
      expectValid(dry);
      expect(eventsOf(dry, 'summary')).toMatchObject([{ dryRun: true, total: 3, bytes: 2 }]);
      const real = await pair.sync();
      expect(eventsOf(real, 'action')).toEqual(eventsOf(dry, 'action'));
    }));
});
