#!/bin/sh
# Locks every package of the workspace with hashes and without any index's address (docs/decisions/0002).
# Pins that are already there stay unless they are named:  scripts/lock.sh --upgrade-package NAME | --upgrade
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.tools/bin/uv}
export UV_PYTHON_DOWNLOADS=never
if [ ! -f uv.lock ]; then
    # uv remembers pins in uv.lock alone, which has addresses and is in no repository: it is begun from the pins here.
    {
        printf 'version = 1\nrequires-python = ">=3.11"\n'
        cat requirements.lock bench/requirements.lock .github/requirements.lock docs/requirements.lock | sed -nE 's/^([a-z0-9._-]+)(\[[^]]*\])?==([^ ;]+).*/\1 \3/p' | sort -u |
            while read -r name version; do
                printf '\n[[package]]\nname = "%s"\nversion = "%s"\n' "$name" "$version"
                printf 'source = { registry = "https://pypi.org/simple" }\n'
            done
    } >uv.lock
fi
"$uv" lock --quiet "$@"
export_lock() {
    file=$1
    shift
    "$uv" export --quiet --frozen --no-emit-workspace --no-header --no-annotate --format requirements.txt \
        --output-file "$file" "$@"
}
export_lock requirements.lock --all-packages --group dev --no-group bench --no-group portal --no-group browser --no-group audit --no-group image
export_lock bench/requirements.lock --only-group bench # the peers that `make bench` measures; the same pins
export_lock docs/requirements.lock --only-group portal # what builds the developer portal
export_lock .github/requirements.lock --only-group audit # what looks for known vulnerabilities
# What the images of docker/Dockerfile have, and what builds them.
# shellcheck disable=SC2046 # one word per option is meant
export_lock docker/worker.lock --no-dev $(sed -nE 's/^name = "(aicd-[a-z]+)"/--package \1/p' packages/*/pyproject.toml apps/cli/pyproject.toml)
export_lock docker/build.lock --only-group image
if [ -d apps/backend ]; then export_lock apps/backend/tests/browser/requirements.lock --only-group browser; export_lock docker/api.lock --no-dev --all-packages; fi
