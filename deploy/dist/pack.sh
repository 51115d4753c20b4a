#!/bin/sh
# Packs a release: deploy/dist/pack.sh [PROGRAM [FOLDER]], by default target/release/landfall into target/dist.
#
# Writes landfall-VERSION-x86_64-unknown-linux-gnu.tar.gz, landfall_VERSION_amd64.deb where dpkg-deb is here, and SHA256SUMS. The same program, files and
# SOURCE_DATE_EPOCH (by default the time of the last commit) give the same bytes: names are sorted, owners, modes and times are set. Builds nothing
# and does not judge the program, see fit.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
repository=$(cd "$here/../.." && pwd -P)
TARGET=x86_64-unknown-linux-gnu
program=${1:-$repository/target/release/landfall}
out=${2:-$repository/target/dist}

[ -x "$program" ] || { echo "dist: no $program; run make build" >&2; exit 1; }
# Without a repository there is no time to take: then the first that every format can hold.
: "${SOURCE_DATE_EPOCH:=$(git -C "$repository" log -1 --format=%ct 2>/dev/null || echo 315532800)}"
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

strip --strip-all -o "$work/landfall" "$program"
version=$("$work/landfall" --version)
version=${version##* }
name=landfall-$version-$TARGET

# A file of the repository: lay FOLDER FILE…
lay() {
    folder=$1
    shift
    for file in "$@"; do
        install -D -m 0644 "$repository/$file" "$folder/$(basename "$file")"
    done
}

# What both kinds hold: written DOCUMENTS COMPLETIONS MANUAL RULES DASHBOARD, each a folder.
written() {
    lay "$1" LICENSE README.md CHANGELOG.md
    cp "$work/THIRD-PARTY.txt" "$1/"
    mkdir -p "$2/bash" "$2/zsh" "$2/fish" "$3"
    "$work/landfall" completions bash >"$2/bash/landfall"
    "$work/landfall" completions zsh >"$2/zsh/_landfall"
    "$work/landfall" completions fish >"$2/fish/landfall.fish"
    "$work/landfall" -q man --dir "$3" >/dev/null
    lay "$4" deploy/prometheus/alerts.yaml deploy/prometheus/recording.yaml
    lay "$5" deploy/grafana/landfall.json
}

"$here/notice.py" >"$work/THIRD-PARTY.txt"

archive() {
    root=$work/archive/$name
    mkdir -p "$root"
    install -m 0755 "$work/landfall" "$root/landfall"
    written "$root" "$root/completions" "$root/man/man1" "$root/prometheus" "$root/grafana"
    lay "$root/systemd" deploy/systemd/landfall.service deploy/systemd/landfall.sysusers.conf deploy/systemd/landfall.yaml
    tar --create --directory "$work/archive" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner \
        --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip -n >"$out/$name.tar.gz"
}

debian() {
    root=$work/debian
    documents=$root/usr/share/doc/landfall
    install -D -m 0755 "$work/landfall" "$root/usr/bin/landfall"
    written "$documents" "$work/completions" "$root/usr/share/man/man1" "$documents/prometheus" "$documents/grafana"
    gzip -9 -n "$root"/usr/share/man/man1/*
    install -D -m 0644 "$work/completions/bash/landfall" "$root/usr/share/bash-completion/completions/landfall"
    install -D -m 0644 "$work/completions/zsh/_landfall" "$root/usr/share/zsh/vendor-completions/_landfall"
    install -D -m 0644 "$work/completions/fish/landfall.fish" "$root/usr/share/fish/vendor_completions.d/landfall.fish"
    install -d "$root/usr/lib/systemd/system"
    sed -e 's,/usr/local/bin/landfall,/usr/bin/landfall,' "$repository/deploy/systemd/landfall.service" \
        >"$root/usr/lib/systemd/system/landfall.service"
    install -D -m 0644 "$repository/deploy/systemd/landfall.sysusers.conf" "$root/usr/lib/sysusers.d/landfall.conf"
    lay "$documents/examples" deploy/systemd/landfall.yaml
    mv "$documents/LICENSE" "$documents/copyright"
    install -d "$root/etc/landfall"
    install -d -m 0700 "$root/etc/landfall/secrets"
    mkdir "$root/DEBIAN"
    size=$(du -k -s "$root" | cut -f 1)
    sed -e "s/@VERSION@/$version/" -e "s/@SIZE@/$size/" "$here/debian/control" >"$root/DEBIAN/control"
    install -m 0755 "$here/debian/postinst" "$here/debian/prerm" "$here/debian/postrm" "$root/DEBIAN/"
    find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    # gzip: every dpkg reads it, and it gives the same bytes whatever the number of processors.
    dpkg-deb --root-owner-group -Zgzip -z6 --build "$root" "$out/landfall_${version}_amd64.deb" >/dev/null
}

rm -f "$out"/landfall[-_]* "$out/SHA256SUMS"
archive
if command -v dpkg-deb >/dev/null 2>&1; then
    debian
else
    echo "dist: no dpkg-deb here, so no .deb" >&2
fi
(cd "$out" && sha256sum landfall[-_]* >SHA256SUMS)
ls "$out"
