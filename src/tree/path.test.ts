import { expect, it } from 'vitest';
import { maybeOwn } from './path.ts';

it.each([
  ['.lockstep', true],
  ['.LOCKSTEP', true],
  ['.LockStep', true],
  ['.lock\u200cstep', true],
  ['\ufeff.lockstep', true],
  ['lockstep', false],
  ['.lockstep2', false],
  ['.locksteps', false],
])('that some file system takes %j for ours: %s', (name, expected) => {
  expect(maybeOwn(name)).toBe(expected);
});
