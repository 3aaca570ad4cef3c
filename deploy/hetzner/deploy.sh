#!/bin/sh
# Brings a release onto a machine, or the one before it back (docs/deploy-hetzner.md). `make deploy` and `make rollback`.
#   HOST=deploy@203.0.113.7               the machine, as ssh knows it
#   VERSION=1.2.3 IMAGES=registry.example.com/me/aicd  a release's images; the machine pulls IMAGES-api:VERSION and so on
#   REVISION=HEAD                         without VERSION: the machine builds this commit
#   DRY_RUN=1                             only say what would be done
#   WAIT=180                              seconds until everything must be healthy
#   SSH="ssh -p 2222"                     another way to reach it
# 0: it runs. 1: it does not, and what ran before runs. 2: it was asked for wrongly. 4: nothing healthy runs.
set -eu
cd "$(dirname "$0")/../.."
targets="api worker proxy"

say() { printf '%s\n' "$*" >&2; }
refuse() { say "$*"; exit 2; }

on_host() {
    # shellcheck disable=SC2086 # SSH may have options
    ${SSH:-ssh} -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 "$HOST" "$@"
}

# What is given becomes words of a shell over there.
plain() {
    case $2 in
    *[!A-Za-z0-9._/:@-]* | -*) refuse "$1 has characters that no image, version or number has: $2" ;;
    esac
}

run() { on_host sh -s -- "$@" <deploy/hetzner/on_host.sh; }

deploy() {
    if [ -n "${VERSION:-}" ]; then
        [ -n "${IMAGES:-}" ] || refuse "Say where the images are: make deploy HOST=$HOST VERSION=$VERSION IMAGES=registry.example.com/OWNER/REPOSITORY"
        revision=${REVISION:-v$VERSION}
    else
        [ -z "${IMAGES:-}" ] || refuse "IMAGES goes with VERSION. To build a commit on the machine, leave both out."
        revision=${REVISION:-HEAD}
    fi
    commit=$(git rev-parse -q --verify "$revision^{commit}") || refuse "There is no $revision here. Fetch it: git fetch --tags"
    config=$(git rev-parse -q --verify "$commit:docker") || refuse "$revision has no folder docker, where Compose's files are."
    if [ "$revision" = HEAD ] && [ -n "$(git status --porcelain)" ]; then say "What is not committed is not deployed."; fi
    release=${VERSION:-$(git rev-parse --short=12 "$commit")}
    plain VERSION "$release"
    plain IMAGES "${IMAGES:-}"

    run plan "$release" "$config"
    if [ -n "${DRY_RUN:-}" ]; then return; fi
    git archive "$config" | on_host "cd /opt/aicd && rm -rf config/$config.new && mkdir -p config/$config.new acme secrets &&
        tar -x -C config/$config.new && { [ -d config/$config ] || mv config/$config.new config/$config; } &&
        rm -rf config/$config.new && ln -sfn -t config/$config /opt/aicd/secrets /opt/aicd/acme /opt/aicd/.env &&
        for each in api.env agents.env; do if [ -e \$each ]; then ln -sfn -t config/$config /opt/aicd/\$each; fi; done"
    if [ -z "${VERSION:-}" ]; then
        for target in $targets; do
            say "Building the image of the $target there ..."
            git archive "$commit" |
                on_host "docker build --quiet --file docker/Dockerfile --target $target --tag aicd-$target:$release \
                    --build-arg VERSION=$release --build-arg REVISION=$commit -" >/dev/null ||
                { say "The image of the $target could not be built. Nothing was switched."; exit 1; }
        done
    fi
    # shellcheck disable=SC2086 # one word for each target is meant
    run deploy "$release" "$config" "$wait" "${IMAGES:-aicd}" $targets
}

action=${1:-}
case $action in
deploy | rollback) ;;
*) refuse "usage: make deploy HOST=…   or   make rollback HOST=…" ;;
esac
[ -n "${HOST:-}" ] || refuse "Name the machine: make $action HOST=deploy@203.0.113.7"
plain HOST "$HOST"
wait=${WAIT:-180}
case $wait in *[!0-9]* | '') refuse "WAIT is a number of seconds, not: $wait" ;; esac
if [ "$action" = deploy ]; then
    deploy
else
    run "${DRY_RUN:+plan-}rollback" "$wait"
fi
