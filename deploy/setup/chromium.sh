#!/bin/sh
# Makes sure that a browser is on this machine for the proofs of the page: Chromium, which they run without a window.
#
# Installs nothing when there is one. Otherwise installs it from Debian (or a derivative) with apt-get, which needs root.
# Starts no browser: the tests start private ones, each with a profile of its own, which reach nothing but this machine.
#
#   deploy/setup/chromium.sh             install what is missing
#   deploy/setup/chromium.sh --program   print the browser's program, or fail
#
# LANDFALL_CHROMIUM=PATH takes that program (Chromium or Chrome) and installs nothing.
set -eu

say() { echo "setup: $*" >&2; }
. "$(dirname "$0")/debian.sh"

# A name on the path is not enough: some systems have a stand-in there that only says how to install the browser.
answers() { "$1" --version 2>/dev/null | grep -qi '^chrom\|^google chrome'; }

program() {
    for name in ${LANDFALL_CHROMIUM:-chromium chromium-browser google-chrome-stable google-chrome}; do
        if command -v "$name" >/dev/null 2>&1 && answers "$name"; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

case "${1:-}" in
--program)
    program || { say "no Chromium found; run deploy/setup/chromium.sh"; exit 1; }
    exit 0
    ;;
"") ;;
*) say "unknown argument: $1"; exit 2 ;;
esac

if found=$(program); then
    say "$("$found" --version 2>/dev/null | head -n 1) is here"
    exit 0
fi
if [ -n "${LANDFALL_CHROMIUM:-}" ]; then
    say "LANDFALL_CHROMIUM=$LANDFALL_CHROMIUM is no Chromium"
    exit 1
fi
# Without a font a page has no width worth measuring.
debian chromium fonts-dejavu-core

found=$(program) || { say "chromium was installed but does not answer"; exit 1; }
say "installed $("$found" --version 2>/dev/null | head -n 1)"
