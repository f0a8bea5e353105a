/**
 * The program that the far `sh` runs: functions, and a loop that reads a line of code and runs it (session.ts).
 *
 * Plain POSIX, and of the tools only what every busybox has; where a flag is not everywhere, the program tries it once
 * (`facts`) and goes by what it saw. What it must never do is read one byte too many from stdin: `read` takes a line and no more,
 * and everything else goes through `take`; whatever fails, all that was announced is taken.
 * Should something be left over all the same, it is not run, and nothing else is: only lines that begin with the marker are code.
 *
 * Names arrive as lines (names.ts) and are only ever used as `"./$N"` or behind an absolute path, with globbing off. What
 * changes something first goes into the directory with `cd -P` and sees that it is where it should be: then there is no
 * symlink on the way, and none can be put there, because the directory stays what it is while we are in it. (`$PWD` after
 * `cd -P` is what getcwd says, in every shell.)
 *
 *     R  the root, physical     Q  the same as a prefix: without the slash of `/`
 *     S  staging of this run    M, M0  markers of answers and of records
 *     RD  the root's device
 *     F  format of `stat` with which entries are looked at and verified
 *
 * `@{` stands for `${`, which would mean something else in this file.
 */

/** Goes before the program: a line for each variable that it starts with. */
export function programStart(markers: { answer: string; record: string }): string {
  return `M=${markers.answer}; M0=${markers.record}\n`;
}

export const program = String.raw`
unset CDPATH ENV BASH_ENV POSIXLY_CORRECT TAR_OPTIONS IFS
LC_ALL=C TZ=UTC0 QUOTING_STYLE=literal
export LC_ALL TZ QUOTING_STYLE
set -f
umask 077
nl='
'
IFS=' 	'$nl
F='%f %s %i %d %y %z'
S= R= Q= LOCK= MADE= BEAT= HARD=1 MVT= DEAD= CPIOBAD= START=@{PWD%/}
mv -T 2>&1 </dev/null | grep -q 'nvalid opt\|nrecognized opt' || MVT=-T
# DEAD: something that the command ran was killed. What it started may live on and write into what is answered next, and what it
# has not told of would be taken for gone: such an answer is the last one (session.ts).
end() { printf '\n%s %s %s\n' "$M" "$1" "@{DEAD:-$2}"; }
has() { command -v "$1" >/dev/null 2>&1; }
# Who is killed over a name leaves none, and none is the root.
name() {
  case $1 in *\\*) N=$(printf '%bx' "$1"); case $N in *x) N=@{N%x} ;; *) kill -TERM $$; exit 1 ;; esac ;; *) N=$1 ;; esac
}
line() { IFS= read -r W || bye; name "$W"; }
# A path of theirs, which may start from where we did.
fromstart() { line; case $N in /*) ;; *) N=$START/$N ;; esac; }

# Exactly so many bytes of stdin. Who is killed over it leaves some that would be taken for code: then nothing more is done.
take() { take1 "$1" || kill -TERM $$; }
takehead() { head -c "$1"; }
# As one dd: of two, the first one's end would not be told. Archives and pieces of large files come in whole blocks.
takedd() {
  for tb in 65536 40960 10240 "$1"; do
    [ "$1" -gt 0 ] && [ $(($1 % tb)) = 0 ] && [ "$tb" -le 1048576 ] || continue
    dd bs="$tb" count=$(($1 / tb)) iflag=fullblock 2>/dev/null; return
  done
  [ "$1" = 0 ] || { dd bs=65536 count=$(($1 / 65536)) iflag=fullblock && dd bs=$(($1 % 65536)) count=1 iflag=fullblock; } 2>/dev/null
}
takeslow() { dd bs=1 count="$1" 2>/dev/null; }
# dd first: busybox's head has a buffer of 4 KB, and reads ahead.
if [ "$(printf abcdefgh | { dd bs=3 count=1 iflag=fullblock >/dev/null 2>&1; cat; })" = defgh ]; then
  take1() { takedd "$1"; }; TAKE=dd
elif [ "$(printf abcdefgh | { head -c 3 >/dev/null 2>&1; cat; })" = defgh ]; then
  take1() { takehead "$1"; }; TAKE=head
else
  take1() { takeslow "$1"; }; TAKE=slow
fi

# Arguments from a list on stdin, behind those that are given. Fails if a call was killed, not if one did not find all.
if printf '/dev/null\0/dev/null\0' | xargs -0 cat -- >/dev/null 2>&1; then
  args() { xargs -0 "$@"; as=$?; case $as in 123) return 0 ;; *) return $as ;; esac; }; XARGS=1
else
  args() {
    an=$#; as=0
    while IFS= read -r W; do
      name "$W"; set -- "$@" "$N"
      [ $# -lt $((an + 50)) ] || { args1 "$@"; ai=0; for x do shift; ai=$((ai + 1)); [ $ai -gt $an ] || set -- "$@" "$x"; done; }
    done
    [ $# = $an ] || args1 "$@"
    return $as
  }
  # As xargs says it: then more than that is said only where something may live on, see end.
  args1() { "$@"; [ $? -lt 126 ] || as=125; }
  XARGS=0
fi

# Into a directory of the root, by way of no symlink.
go() {
  cd -P -- "$R" 2>/dev/null || return 1
  if [ -z "$1" ]; then [ "$PWD" = "$R" ]; else cd -P -- "./$1" 2>/dev/null && [ "$PWD" = "$Q/$1" ]; fi
}

# Not in a nested mount? Across its border mv copies, under the real name: what is cut short there is torn.
here() { [ "$(stat -c %d . 2>/dev/null)" = "$RD" ] || { echo '! Cross-device link'; return 1; }; }

# The clock that stamps files: seconds and a fraction, as far as it can be seen.
now() {
  c=$(date +%s.%N 2>/dev/null)
  case $c in *[!0-9.]*|'') c=$(date +%s) ;; esac
  z=$(stat -c %y /proc/self/ 2>/dev/null)
  printf '%s|%s\n' "$c" "$z"
}

# What is asked of the tools, once.
facts() {
  f() { printf '%s %s\n' "$1" "$2"; }
  f take $TAKE
  f xargs $XARGS
  f findprintf "$(find / -prune -printf '%y%m' 2>/dev/null)"
  f findexec "$(find / -prune -exec stat -c %n {} + 2>/dev/null)"
  f stat "$(stat -c '%f' / 2>/dev/null)"
  f tar "$(tar --version 2>&1 </dev/null | { IFS= read -r W; printf %s "$W"; })"
  f cpio "$(case $(cpio --help 2>&1 </dev/null) in *BusyBox*) printf '070701%088d0000000b%08dTRAILER!!!\0\0\0\0x' 0 0 | { cpio -imu 2>/dev/null; cat; } ;; esac)"
  f touch "$(touch -c -d @1577836800.25 /proc/lockstep-none 2>/dev/null && echo fine || { touch -c -d @1577836800 /proc/lockstep-none 2>/dev/null && echo seconds; } || echo old)"
  f sha "$(printf abc | sha256sum 2>/dev/null)"
  f openssl "$(printf abc | openssl dgst -sha256 -r 2>/dev/null)"
  f host "$( { cat /proc/sys/kernel/hostname || uname -n || hostname; } 2>/dev/null)"
  f boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
  f pid $$
  f start "$(s=$(cat /proc/$$/stat 2>/dev/null); s=@{s##*) }; set -- $s; printf %s "@{20}")"
  f ids "$(id -u 2>/dev/null) $(id -g 2>/dev/null)"
  f date "$(now)"
}

# Removes something of ours. Only directories may be made writable for it: files in staging have other names, too.
wipe() {
  rm -rf -- "$1" 2>/dev/null && return
  [ -h "$1" ] || find "$1" -type d -exec chmod u+rwx {} \; 2>/dev/null
  rm -rf -- "$1" 2>&1
}
# What is parked waits for a name, and may be the only one of its kind: the next run finds it (recover.ts).
unstage() {
  [ -n "$S" ] || return 0
  if [ ! -d "$S/parked" ] || rmdir -- "$S/parked" 2>/dev/null; then wipe "$S"
  else
    set +f; set -- "$S"/*; set -f
    for x do [ "$x" = "$S/parked" ] || wipe "$x"; done
  fi
  S=
}
# Puts away what only this run needed. Also when the other end is gone.
bye() {
  trap '' HUP INT TERM PIPE
  cd /
  unstage
  if [ -n "$R" ] && [ ! -h "$Q/.lockstep" ]; then set +f; rm -f -- "$Q"/.lockstep/*.$$; set -f; fi
  if [ -n "$LOCK" ]; then free; bare; fi
  [ -z "$MADE" ] || unmade
  [ -z "$BEAT" ] || kill "$BEAT" 2>/dev/null
  exit 0
}
# A sign of life every so many seconds, on stderr, until we are gone (pulse.ts). Who only sleeps holds nothing of ours open: the
# way here might not end before that does. It is the only child that is not waited for at once: when one ends in the midst of a
# line, busybox's read begins that line over and has lost what came before.
beat() {
  [ -z "$BEAT" ] || return 0
  ( cd /; while { sleep "$1" 3>&- || [ $? -gt 128 ]; } && kill -0 $$; do printf '%s-beat\n' "$M0" >&3; done ) 3>&2 2>/dev/null >&2 </dev/null &
  BEAT=$!
}
free() {
  case $(cat "$Q/.lockstep/lock" 2>/dev/null) in *"\"run\":\"$LOCK\""*) rm -f -- "$Q/.lockstep/lock" ;; esac
  LOCK=
}
# PIPE: whoever listened is gone; that shows in writing as well as in reading.
trap bye HUP INT TERM PIPE

# Is a root: its kind, device and inode, and physical path, each in a line; the path last.
probe() {
  fromstart
  if cd -P -- "$N" 2>/dev/null; then
    k=directory; p=$PWD
    stat -c '%d:%i' . 2>/dev/null || ids .
  elif [ -e "$N" ] || [ -h "$N" ]; then
    if [ -d "$N" ]; then k=unreadable; elif [ -e "$N" ]; then k=other; else k=dangling; fi
    p=$N; echo
  else
    k=missing; echo; d=$N; t=
    while :; do
      case $d in */*) ;; *) break ;; esac
      t="/@{d##*/}$t"; d=@{d%/*}
      if cd -P -- "@{d:-/}" 2>/dev/null; then p=@{PWD%/}$t; break; fi
      if [ -e "@{d:-/}" ] || [ -h "$d" ]; then p=$N; [ -d "@{d:-/}" ] && k=unreadable || k=other; break; fi
    done
  fi
  printf '%s\n%s\n%s' "$k" "@{HOME-}" "$p"
}
ids() { find "$1" -prune -printf '%D:%i\n'; }

# Makes a root, and says which directories had to be made. They go again with us until there is something to keep them for (MADE).
make() {
  fromstart
  m=$N; made=
  while [ ! -d "$m" ] && [ ! -h "$m" ] && [ -n "$m" ]; do made=$m; m=@{m%/*}; done
  (umask 022; mkdir -p -- "$N") 2>&1 || return 1
  MADE=$made; MADEROOT=$N
  printf '%s' "$made"
}
# Removes them again, as far as they are empty.
unmade() {
  cd /
  while rmdir -- "$MADEROOT" 2>/dev/null; do [ "$MADEROOT" != "$MADE" ] || break; MADEROOT=@{MADEROOT%/*}; done
  MADE=
}
open() { fromstart; cd -P -- "$N" && R=$PWD && Q=@{R%/} && { RD=$(stat -c %d . 2>/dev/null); :; }; }

# The root's own time must not show that we came or went.
keeptime() {
  kt=$(stat -c %Y "$R" 2>/dev/null)
  ky=$(stat -c %y "$R" 2>/dev/null)
  "$@"; ks=$?
  [ -z "$kt" ] || touch -c -m -d "@$kt.$(kf "$ky")" "$R" 2>/dev/null || touch -c -m -d "@$kt" "$R" 2>/dev/null
  return $ks
}
kf() { k=@{1#*.}; printf %s "@{k%% *}"; }
own() {
  if [ -d "$Q/.lockstep" ] && [ ! -h "$Q/.lockstep" ]; then return 0; fi
  keeptime mkdir -- "$Q/.lockstep" 2>&1 || return 1
  printf '*\n' >"$Q/.lockstep/.gitignore"
}
bare() {
  for d in staging partial links history; do rmdir -- "$Q/.lockstep/$d" 2>/dev/null; done
  set +f
  for d in "$Q"/.lockstep/* "$Q"/.lockstep/.[!.]* "$Q"/.lockstep/..?*; do
    if [ -e "$d" ] && [ "$d" != "$Q/.lockstep/.gitignore" ]; then set -f; return 0; fi
  done
  set -f
  [ ! -d "$Q/.lockstep" ] || keeptime unown
}
unown() { rm -f -- "$Q/.lockstep/.gitignore"; rmdir -- "$Q/.lockstep"; }

# Whoever made the tree may have made a .lockstep in it, with links to somewhere else: none of its directories may be one. What
# is not one is said.
sound() {
  for d in .lockstep .lockstep/staging .lockstep/partial .lockstep/links .lockstep/history; do
    if [ -h "$Q/$d" ] || { [ -e "$Q/$d" ] && [ ! -d "$Q/$d" ]; }; then printf %s "$d"; return 1; fi
  done
}
# A small file: read, or replaced at once.
get() { line; [ ! -h "$Q/.lockstep/$N" ] || return 2; [ -e "$Q/.lockstep/$N" ] || return 1; [ -f "$Q/.lockstep/$N" ] || return 2; cat -- "$Q/.lockstep/$N" 2>/dev/null || { [ ! -e "$Q/.lockstep/$N" ] || return 2; return 1; }; }
# So many bytes into a file of its own first: all of them, also when the line is cut.
draft() { rm -f -- "$Q/.lockstep/$N.$$"; take "$1" | (set -C; cat >"$Q/.lockstep/$N.$$"; s=$?; cat >/dev/null; exit $s) && [ "$(stat -c %s -- "$Q/.lockstep/$N.$$" 2>/dev/null)" = "$1" ]; }
put() { line; draft "$1" && mv -f -- "$Q/.lockstep/$N.$$" "$Q/.lockstep/$N"; }
# Have files two names here? Asked of the lock, which goes with the run: a run that is halted is to leave no trace.
hard() {
  HARD=0
  for x in lock .gitignore; do ln -- "$Q/.lockstep/$x" "$Q/.lockstep/hard.$$" 2>/dev/null && { HARD=1; break; }; done
  rm -f -- "$Q/.lockstep/hard.$$"; printf %s $HARD
}
# Has this one two (2: nobody knows)?
twin() { line; tn=$(stat -c %h -- "$Q/.lockstep/$N" 2>/dev/null) || return 2; [ "$tn" != 1 ]; }
# A lock: made only if there is none.
lock() {
  line
  draft "$1" 2>&1 || return 2
  if ln -- "$Q/.lockstep/$N.$$" "$Q/.lockstep/$N" 2>/dev/null; then
    rm -f -- "$Q/.lockstep/$N.$$"; return 0
  fi
  if [ -e "$Q/.lockstep/$N" ]; then rm -f -- "$Q/.lockstep/$N.$$"; return 1; fi
  # No hard links here: for a moment there is nothing in it, and who has seen that may take it for nobody's.
  (set -C; cat <"$Q/.lockstep/$N.$$" >"$Q/.lockstep/$N") 2>/dev/null; ls=$?
  [ $ls != 0 ] || [ "$(cat "$Q/.lockstep/$N")" = "$(cat "$Q/.lockstep/$N.$$")" ] || ls=1
  rm -f -- "$Q/.lockstep/$N.$$"; return $ls
}
# Removes a lock that is still what it was when its owner was seen to be dead. Another one's may have come in its place.
unlock() {
  line; un=$N; line; draft "$1" || return 2
  [ "$(cat "$Q/.lockstep/$un" 2>/dev/null)" != "$(cat "$Q/.lockstep/$N.$$")" ] || rm -f -- "$Q/.lockstep/$un"
  rm -f -- "$Q/.lockstep/$N.$$"
}
alive() {
  if [ -d /proc/self ]; then
    [ -d "/proc/$1" ] || return 1
    s=$(cat "/proc/$1/stat" 2>/dev/null); s=@{s##*) }; set -- $s; printf %s "@{20}"
  else kill -0 "$1" 2>/dev/null; fi
}

# What the file system is like.
system() {
  cd -P -- "$R" || return 1
  stat -f -c '%t %a %S' . 2>/dev/null || echo
  f=0
  if [ -d .lockstep ]; then [ -d .LOCKSTEP ] && f=1
  else
    set +f
    for d in *; do
      case $d in *[a-zA-Z]*) ;; *) continue ;; esac
      u=$(printf %sx "$d" | tr a-zA-Z A-Za-z); u=@{u%?}
      [ -e "./$u" ] && [ "./$u" -ef "./$d" ] && f=1
      break
    done
    set -f
  fi
  echo $f
  b="/sys/dev/block/$1"
  cat "$b/diskseq" 2>/dev/null || cat "$b/../diskseq" 2>/dev/null || echo
}
rootentry() { cd -P -- "$R" && stat -c "$FM" .; }
# Names in a directory of ours, one a line: they are ours, too.
listown() { line; cd -P -- "$Q/.lockstep/$N" 2>/dev/null && [ "$PWD" = "$Q/.lockstep/$N" ] || return 0; flat; }
# What is in this directory, and not what is below that.
flat() {
  set +f; set -- ./* ./.[!.]* ./..?*; set -f
  for x do
    if [ -e "$x" ] || [ -h "$x" ]; then
      # It may have gone just now. What is there and is not told of would be taken for gone, too.
      stat -c "$FM" -- "$x" 2>/dev/null </dev/null || { [ ! -e "$x" ] && [ ! -h "$x" ]; } || return 1
    fi
  done
}
rmown() { line; [ -z "$N" ] || wipe "$Q/.lockstep/$N"; }

# Looks at paths of a list: as many records as there are things. Who has asked sees by the last one that all were looked at.
FM="$M0 $F %n"
FL="$M0 $F %n@{nl}$M0-%N"
looklinks() {
  now
  { e=$(take "$1" | (cd -P -- "$R" && args stat -c "$FL" 2>&1 >&3 3>&-; ls=$?; cat >/dev/null; exit $ls)); ls=$?; } 3>&1
  printf '%s!%s' "$M0" "$e"
  return $ls
}

# A walk that was cut short must not pass for a whole one: what it does not tell of would be taken for deleted. Among the
# complaints are lines that say so: what find ended with ($1), and where each of the shells that it ran began and ended; busybox's
# find does not say that one was killed (records.ts).
whole() { [ $1 -lt 126 ] || DEAD=255; e="$e@{e:+$nl}@status $1"; }
# stat as find calls it, which may not notice that it was killed.
ST='echo @begin >&2; stat -c "$0" "$@"; s=$?; [ $s -lt 126 ] || echo "stat was killed ($s)" >&2; echo @end >&2; exit $s'

# Everything below a directory; further arguments are for find: what not to enter.
walk() {
  w=$1; shift
  { e=$(find "$w" \( -name .lockstep "$@" \) -prune -exec sh -c "$ST" "$FM" {} + -o -type l -exec sh -c "$ST" "$FL" {} + -o -exec sh -c "$ST" "$FM" {} + 2>&1 >&3 3>&- </dev/null); whole $?; } 3>&1
  printf '%s!%s' "$M0" "$e"
}
# The same without find: by the shell itself. What is not to be entered is given as to find.
if ! has find; then
  walk() {
    w=$1; shift
    wp=; e=
    while [ $# -gt 0 ]; do [ "$1" != -name ] || wp="$wp|$2|"; shift; done
    untold 125 stat -c "$FL" "$w" </dev/null
    walkdir "$w"
    printf '%s!%s' "$M0" "$e"
  }
  # What it complains of goes to the others' complaints. $1: the most that is no signal.
  untold() {
    um=$1; shift
    { uc=$("$@" 2>&1 >&3 3>&-); us=$?; } 3>&1
    [ -z "$uc" ] || e="$e@{e:+$nl}$uc"
    [ $us -le $um ] || { DEAD=255; e="$e@{e:+$nl}stat was killed ($us)"; }
  }
  # A list of its own for each directory: what a function is called with.
  walkin() {
    wd=$1
    set +f
    set -- "$wd"/..?*; [ -e "$1" ] || [ -h "$1" ] || shift
    set -- "$wd"/.[!.]* "$@"; [ -e "$1" ] || [ -h "$1" ] || shift
    set -- "$wd"/* "$@"; [ -e "$1" ] || [ -h "$1" ] || shift
    set -f
    [ $# = 0 ] || walklist "$@"
    for x do
      y=@{x##*/}
      case $y in .lockstep) continue ;; esac
      case $wp in *"|$y|"*) continue ;; esac
      if [ -d "$x" ] && [ ! -h "$x" ]; then walkin "$x"; fi
    done
  }
  statlist() { printf '%s\0' "$@" | args stat -c "$FL" --; }
  walklist() { untold 0 statlist "$@"; }
  walkdir() { walkin "$1"; }
  if [ $XARGS = 0 ]; then walklist() { for x do untold 125 stat -c "$FL" -- "$x" </dev/null; done; }; fi
fi
walkprintf() {
  w=$1; shift
  { e=$(find "$w" \( -name .lockstep "$@" \) -prune -printf "$FP" -o -type l -printf "$FP$M0-%l\n" -o -printf "$FP" 2>&1 >&3 3>&- </dev/null); whole $?; } 3>&1
  printf '%s!%s' "$M0" "$e"
}
FP="$M0 %y%m %s %i %D %T@ %C@ %p\n"
scan() { cd -P -- "$R" || return 1; now; walk . "$@"; printf '\n'; now; }
scanprintf() { cd -P -- "$R" || return 1; now; walkprintf . "$@"; printf '\n'; now; }
staged() { now; cd -P -- "$S/$1" || return 1; walk .; }

# Which of these directories cannot be listed.
blind() {
  bad=; cd -P -- "$R" || bad=1
  i=0
  while [ $i -lt "$1" ]; do
    line
    if [ -n "$bad" ] || [ ! -r "./$N" ] || [ ! -x "./$N" ]; then printf '%s\n' $i; fi
    i=$((i + 1))
  done
}
# Content: of many files one after the other, and a piece of one, in blocks of 256 KiB.
contents() { take "$1" | (cd -P -- "$R" && args cat -- 2>/dev/null; cs=$?; cat >/dev/null; exit $cs); }
piece() { line; D=$N; line; go "$D" && [ ! -h "./$N" ] && dd if="./$N" bs=262144 skip="$1" count="$2" 2>/dev/null </dev/null; }
# Digests, each behind the number of its file. $1: the tool.
digests() {
  bad=; cd -P -- "$R" || bad=1
  i=0; j=0; set -- "$1" "$2"
  dt=$1; dn=$2; set --
  while [ $i -lt $dn ]; do
    line; set -- "$@" "./$N"; i=$((i + 1))
    if [ $# = 50 ] || [ $i = $dn ]; then hashes "$@"; j=$i; set --; fi
  done
}
# All at once; where a line is missing, one by one.
hashes() {
  [ -z "$bad" ] || return 0
  if [ $# = 1 ]; then hash1 "$1"; return; fi
  case $dt in
    sha256sum) h=$(sha256sum -- "$@" 2>/dev/null </dev/null) ;;
    openssl) h=$(openssl dgst -sha256 -r -- "$@" 2>/dev/null </dev/null) ;;
    *) return ;;
  esac
  k=$j; hn=0; hl=
  IFS=$nl
  for x in $h; do x=@{x#\\}; x=@{x%% *}; case $x in ????????????????????????????????????????????????????????????????) hn=$((hn + 1)); hl="$hl$x$nl" ;; esac; done
  IFS=' 	'$nl
  if [ $hn = $# ]; then for x in $hl; do echo "$k $x"; k=$((k + 1)); done; return; fi
  hj=$j; for y do j=$hj; hash1 "$y"; hj=$((hj + 1)); done
}
hash1() {
  [ -f "$1" ] && [ ! -h "$1" ] || return
  case $dt in
    sha256sum) x=$(sha256sum <"$1" 2>/dev/null) ;;
    openssl) x=$(openssl dgst -sha256 -r <"$1" 2>/dev/null) ;;
  esac
  x=@{x%% *}
  case $x in ????????????????????????????????????????????????????????????????) echo "$j $x" ;; esac
}
# Small files, each behind its number.
texts() {
  bad=; cd -P -- "$R" || bad=1
  i=0
  while [ $i -lt "$1" ]; do
    line
    printf '%s %s\n' "$M0" $i
    if [ -n "$bad" ] || [ -h "./$N" ] || ! cat -- "./$N" 2>/dev/null </dev/null; then printf '\n%s!' "$M0"; fi
    printf '\n'
    i=$((i + 1))
  done
}
`.replaceAll('@{', '${');
