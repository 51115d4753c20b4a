#!/bin/sh
# Whether a program may be handed out: deploy/dist/fit.sh PROGRAM. Says each thing that forbids it on a line of its own, and then exits with 1.
#
# It may need the C library and what comes with it, in a version that is not younger than what we say, and it holds no path of the machine that
# built it. readelf and objdump are Debian's binutils.
set -eu
LIBRARIES="ld-linux-x86-64.so.2 libc.so.6 libgcc_s.so.1 libm.so.6"
# RHEL 9 and its kin; Debian 12 and Ubuntu 22.04 are younger.
OLDEST_GLIBC=2.34

program=$1
repository=$(cd "$(dirname "$0")/../.." && pwd -P)
fit=0
say() { fit=1; echo "unfit: $*"; }

for library in $(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
    case " $LIBRARIES " in
    *" $library "*) ;;
    *) say "library $library" ;;
    esac
done

youngest=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
if [ "$(printf '%s\nGLIBC_%s\n' "$youngest" "$OLDEST_GLIBC" | sort -V | tail -n 1)" != "GLIBC_$OLDEST_GLIBC" ]; then
    say "$youngest where GLIBC_$OLDEST_GLIBC has to do"
fi

# The home of whoever builds, the repository, the sources of dependencies, and the registry that they came from.
for path in "${HOME%/}/" "$repository/" "${CARGO_HOME:-$HOME/.cargo}/" registry/src; do
    [ "$path" != / ] || continue
    if grep -aqF -e "$path" "$program"; then
        say "path $path"
    fi
done
exit "$fit"
