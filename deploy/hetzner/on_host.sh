#!/bin/sh
# What deploy.sh has the machine do; it comes over ssh and is not kept there. In /opt/aicd are
#   .env, api.env, agents.env, secrets/, acme/   the operator's settings; docker/init.sh makes them
#   services               where it is not everything: the services that this machine runs, in a line
#   compose.override.yml   where there is one: what Compose is told besides
#   config/TREE/           Compose's files, as of a commit's folder docker; the same files are the same folder
#   current.env            what runs: its release and that folder; previous.env is what ran before it
set -eu
trap '' HUP PIPE # a lost connection leaves nothing half done

say() { printf '%s\n' "$*" || true; }
stop() {
    code=$1
    shift
    say "$*"
    exit "$code"
}

value() { key=$1 && shift && sed -n "s/^$key=//p" "$@"; }
of() { if [ -e "$1.env" ]; then value AICD_RELEASE "$1.env"; else echo nothing; fi; }

# quietly COMMAND...: what it says goes to deploy.log, and the end of that here if it fails.
quietly() {
    printf '%s $ %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>deploy.log
    start=$(wc -l <deploy.log)
    if "$@" >>deploy.log 2>&1 9>&-; then return; fi
    say "Failed: $*"
    tail -n "+$((start + 1))" deploy.log | tail -n 30 || true
    return 1
}

compose() {
    state=$1
    shift
    folder=/opt/aicd/config/$(value AICD_CONFIG "$state")
    if [ -e compose.override.yml ]; then set -- --file /opt/aicd/compose.override.yml "$@"; fi
    quietly docker compose --project-name aicd --project-directory "$folder" --env-file /opt/aicd/.env \
        --env-file "/opt/aicd/$state" --file "$folder/compose.yml" "$@"
}

# up STATE WAIT: that release runs, and is healthy within so many seconds.
up() {
    say "Starting $(value AICD_RELEASE "$1") ..."
    if [ -n "$services" ]; then
        # shellcheck disable=SC2086 # one word for each service is meant
        compose "$1" up --detach --no-deps $long_lived &&
            compose "$1" up --detach --no-deps --wait --wait-timeout "$2" ${gate:-$long_lived}
    else
        compose "$1" up --detach --remove-orphans && compose "$1" up --detach --wait --wait-timeout "$2" api worker proxy
    fi
}

# switch NEXT WAIT: NEXT runs, else what ran before it, and then this ends with 1.
switch() {
    if up "$1" "$2"; then return; fi
    [ -e current.env ] || stop 4 "It is not healthy, and nothing ran before it. It was left as it is: docker compose ls, docker ps, docker logs."
    say "It is not healthy: going back to $(of current)."
    up current.env "$2" || stop 4 "What ran before is not healthy either. Look at once: docker ps, docker logs, /opt/aicd/deploy.log."
    stop 1 "$(of current) runs again, as before."
}

# Of the release before the last one, what no other needs.
tidy() {
    old=$(of "${1%.env}")
    for target in api worker proxy; do
        value TAG current.env previous.env | grep -qxF "$old" || quietly docker image rm "aicd-$target:$old" || true
    done
    old=$(value AICD_CONFIG "$1")
    value AICD_CONFIG current.env previous.env | grep -qxF "$old" || rm -rf "config/$old"
    rm -f "$1"
}

# deploy RELEASE WAIT IMAGES TARGET...: next.env runs. Its images are IMAGES-TARGET:RELEASE, and are called aicd-… here.
deploy() {
    release=$1 wait=$2 from=$3
    shift 3
    for target in "$@"; do
        image="aicd-$target:$release"
        if docker image inspect "$image" >/dev/null 2>&1; then continue; fi
        { quietly docker pull --quiet "$from-$target:$release" && quietly docker tag "$from-$target:$release" "$image"; } ||
            stop 1 "There is no image $from-$target:$release that this machine can pull. Nothing was switched."
    done
    if [ "$migrates" = yes ]; then
        say "Migrating the database ..."
        # shellcheck disable=SC2086 # no word where it is empty
        compose next.env run --rm --no-TTY ${services:+--no-deps} migrate ||
            stop 1 "The migration failed. Nothing was switched: $(of current) runs."
    fi
    switch next.env "$wait"
    if [ -e current.env ] && ! cmp -s current.env next.env; then
        if [ -e previous.env ]; then mv previous.env old.env; fi
        mv current.env previous.env
    fi
    mv next.env current.env
    if [ -e old.env ]; then tidy old.env; fi
    say "$(of current) runs."
}

rollback() {
    switch previous.env "$1"
    mv current.env old.env
    mv previous.env current.env
    mv old.env previous.env
    say "$(of current) runs. What was made by $(of previous) in the database stays: an older release runs on a newer schema."
}

# Read whole before it is begun.
main() {
    exec </dev/null
    cd /opt/aicd 2>/dev/null || stop 2 "This machine has no /opt/aicd. Set it up first: docs/deploy-hetzner.md."
    docker compose version >/dev/null 2>&1 || stop 2 "This user cannot use Docker's Compose here. Put it into the group docker, or install it."
    [ -e .env ] || stop 2 "There is no /opt/aicd/.env. Make it, and the secrets, by docker/init.sh."
    exec 9>deploy.lock
    flock --nonblock 9 || stop 2 "Somebody else deploys to this machine at this moment. Wait until it is done."

    services=$(cat services 2>/dev/null || true)
    long_lived=$(printf ' %s ' "$services" | sed 's/ migrate / /')
    # What watches does not decide about a release.
    gate=
    for each in api worker proxy; do
        case " ${services:-$each} " in *" $each "*) gate="$gate $each" ;; esac
    done
    case " ${services:-migrate} " in *" migrate "*) migrates=yes ;; *) migrates=no ;; esac
    action=$1
    shift
    case $action in
    plan)
        say "Runs now: $(of current). Is to run: $1. Services: ${services:-all}. Migrates: $migrates."
        if [ -d "config/$2" ]; then say "Compose's files are there already."; else say "Compose's files are new."; fi
        ;;
    deploy)
        printf 'AICD_RELEASE=%s\nAICD_CONFIG=%s\nTAG=%s\n' "$1" "$2" "$1" >next.env
        release=$1
        shift 2
        deploy "$release" "$@"
        ;;
    plan-rollback | rollback)
        [ -e current.env ] || stop 2 "Nothing was deployed here yet, so there is nothing to go back to."
        [ -e previous.env ] || stop 2 "Nothing ran here before $(of current), so there is nothing to go back to."
        if [ "$action" = rollback ]; then rollback "$1"; else say "Runs now: $(of current). Is to run: $(of previous)."; fi
        ;;
    esac
}

main "$@"
