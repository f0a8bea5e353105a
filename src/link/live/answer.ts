/** What a user's "go on" means for a guard that stopped a link (DESIGN §7): the option that its message proposes. */
import type { GuardError } from '../../base/errors.ts';
import type { LinkOptions } from '../options.ts';

export function withAnswer(options: LinkOptions, { code, option }: GuardError): LinkOptions {
  if (option === '--rebaseline') return { ...options, rebaseline: true };
  if (option === '--force-unlock') return { ...options, forceUnlock: true };
  if (option === '--allow-dangerous-target') return { ...options, allowDangerousTarget: true };
  // The number of deletions that was proposed may have grown meanwhile.
  const isDeletion = code === 'too-many-deletions' || code === 'root-emptied';
  return isDeletion ? { ...options, maxDelete: { kind: 'off' } } : options;
}
