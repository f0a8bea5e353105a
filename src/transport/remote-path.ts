/** A path on the far side: absolute, or below a home directory that only the far side knows. */
import { LockstepError, UsageError } from '../base/errors.ts';
import { escapeControls } from '../base/text.ts';

export type RemotePath =
  /** `/srv/app` */
  | { from: 'root'; path: string }
  /** `~/src`, and with ssh just `src`; `''` is the home directory itself */
  | { from: 'home'; path: string }
  /** `~ann/src`; `''` is her home directory itself */
  | { from: 'user-home'; user: string; path: string };

/** Where paths that are not absolute start, as the far side told (facts.ts). */
export interface Homes {
  home: string | undefined;
  userHome: string | undefined;
}

/** What a shell takes for a user's name after `~`; it is handed to one, so nothing else is let through. */
const userName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/**
 * Reads a path as a shell at the far end would: `~` and `~user` first, everything else as it stands.
 *
 * @param relative whether a path that starts with neither `/` nor `~` is meant from the home directory (as with rsync and
 *   scp over ssh) or is a mistake
 * @returns none when the path is relative and may not be
 * @throws UsageError for a NUL
 */
export function parseRemotePath(text: string, relative: 'home' | 'refused'): RemotePath | undefined {
  if (text.includes('\0')) {
    throw new UsageError(`the path ${escapeControls(text)} holds a NUL character, which no path can`, {
      hint: 'Remove it (%00 in a URL?).',
    });
  }
  if (text.startsWith('/')) return { from: 'root', path: tidy(text) };
  const tilde = /^~([^/]*)(?:\/+(.*))?$/s.exec(text);
  if (tilde !== null) {
    const user = tilde[1] ?? '';
    const path = tidy(tilde[2] ?? '');
    if (user === '') return { from: 'home', path };
    if (userName.test(user)) return { from: 'user-home', user, path };
  }
  return relative === 'home' ? { from: 'home', path: tidy(text) } : undefined;
}

/** Without double, trailing and `.` parts, so that one directory has one name. `..` stays: links decide where it leads. */
function tidy(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return `${path.startsWith('/') ? '/' : ''}${parts.join('/')}`;
}

/** As a person writes it: `/srv/app`, `~`, `~/src`, `~ann/src`. */
export function formatRemotePath(path: RemotePath): string {
  if (path.from === 'root') return path.path;
  const home = path.from === 'home' ? '~' : `~${path.user}`;
  return path.path === '' ? home : `${home}/${path.path}`;
}

/**
 * The absolute path, now that the far side has told where its homes are.
 *
 * @throws LockstepError `connection` when it has not
 */
export function resolveRemotePath(path: RemotePath, homes: Homes): string {
  if (path.from === 'root') return path.path;
  const home = path.from === 'home' ? homes.home : homes.userHome;
  if (home?.startsWith('/') !== true) {
    const shown = escapeControls(formatRemotePath(path));
    throw new LockstepError(
      'connection',
      path.from === 'home'
        ? `${shown} is meant from the home directory, but the far side did not say where that is`
        : `the far side knows no user ${path.user}, so there is no ${shown}`,
      { path: formatRemotePath(path), hint: 'Write the absolute path.' },
    );
  }
  return path.path === '' ? home : `${home === '/' ? '' : home}/${path.path}`;
}
