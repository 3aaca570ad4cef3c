#!/bin/sh
# Brings a bare Debian machine (python3, git, make) to where `make` can do everything: uv in .tools, the locked
# packages in .venv, bubblewrap, libseccomp2 and python3-venv from Debian. A second run with nothing changed does nothing.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
stamp=.venv/.bootstrap
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.tools/cache}"
# A network that inspects its traffic has its own authority, and the machine's store is where that is known.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}"; fi
unset VIRTUAL_ENV

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }
}

# need PROGRAM-TEST PACKAGE...: installs Debian packages when the test fails.
need() {
    check=$1
    shift
    if sh -c "$check" >/dev/null 2>&1; then return; fi
    if ! command -v apt-get >/dev/null 2>&1 || ! can_be_root; then
        say "aicd needs $*, and this user may not install it. Type:  sudo apt-get install $*   and run make again."
        exit 1
    fi
    say "installing $* ..."
    as_root env DEBIAN_FRONTEND=noninteractive sh -c \
        "apt-get install -y -qq $* >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq $* >/dev/null; }"
    if ! sh -c "$check" >/dev/null 2>&1; then
        say "$* was installed, but this still fails: $check"
        exit 1
    fi
}

find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "aicd needs Python 3.11 or newer, and none was found. Debian 12 and later have it:  apt-get install python3"
    exit 1
}

locked() { cat requirements.lock pyproject.toml packages/*/pyproject.toml apps/*/pyproject.toml scripts/bootstrap.sh | cksum; }

need 'command -v bwrap' bubblewrap
need 'command -v git' git
need 'ldconfig -p | grep -q libseccomp.so.2 || /sbin/ldconfig -p | grep -q libseccomp.so.2' libseccomp2
if [ "${1:-}" = --browser ]; then need 'command -v chromium' chromium; fi # for `make test-browser` alone
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(locked)" ]; then exit 0; fi

python=$(find_python)
if [ "$(.tools/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    need "$python -c 'import ensurepip, venv'" python3-venv
    say "installing uv $UV_VERSION into .tools ..."
    rm -rf .tools
    "$python" -m venv .tools
    .tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi

say "installing the locked packages into .venv ..."
if [ ! -x .venv/bin/python ]; then .tools/bin/uv venv --quiet --python "$python" .venv; fi
.tools/bin/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock
editable=""
for member in packages/* apps/*; do editable="$editable -e $member"; done
# shellcheck disable=SC2086 # one word per member is meant
.tools/bin/uv pip install --quiet --no-deps $editable
locked >"$stamp"
