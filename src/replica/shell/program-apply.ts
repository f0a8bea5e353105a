/**
 * The part of the far program that changes something (DESIGN §6). Every function works on one directory and some names in
 * it, in a few processes however many names there are.
 *
 * Invariants, which hold as in replica/local/apply.ts:
 *  - content is complete in staging before it gets a name; `ln` gives a name that nobody has, and replaces nothing
 *  - what is replaced has a second name first (`ln` into `$O`), seen to be what was planned; only then `mv` renames over it, and
 *    then it is looked at once more: what slipped in is still under its second name
 *  - what is removed is renamed aside first, so that whatever was there is in hand when it is looked at
 *  - a name is verified (`verify`) in the same command that touches it, without a round trip in between
 *  - what is parked has lost its name: it outlives this run, however that ends (`unstage`), and the next one finds it
 *
 * `names` reads the directory, then a pattern of `verify` and a name, `$C` times. Results are lines: `d` the directory is not
 * there (any more), `v`, `w`, `x`, `a` a digit for each name that was still under way (1: as planned), `!` what a tool said.
 */
export const applyProgram = String.raw`
# Whose it is, what is made in it will be.
stage() {
  mkdir -p -- "$Q/.lockstep/staging/$1/$2" && S="$Q/.lockstep/staging/$1" || return
  stat -c '%u %g' -- "$S/$2" 2>/dev/null || :
}
# Content of small files and links, as an archive. Busybox cuts modes by the umask for ordinary users, -p or not; staging
# itself is its owner's alone.
untar() { take "$1" | (umask 0; cd -P -- "$S" && extract tar -xpof - || cat >/dev/null; while IFS= read -r W; do :; done); }
# The same for busybox's cpio, which reads it to its last byte and not one further. Having failed, it has left some of it: up to
# the line behind it, which is like nothing else, that is read over, and so are those that are on their way.
uncpio() {
  if [ -n "$CPIOBAD" ]; then take "$1" >/dev/null; us=1
  else E=$(umask 0; cd -P -- "$S" && extract cpio -imu); us=$?; [ -z "$E" ] || printf '%s\n' "$E"; fi
  IFS= read -r W || bye
  [ "$W" != "$M behind" ] || return $us
  [ $us != 0 ] || kill -TERM $$
  CPIOBAD=1
  while :; do
    case $W in *"$M behind") return $us ;; esac
    IFS= read -r W || bye
  done
}
# A few processes for each archive, and no more: what is said of it is cut short by the shell.
extract() {
  E=$("$@" 2>&1); xs=$?
  if [ @{#E} -gt 4000 ]; then
    case $E in *'No space left'*) f="@{nl}No space left on device" ;; *) f= ;; esac
    E=$(printf '%.4000s' "$E"); E=@{E%"$nl"*}$f
  fi
  [ -z "$E" ] || printf '%s\n' "$E"
  [ $xs -lt 126 ] || echo "$1 was killed ($xs)"
  return $xs
}
# A file that is being put together: in staging, or in partial, which outlives us.
target() { line; case $N in partial/*) N=$Q/.lockstep/$N ;; *) N=$S/$N ;; esac; }
partial() { line; [ ! -h "$Q/.lockstep/partial" ] && mkdir -p -- "$Q/.lockstep/partial" && rm -f -- "$Q/.lockstep/$N"; }
tostaging() { line; f=$N; line; mv -f -- "$Q/.lockstep/$f" "$S/$N" 2>&1 </dev/null; }
# Content of one file, or the next piece of it: at the end of what is there.
append() {
  target; take "$1" | (cat 2>&1 >>"$N"; s=$?; cat >/dev/null; exit $s)
}
# Into the directory of what a new version is held against.
gobase() { if [ "$1" = .lockstep/partial ]; then cd -P -- "$Q/.lockstep/partial"; else go "$1"; fi; }
# The same without sending it: from an old version, in whole blocks; or as a hole.
copyblocks() {
  line; D=$N; line; b=$N; target
  gobase "$D" && [ ! -h "./$b" ] &&
    { E=$(dd if="./$b" bs="$1" skip="$2" count="$3" 2>&1 >>"$N" </dev/null) || grumble; }
}
hole() { target; E=$(dd if=/dev/null of="$N" bs=1 count=0 seek="$1" 2>&1 </dev/null) || grumble; }
# What a dd that failed has said, without what it always says.
grumble() { unsaid; printf '%s\n' "$E" | grep -v 'records\|copied' | head -n 2; return 1; }
# SHA-256 of each block of a file. $1: the tool, $2: bytes of a block, $3: their number.
blocks() {
  bd=$1 bs=$2 bn=$3
  line; D=$N; line
  gobase "$D" && [ ! -h "./$N" ] || return 1
  i=0
  while [ $i -lt $bn ]; do
    case $bd in
      sha256sum) dd if="./$N" bs=$bs skip=$i count=1 2>/dev/null </dev/null | sha256sum ;;
      openssl) dd if="./$N" bs=$bs skip=$i count=1 2>/dev/null </dev/null | openssl dgst -sha256 -r ;;
    esac
    i=$((i + 1))
  done
}
dress() {
  line
  [ "$2" = - ] || { touch -c -m -d "$2" -- "$S/$N" 2>&1; ds=$?; [ $ds -lt 126 ] || echo "touch was killed ($ds)"; }
  chmod "$1" -- "$S/$N" 2>&1; ds=$?; [ $ds -lt 126 ] || echo "chmod was killed ($ds)"
}
mkdirs() { i=0; while [ $i -lt "$1" ]; do line; mkdir -p -- "$S/$N" 2>&1; i=$((i + 1)); done; }
linkto() { line; T=$N; line; [ ! -h "$S/$N" ] && ln -s -- "$T" "$S/$N" 2>&1; [ "$1" = - ] || touch -h -c -m -d "$1" -- "$S/$N" 2>/dev/null; :; }
drop() { i=0; while [ $i -lt "$1" ]; do line; [ -z "$N" ] || [ -z "$S" ] || wipe "$S/$N"; i=$((i + 1)); done; }

names='D=; line; D=$N; set --; P=; i=0
while [ $i -lt $C ]; do IFS= read -r p || bye; line; set -- "$@" "./$N"; P="$P$p$nl"; i=$((i + 1)); done'
# Do "$@" look as the lines of $P say? G: a digit for each.
verify() {
  V=$(stat -c "$F" -- "$@" 2>/dev/null </dev/null)
  G=; vp=$P; vn=0
  IFS=$nl
  for va in $V; do vn=$((vn + 1)); done
  if [ $vn = $# ]; then
    for va in $V; do
      p=@{vp%%"$nl"*}; vp=@{vp#*"$nl"}
      case $va in $p) G=@{G}1 ;; *) G=@{G}0 ;; esac
    done
    IFS=' 	'$nl
  else
    IFS=' 	'$nl
    for va do
      p=@{vp%%"$nl"*}; vp=@{vp#*"$nl"}
      case $(stat -c "$F" -- "$va" 2>/dev/null </dev/null) in $p) G=@{G}1 ;; *) G=@{G}0 ;; esac
    done
  fi
}
# Of "$@" and $P those that $G has a 1 for; without the ctime in $P, which links and renames move.
pass='np=; for x do
  shift; g=@{G%"@{G#?}"}; G=@{G#?}; p=@{P%%"$nl"*}; P=@{P#*"$nl"}
  if [ "$g" = 1 ]; then set -- "$@" "$x"; np="$np@{p% * * *} * * *$nl"; fi
done; P=$np'
at='for x do shift; set -- "$@" "$O/@{x#./}"; done'
back='for x do shift; set -- "$@" "./@{x##*/}"; done'
# After E=$(...): who was killed could not say so.
unsaid() { es=$?; [ $es = 0 ] || [ -n "$E" ] || E="it was killed ($es)"; }
say() {
  unsaid
  [ -z "$E" ] || printf '! %s\n' "$E" | head -n 5
}

# Those of "$@" in $O that $G has a 0 for are somebody's edit, and have no other name by now: they are parked, unless they are in
# history already. Whoever listens puts them there (changes.ts), or the next run does.
hold() {
  case $O in "@{S:-none}"/*) ;; *) return 0 ;; esac
  ho=@{O#"$S"/}; ho=$S/parked/@{ho%%/*}-@{ho##*/}; hk=0; G2=$G
  for x do
    g=@{G2%"@{G2#?}"}; G2=@{G2#?}
    if [ $g = 0 ] && { [ -e "$x" ] || [ -h "$x" ]; }; then
      mkdir -p -- "$S/parked"
      printf %s "@{D:+$D/}@{x##*/}" >"$ho-$hk.name"; mv -- "$x" "$ho-$hk" 2>/dev/null </dev/null
    fi
    hk=$((hk + 1))
  done
}

# New names for what is staged in $1. What they really are is looked at afterwards.
new() {
  C=$2; K=$S/$1; eval "$names"
  go "$D" || { echo d; return; }
  for x do shift; set -- "$@" "$K/@{x#./}"; done
  if [ $HARD = 1 ]; then E=$(ln -- "$@" . 2>&1 </dev/null); say
  elif here; then
    for x do
      y=./@{x##*/}
      if [ -e "$y" ] || [ -h "$y" ]; then echo '! File exists'; else E=$(mv -- "$x" "$y" 2>&1 </dev/null); say; fi
    done
  fi
}
# The same for new directories: renamed, because they cannot have two names.
newdirs() {
  C=$2; K=$S/$1; eval "$names"
  go "$D" || { echo d; return; }
  here || return
  for x do
    shift
    if [ -e "$x" ] || [ -h "$x" ]; then echo '! File exists'; else set -- "$@" "$K/@{x#./}"; fi
  done
  [ $# = 0 ] || { E=$(mv -- "$@" . 2>&1 </dev/null); say; }
}
# Replaces by what is staged in $1; the old versions get second names in a directory of ours.
over() {
  C=$2; K=$S/$1; line; O=$Q/.lockstep/$N; eval "$names"
  go "$D" || { echo d; return; }
  verify "$@"; echo "v $G"; eval "$pass"; [ $# -gt 0 ] || return 0
  # A copy that is not complete is none. (Of one that could not be given its owner, cp complains as well.)
  if [ $HARD = 1 ]; then E=$(ln -- "$@" "$O/" 2>&1 </dev/null); say; eval "$at"; verify "$@"
  else
    G=
    for x do
      E=$(cp -pP -- "$x" "$O/" 2>&1 </dev/null); say
      if [ $es = 0 ]; then g=1; elif [ $es -gt 125 ]; then g=0
      else g=$(stat -c %s -- "$O/@{x#./}" 2>/dev/null); [ -n "$g" ] && [ "$g" = "$(stat -c %s -- "$x" 2>/dev/null)" ] && g=1 || g=0; fi
      G=$G$g
    done
    eval "$at"
  fi
  # Seen to be the planned ones under their second names; and those are still what has the first.
  G2=$G; G=
  for x do
    g=@{G2%"@{G2#?}"}; G2=@{G2#?}; y=./@{x##*/}
    if [ $g = 1 ] && [ $HARD = 1 ] && [ ! -h "$y" ] && [ ! "$y" -ef "$x" ]; then g=0; fi
    if [ -d "$y" ] && [ ! -h "$y" ]; then g=0; fi
    [ $g = 1 ] || rm -f -- "$x"
    G=$G$g
  done
  echo "w $G"; eval "$pass"; [ $# -gt 0 ] || return 0
  if [ $HARD = 0 ]; then
    # Copies take their time. What was edited meanwhile is not what was copied.
    eval "$back"; verify "$@"; G2=$G
    for x do g=@{G2%"@{G2#?}"}; G2=@{G2#?}; [ $g = 1 ] || rm -f -- "$O/@{x#./}"; done
    echo "x $G"; eval "$pass"; [ $# -gt 0 ] || return 0
  else
    G=; for x do G=@{G}1; done
    echo "x $G"
  fi
  for x do shift; set -- "$@" "$K/@{x##*/}"; done
  E=$(mv -f -- "$@" . 2>&1 </dev/null); say
  for x do shift; set -- "$@" "$O/@{x##*/}"; done
  if [ $HARD = 1 ]; then verify "$@"; hold "$@"; echo "a $G"; fi
}
# Renames aside, into a directory of ours: what is wanted there, and nothing else.
aside() {
  C=$1; line; O=$Q/.lockstep/$N; eval "$names"
  go "$D" || { echo d; return; }
  verify "$@"; echo "v $G"; eval "$pass"; [ $# -gt 0 ] || return 0
  E=$(mv -- "$@" "$O/" 2>&1 </dev/null); say
  eval "$at"; verify "$@"; G2=$G
  # Something else was caught: it gets its name back, unless that is taken by now.
  for x do
    g=@{G2%"@{G2#?}"}; G2=@{G2#?}; y=./@{x##*/}
    if [ $g = 0 ] && { [ -e "$x" ] || [ -h "$x" ]; }; then
      if ln -- "$x" "$y" 2>/dev/null; then rm -f -- "$x"; elif [ ! -e "$y" ] && [ ! -h "$y" ]; then mv -- "$x" "$y" 2>/dev/null; fi
    fi
  done
  hold "$@"
  # Only now: when nobody listens any more, saying it is our end.
  echo "w $G"
}
rmdirs() {
  C=$1; eval "$names"
  go "$D" || { echo d; return; }
  verify "$@"; echo "v $G"; eval "$pass"; [ $# -gt 0 ] || return 0
  E=$(rmdir -- "$@" 2>&1 </dev/null); say
}
# What is in a directory, for who may remove it with it.
within() { line; go "$N" || return 0; walk .; }
top() { cd -P -- "$R" && flat; }
away() { line; f=$N; line; cd -P -- "$R" || return 1; mv -- "./$f" "$Q/.lockstep/$N" 2>&1 </dev/null; }
# What -f complains of is not to be made good by a sync that complains of nothing; that is for those that know no -f.
flush() {
  E=$(sync -f -- "$R" 2>&1 </dev/null) && return
  case $E in *'nvalid option'*|*'nrecognized option'*|*'nknown option'*|*Usage:*) sync </dev/null ;; *) return 1 ;; esac
}
putaway() { unstage; [ -z "$LOCK" ] || free; cd /; bare; }
historywalk() {
  h=$Q/.lockstep/history
  if [ -h "$Q/.lockstep" ] || [ -h "$h" ] || { [ ! -e "$h" ] && [ -x "$Q/.lockstep" ]; } || [ ! -e "$Q/.lockstep" ]; then return 0; fi
  cd -P -- "$h" 2>/dev/null || { printf '%s!permission denied' "$M0"; return; }
  walk .
}
# Versions that nobody needs any more; never by way of a symlink, which history may hold, too.
forgetversions() {
  i=0
  while [ $i -lt "$1" ]; do
    IFS= read -r k || bye; line; h=$Q/.lockstep/@{N%/*}
    if cd -P -- "$h" 2>/dev/null && [ "$PWD" = "$h" ]; then
      if [ "$k" = d ]; then rmdir -- "./@{N##*/}" 2>/dev/null; else rm -f -- "./@{N##*/}" 2>&1; fi
    fi
    i=$((i + 1))
  done
}
# Runs of which nothing is left lose their directories.
tidyruns() {
  i=0
  while [ $i -lt "$1" ]; do
    line; h=$Q/.lockstep/history/$N
    if cd -P -- "$h" 2>/dev/null && [ "$PWD" = "$h" ]; then
      has find || { i=$((i + 1)); continue; }
      find . -depth -type d ! -name . -exec rmdir {} + 2>/dev/null </dev/null
      t=$(find . ! -name . ! -name index.jsonl 2>/dev/null </dev/null && echo none)
      if [ "$t" = none ]; then rm -f ./index.jsonl; cd ..; rmdir -- "./$N" 2>/dev/null; fi
    fi
    i=$((i + 1))
  done
}
stillthere() { line; [ -e "$Q/.lockstep/$N" ] || [ -h "$Q/.lockstep/$N" ]; }
# Removes things in a directory that may go with it.
purge() { C=$1; eval "$names"; go "$D" || { echo d; return; }; rm -rf -- "$@" 2>&1; }
# Mode and time of things of which no other may have the name by now.
meta() {
  C=$1; mm=$2; mt=$3; eval "$names"
  go "$D" || { echo d; return; }
  verify "$@"
  G2=$G; G=
  for x do
    g=@{G2%"@{G2#?}"}; G2=@{G2#?}
    [ ! -h "$x" ] || g=0
    G=$G$g
  done
  echo "v $G"; eval "$pass"; [ $# -gt 0 ] || return 0
  if [ "$mm" != - ]; then E=$(chmod "$mm" -- "$@" 2>&1); say; fi
  if [ "$mt" != - ]; then E=$(touch -c -m -d "$mt" -- "$@" 2>&1); say; fi
}
# Of directories: from inside, so that no other can be meant.
dirs() {
  i=0
  while [ $i -lt "$1" ]; do
    IFS=' ' read -r m t || bye; line
    if go "$N"; then
      E=; [ "$t" = - ] || { E=$(touch -c -m -d "$t" . 2>&1); unsaid; }
      [ -n "$E" ] || [ "$m" = - ] || { E=$(chmod "$m" . 2>&1); unsaid; }
      if [ -n "$E" ]; then printf '%s %s\n' $i "$E" | head -n 1; fi
    else printf '%s gone\n' $i; fi
    i=$((i + 1))
  done
}
# New directories, one by one: that is the only way to know who made them.
newdir() {
  i=0
  while [ $i -lt "$1" ]; do
    read -r m || bye; line; D=$N; line
    if go "$D"; then E=$(mkdir -- "./$N" 2>&1 && chmod "$m" -- "./$N" 2>&1); unsaid; [ -z "$E" ] || printf '%s %s\n' $i "$E" | head -n 1
    else printf '%s gone\n' $i; fi
    i=$((i + 1))
  done
}
# Renames a directory.
movedir() {
  C=1; line; T=$N; line; t=$N; eval "$names"
  go "$T" || { echo d; return; }
  if [ -e "./$t" ] || [ -h "./$t" ]; then echo 'there'; return; fi
  here || return
  go "$D" || { echo d; return; }
  verify "$@"; echo "v $G"; [ $G = 1 ] || return 0
  E=$(mv $MVT -- "$1" "$Q/@{T:+$T/}$t" 2>&1 </dev/null); say
}
# Takes a file from its name; where it waits is said, should we die.
park() {
  C=1; pn=$1; O=$S/parked; mkdir -p -- "$O"; eval "$names"
  go "$D" || { echo d; return; }
  verify "$@"; echo "v $G"; [ $G = 1 ] || return 0
  printf %s "@{D:+$D/}@{1#./}" >"$O/$pn.name"
  E=$(mv -- "$1" "$O/$pn" 2>&1 </dev/null); say
}
unpark() {
  line; D=$N; line
  go "$D" || { echo d; return; }
  if [ -e "./$N" ] || [ -h "./$N" ]; then echo there; return; fi
  if [ $HARD = 1 ]; then E=$(ln -- "$S/parked/$1" "./$N" 2>&1 </dev/null); else here || return; E=$(mv -- "$S/parked/$1" "./$N" 2>&1); fi
  say
  [ -n "$E" ] || rm -f -- "$S/parked/$1.name" "$S/parked/$1"
}
# Versions in history: the first line says where that is. It may hold symlinks, and none is followed.
kept() { h=$bh/@{1%/*}; cd -P -- "$h" 2>/dev/null && [ "$PWD" = "$h" ] && [ -f "./@{1##*/}" ] && [ ! -h "./@{1##*/}" ]; }
# Copies them into staging, each with mode and time.
bring() {
  line; bh=$N; i=0
  while [ $i -lt "$1" ]; do
    IFS=' ' read -r m t || bye; line; f=$N; line; E='it is not in history any more'
    if kept "$f"; then
      E=$(cp -P -- "./@{f##*/}" "$S/$N" 2>&1 </dev/null) || E=@{E:-it could not be copied}
      [ -n "$E" ] || [ "$t" = - ] || E=$(touch -c -m -d "$t" -- "$S/$N" 2>&1)
      [ -n "$E" ] || E=$(chmod "$m" -- "$S/$N" 2>&1)
    fi
    [ -z "$E" ] || printf '%s %s\n' $i "$E" | head -n 1
    i=$((i + 1))
  done
}
# Which files have just the content of versions.
samekept() {
  line; bh=$N; i=0
  while [ $i -lt "$1" ]; do
    line; f=$N; line; D=$N; line
    if has cmp && kept "$f" && go "$D" && [ -f "./$N" ] && [ ! -h "./$N" ]; then
      cmp -s -- "./$N" "$bh/$f" </dev/null && printf '%s same\n' $i
    fi
    i=$((i + 1))
  done
}
keptowner() { line; bh=$N; line; kept "$N" && stat -c '%u %g' -- "./@{N##*/}" 2>/dev/null </dev/null; }
# A directory out of history gets its name back, if nothing has it.
putback() {
  line; f=$N; C=1; eval "$names"
  go "$D" || { echo d; return; }
  if [ -e "$1" ] || [ -h "$1" ]; then return 0; fi
  here || return 0
  E=$(mv $MVT -- "$Q/.lockstep/$f" "$1" 2>&1 </dev/null); say
}
# A place in history, and lines for its index.
place() { line; mkdir -p -- "$Q/.lockstep/$N" 2>&1; }
index() { take "$2" | (cat 2>&1 >>"$Q/.lockstep/history/$1/index.jsonl"; s=$?; cat >/dev/null; exit $s); }
tohistory() { line; f=$N; line; mv -- "$Q/.lockstep/$f" "$Q/.lockstep/$N" 2>&1 && rm -f -- "$Q/.lockstep/$f.name"; }
`.replaceAll('@{', '${');
