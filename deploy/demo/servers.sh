# What both demos stand on: a folder, a private PostgreSQL, and an end that leaves nothing running. To be sourced, after `root` is set.
#
# Sets dir (made anew below the folder that is asked for), pg, as_user, server; exports PG* and DATABASE_URL. Whatever is started later and
# shall be ended by a failure too is added to `children`.

PATIENCE=40                 # seconds a change may take; a rescan is 30 even if every hint were lost
TRIES=150                   # looks at a server that starts, 0.2 s apart
server="" service="" children=""

say() { printf '\n== %s\n' "$*"; }
fail() { printf '\n%s: FAILED: %s\n' "$demo" "$*" >&2; exit 1; }

cleanup() {
    status=$?
    trap - EXIT INT TERM
    [ -z "$service" ] || kill -KILL "$service" 2>/dev/null || true
    for child in $children; do
        kill -KILL "$child" 2>/dev/null || true
    done
    [ -z "$server" ] || { kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    [ "$status" = 0 ] || { echo "$demo: logs are in $dir" >&2; tail -n 20 "$dir/service.log" 2>/dev/null >&2 || true; }
    exit "$status"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# make_folder FOLDER: our processes may enter it, and nothing of an earlier run is in it.
make_folder() {
    dir=$1
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
    rm -rf "$dir/site" "$dir/pg" "$dir/mongo" "$dir/service.log"
}

# start_postgres DATABASE
start_postgres() {
    mkdir -p "$dir/pg"
    [ -z "$as_user" ] || chown "$user" "$dir/pg"
    password=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
    port=$(free_port)
    (umask 077 && echo "$password" > "$dir/pg/password")
    [ -z "$as_user" ] || chown "$user" "$dir/pg/password"
    cd /
    $as_user "$pg/initdb" -D "$dir/pg/data" -U postgres -E UTF8 --locale=C.UTF-8 -A scram-sha-256 --pwfile="$dir/pg/password" --no-sync >/dev/null
    $as_user "$pg/postgres" -D "$dir/pg/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c shared_buffers=32MB -c timezone=UTC 2> "$dir/pg.log" &
    server=$!
    export PGHOST=127.0.0.1 PGPORT="$port" PGUSER=postgres PGPASSWORD="$password" PGDATABASE=postgres PGTZ=UTC PGCONNECT_TIMEOUT=5
    export DATABASE_URL="postgres://postgres:$password@127.0.0.1:$port/$1"
    tries=0
    until [ "$(psql -XAtc 'show data_directory' 2>/dev/null)" = "$dir/pg/data" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt "$TRIES" ] || fail "PostgreSQL did not start; see $dir/pg.log"
        kill -0 "$server" 2>/dev/null || fail "PostgreSQL ended; see $dir/pg.log"
        sleep 0.2
    done
    psql -Xqc "create database $1"
    export PGDATABASE="$1"
}

# start_mongodb PROGRAM: a test server below the folder; exports MONGODB_URI.
start_mongodb() {
    mkdir -p "$dir/mongo" "$dir/site"
    port=$(free_port)
    cd "$dir/mongo"
    "$1" --port "$port" --storage-path "$dir/mongo/data" > "$dir/mongo.log" 2>&1 &
    mongo=$!
    children=$mongo
    export MONGODB_URI="mongodb://127.0.0.1:$port/?directConnection=true&serverSelectionTimeoutMS=5000"
    tries=0
    until python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$port" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt "$TRIES" ] || fail "the MongoDB test server did not start; see $dir/mongo.log"
        kill -0 "$mongo" 2>/dev/null || fail "the MongoDB test server ended; see $dir/mongo.log"
        sleep 0.2
    done
}

# end_service: SIGTERM, and it must end well.
end_service() {
    kill -TERM "$service"
    code=0
    wait "$service" || code=$?
    service=""
    [ "$code" = 0 ] || fail "the service exited with $code"
    echo "It drained and exited with 0."
}
