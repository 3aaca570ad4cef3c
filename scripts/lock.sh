#!/bin/sh
# Locks every package of the workspace with hashes and without any index's address (docs/decisions/0002).
# Pins that are already there stay unless they are named:  scripts/lock.sh --upgrade-package NAME | --upgrade
set -eu
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never
.tools/bin/uv lock --quiet "$@"
export_lock() {
    file=$1
    shift
    .tools/bin/uv export --quiet --frozen --no-emit-workspace --no-header --no-annotate --format requirements.txt \
        --output-file "$file" "$@"
}
export_lock requirements.lock --all-packages --group dev --no-group bench --no-group browser
export_lock bench/requirements.lock --only-group bench # the peers that `make bench` measures; the same pins
if [ -d apps/backend ]; then export_lock apps/backend/tests/browser/requirements.lock --only-group browser; fi
