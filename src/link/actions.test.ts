/** What a plan weighs, against the actions one by one. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { apply, edit, Texts } from '../reconcile/model/edits.ts';
import { ModelLink } from '../reconcile/model/link.ts';
import { defaultReconcileOptions } from '../reconcile/options.ts';
import { actionsOf, weightOf } from './actions.ts';

it('a plan weighs what its actions do', () => {
  let trees = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 30 }), fc.array(edit, { maxLength: 10 }), (start, later) => {
      const link = new ModelLink();
      const texts = new Texts();
      const options = { ...defaultReconcileOptions, conflictStamp: 'T' };
      for (const edits of [start, later]) {
        for (const one of edits) apply(link, one, texts);
        link.clock.tick(1000n);
        const { plan, view } = link.plan(options);
        const actions = [...actionsOf(plan, view)];
        const bytes = { a: 0, b: 0 };
        for (const action of actions) bytes[action.side] += action.bytes;
        expect(weightOf(plan, view)).toEqual({ actions: actions.length, bytes });
        if (plan.content.some(({ op }) => op === 'tree')) trees += 1;
        link.sync(options);
        link.clock.tick(1000n);
      }
    }),
    { numRuns: 200, seed: 20261126 },
  );
  expect(trees).toBeGreaterThan(20);
});
