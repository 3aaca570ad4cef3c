#!/bin/sh
# Programs of Debian's that tests run, unpacked into .tools/debian: nothing is installed, no service is started.
#   scripts/debian_tools.sh NAME:PACKAGE...   a program, or a path without its first slash; what is there is left as it is
#   SUITE=trixie scripts/debian_tools.sh ...  from that release of Debian's, at the archive that this machine uses; the packages
#                                             alone, without what they depend on
# They are run by tests through `tests/debian_programs.py`, which knows where their libraries are.
set -eu
cd "$(dirname "$0")/.."
root=.tools/debian

say() { printf '%s\n' "$*" >&2; }

there() {
    command -v "$1" >/dev/null 2>&1 || [ -x "$root/usr/bin/$1" ] || [ -x "$root/usr/sbin/$1" ] || [ -e "$root/$1" ] || [ -e "/$1" ]
}

missing=""
for pair in "$@"; do
    there "${pair%%:*}" || missing="$missing ${pair#*:}"
done
if [ -z "$missing" ]; then exit 0; fi
if ! command -v apt-get >/dev/null 2>&1; then
    say "Tests need$missing, which this script gets from Debian. Install them by hand here, and run make again."
    exit 1
fi

archives=$(mktemp -d)
trap 'rm -rf "$archives"' EXIT
mkdir -p "$archives/partial"

# A release that is not the machine's is asked for with lists of its own: nothing of the machine's apt changes.
of_suite() {
    # shellcheck disable=SC2016 # apt fills these in
    address=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
    [ -n "$address" ] || { echo "This machine's apt knows no archive of Debian's."; return 1; }
    mkdir -p "$archives/lists/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $address $SUITE main" >"$archives/sources.list"
    set -- -qq -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Languages=none -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::Etc::sourcelist=$archives/sources.list" -o "Dir::State::lists=$archives/lists" -o "Dir::Cache=$archives"
    # shellcheck disable=SC2086 # one word per package is meant
    apt-get "$@" update && cd "$archives" && apt-get "$@" download $missing
}

download() {
    if [ -n "${SUITE:-}" ]; then (of_suite) >"$archives/errors" 2>&1; return; fi
    # shellcheck disable=SC2086 # one word per package is meant
    apt-get install -y -qq --no-install-recommends --download-only -o Debug::NoLocking=1 -o "Dir::Cache::archives=$archives" \
        $missing >/dev/null 2>"$archives/errors"
}

say "getting$missing ..."
if ! download; then
    if [ -n "${SUITE:-}" ]; then :; elif [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi || true
    download || { cat "$archives/errors" >&2; say "Debian's packages$missing could not be downloaded."; exit 1; }
fi
mkdir -p "$root"
for package in "$archives"/*.deb; do dpkg -x "$package" "$root"; done
for pair in "$@"; do
    there "${pair%%:*}" || { say "${pair#*:} was unpacked, but brings no ${pair%%:*}."; exit 1; }
done
