#!/bin/sh
# The demo: a store that is written to, a service that follows it, and PostgreSQL in which both sides agree. Ends by itself.
#
# Everything happens on a copy of schemas/examples/harbour in .run/demo (or $LANDFALL_DEMO_DIR), with a PostgreSQL of its own on a free
# port. $LANDFALL_BIN names the program (default target/release/landfall). Exits non-zero as soon as anything disagrees.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${LANDFALL_BIN:-$root/target/release/landfall}
demo=demo
. "$here/servers.sh"
trap cleanup EXIT
trap 'exit 130' INT TERM

[ -x "$bin" ] || fail "$bin is not built; make build"
pg=$("$root/deploy/setup/postgres.sh" --bindir) || fail "no PostgreSQL; make setup"
make_folder "${LANDFALL_DEMO_DIR:-$root/.run/demo}"

say "A PostgreSQL of our own in $dir/pg"
start_postgres harbour

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
end_service
agree_after=$(python3 -B "$here/agree.py" 0) || fail "store and tables do not agree after the end"
echo "$agree_after"
say "Done: store and tables agree."
