/** What tools over there say when they are not content. */

/** The end of a complaint, as a reason for people. */
export function plainReason(text: string): string {
  const reason = text.trim();
  return reason === '' ? 'it failed' : reason.charAt(0).toLowerCase() + reason.slice(1);
}

/**
 * A complaint of `find` or `stat` about one path.
 *
 * @returns the path as it was shown, from `.`; undefined when the line is something else
 */
export function complaintOf(line: string): { shown: string; reason: string } | undefined {
  const said = /^(?:\S*(?:find|stat): )?(?:can't stat |cannot stat(?:x)? )?['‘]?(\.(?:\/.*?)?)['’]?: ([^:]+)$/.exec(
    line,
  );
  const [, shown, reason] = said ?? [];
  return shown === undefined || reason === undefined ? undefined : { shown, reason };
}

/** It is not there: any other reason says that this is not known. */
export function isGone(reason: string): boolean {
  return /No such file|Not a directory/.test(reason);
}
