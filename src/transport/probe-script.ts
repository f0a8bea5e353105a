/**
 * What is asked of the far `sh` first: what is there? Then it waits for one line, which it runs.
 *
 * The script goes through whatever shell the user has for a login there, inside single quotes, and through one line of
 * stdin. So it has no line break, no single quote, no `!` (csh), no backslash before a backslash or quote (fish). It must run in
 * dash, bash, busybox ash, ksh, zsh-as-sh. Nothing in it reads stdin until the last line, where `read` takes one line and
 * not a byte more: POSIX wants that of `read` on a pipe, so that what follows belongs to the program that is started.
 */
import { minimumNodeMajor } from './loader.ts';
import type { Marker } from './marker.ts';

/** Tools that a shell replica could make use of. */
export const probedTools = [
  'awk base64 busybox cat chmod chown cksum cmp comm cp cut date dd df diff env find getfacl getfattr grep gunzip gzip head id',
  'join ln ls md5sum mkdir mkfifo mktemp mv od openssl perl printf python3 readlink rm rmdir sed setfacl setfattr sh',
  'sha256sum shasum sleep sort split stat sudo sync tail tar tee test timeout touch tr truncate uname uniq unzstd wc xargs',
  'xxd zstd',
]
  .join(' ')
  .split(' ');

/** Where version managers and packages put Node, newest first where there are several (`$HOME` is the far side's). */
const managed = [
  '"$HOME"/.nvm/versions/node/*/bin/node',
  '"$HOME"/.local/share/fnm/node-versions/*/installation/bin/node',
];
const wellKnown = [
  '"$HOME/.local/bin/node"',
  '/usr/local/bin/node',
  '"$HOME/.volta/bin/node"',
  '"$HOME/.local/share/mise/shims/node"',
  '"$HOME/.asdf/shims/node"',
  '"$HOME/n/bin/node"',
  '/opt/homebrew/bin/node',
];

/** The variable of the script that holds a usable Node, for the line that it is sent (bootstrap.ts). */
export const nodeVariable = 'g';

const statements = [
  // A value with a line break in it is not told: better unknown than wrong.
  'nl=$(printf "\\nx"); nl=${nl%x}',
  'p() { case $2 in *"$nl"*) ;; *) printf "%s %s\\n" "$1" "$2" ;; esac; }',
  // One candidate: usable unless it is missing, broken or too old; the first usable one ends the search.
  'try() { if [ -z "$g" ] && [ -f "$1" ] && [ -x "$1" ]; then v=$("$1" --version 2>/dev/null); n=${v#v}; n=${n%%.*}; ' +
    `case $n in [0-9]|[0-9][0-9]|[0-9][0-9][0-9]) if [ "$n" -ge ${minimumNodeMajor} ]; then g=$1; fi ;; *) v=none ;; esac; ` +
    'if [ -n "$g" ]; then p node "$v $g"; else p tried "$v $1"; fi; fi; }',
  // Of many installed ones the newest; only that one is started.
  'newest() { b=; m=0; for f in "$@"; do v=${f%/bin/node}; v=${v%/installation}; v=${v##*/v}; n=${v%%.*}; ' +
    'case $n in [0-9]|[0-9][0-9]|[0-9][0-9][0-9]) if [ "$n" -ge "$m" ]; then b=$f; m=$n; fi ;; esac; done; try "$b"; }',
  // No program of the probe gets at stdin.
  '{ printf "%s%s\\n" "$1" "$2"',
  'p uname "$(uname -s -m 2>/dev/null)"',
  'p uid "$(id -u 2>/dev/null)"',
  'p umask "$(umask)"',
  'p home "${HOME-}"',
  'p pwd "$(pwd)"',
  'p clock "$(date +%s 2>/dev/null)"',
  'b=; { IFS= read -r b </proc/sys/kernel/random/boot_id; } 2>/dev/null; p boot "$b"',
  'if [ -n "$4" ]; then eval "u=~$4"; p userhome "$u"; fi',
  `t=; for c in ${probedTools.join(' ')}; do if command -v "$c" >/dev/null 2>&1; then t="$t $c"; fi; done; p tools "$t"`,
  'g=; HOME=${HOME-}',
  'case $3 in "") ;; "~/"*) try "$HOME/${3#"~/"}" ;; */*) try "$3" ;; *) try "$(command -v "$3" 2>/dev/null)" ;; esac',
  'for c in node nodejs; do try "$(command -v "$c" 2>/dev/null)"; done',
  'if [ -z "$g" ]; then ' +
    managed.map((pattern) => `newest ${pattern}; `).join('') +
    `for f in ${wellKnown.join(' ')}; do try "$f"; done; fi`,
  // What a login shell would find; its scripts may print, and may hang.
  'if [ -z "$g" ]; then w=; if command -v timeout >/dev/null 2>&1; then w="timeout 5"; fi; ' +
    'f=$($w sh -lc "command -v node || command -v nodejs" 2>/dev/null); try "${f##*"$nl"}"; fi',
  'echo end; } </dev/null',
  'IFS= read -r line && eval "$line"',
];

export const probeScript = statements.join('; ');

/** The script's arguments. */
export function probeArguments(marker: Marker, remoteNode: string | undefined, homeOf: string | undefined): string[] {
  return [...marker.halves, remoteNode ?? '', homeOf ?? ''];
}

/** Where Node is looked for, in words. */
export const searchedPlaces =
  'node and nodejs on PATH, ~/.nvm, fnm, ~/.local/bin, /usr/local/bin, ~/.volta, mise, asdf, ~/n, /opt/homebrew and the PATH of a login shell';
