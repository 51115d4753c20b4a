#!/bin/sh
# The release program: target/release/landfall, from the locked versions. `make build`, `make demo`, `make bench`, `make dist` and the image
# all build it this way, so that there is one and no second build beside it.
#
# No path of this machine gets into it, neither in its panics nor in its line tables: /landfall is the repository, /cargo/NAME-VERSION a
# dependency. With them the bytes depend on the toolchain, the linker and the source alone.
set -eu
cd "$(dirname "$0")/../.."

cargo=${CARGO:-cargo}
home=${CARGO_HOME:-$HOME/.cargo}
mold=$(command -v mold || true)

# The folders of unpacked dependencies have to be there to be named.
"$cargo" fetch --locked --quiet --target x86_64-unknown-linux-gnu

flags="--remap-path-prefix=$PWD=/landfall"
c_flags="-ffile-prefix-map=$PWD=/landfall"
for folder in "$home"/registry/src/*; do
    flags="$flags$(printf '\037')--remap-path-prefix=$folder=/cargo"
    c_flags="$c_flags -ffile-prefix-map=$folder=/cargo"
done

export CARGO_ENCODED_RUSTFLAGS="$flags"
export CFLAGS="${CFLAGS:-} $c_flags"
exec ${mold:+"$mold" -run} "$cargo" build --release --locked -p landfall-pipeline --bin landfall "$@"
