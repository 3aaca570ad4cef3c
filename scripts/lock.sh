#!/bin/sh
# Locks every package of the workspace with hashes and without any index's address (docs/decisions/0002).
# Pins that are already there stay unless they are named:  scripts/lock.sh --upgrade-package NAME | --upgrade
set -eu
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never
.tools/bin/uv lock --quiet "$@"
.tools/bin/uv export --quiet --frozen --all-packages --all-groups --no-emit-workspace --no-header --no-annotate \
    --format requirements.txt --output-file requirements.lock
