# Sourced by the scripts beside it, never run: finds Bun and installs what bun.lock says.
#
# A script sets `script` (its name, for messages) and sources this file, which sets `root` (the repository).
# Then `need_bun` sets `bun`, a Bun of 1.4 or later: the one on PATH, else the version that package.json pins,
# from the npm registry into node_modules. `need_dependencies run|all` installs the locked dependencies, `run`
# without those that only tests use. Where nothing changed both are quick, use no network and write nothing.
#
# What is installed is readable by every user, whatever the umask of the shell that installs it: a service runs as
# another user than the one who installed it.

root=$(CDPATH='' cd -P -- "$(dirname -- "$self")/.." && pwd -P)

say() {
  echo "scripts/$script: $*" >&2
}

fail() {
  say "$*"
  exit 1
}

# True when $1 is a Bun that runs here and is 1.4 or later.
is_recent_bun() {
  bun_version=$("$1" --version 2>/dev/null) || return 1
  bun_major=${bun_version%%.*}
  bun_minor=${bun_version#*.}
  bun_minor=${bun_minor%%.*}
  case "$bun_major.$bun_minor" in
    *[!0-9.]* | .* | *.) return 1 ;;
  esac
  [ "$bun_major" -gt 1 ] || { [ "$bun_major" -eq 1 ] && [ "$bun_minor" -ge 4 ]; }
}

# The registry's package `bun` picks the binary of this system and processor by its optional dependencies, but
# puts it in its place only in a postinstall script, which npm may have been told not to run. So the scripts
# are left out, and the binary is taken from where its own package has it.
installed_bun() {
  for bun in "$1"/node_modules/@oven/bun-*/bin/bun; do
    if is_recent_bun "$bun"; then return 0; fi
  done
  return 1
}

# Ends with a hint when $1 is missing and this user may not install it.
need_to_write() {
  folder="$root/node_modules"
  [ -e "$folder" ] || folder=$root
  [ -w "$folder" ] || fail "$1, and user $(id -un 2>/dev/null || id -u) may not write to $folder: run \"$root/scripts/install\" as its owner."
}

need_bun() {
  bun=$(command -v bun 2>/dev/null) && is_recent_bun "$bun" && return
  need_pinned_bun
}

# The version that package.json pins, in node_modules, whatever is on PATH.
need_pinned_bun() {
  pinned=$(sed -n 's/.*"packageManager": *"bun@\([0-9.]*\)".*/\1/p' "$root/package.json")
  home="$root/node_modules/.bun-$pinned"
  if installed_bun "$home"; then
    # Earlier versions of this script left it readable by its owner alone.
    case $(ls -ld "$home") in drwx------*) chmod go+rx "$home" 2>/dev/null ;; esac
    return
  fi
  [ ! -d "$home" ] || [ -x "$home" ] || need_to_write "Bun $pinned in $home cannot be read by this user"
  need_to_write "Bun $pinned is not installed"
  command -v npm >/dev/null 2>&1 || fail "needs Bun 1.4 or later on PATH, or npm to install it."

  say "installing Bun $pinned from the npm registry into node_modules"
  (umask 022 && install_pinned_bun) || exit 1
  installed_bun "$home" || fail "Bun $pinned has no binary that runs on this machine ($(uname -sm))."
}

install_pinned_bun() {
  mkdir -p "$root/node_modules" || exit 1
  # Made beside its place and moved there whole: an install that was cut off is not taken for a good one.
  fresh=$(mktemp -d "$root/node_modules/.bun-XXXXXX") || exit 1
  npm install --prefix "$fresh" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
    --loglevel=error "bun@$pinned" >&2 || { rm -rf "$fresh"; fail "npm could not install Bun $pinned."; }
  # A folder of mktemp is its owner's alone, and so may be what npm takes from its cache.
  chmod -R go+rX "$fresh" || exit 1
  rm -rf "$home"
  mv "$fresh" "$home"
}

# A stamp in node_modules says for which lock, machine and extent it was filled.
need_dependencies() {
  sum=$({ uname -sm; cat "$root/package.json" "$root/bun.lock"; } | cksum)
  stamp="$root/node_modules/.installed"
  installed=$(cat "$stamp" 2>/dev/null)
  [ "$installed" = "all $sum" ] && return
  [ "$installed" = "$1 $sum" ] && return
  need_to_write "the dependencies of this version are not installed"

  say "installing the locked dependencies"
  (umask 022 && install_dependencies "$1") || exit 1
}

install_dependencies() {
  production=
  [ "$1" = run ] && production=--production
  # shellcheck disable=SC2086 # empty is no argument
  (cd "$root" && "$bun" install --frozen-lockfile $production) >&2 || fail "could not install the dependencies."
  # What Bun links from its cache has the modes of the shell that filled it.
  chmod -R go+rX "$root/node_modules" 2>/dev/null
  echo "$1 $sum" >"$stamp.$$" && mv "$stamp.$$" "$stamp"
}

# Sets what Bun has to know of this program before it starts; for what else runs it, too.
tune_bun() {
  # A statement holds a thread of Bun's pool until it ends, and the pool has as many as there are processors: two
  # slow queries would hold up every commit behind them.
  UV_THREADPOOL_SIZE=${UV_THREADPOOL_SIZE:-16}
  # The collector of JavaScript lets garbage grow with the memory that it believes is there for it, and a gateway
  # should not take all of a large machine: as if it had 2 GiB, queries over millions of samples peak 100 MB lower and
  # are as fast. (As if it had 1 GiB, a gateway with 60,000 groups spent half its time on collecting.)
  BUN_JSC_forceRAMSize=${BUN_JSC_forceRAMSize:-2147483648}
  # Of the C library's heaps each thread has its own, and what one of sixteen has freed the others do not use: with one
  # heap, queries peak another 60 MB lower.
  MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-1}
  export UV_THREADPOOL_SIZE BUN_JSC_forceRAMSize MALLOC_ARENA_MAX
}

# Becomes the command line, in the caller's folder, so that paths mean what they say and signals reach it. A
# .env or bunfig.toml that happens to lie there is not ours to read.
become_weir() {
  tune_bun
  exec "$bun" --no-env-file --config="$root/bunfig.toml" "$root/src/main.ts" "$@"
}
