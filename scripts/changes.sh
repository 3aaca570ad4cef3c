#!/bin/sh
# What a release brings, as Markdown:  scripts/changes.sh TAG   one line for each commit since the release before it.
set -eu
cd "$(git rev-parse --show-toplevel)"
tag=${1:?usage: scripts/changes.sh TAG}
git rev-parse -q --verify "refs/tags/$tag^{commit}" >/dev/null || { echo "There is no tag $tag here. Fetch it: git fetch --tags" >&2; exit 1; }
if before=$(git describe --tags --abbrev=0 --match 'v[0-9]*' "$tag^" 2>/dev/null); then
    echo "Since $before:"
    range="$before..$tag"
else
    echo "The first release:"
    range=$tag
fi
echo
git log --no-merges --reverse --format='- %s (%h)' "$range"
