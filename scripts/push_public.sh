#!/bin/sh
# Pushes the public tree as one commit, and a release's tag, into the public repository:
#   scripts/push_public.sh URL NAME   the tree that `make public` has just made in build/public; NAME is the tag or branch
# The repository must exist and have a branch main. A tag that is there already is left as it is.
set -eu
cd "$(dirname "$0")/.."
url=${1:?usage: scripts/push_public.sh URL NAME}
name=${2:?usage: scripts/push_public.sh URL NAME}
tree=$PWD/build/public
[ -f "$tree/.gitignore" ] || { echo "There is no tree in build/public. Make it: make public" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --branch main "$url" "$work/clone"
public() { git --git-dir="$work/clone/.git" --work-tree="$tree" -c user.name=AI-CD -c user.email=release@users.noreply.github.com "$@"; }
public add --all
if public diff --cached --quiet; then
    echo "The public repository has this tree already."
else
    public commit --quiet -m "$name"
    public push --quiet origin HEAD:refs/heads/main
fi
case $name in
v[0-9]*)
    if [ -z "$(public ls-remote origin "refs/tags/$name")" ]; then
        public tag "$name"
        public push --quiet origin "refs/tags/$name"
    fi
    ;;
esac
