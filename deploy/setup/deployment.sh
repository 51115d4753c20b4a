#!/bin/sh
# Makes sure that what the proofs of deploy/ need is on this machine: promtool, systemd-analyze and helm.
#
# What is on the PATH is taken. Otherwise: promtool and prometheus come out of Debian's package `prometheus`, which is unpacked into
# ${XDG_CACHE_HOME:-$HOME/.cache}/landfall/deployment and not installed, since installing it would start a server on port 9090;
# systemd-analyze comes with Debian's package `systemd`, with apt-get, which needs root; helm is in no Debian package and is built with `go
# install` into the same cache where there is a Go. Without a Go there is no helm, and the chart is only looked at, not rendered: the test says so.
#
#   deploy/setup/deployment.sh                    install what is missing
#   deploy/setup/deployment.sh --promtool         print the program, or fail; the same with --systemd-analyze and --helm
set -eu

HELM_VERSION=v3.19.5
NICENESS=10         # a minute or two of compiling: whoever sits at this machine goes first

cache="${XDG_CACHE_HOME:-$HOME/.cache}/landfall/deployment"

say() { echo "setup: $*" >&2; }
. "$(dirname "$0")/debian.sh"

# The program of that name: on the PATH, else the one in the cache.
find_program() {
    case "$1" in
    promtool | prometheus) kept="$cache/prometheus/usr/bin/$1" ;;
    helm) kept="$cache/helm-$HELM_VERSION/helm" ;;
    *) kept="" ;;
    esac
    command -v "$1" && return 0
    [ -n "$kept" ] && [ -x "$kept" ] && echo "$kept"
}

case "${1:-}" in
--promtool | --prometheus | --systemd-analyze | --helm)
    name=${1#--}
    find_program "$name" || { say "no $name found; run deploy/setup/deployment.sh"; exit 1; }
    exit 0
    ;;
"") ;;
*) say "unknown argument: $1"; exit 2 ;;
esac

# The lists of a fresh machine are empty or old: they are fetched when the first try fails.
download_prometheus() { apt-get download -qq prometheus >&2 2>/dev/null || { update_lists && apt-get download -qq prometheus >&2; }; }

have_promtool() {
    find_program promtool >/dev/null && find_program prometheus >/dev/null && return 0
    need_apt promtool
    say "unpacking promtool and prometheus from Debian's package prometheus"
    mkdir -p "$cache/prometheus.new"
    (
        cd "$cache/prometheus.new"
        persist download_prometheus
        dpkg -x prometheus_*.deb .
        rm -f prometheus_*.deb
    )
    rm -rf "$cache/prometheus"
    mv "$cache/prometheus.new" "$cache/prometheus"
    "$(find_program promtool)" --version >/dev/null 2>&1 || { say "promtool was unpacked but does not run"; exit 1; }
}

have_systemd_analyze() {
    find_program systemd-analyze >/dev/null && return 0
    debian systemd
}

have_helm() {
    find_program helm >/dev/null && return 0
    if ! command -v go >/dev/null 2>&1; then
        say "no helm and no Go to build it with: the Helm chart will be looked at and not rendered"
        return 0
    fi
    say "building helm $HELM_VERSION into $cache; this takes a minute or two, once"
    mkdir -p "$cache"
    GOBIN="$cache/helm-$HELM_VERSION" GOFLAGS=-modcacherw nice -n "$NICENESS" go install "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" >"$cache/helm.log" 2>&1 ||
        say "helm could not be built (see $cache/helm.log): the Helm chart will be looked at and not rendered"
}

have_promtool
have_systemd_analyze
have_helm
say "promtool, systemd-analyze$(find_program helm >/dev/null && echo ' and helm' || true) are here"
