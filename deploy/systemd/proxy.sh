#!/bin/sh
# Writes the proxy of a machine without containers, out of docker/proxy: its places and ports are this machine's, the rest is as it
# is (docs/deploy-hetzner.md).  sudo deploy/systemd/proxy.sh [FOLDER]   The folder is /etc/aicd/proxy if not said.
set -eu
from=$(cd "$(dirname "$0")/../../docker/proxy" && pwd)
to=${1:-/etc/aicd/proxy}
mkdir -p "$to"
cp "$from/problem.conf" "$to"
# Exceptions of your own stay as they are. They stand before the rules that they are exceptions to.
touch "$to/own.conf"
sed "s|^Include /etc/modsecurity/crs/crs-setup.conf|Include $to/own.conf\n&|" "$from/modsecurity.conf" >"$to/modsecurity.conf"
# Under systemd, standard output is a socket, which nginx cannot open: its journal takes lines by /dev/log.
sed -e "s|/etc/nginx/waf/|$to/|; s|/etc/nginx/problem.conf|$to/problem.conf|; s|/etc/nginx/to-api.conf|$to/to-api.conf|" \
    -e 's|/etc/nginx/tls/|/run/credentials/aicd-proxy.service/|' \
    -e 's|listen 8080 |listen 80 |; s|listen 8443 |listen 443 |' \
    -e 's|access_log /dev/stdout |access_log syslog:server=unix:/dev/log,nohostname,tag=aicd_proxy |' \
    -e '/resolver\.conf;/d' "$from/nginx.conf" >"$to/nginx.conf"
sed 's|http://api:8080;|http://127.0.0.1:8080;|' "$from/to-api.conf" >"$to/to-api.conf"
