#!/bin/sh
# One of the example stores, made up at any size and edited while the service follows it. Usage: demo-store.sh flux|pend|finance|myfinance
#
# Everything happens in .run/demo-NAME (or $LANDFALL_DEMO_DIR), with a PostgreSQL of its own on a free port, and for finance a MongoDB test
# server. $LANDFALL_RECORDS says how many records (default 5000), $LANDFALL_ROUNDS how many rounds of edits (default 4), $LANDFALL_BIN
# the program. Ends by itself, and exits non-zero as soon as anything disagrees.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${LANDFALL_BIN:-$root/target/release/landfall}
name=${1:?which store}
demo=demo-$name
. "$here/servers.sh"
PATIENCE=90
trap cleanup EXIT
trap 'exit 130' INT TERM

[ -f "$root/schemas/examples/$name/store.py" ] || fail "there is no example store $name: flux, pend, finance, myfinance"
[ -x "$bin" ] || fail "$bin is not built; make build"
pg=$("$root/deploy/setup/postgres.sh" --bindir) || fail "no PostgreSQL; make setup"
python=python3
make_folder "${LANDFALL_DEMO_DIR:-$root/.run/demo-$name}"

say "A PostgreSQL of our own in $dir/pg"
start_postgres "$name"

if [ "$name" = finance ]; then
    setup=$root/deploy/setup/mongodb.sh
    mongod=$("$setup" --server "${LANDFALL_MONGO_FLAVOUR:-rust}" 2>/dev/null || "$setup" --server python) || fail "no MongoDB test server; make setup"
    python=$("$setup" --python) || fail "no Python with pymongo; make setup"
    say "A MongoDB test server of our own in $dir/mongo: $(basename "$mongod")"
    start_mongodb "$mongod"
fi

mkdir -p "$dir/site"
cp -r "$root/schemas/examples/$name/." "$dir/site/"
cd "$dir/site"
store() { "$python" -B "$here/store.py" "$name" "$@"; }

say "A store of ${LANDFALL_RECORDS:-5000} records"
store create "${LANDFALL_RECORDS:-5000}"
say "landfall test"
"$bin" test
say "landfall check"
"$bin" check
say "landfall schema apply, and the views"
"$bin" schema apply
psql -Xqf views.sql
say "landfall run (in the background)"
"$bin" run > "$dir/service.log" 2>&1 &
service=$!

agree() {
    say "$1"
    store agree "$PATIENCE" || fail "store and tables do not agree after: $1"
    kill -0 "$service" 2>/dev/null || fail "the service ended by itself"
}

agree "The first load"
round=1
while [ "$round" -le "${LANDFALL_ROUNDS:-4}" ]; do
    store edit "$round"
    agree "Round $round of edits: inserts, changes, moves, deletes of everything"
    round=$((round + 1))
done

say "landfall status"
"$bin" status
parked=$(psql -XAtc "select count(*) from landfall.dead_letters")
[ "$parked" = 0 ] || fail "$parked records were parked"

say "SIGTERM, and the constraints"
end_service
"$bin" schema apply --constraints

say "Done: store and tables agree."
