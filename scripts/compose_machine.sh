#!/bin/sh
# A machine for docker/compose.yml, and the world around it, both network namespaces without a way out: Debian's Docker Engine
# runs at 198.51.100.1, and COMMAND runs in the world, at 198.51.100.2, with DOCKER_HOST set:  scripts/compose_machine.sh COMMAND...
# Needs root and 4 GB below TMPDIR. What it starts it ends, and what it makes it removes.
set -eu
tools=$(cd "$(dirname "$0")/.." && pwd)/.tools/debian
[ "$(id -u)" = 0 ] || { echo "Network namespaces and a Docker Engine need root." >&2; exit 1; }
if [ "${1:-}" != --in-the-world ]; then
    export PATH="$PATH:/usr/sbin:/sbin:$tools/usr/bin:$tools/usr/sbin:$tools/sbin"
    for libraries in "$tools"/usr/lib/*-linux-gnu; do
        if [ -d "$libraries" ]; then export LD_LIBRARY_PATH="$libraries"; fi
    done
    exec unshare --net --mount "$0" --in-the-world "$@"
fi
shift

place=$(mktemp -d)
unshare --net sleep infinity &
machine=$!
engine=""
end() {
    if [ -n "$engine" ]; then
        kill "$engine" 2>/dev/null || true
        wait "$engine" || true
    fi
    kill "$machine"; wait "$machine" 2>/dev/null || true
    rm -rf "$place"
}
trap end EXIT
trap 'exit 130' INT TERM
on_machine() { nsenter --net="/proc/$machine/ns/net" "$@"; }

until [ "$(readlink "/proc/$machine/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
ip link set lo up
ip link add world type veth peer name eth0 netns "$machine"
ip address add 198.51.100.2/24 dev world
ip link set world up
on_machine ip link set lo up
on_machine ip address add 198.51.100.1/24 dev eth0
on_machine ip link set eth0 up
# As on a machine that did not forward before Docker came: Docker then forwards nothing but what it means to.
on_machine sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
# A neighbour may try to get at containers past their ports.
ip route add 172.16.0.0/12 via 198.51.100.1

export DOCKER_HOST="unix://$place/docker.sock"
nsenter --net="/proc/$machine/ns/net" dockerd --host "$DOCKER_HOST" --data-root "$place/data" --exec-root "$place/run" --pidfile "$place/pid" \
    >"$place/log" 2>&1 &
engine=$!
tries=0
until docker version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 120 ] || ! kill -0 "$engine" 2>/dev/null; then
        tail -n 20 "$place/log" >&2
        echo "The Docker Engine does not start." >&2
        exit 1
    fi
    sleep 0.5
done
"$@"
