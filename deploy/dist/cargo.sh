#!/bin/sh
# cargo as releases are built: deploy/dist/cargo.sh build --release --locked -p landfall-pipeline --bin landfall
#
# `make build`, `make demo`, `make bench`, `make dist` and the image all go this way, so that there is one release program and no second build beside
# it. No path of this machine gets into it, neither in its panics nor in its line tables: /landfall is the repository, /cargo/NAME-VERSION a
# dependency.
set -eu
repository=$(cd "$(dirname "$0")/../.." && pwd -P)

cargo=${CARGO:-cargo}
home=${CARGO_HOME:-$HOME/.cargo}
mold=$(command -v mold || true)

# The folders of unpacked dependencies have to be there to be named.
"$cargo" fetch --locked --quiet --target x86_64-unknown-linux-gnu --manifest-path "$repository/Cargo.toml"

flags="--remap-path-prefix=$repository=/landfall"
c_flags="${CFLAGS:-} -ffile-prefix-map=$repository=/landfall"
for folder in "$home"/registry/src/*; do
    flags="$flags$(printf '\037')--remap-path-prefix=$folder=/cargo"
    c_flags="$c_flags -ffile-prefix-map=$folder=/cargo"
done

# Flags of the caller's own would be another build.
unset RUSTFLAGS
export CARGO_ENCODED_RUSTFLAGS="$flags"
export CFLAGS="$c_flags"
exec ${mold:+"$mold" -run} "$cargo" "$@"
