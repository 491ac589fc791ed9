# Other scripts source this file; it is never run. It finds Bun and installs the packages of bun.lock.
#
# A script sets `script` (its name, for messages) and sources this file, which sets `root` (the repository).
# Then `need_bun` sets `bun`, a Bun of 1.4 or later: the one on PATH, else the version that package.json pins,
# from the npm registry into node_modules. `need_dependencies run|all` installs the locked dependencies, `run`
# without those that only tests use. If nothing changed, both are quick, use no network and write nothing.
#
# Installed files are readable by every user, whatever the umask of the shell, because a service runs as another user
# than the one who installed it.

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

# The registry's package `bun` selects the binary for this system and processor by its optional dependencies, but
# moves it to its place only in a postinstall script, which npm may be configured not to run. So the scripts are
# skipped, and the binary is used from its own package.
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
    # Earlier versions of this script left it readable by its owner only.
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
  # Installed in a temporary folder and then moved, so that an interrupted install is not used.
  fresh=$(mktemp -d "$root/node_modules/.bun-XXXXXX") || exit 1
  npm install --prefix "$fresh" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
    --loglevel=error "bun@$pinned" >&2 || { rm -rf "$fresh"; fail "npm could not install Bun $pinned."; }
  # Only the owner can read a folder of mktemp, and possibly the files that npm copies from its cache.
  chmod -R go+rX "$fresh" || exit 1
  rm -rf "$home"
  mv "$fresh" "$home"
}

# A stamp in node_modules records the lock, the machine and the extent (run or all) of the installation.
need_dependencies() {
  # Whoever installed this package (`npm install PATH`) has installed what it depends on.
  case $root in */node_modules/*) return ;; esac
  sum=$({ uname -sm; cat "$root/package.json" "$root/bun.lock"; } | cksum)
  stamp="$root/node_modules/.installed"
  installed=$(cat "$stamp" 2>/dev/null) || installed=
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
  # Files that Bun links from its cache have the modes of the shell that filled the cache.
  chmod -R go+rX "$root/node_modules" 2>/dev/null
  echo "$1 $sum" >"$stamp.$$" && mv "$stamp.$$" "$stamp"
}

# The bundle of `weir serve` (scripts/build.d/serve-bundle.ts) is in a folder node_modules/.weir-XXXXXX. The file
# node_modules/.weir-serve names the newest one, its Bun, and what it was made of. A bundle is used only if nothing has changed
# since: the sum covers the path, the inode, the size and both times of each source, of the lock and of the page. Of Bun, of each
# bundled file of a package and of the bundle itself it covers all but the second time: these files may be hard links to a cache,
# and the install of another project then changes that time. The bundle is covered because a machine that loses its power can keep
# the name of a file without its contents. A system whose `find` has no -printf, or without `flock`, starts from the sources.
serve_sum() {
  # shellcheck disable=SC2046 # a path of a package has no spaces
  (cd "$root" && find -H src scripts/bun.sh scripts/build.d package.json bun.lock tsconfig.json node_modules/.installed \
    dist/ui/index.html "$1" "${2#"$root/"}" $(cat "$2/files" 2>/dev/null) -type f \
    \( -path '*node_modules/*' -printf '%p %i %s %T@\n' -o -printf '%p %i %s %T@ %C@\n' \) 2>/dev/null || echo incomplete) | cksum
}

# True if there is a bundle of exactly this checkout for the Bun that need_bun would find, and nobody deletes it while this process
# and what it becomes run. Sets `bun` and `bundle`.
find_bundle() {
  { read -r sum && read -r bundle && read -r bun; } 2>/dev/null <"$root/node_modules/.weir-serve" || return 1
  on_path=$(command -v bun 2>/dev/null)
  [ "${on_path:-$bun}" = "$bun" ] && [ "$(serve_sum "$bun" "$root/$bundle")" = "$sum" ] && keep_bundle
}

# Locks the bundle by a descriptor that stays open as long as the gateway runs. /proc would not do: with the mount option hidepid,
# nobody sees the processes of others. The descriptor is one that the caller does not use: he may hold a lock by it.
keep_bundle() {
  module=$root/$bundle/main.js
  for descriptor in 9 8 7 6 5 4 3; do
    { true >&"$descriptor"; } 2>/dev/null && continue
    { eval "command exec $descriptor<\"\$module\""; } 2>/dev/null || return 1
    # Whoever deletes it has the lock alone meanwhile, so that it is whole or away.
    flock -s -n "$descriptor" 2>/dev/null && [ -e "$module" ] && return
    eval "exec $descriptor<&-"
    return 1
  done
  return 1
}

# Makes the bundle, after a bundle of the page. Called in the background by a start without one, and by scripts/install. The
# arguments are words before the command that takes seconds, such as "nice".
make_bundle() (
  modules="$root/node_modules"
  [ -w "$modules" ] && [ -f "$root/scripts/build.d/serve-bundle.ts" ] && find / -maxdepth 0 -printf '' 2>/dev/null || exit 0
  command -v flock >/dev/null || exit 0
  find "$modules/.weir-lock" -maxdepth 0 -mmin +10 -exec rmdir {} + 2>/dev/null
  mkdir "$modules/.weir-lock" 2>/dev/null || exit 0
  fresh=
  trap 'rmdir "$modules/.weir-lock"; [ -z "$fresh" ] || rm -rf "$fresh"' EXIT
  trap 'exit 1' HUP INT TERM
  umask 022
  fresh=$(mktemp -d "$modules/.weir-XXXXXX") || exit 1
  chmod go+rx "$fresh"
  bundle=${fresh#"$root/"}
  # The lock has the place of the bundle, which is not made yet.
  sum=$(serve_sum "$bun" "$modules/.weir-lock")
  if "$@" "$bun" --no-env-file --config="$root/bunfig.toml" "$root/scripts/build.d/serve-bundle.ts" "$fresh" >"$fresh/list" &&
    [ "$(serve_sum "$bun" "$modules/.weir-lock")" = "$sum" ]; then
    mv "$fresh/list" "$fresh/files"
    sum=$(serve_sum "$bun" "$fresh")
    printf '%s\n' "$sum" "$bundle" "$bun" >"$fresh/stamp" && mv "$fresh/stamp" "$modules/.weir-serve"
    made=$fresh
    fresh=
  else
    exit 1
  fi
  # A gateway that runs loads its Workers later. One of an earlier version has no lock, and is only seen in /proc.
  for old in "$modules"/.weir-??????; do
    [ "$old" = "$made" ] || grep -qs "${old##*/}/main.js" /proc/[0-9]*/cmdline ||
      flock -n "$old/main.js" rm -rf "$old" || continue
  done
)

# Sets variables that Bun reads at its start. Other scripts that start the gateway use it too.
tune_bun() {
  # A statement occupies a thread of Bun's pool until it ends, and by default the pool has one thread per processor.
  # Two slow queries would then delay every commit.
  UV_THREADPOOL_SIZE=${UV_THREADPOOL_SIZE:-16}
  # JavaScript's collector lets garbage grow with the memory that it assumes to have, and a gateway should not use all
  # memory of a large machine. With an assumed 2 GiB, queries over millions of samples peak 100 MB lower and are as
  # fast. (With 1 GiB, a gateway with 60,000 groups spent half its time on collecting.)
  BUN_JSC_forceRAMSize=${BUN_JSC_forceRAMSize:-2147483648}
  # In the C library each thread has its own heap, and threads do not reuse memory that another one has freed. With one
  # heap instead of sixteen, queries peak another 60 MB lower.
  MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-1}
  # JavaScript's heap returns a free page to the system after this time, in milliseconds. By default it is 10, and each
  # body and batch then gets its memory from the system again, which takes 8 % of the time for lines.
  MIMALLOC_PURGE_DELAY=${MIMALLOC_PURGE_DELAY:-1000}
  # The last compiler of JavaScript takes 10 ms per function on average. By default it compiles what was called 4,000 times,
  # and so 250 functions in the first 20,000 pushes of one event, for 2.7 s in all. Four times as many calls: what is called
  # for each sample is compiled soon, and the rest when it is worth it.
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp=${BUN_JSC_thresholdForFTLOptimizeAfterWarmUp:-256000}
  # Bun collects all garbage when the heap has not grown for ten seconds, which takes 25 to 35 CPU-ms: after the start, and after
  # work that is followed by a pause. This waits for a minute, and collects again after two and ten.
  BUN_IDLE_GC_SECONDS=${BUN_IDLE_GC_SECONDS:-60,60,480}
  # Bun collects each second, whether there is garbage or not, until the heap has not grown for 30 times: some 1 CPU-ms per second,
  # and once it is all garbage, for 20 to 40. This is each minute, so that the first one is that of the line above. JavaScript's
  # collector also works when enough was allocated, which is not delayed.
  BUN_GC_TIMER_INTERVAL=${BUN_GC_TIMER_INTERVAL:-60000}
  export UV_THREADPOOL_SIZE BUN_JSC_forceRAMSize MALLOC_ARENA_MAX MIMALLOC_PURGE_DELAY BUN_JSC_thresholdForFTLOptimizeAfterWarmUp
  export BUN_IDLE_GC_SECONDS BUN_GC_TIMER_INTERVAL
}

# Replaces this process with the command line, in the caller's folder, so that relative paths work and signals reach
# it. It ignores a .env or bunfig.toml in that folder.
become_weir() {
  become "$root/src/main.ts" "$@"
}

become() {
  tune_bun
  exec "$bun" --no-env-file --config="$root/bunfig.toml" "$@"
}
