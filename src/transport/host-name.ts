/** Names that end up as arguments of ssh, docker and the like: what they may not look like. */
import { UsageError } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';

/**
 * A host, container, pod, …: not empty, not an option, and nothing in it that a shell would act upon. ssh puts host and user
 * into its configuration's commands (`ProxyCommand … %h`), so that a `;` in a name that came out of somebody's
 * configuration file would be run here. OpenSSH refuses the same characters since 9.6; older ones do not.
 *
 * @param text the whole endpoint, for the message
 * @param what what the name stands for
 * @returns the name
 * @throws UsageError
 */
export function checkHost(text: string, what: string, name: string, hint: string): string {
  return check(text, what, name, /[\s'"`$\\;&<>|(){},]/, hint);
}

/** The same for a user; `DOMAIN\user` is one. */
export function checkUser(text: string, name: string, hint: string): string {
  return check(text, 'user', name, /[\s'"`$;&<>|(){}]/, hint);
}

function check(text: string, what: string, name: string, forbidden: RegExp, hint: string): string {
  const shown = escapeControls(text);
  if (name === '') throw new UsageError(`${shown} names no ${what}`, { hint });
  if (name.startsWith('-')) {
    throw new UsageError(`${shown}: a ${what} cannot start with "-": it would be taken for an option`, { hint });
  }
  const bad = /[\u0000-\u001f\u007f]/.exec(name) ?? forbidden.exec(name);
  if (bad !== null) {
    throw new UsageError(`${shown}: a ${what} cannot hold the character "${escapeControls(bad[0])}"`, { hint });
  }
  return name;
}
