#!/bin/sh
# Makes the container image that the sandbox's tests run in, from Debian's own packages and without any registry.
# Needs root, debootstrap and podman or docker:  scripts/sandbox_image.sh [ENGINE] [MIRROR]
set -eu
engine=${1:-podman}
mirror=${2:-http://deb.debian.org/debian}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3 bookworm "$root" "$mirror" >/dev/null
tar -C "$root" -c . | "$engine" import - localhost/aicd-sandbox-test:latest
