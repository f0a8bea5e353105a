/** The library as docs/library.md shows it: what `npm run build` puts out, from a program. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type * as Library from '../../src/index.ts';
import { withPair } from '../support/pair.ts';
import { contents, write } from '../support/tree.ts';

const { GuardError, InterruptedError, pull, push, sync, UsageError } = (await import(
  path.resolve('dist/index.js')
)) as typeof Library;

describe('the library', () => {
  it('syncs, tells events and sums up', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'x', 'keep.log': 'y', 'other.log': 'z' });
      const told: string[] = [];
      const summary = await sync(pair.a, pair.b, {
        stateDir: pair.state,
        onConflict: 'both',
        patterns: ['*.log', '!keep.log'],
        onEvent: (event) => {
          if (event.type === 'action') told.push(`${event.action.side} ${event.action.op} ${event.action.path}`);
        },
      });
      expect(summary).toMatchObject({ total: 2, skipped: 0, conflicts: { open: 0 }, dryRun: false });
      expect(told).toEqual(['b create f', 'b create keep.log']);
      expect(contents(pair.b)).toEqual({ f: 'x', 'keep.log': 'y' });
    }));

  it('pushes and pulls', async () =>
    withPair(async (pair) => {
      write(pair.a, { f: 'x' });
      write(pair.b, { extra: 'y' });
      await push(pair.a, pair.b, { stateDir: pair.state, delete: true });
      pair.expectBoth({ f: 'x' });
      write(pair.b, { g: 'z' });
      await pull(pair.b, pair.a, { stateDir: pair.state });
      pair.expectBoth({ f: 'x', g: 'z' });
    }));

  it('throws what docs/library.md says', async () =>
    withPair(async (pair) => {
      const options = { stateDir: pair.state };
      await expect(sync(pair.a, pair.a, options)).rejects.toBeInstanceOf(GuardError);
      await expect(sync(pair.a, pair.b, { ...options, onConflict: 'x' as 'newer' })).rejects.toBeInstanceOf(UsageError);
      await expect(sync(pair.a, pair.b, { ...options, wrong: 1 } as never)).rejects.toBeInstanceOf(UsageError);
      await expect(sync(pair.a, '', options)).rejects.toBeInstanceOf(UsageError);
      const aborted = { ...options, signal: AbortSignal.abort() };
      await expect(sync(pair.a, pair.b, aborted)).rejects.toBeInstanceOf(InterruptedError);
    }));
});
