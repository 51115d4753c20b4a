#!/bin/sh
# Makes sure that PostgreSQL's server programs, psql, python3 and openssl are on this machine: what the demo and the proofs need.
#
# Installs nothing when they are there. Otherwise installs them from Debian (or a derivative) with apt-get, which needs root.
# Starts no server: the demo and the tests make private ones of their own.
#
#   deploy/setup/postgres.sh            install what is missing
#   deploy/setup/postgres.sh --bindir   print the folder of the newest server's programs, or fail
set -eu

say() { echo "setup: $*" >&2; }
. "$(dirname "$0")/debian.sh"

# The newest installed major version's program folder.
bindir() {
    for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn); do
        if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
            echo "$dir"
            return 0
        fi
    done
    if command -v postgres >/dev/null 2>&1 && command -v initdb >/dev/null 2>&1; then
        dirname "$(command -v postgres)"
        return 0
    fi
    return 1
}

if [ "${1:-}" = "--bindir" ]; then
    bindir || { say "no PostgreSQL server programs found; run deploy/setup/postgres.sh"; exit 1; }
    exit 0
fi

missing=""
bindir >/dev/null || missing="$missing postgresql postgresql-client"
command -v psql >/dev/null 2>&1 || case "$missing" in *postgresql-client*) ;; *) missing="$missing postgresql-client" ;; esac
command -v python3 >/dev/null 2>&1 || missing="$missing python3-minimal libpython3-stdlib"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"

if [ -z "$missing" ]; then
    say "PostgreSQL $("$(bindir)/postgres" --version | sed 's/.*) //') and $(python3 --version 2>&1) are here"
    exit 0
fi

# Debian's package would start a cluster of its own on port 5432; we want the programs only.
no_cluster() {
    as_root mkdir -p /etc/postgresql-common
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        echo "create_main_cluster = false" | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
}

can_install $missing
no_cluster
debian $missing

say "installed PostgreSQL $("$(bindir)/postgres" --version | sed 's/.*) //')"
