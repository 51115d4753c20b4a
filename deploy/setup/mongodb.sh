#!/bin/sh
# Makes sure that the MongoDB servers of the proofs are on this machine, and the Python that the oracle reads them with.
#
# The servers are SecantusDB, which speaks MongoDB's protocol: the Rust flavour (compiled, some minutes) and the Python
# flavour (seconds). They run as programs of their own and are linked into nothing. Both live outside the checkout, in
# ${XDG_CACHE_HOME:-$HOME/.cache}/landfall/secantus-mdb-VERSION, and are used again when they are there. cmake and a C++ compiler
# come from Debian (or a derivative) with apt-get, which needs root.
# Starts no server: the tests make private ones of their own.
#
#   deploy/setup/mongodb.sh                 install what is missing
#   deploy/setup/mongodb.sh --server rust   print the server's program (rust or python), or fail
#   deploy/setup/mongodb.sh --python        print the Python that has pymongo, or fail
#
# LANDFALL_MONGO=skip installs no server, for those whose MONGODB_URI names a replica set; the oracle's Python is still made.
# LANDFALL_MONGO=python compiles nothing: the Python flavour alone, which is enough for the demo.
# CI=anything says that nobody waits for this machine: the compiler takes every core and its whole log is shown.
set -eu

RUST_VERSION=0.5.3-beta.196
PYTHON_VERSION=0.7.0b3
PYMONGO_VERSION=4.20.1   # what the Python flavour came with when the pins were chosen
NICENESS=10              # minutes of C++: whoever sits at this machine goes first

cache="${XDG_CACHE_HOME:-$HOME/.cache}/landfall/secantus-mdb-$RUST_VERSION"
rust_server="$cache/bin/secantusd-rs"
venv="$cache/python"
python_server="$venv/bin/secantusd-py"
here=$(cd "$(dirname "$0")/../.." && pwd)

say() { echo "setup: $*" >&2; }
. "$(dirname "$0")/debian.sh"

answers() { [ -x "$1" ] && { "$1" --version >/dev/null 2>&1 || "$1" --help >/dev/null 2>&1; }; }
has_pymongo() { [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pymongo, bson' >/dev/null 2>&1; }

case "${1:-}" in
--server)
    case "${2:-}" in
    rust) program=$rust_server ;;
    python) program=$python_server ;;
    *) say "--server rust or --server python"; exit 2 ;;
    esac
    [ -x "$program" ] || { say "no MongoDB test server ($2 flavour) found; run deploy/setup/mongodb.sh"; exit 1; }
    echo "$program"
    exit 0
    ;;
--python)
    [ -x "$venv/bin/python" ] || { say "no Python with pymongo found; run deploy/setup/mongodb.sh"; exit 1; }
    echo "$venv/bin/python"
    exit 0
    ;;
"") ;;
*) say "unknown argument: $1"; exit 2 ;;
esac

compilers() {
    set --
    command -v cmake >/dev/null 2>&1 || set -- "$@" cmake
    command -v g++ >/dev/null 2>&1 || set -- "$@" g++
    command -v make >/dev/null 2>&1 || set -- "$@" make
    debian "$@"
}

# Built in the cache, so that neither the checkout's toolchain file nor its Cargo settings have a say. The declared Rust version is
# newer than ours; ours builds it.
compile() {
    (
        cd "$cache"
        unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTC_WRAPPER
        CARGO_TARGET_DIR="$cache/build"
        export CARGO_TARGET_DIR
        toolchain=""
        if command -v rustup >/dev/null 2>&1; then
            pinned=$(sed -n 's/^channel *= *"\(.*\)".*/\1/p' "$here/rust-toolchain.toml")
            toolchain="${pinned:+"+$pinned"}"
        fi
        set -- install secantus-mdb --version "$RUST_VERSION" --ignore-rust-version --root "$cache"
        if [ -n "${CI:-}" ]; then
            cargo $toolchain "$@" >&2
        else
            CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-1}" nice -n "$NICENESS" cargo $toolchain "$@" >"$cache/build.log" 2>&1 ||
                { tail -n 20 "$cache/build.log" >&2; exit 1; }
        fi
    )
}

rust_flavour() {
    if answers "$rust_server"; then
        say "SecantusDB $RUST_VERSION (Rust) is here"
        return 0
    fi
    command -v cargo >/dev/null 2>&1 || { say "cargo is missing"; exit 1; }
    compilers
    say "compiling SecantusDB $RUST_VERSION (Rust) into $cache; this takes some minutes, once"
    persist compile || exit 1
    answers "$rust_server" || { say "$rust_server was built but does not answer"; exit 1; }
    rm -rf "$cache/build"
    say "installed SecantusDB $RUST_VERSION (Rust)"
}

make_venv() {
    # A venv that a killed run left half made is made again.
    has_pip() { [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }
    has_pip && return 0
    python3 -m venv --clear "$venv" >/dev/null 2>&1 && return 0
    debian python3-venv
    python3 -m venv --clear "$venv" >&2
}

python_packages() { "$venv/bin/python" -m pip install -q --disable-pip-version-check "$@" >&2; }

python_flavour() {
    if [ "$1" = skip ] && has_pymongo; then
        say "pymongo is here"
    elif [ "$1" = skip ]; then
        make_venv
        say "installing pymongo $PYMONGO_VERSION for the oracle"
        persist python_packages "pymongo==$PYMONGO_VERSION" || exit 1
    elif has_pymongo && answers "$python_server"; then
        say "SecantusDB $PYTHON_VERSION (Python) is here"
    else
        make_venv
        say "installing SecantusDB $PYTHON_VERSION (Python) into $venv"
        persist python_packages --pre "secantusdb==$PYTHON_VERSION" "pymongo==$PYMONGO_VERSION" || exit 1
        answers "$python_server" || { say "$python_server was installed but does not answer"; exit 1; }
    fi
}

mkdir -p "$cache"
case "${LANDFALL_MONGO:-install}" in
skip) say "no MongoDB test server wanted (LANDFALL_MONGO=skip)" ;;
python) ;;
*) rust_flavour ;;
esac
command -v python3 >/dev/null 2>&1 || debian python3
python_flavour "${LANDFALL_MONGO:-install}"
