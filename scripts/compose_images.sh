#!/bin/sh
# Builds with podman what tests/test_compose_up.py starts: the three images of docker/Dockerfile, and stand-ins for those of others
# (tests/installed), all on the base of scripts/base_image.sh.
set -eu
cd "$(dirname "$0")/.."
base=localhost/aicd-base
podman image exists "$base" || scripts/base_image.sh
build() { # TARGET NAME DOCKERFILE FOLDER
    podman build --quiet --network host --format docker --build-arg "BASE=$base:latest" --target "$1" --tag "$2" --file "$3" "$4" >/dev/null
}
for role in api worker proxy; do
    if grep -q " AS $role\$" docker/Dockerfile; then build "$role" "localhost/aicd-test-$role" docker/Dockerfile .; fi
done
for name in postgres redis prometheus alertmanager operator; do
    build "$name" "localhost/aicd-stand-in-$name" tests/installed/Dockerfile tests/installed
done
