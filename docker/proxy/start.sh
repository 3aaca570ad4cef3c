#!/bin/sh
# Starts the proxy: what is only known now is written below /tmp, and what is missing is said before nginx says it.
set -eu
mkdir -p /tmp/nginx
for file in /etc/nginx/tls/fullchain.pem /etc/nginx/tls/privkey.pem; do
    if [ ! -r "$file" ]; then
        echo "$file is not there, or uid $(id -u) may not read it: put the certificate and its key into docker/tls (docs/deploy.md)." >&2
        exit 1
    fi
done
# Names of containers are asked for again and again: one that was made anew has another address.
server=$(sed -n 's/^nameserver[[:space:]]*//p' /etc/resolv.conf | head -n 1)
case $server in *:*) server="[$server]" ;; esac
echo "resolver ${server:-127.0.0.11} valid=5s;" >/tmp/nginx/resolver.conf
exec nginx -g 'daemon off;'
