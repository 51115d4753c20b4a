#!/bin/sh
# The demo: a store that is written to, a service that follows it, and PostgreSQL in which both sides agree. Ends by itself.
#
# Everything happens on a copy of schemas/examples/harbour in .run/demo (or $LANDFALL_DEMO_DIR), with a PostgreSQL of its own on a free
# port. $LANDFALL_BIN names the program (default target/release/landfall). Exits non-zero as soon as anything disagrees.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${LANDFALL_BIN:-$root/target/release/landfall}
dir=${LANDFALL_DEMO_DIR:-$root/.run/demo}
PATIENCE=40                 # seconds a change may take; a rescan is 30 even if every hint were lost
server="" service=""

say() { printf '\n== %s\n' "$*"; }
fail() { printf '\ndemo: FAILED: %s\n' "$*" >&2; exit 1; }

cleanup() {
    status=$?
    trap - EXIT INT TERM
    [ -z "$service" ] || kill -KILL "$service" 2>/dev/null || true
    [ -z "$server" ] || { kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    [ "$status" = 0 ] || { echo "demo: logs are in $dir" >&2; tail -n 20 "$dir/service.log" 2>/dev/null >&2 || true; }
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

[ -x "$bin" ] || fail "$bin is not built; make build"
pg=$("$root/deploy/setup/postgres.sh" --bindir) || fail "no PostgreSQL; make setup"

# PostgreSQL refuses to run as root: then its processes belong to postgres, or to nobody.
as_user=""
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    as_user="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups --inh-caps=-all"
fi
mkdir -p "$dir"
if [ -n "$as_user" ] && ! $as_user test -x "$dir"; then
    dir=$(mktemp -d "${TMPDIR:-/tmp}/landfall-demo.XXXXXX")
    chmod 755 "$dir"
fi
rm -rf "$dir/site" "$dir/pg" "$dir/service.log"

say "A PostgreSQL of our own in $dir/pg"
mkdir -p "$dir/pg"
[ -z "$as_user" ] || chown "$user" "$dir/pg"
password=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(umask 077 && echo "$password" > "$dir/pg/password")
[ -z "$as_user" ] || chown "$user" "$dir/pg/password"
cd /
$as_user "$pg/initdb" -D "$dir/pg/data" -U postgres -E UTF8 --locale=C.UTF-8 -A scram-sha-256 --pwfile="$dir/pg/password" --no-sync >/dev/null
$as_user "$pg/postgres" -D "$dir/pg/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c shared_buffers=32MB -c timezone=UTC 2> "$dir/pg.log" &
server=$!
export PGHOST=127.0.0.1 PGPORT="$port" PGUSER=postgres PGPASSWORD="$password" PGDATABASE=postgres PGTZ=UTC PGCONNECT_TIMEOUT=5
export DATABASE_URL="postgres://postgres:$password@127.0.0.1:$port/harbour"
tries=0
until [ "$(psql -XAtc 'show data_directory' 2>/dev/null)" = "$dir/pg/data" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || fail "PostgreSQL did not start; see $dir/pg.log"
    kill -0 "$server" 2>/dev/null || fail "PostgreSQL ended; see $dir/pg.log"
    sleep 0.2
done
psql -Xqc 'create database harbour'
export PGDATABASE=harbour

say "A copy of the sample store: a document, a log, a folder of files"
mkdir -p "$dir/site"
cp -r "$root/schemas/examples/harbour/." "$dir/site/"
cd "$dir/site"
find . -type f | sort

say "landfall check"
"$bin" check
say "landfall schema apply"
"$bin" schema apply
say "landfall run (in the background)"
"$bin" run > "$dir/service.log" 2>&1 &
service=$!

agree() {
    say "$1"
    python3 -B "$here/agree.py" "$PATIENCE" || fail "store and tables do not agree after: $1"
    kill -0 "$service" 2>/dev/null || fail "the service ended by itself"
}
edit() { python3 -B "$here/edit.py" "$@"; }

agree "The first load"
psql -Xc "select id, name, length_m, owner, extra from boats order by id limit 3"

edit insert
agree "A new boat, a new person, ten arrivals were added"
psql -Xc "select id, name, owner from boats where name = 'Zeepaard'"

edit change
agree "A boat was renamed, a berth was given away, a person got a licence"
psql -Xc "select key, doc from berths where key = 's:A-1'"

edit delete
agree "A boat, a berth and a person were deleted"

edit replace
agree "The document was replaced atomically: written beside, renamed over"

say "The office's program dies in the middle of writing: half a document"
edit half
before=$(psql -XAtc 'select count(*) from boats')
tries=0
until "$bin" status | tee "$dir/status.txt" | grep -qi 'unparsable\|wait'; do
    tries=$((tries + 1))
    [ "$tries" -lt "$PATIENCE" ] || fail "status never told of the half-written document"
    sleep 1
done
cat "$dir/status.txt"
[ "$(psql -XAtc 'select count(*) from boats')" = "$before" ] || fail "a half-written document changed the table"
echo "Nothing was deleted: still $before boats."
edit complete
agree "The document was written again, whole"

say "landfall status"
"$bin" status

say "SIGTERM"
kill -TERM "$service"
code=0
wait "$service" || code=$?
service=""
[ "$code" = 0 ] || fail "the service exited with $code"
echo "It drained and exited with 0."
agree_after=$(python3 -B "$here/agree.py" 0) || fail "store and tables do not agree after the end"
echo "$agree_after"
say "Done: store and tables agree."
