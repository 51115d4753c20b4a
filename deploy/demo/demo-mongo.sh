#!/bin/sh
# The demo with MongoDB: a database that is written to, a service that follows it, and PostgreSQL in which both sides agree. Ends by itself.
#
# Everything happens in .run/demo-mongo (or $LANDFALL_DEMO_DIR), with a PostgreSQL and a MongoDB test server of its own on free ports. The
# server is SecantusDB as deploy/setup/mongodb.sh installs it: the Python flavour, or the Rust one where only that is there
# ($LANDFALL_MONGO_FLAVOUR says otherwise). $LANDFALL_BIN names the program (default target/release/landfall). Exits non-zero as soon as
# anything disagrees.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${LANDFALL_BIN:-$root/target/release/landfall}
demo=demo-mongo
. "$here/servers.sh"
trap cleanup EXIT
trap 'exit 130' INT TERM

setup=$root/deploy/setup/mongodb.sh
[ -x "$bin" ] || fail "$bin is not built; make build"
pg=$("$root/deploy/setup/postgres.sh" --bindir) || fail "no PostgreSQL; make setup"
flavour=${LANDFALL_MONGO_FLAVOUR:-python}
mongod=$("$setup" --server "$flavour" 2>/dev/null || "$setup" --server rust) || fail "no MongoDB test server; make setup"
python=$("$setup" --python) || fail "no Python with pymongo; make setup"
make_folder "${LANDFALL_DEMO_DIR:-$root/.run/demo-mongo}"

say "A PostgreSQL of our own in $dir/pg"
start_postgres bakery

say "A MongoDB test server of our own in $dir/mongo: $(basename "$mongod")"
start_mongodb "$mongod"
cp -r "$root/schemas/examples/bakery/." "$dir/site/"
cd "$dir/site"
bakery() { "$python" -B "$here/bakery.py" "$@"; }
bakery fill

say "landfall check"
"$bin" check
say "landfall schema apply"
"$bin" schema apply
say "landfall run (in the background)"
"$bin" run > "$dir/service.log" 2>&1 &
service=$!

agree() {
    say "$1"
    "$python" -B "$here/agree_mongo.py" "$PATIENCE" || fail "collections and tables do not agree after: $1"
    kill -0 "$service" 2>/dev/null || fail "the service ended by itself"
}

agree "The first copy"
psql -Xc "select name, town, since, extra from customers order by name limit 3"
psql -Xc "select key, doc->'flour_g' as flour_g from recipes order by key"

bakery insert
agree "A customer and 25 orders were added"

bakery update
agree "Customers of one town got a zip code, an order got a cake"
psql -Xc "select name, town, extra from customers where town = 'Leer' limit 2"

bakery replace
agree "A recipe was replaced"

bakery delete
agree "A hundred orders and a recipe were deleted"

bakery transaction
agree "An order and its customer were written in one transaction"

bakery recreate
agree "The till was dropped and begun anew: its stream says on_drop: delete"

say "landfall status: each stream, and how much of the source's log is left before a place would be lost"
"$bin" status

say "SIGTERM"
end_service
say "Both sides once more, with nothing running between them"
"$python" -B "$here/agree_mongo.py" 0 || fail "collections and tables do not agree after the end"
kill -TERM "$mongo"
wait "$mongo" 2>/dev/null || true
children=""
say "Done: collections and tables agree."
