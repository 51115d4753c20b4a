# Packages from Debian (or a derivative), for the scripts beside this one, which source it. Uses the network, so it tries again.
#
# Needs `say` of whoever sources it.

# Package mirrors fail now and then: four tries with growing pauses outlast a hiccup.
ATTEMPTS=4
PAUSE_SECONDS=5

# Runs a command until it succeeds; fails after the last try.
persist() {
    attempt=1
    until "$@"; do
        if [ "$attempt" -ge "$ATTEMPTS" ]; then
            say "failed $ATTEMPTS times, giving up: $*"
            return 1
        fi
        sleep $((attempt * PAUSE_SECONDS))
        attempt=$((attempt + 1))
        say "again (attempt $attempt of $ATTEMPTS): $*"
    done
}

is_root_possible() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif is_root_possible; then
        sudo -n "$@"
    else
        say "this needs root: $*"
        return 1
    fi
}

update_lists() { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2; }

from_debian() {
    update_lists && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Ends the script where packages cannot be had at all.
need_apt() {
    command -v apt-get >/dev/null 2>&1 && return 0
    say "missing: $*; this machine has no apt-get, please install by hand"
    exit 1
}

# Ends the script unless these packages can be installed.
can_install() {
    need_apt "$@"
    is_root_possible && return 0
    say "missing: $*; installing needs root: sudo apt-get install $*"
    exit 1
}

# Installs the packages that are named, if any, or ends the script.
debian() {
    [ $# -gt 0 ] || return 0
    can_install "$@"
    say "installing $*"
    persist from_debian "$@" || exit 1
}
