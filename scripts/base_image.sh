#!/bin/sh
# Makes the base that docker/Dockerfile builds on where no registry is reached: a Debian 12 that trusts what this machine trusts.
# Needs root, debootstrap and podman or docker:  scripts/base_image.sh [ENGINE] [MIRROR]
# Then:  ENGINE build -f docker/Dockerfile --build-arg BASE=localhost/aicd-base --target worker -t aicd-worker .
set -eu
engine=${1:-podman}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" ${2:+"$2"} >/dev/null
for own in /usr/local/share/ca-certificates/*.crt; do
    if [ -e "$own" ]; then cp "$own" "$root/usr/local/share/ca-certificates/"; fi
done
chroot "$root" update-ca-certificates >/dev/null 2>&1
tar -C "$root" -c . | "$engine" import - localhost/aicd-base:latest
